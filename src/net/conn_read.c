/*
 * From the socket to the batch.
 *
 * The common way: recv into the ring that all connections share, parse there, queue. What is left
 * of an unfinished request is copied to the connection's own buffer, and copied in front of the
 * next bytes when they come; the parser keeps offsets, so nothing is looked at twice. Requests in
 * the ring stay queued until the end of the turn, beside those of other connections.
 *
 * The other way, for requests that are large (their bytes would be copied to and fro) or that
 * waited behind a hold: recv into the connection's own buffer and run from there, at once, because
 * that buffer moves when it grows. Its size follows what has arrived, not what was announced: four
 * times the bytes received, up to the size the parser knows, so that an announced half gigabyte
 * costs nothing until it comes.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "batch.h"
#include "conn.h"
#include "state.h"
#include "tarn/base/clock.h"
#include "tarn/base/compiler.h"
#include "tarn/base/log.h"
#include "tarn/base/strview.h"
#include "tarn/command/command.h"
#include "tarn/proto/resp_parse.h"
#include "tarn/proto/resp_write.h"

#define RING_PREFIX_MAX        (4 * 1024)   /* an unfinished request that goes back into it */
#define OWN_READ_MAX           (256 * 1024) /* per turn, of a large request */
#define UNAUTHENTICATED_IN_MAX (1024 * 1024)
#define STRANGERS_LOGGED_PER_S 16

/* ---- one request ----------------------------------------------------------------------------- */

/* A web page can make a browser send an HTTP request here, whose body holds commands. No client of
 * ours starts a line like that. */
static bool is_http(const struct resp_request *r)
{
    if (strview_eq_nocase(r->argv[0], "post") || strview_eq_nocase(r->argv[0], "host:")) {
        return true;
    }
    return r->argc == 3 && strview_starts_with(r->argv[2], strview_str("HTTP/"));
}

/* Lines about strangers: each is worth one, but a flood of them is not. */
static bool may_log_stranger(struct net *net)
{
    int64_t now_s = net->env->clock->mono_ms / 1000;
    if (net->strangers_at_s != now_s) {
        net->strangers_at_s = now_s;
        net->strangers_logged = 0;
    }
    return net->strangers_logged++ < STRANGERS_LOGGED_PER_S;
}

static void refuse_http(struct conn *c)
{
    if (may_log_stranger(c->net)) {
        log_warning("closing client %s: it speaks HTTP; this may be a web page that tries to send "
                    "commands through a browser",
                    c->session.address);
    }
    conn_kill(c);
}

static void refuse_protocol(struct conn *c, const char *error)
{
    struct net *net = c->net;
    batch_run(net); /* the replies to what came before */
    if (!conn_may_run(c)) {
        return; /* a request before it waits: the error will be met again */
    }
    log_verbose("closing client %s: %s", c->session.address, error);
    struct resp_writer w = session_writer(&c->session);
    resp_write_error(&w, strview_str(error));
    c->session.flags |= SESSION_CLOSING;
    conn_add_work(c, CONN_WORK_FLUSH);
}

/* ---- the parse loop -------------------------------------------------------------------------- */

static struct resp_limits limits_of(const struct conn *c)
{
    return (struct resp_limits){
        .bulk_max = c->net->env->command_options->proto_max_bulk_len,
        .args_max = RESP_ARGS_MAX,
        .is_authenticated = (c->session.flags & SESSION_AUTHENTICATED) != 0,
    };
}

/* A request that is not plain, or not there whole. Returns its bytes, 0: parsing ends here. */
static size_t parse_other(struct conn *c, const struct resp_limits *limits, struct strview in)
{
    struct net *net = c->net;
    size_t used = 0;
    const char *error = NULL;
    switch (resp_parse(&c->parser, limits, in, &net->request, &used, &error)) {
    case RESP_REQUEST:
        if (*in.data != '*' && is_http(&net->request)) {
            refuse_http(c);
            return 0;
        }
        batch_add_parsed(net, c, in.data, used);
        if (!limits->is_authenticated) {
            batch_run(net); /* this request may be the one that authenticates */
        }
        return used;
    case RESP_EMPTY:
        return used;
    case RESP_MORE:
        break;
    case RESP_ERROR:
        refuse_protocol(c, error);
        break;
    case RESP_NOMEM:
        log_warning("closing client %s: no memory for its request", c->session.address);
        conn_kill(c);
        break;
    }
    return 0;
}

