/*
 * Replies to the socket, and the end of a connection.
 *
 * One send per connection and turn. What the socket does not take stays in `out`, and the
 * connection waits for EV_WRITE; until then nothing more is sent. Above NET_OUT_SOFT_BYTES of
 * unsent replies its requests wait too (CONN_HOLD_OUTPUT, set by the batch), so a client that sends
 * without reading costs that much memory and one reply.
 *
 * More than NET_OUT_EARLY_BYTES are sent as soon as they are there: the next replies are then
 * written to the same memory, which is in the cache, as are the bytes that the kernel copies
 * (GET of 4 KiB at
 * pipeline 16: 17 % less CPU time).
 *
 * A reply buffer that was sent goes back to a pool, from which the next connection takes it while
 * it is still in the cache; an idle connection has none.
 */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "conn.h"
#include "state.h"
#include "tarn/base/clock.h"
#include "tarn/base/compiler.h"
#include "tarn/base/log.h"

#define EOF_PATIENCE_MS 1000
#define OUT_RESUME \
    (NET_OUT_SOFT_BYTES / 4) /* held requests run again when no more than this is unsent */

static void kill_by_output_limit(struct conn *c)
{
    log_warning(
        "closing client %s: %zu bytes of unread replies are above client-output-buffer-limit",
        c->session.address, buf_len(&c->out));
    c->net->stats.client_output_buffer_limit_disconnections++;
    conn_kill(c);
}

/* Nobody has vouched for a client before it authenticates: it gets little. */
static const struct output_limit stranger_limit = {.hard = NET_OUT_STRANGER_BYTES};

static const struct output_limit *limit_of(const struct conn *c)
{
    const unsigned flags = c->session.flags;
    if ((flags & SESSION_AUTHENTICATED) == 0) {
        return &stranger_limit;
    }
    const bool is_listening = (flags & (SESSION_SUBSCRIBER | SESSION_MONITOR)) != 0;
    return &c->net->output_limits[is_listening ? OUTPUT_PUBSUB : OUTPUT_NORMAL];
}

/* A client that sent its end may be gone or may still read; TCP does not tell. Replies that are
 * ready are sent either way, but a load is waited for only a moment. */
static bool is_given_up(const struct conn *c)
{
    return c->eof_at_ms != 0 && (c->hold & CONN_HOLD_LOAD) != 0 &&
           c->net->env->clock->mono_ms - c->eof_at_ms > EOF_PATIENCE_MS;
}

void conn_check_limits(struct conn *c)
{
    const struct output_limit *limit = limit_of(c);
    int64_t now_ms = c->net->env->clock->mono_ms;
    uint64_t unsent = buf_len(&c->out);
    if (is_given_up(c)) {
        conn_kill(c);
    } else if (limit->hard > 0 && unsent > limit->hard) {
        kill_by_output_limit(c);
    } else if (limit->soft == 0 || unsent <= limit->soft) {
        c->soft_since_ms = 0;
    } else if (c->soft_since_ms == 0) {
        c->soft_since_ms = now_ms;
    } else if ((uint64_t)(now_ms - c->soft_since_ms) / 1000 >= limit->soft_seconds) {
        kill_by_output_limit(c);
    }
}

/* Closing with unread bytes in the socket makes the kernel send a reset, which may overtake our
 * last reply. */
static void discard_input(struct conn *c)
{
    struct net *net = c->net;
    assert(net->ring_at == 0);
    for (int i = 0; i < 16 && recv(c->watcher.fd, net->ring, NET_RING_BYTES, MSG_DONTWAIT) > 0;
         i++) {
    }
}

/* Everything is sent: is there still something to wait for? */
static bool is_over(const struct conn *c)
{
    if ((c->session.flags & SESSION_CLOSING) != 0) {
        return true;
    }
    return (c->eof_at_ms != 0 || c->net->is_draining) && c->hold == 0 &&
           (c->work & CONN_WORK_PARSE) == 0;
}

