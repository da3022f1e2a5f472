/*
 * Life of a connection: opened by a listener, held and released, killed, freed; and what its
 * session asks of it.
 *
 * Ownership. net::conns links every connection; work_link and wait_link are further lists it may be
 * in. A connection is freed by conn_destroy() at the end of a turn; everybody else calls
 * conn_kill(), after which the socket is open but nothing happens on it. So neither a callback nor
 * a command ever frees what it was called on.
 *
 * Holds. A held connection keeps the bytes of the requests that wait in `in`, the held one first.
 * They come from the bytes being parsed right now (the parse loop then stops there and keeps them),
 * or from requests queued earlier in this turn, whose bytes are in the ring (conn_unread() copies
 * them back). Either way they are parsed again afterwards: holding is rare, and this keeps the
 * common path free of bookkeeping.
 */
#include "conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "state.h"
#include "tarn/base/clock.h"
#include "tarn/base/log.h"

void conn_add_work(struct conn *c, enum conn_work work)
{
    if (c->work == 0) {
        list_push_back(&c->net->work, &c->work_link);
    }
    c->work |= work;
}

void conn_kill(struct conn *c)
{
    if (c->is_dead) {
        return;
    }
    c->is_dead = true;
    assert(c->net->conns_count > 0);
    c->net->conns_count--;
    ev_io_stop(c->net->loop, &c->watcher);
    conn_account(c);
    conn_add_work(c, CONN_WORK_FLUSH);
}

void conn_watch(struct conn *c)
{
    if (c->is_dead) {
        return;
    }
    bool is_closing = (c->session.flags & SESSION_CLOSING) != 0;
    bool is_full = (c->hold & CONN_HOLD_OUTPUT) != 0 ||
                   (c->hold != 0 && buf_len(&c->in) >= NET_HELD_IN_BYTES);
    int events = 0;
    if (c->eof_at_ms == 0 && !is_closing && !is_full && !c->net->is_draining) {
        events |= EV_READ;
    }
    if (c->is_blocked && (c->hold & CONN_HOLD_DELAY) == 0) {
        events |= EV_WRITE;
    }
    if (events == (c->watcher.events & (EV_READ | EV_WRITE)) && ev_is_active(&c->watcher)) {
        return;
    }
    ev_io_stop(c->net->loop, &c->watcher);
    ev_io_set(&c->watcher, c->watcher.fd, events);
    if (events != 0) {
        ev_io_start(c->net->loop, &c->watcher);
    }
}

/* ---- holds ----------------------------------------------------------------------------------- */

/* The bytes from `from` to the end of what was queued go back in front of `in`. */
static void conn_unread(struct conn *c, const char *from)
{
    assert(from <= c->queued_end);
    struct buf joined;
    buf_init(&joined);
    if (from < c->queued_end && (!buf_append(&joined, from, (size_t)(c->queued_end - from)) ||
                                 !buf_append_view(&joined, buf_view(&c->in)))) {
        log_warning("closing client %s: no memory to keep its requests", c->session.address);
        buf_fini(&joined);
        conn_kill(c);
        return;
    }
    if (from < c->queued_end) {
        buf_fini(&c->in);
        c->in = joined;
    }
}

void conn_hold(struct conn *c, enum conn_hold why, const char *from)
{
    struct net *net = c->net;
    assert(c->hold == 0);
    c->hold |= why;
    c->is_looked_ahead = false;
    if (net->parsing == c) {
        net->held_at = from;
    } else {
        conn_unread(c, from);
    }
    resp_parser_fini(&c->parser);
    c->parser = (struct resp_parser){0};
    if (why == CONN_HOLD_DELAY) {
        list_remove(&c->wait_link);
        list_push_back(&net->waiting, &c->wait_link);
        idle_delay_until(net, c->session.blocked_until_ms);
    }
    conn_add_work(c, CONN_WORK_FLUSH);
}