/* Queues the requests in `in`. Returns how many bytes are done with; the rest has to be kept. */
static size_t parse(struct conn *c, struct strview in)
{
    struct net *net = c->net;
    struct resp_limits limits = limits_of(c);
    size_t at = 0;
    unsigned budget = NET_TURN_REQUESTS;
    assert(net->parsing == NULL);
    net->parsing = c;
    net->held_at = NULL;
    while (at < in.len && conn_may_run(c)) {
        const struct strview rest = strview_of(in.data + at, in.len - at);
        size_t used = 0;
        int argc;
        if (LIKELY(c->parser.state == RESP_AT_START)) {
            used = resp_parse_whole(&limits, rest, batch_args(&net->batch), BATCH_CALL_ARGS, &argc);
        }
        if (LIKELY(used > 0)) {
            batch_add(net, c, argc, rest.data, used);
        } else {
            used = parse_other(c, &limits, rest);
            if (used == 0) {
                break;
            }
            limits = limits_of(c);
        }
        at += used;
        if (UNLIKELY(--budget == 0 || (net->batch.count == 0 && turn_is_long(net)))) {
            conn_add_work(c, CONN_WORK_PARSE);
            break;
        }
    }
    net->parsing = NULL;
    if (at > 0) {
        conn_add_work(c, CONN_WORK_FLUSH);
    }
    return net->held_at != NULL ? (size_t)(net->held_at - in.data) : at;
}

/* ---- the connection's own buffer ------------------------------------------------------------- */

/* How much room to make for the bytes to come of an unfinished request. */
static size_t room_for_more(const struct conn *c, size_t have)
{
    size_t wants = resp_parser_wants(&c->parser, have);
    size_t fair = size_max(NET_READ_BYTES, 3 * have);
    return size_min(wants, fair);
}

static void keep(struct conn *c, struct strview rest)
{
    if ((c->session.flags & SESSION_CLOSING) != 0) {
        return; /* nothing is run any more */
    }
    size_t more = 0;
    if (rest.len > RING_PREFIX_MAX) {
        spares_take(&c->net->spares, &c->in);
        more = room_for_more(c, rest.len);
    }
    if (!buf_reserve(&c->in, rest.len + more) || !buf_append_view(&c->in, rest)) {
        log_warning("closing client %s: no memory for its request", c->session.address);
        conn_kill(c);
    }
}

static void check_input_limit(struct conn *c)
{
    struct net *net = c->net;
    size_t limit = (size_t)net->options->client_query_buffer_limit;
    if ((c->session.flags & SESSION_AUTHENTICATED) == 0) {
        limit = size_min(limit, UNAUTHENTICATED_IN_MAX);
    }
    if (UNLIKELY(buf_len(&c->in) > limit)) {
        log_warning("closing client %s: %zu bytes of unfinished request are above "
                    "client-query-buffer-limit",
                    c->session.address, buf_len(&c->in));
        net->stats.client_query_buffer_limit_disconnections++;
        conn_kill(c);
    }
}