/* Returns false when the socket is broken. */
static bool send_some(struct conn *c)
{
    struct strview out = buf_view(&c->out);
    ssize_t n = send(c->watcher.fd, out.data, size_min(out.len, NET_SEND_BYTES), MSG_NOSIGNAL);
    if (n < 0) {
        c->is_blocked = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        return c->is_blocked;
    }
    c->net->stats.total_net_output_bytes += (uint64_t)n;
    c->net->stats.total_writes_processed++;
    buf_consume(&c->out, (size_t)n);
    c->is_blocked = buf_len(&c->out) > 0;
    return true;
}

/* After a send: waits for the socket, or gives the buffer back. */
static void settle(struct conn *c)
{
    c->early = 0;
    bool is_unsent = buf_len(&c->out) > 0;
    if (!is_unsent) {
        spares_give(&c->net->spares, &c->out);
    }
    if (UNLIKELY(is_unsent || c->eof_at_ms != 0)) {
        list_remove(&c->wait_link);
        list_push_back(&c->net->waiting, &c->wait_link);
        conn_check_limits(c);
    } else if (UNLIKELY(!list_is_empty(&c->wait_link))) {
        list_remove(&c->wait_link);
        c->soft_since_ms = 0;
    }
    if (UNLIKELY((c->hold & CONN_HOLD_OUTPUT) != 0) && buf_len(&c->out) <= OUT_RESUME) {
        conn_release(c, CONN_HOLD_OUTPUT);
    }
    conn_account(c);
    conn_watch(c);
}

void conn_flush(struct conn *c)
{
    if (UNLIKELY(c->is_dead)) {
        return;
    }
    if (UNLIKELY((c->hold & CONN_HOLD_DELAY) != 0)) {
        conn_account(c);
        conn_watch(c);
        return;
    }
    if (UNLIKELY(c->out.failed)) {
        log_warning("closing client %s: no memory for its replies", c->session.address);
        conn_kill(c);
        return;
    }
    if (LIKELY(buf_len(&c->out) > 0 && !c->is_blocked)) {
        if (!send_some(c)) {
            conn_kill(c);
            return;
        }
    }
    settle(c);
    if (buf_len(&c->out) == 0 && UNLIKELY(is_over(c))) {
        discard_input(c);
        conn_kill(c);
    }
}

/* Counts what is sent before the turn ends: it is part of what a client may have in a turn. */
static void count_early(struct conn *c, size_t bytes)
{
    size_t early = c->early + 1 + bytes / NET_OUT_EARLY_BYTES;
    c->early = (uint8_t)size_min(early, UINT8_MAX);
}

void conn_send_early(struct conn *c)
{
    if (c->net->loans.count > 0) {
        assert(c->net->loans.conn == c);
        loans_settle(c->net); /* that sends all there is */
        return;
    }
    count_early(c, buf_len(&c->out));
    if (c->is_blocked || c->is_dead || c->out.failed) {
        return;
    }
    if (!send_some(c)) {
        conn_kill(c);
    } else if (buf_len(&c->out) == 0) {
        spares_give(&c->net->spares, &c->out);
    }
}

size_t conn_send_pieces(struct conn *c, struct iovec *iov, size_t count, size_t bytes)
{
    count_early(c, bytes);
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
    const ssize_t n = sendmsg(c->watcher.fd, &message, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        conn_kill(c);
        return bytes;
    }
    const size_t sent = n > 0 ? (size_t)n : 0;
    c->net->stats.total_net_output_bytes += sent;
    c->net->stats.total_writes_processed++;
    c->is_blocked = sent < bytes;
    return sent;
}

void conn_on_writable(struct conn *c)
{
    if (!send_some(c)) {
        conn_kill(c);
        return;
    }
    idle_touch(c);
    settle(c);
    if (buf_len(&c->out) == 0) {
        conn_add_work(c,
                      CONN_WORK_FLUSH); /* it may be over; that is decided at the end of the turn */
    }
}