void conn_release(struct conn *c, enum conn_hold why)
{
    if ((c->hold & why) != 0) {
        c->hold &= (uint8_t)~why;
        conn_add_work(c, CONN_WORK_PARSE);
    }
}

/* ---- what the session asks for --------------------------------------------------------------- */

static void session_close(struct session *s)
{
    struct conn *c = conn_of(s);
    if (c->net->running == c) {
        s->flags |= SESSION_CLOSING;
    } else {
        conn_kill(c);
    }
}

static void session_resume(struct session *s)
{
    conn_release(conn_of(s), CONN_HOLD_LOAD);
}

static void session_buffers(const struct session *s, size_t *query_out, size_t *query_free_out,
                            size_t *output_out, size_t *memory_out)
{
    const struct conn *c = conn_of_const(s);
    *query_out = buf_len(&c->in);
    *query_free_out = c->in.cap - c->in.tail;
    *output_out = buf_len(&c->out);
    *memory_out = sizeof(*c) + conn_buffer_bytes(c);
}

static bool session_lend_bulk(struct session *s, struct strview bytes, bool stays)
{
    return loans_lend(conn_of(s), bytes, stays);
}

static void session_wake(struct session *s)
{
    struct conn *c = conn_of(s);
    if (c->is_dead) {
        buf_clear(&c->out); /* nobody will read it */
        return;
    }
    conn_add_work(c, CONN_WORK_FLUSH);
    ev_idle_start(c->net->loop, &c->net->busy_watcher); /* this turn may be over already */
    conn_check_limits(c); /* what is published within one turn may be any amount */
}

static const struct session_ops conn_session_ops = {
    .close = session_close,
    .resume = session_resume,
    .buffers = session_buffers,
    .lend_bulk = session_lend_bulk,
    .wake = session_wake,
};

/* ---- life ------------------------------------------------------------------------------------ */

static void on_socket(struct ev_loop *loop, struct ev_io *w, int revents)
{
    (void)loop;
    struct conn *c = container_of(w, struct conn, watcher);
    if ((revents & EV_WRITE) != 0) {
        conn_on_writable(c);
    }
    if ((revents & EV_READ) != 0 && !c->is_dead) {
        conn_read(c);
    }
}

int conn_open(struct net *net, int fd, unsigned session_flags, const char *address,
              const char *local_address)
{
    struct conn *c = malloc(sizeof(*c));
    if (c == NULL) {
        (void)close(fd);
        return -ENOMEM;
    }
    *c = (struct conn){.net = net};
    list_init(&c->work_link);
    list_init(&c->wait_link);
    list_init(&c->memory_link);
    session_init(&c->session, net->env, &conn_session_ops, &c->out);
    c->session.flags |= session_flags;
    c->session.fd = fd;
    (void)snprintf(c->session.address, sizeof(c->session.address), "%s", address);
    c->session.local_address = local_address;

    c->idle_at_s = (uint32_t)(net->env->clock->mono_ms / 1000);
    list_push_back(&net->conns, &c->idle_link);
    net->conns_count++;
    net->stats.total_connections_received++;

    ev_io_init(&c->watcher, on_socket, fd, EV_READ);
    ev_set_priority(&c->watcher, NET_PRIORITY_CLIENT);
    ev_io_start(net->loop, &c->watcher);
    return 0;
}

void conn_destroy(struct conn *c)
{
    struct net *net = c->net;
    assert(net->running != c);
    assert(net->parsing != c);
    conn_kill(c);
    ev_io_stop(net->loop, &c->watcher);
    (void)close(c->watcher.fd);
    session_fini(&c->session, net->env);
    resp_parser_fini(&c->parser);
    buf_fini(&c->in);
    buf_fini(&c->out);
    assert(c->accounted == 0);
    list_remove(&c->work_link);
    list_remove(&c->idle_link);
    list_remove(&c->wait_link);
    free(c);
}