void conn_run_input(struct conn *c)
{
    struct net *net = c->net;
    if (c->hold != 0 || c->is_dead || buf_len(&c->in) == 0) {
        return;
    }
    size_t used = parse(c, buf_view(&c->in));
    const char *base = c->in.data + c->in.head;
    net->parsing = c;
    net->held_at = NULL;
    batch_run(net); /* before these bytes move */
    net->parsing = NULL;
    if (net->held_at != NULL) {
        used = (size_t)(net->held_at - base);
    }
    buf_consume(&c->in, used);
    if (buf_len(&c->in) == 0) {
        spares_give(&net->spares, &c->in);
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Judges what recv returned; true when there are bytes. */
static bool received(struct conn *c, ssize_t n)
{
    if (LIKELY(n > 0)) {
        c->net->stats.total_net_input_bytes += (uint64_t)n;
        c->net->stats.total_reads_processed++;
        idle_touch(c);
        return true;
    }
    if (n == 0) {
        c->eof_at_ms = c->net->env->clock->mono_ms;
        if (c->hold == 0 && c->work == 0 && buf_len(&c->out) == 0) {
            conn_kill(c); /* nothing is left to answer: its place is free at once */
        } else {
            conn_add_work(c, CONN_WORK_FLUSH);
        }
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        log_verbose("closing client %s: %s", c->session.address, strerror(errno));
        conn_kill(c);
    }
    return false;
}

static void read_into_own(struct conn *c)
{
    size_t wants = room_for_more(c, buf_len(&c->in));
    size_t least = wants > 0 ? size_min(wants, NET_READ_BYTES) : NET_READ_BYTES;
    if (c->in.cap - c->in.tail < least && !buf_reserve(&c->in, size_max(wants, least))) {
        log_warning("closing client %s: no memory for its request", c->session.address);
        conn_kill(c);
        return;
    }
    ssize_t n = recv(c->watcher.fd, buf_tail(&c->in),
                     size_min(c->in.cap - c->in.tail, OWN_READ_MAX), 0);
    if (received(c, n)) {
        buf_commit(&c->in, (size_t)n);
        check_input_limit(c);
        conn_run_input(c);
    }
    conn_account(c);
    conn_watch(c);
}

/* The first bytes of a TLS hello, or of binary protocols: an inline request would be awaited for
 * ever. */
static bool is_foreign(struct conn *c, char first)
{
    if (c->is_greeted) {
        return false;
    }
    c->is_greeted = true;
    return first == 0x16 || first == 0x00;
}

static void read_into_ring(struct conn *c)
{
    struct net *net = c->net;
    size_t have = buf_len(&c->in);
    assert(have <= RING_PREFIX_MAX);
    if (net->ring_at + RING_PREFIX_MAX + NET_READ_BYTES > NET_RING_BYTES) {
        batch_run(net);
        net->ring_at = 0;
        if (!conn_may_run(c)) {
            return; /* ended by another's command; or to be read into its own buffer, in the next
                       turn */
        }
    }
    char *at = net->ring + net->ring_at;
    ssize_t n = recv(c->watcher.fd, at + have, NET_READ_BYTES, 0);
    if (!received(c, n)) {
        return;
    }
    if (UNLIKELY(have > 0)) {
        memcpy(at, c->in.data + c->in.head, have);
        buf_clear(&c->in);
    }
    if (UNLIKELY(!c->is_greeted) && is_foreign(c, *at)) {
        if (may_log_stranger(net)) {
            log_warning("closing client %s: it does not speak this protocol", c->session.address);
        }
        conn_kill(c);
        return;
    }
    size_t len = have + (size_t)n;
    size_t used = parse(c, strview_of(at, len));
    net->ring_at = net->batch.count > 0 ? net->ring_at + len : 0;
    if (UNLIKELY(used < len) && !c->is_dead) {
        keep(c, strview_of(at + used, len - used));
        conn_account(c);
        conn_watch(c);
    } else if (UNLIKELY(c->in.cap > 0)) {
        spares_give(&net->spares, &c->in);
        conn_account(c);
    }
}

void conn_read_now(struct conn *c)
{
    if (c->hold != 0 || buf_len(&c->in) > RING_PREFIX_MAX) {
        read_into_own(c);
    } else {
        read_into_ring(c);
    }
}

void conn_read(struct conn *c)
{
    bool has_rest = (c->work & CONN_WORK_PARSE) != 0; /* of what was read before */
    if (UNLIKELY(has_rest || c->net->is_behind || turn_is_long(c->net))) {
        c->net->is_behind = true;
        conn_add_work(c, CONN_WORK_READ);
        return;
    }
    conn_read_now(c);
}
