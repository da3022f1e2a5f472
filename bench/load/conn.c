/*
 * Replies come in the order of the requests, so a ring of key numbers is all that has to be kept of
 * a request: it tells the value to expect, and in an open loop the time a request was due follows
 * from its number. Functions return false, after a message, when the run cannot go on.
 */
#include "conn.h"

#include "tarn/base/compiler.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1e9

static bool fail(const char *what, const char *why)
{
    fprintf(stderr, "tarn-load: %s: %s\n", what, why);
    return false;
}

bool conn_init(struct conn *c, const struct engine *e, int fd, uint32_t number)
{
    uint64_t most = e->options->pipeline > 64 ? e->options->pipeline : 64; /* filling takes 64 */
    *c = (struct conn){.fd = fd, .number = number, .capacity = (uint32_t)most};
    rng_init_seed(&c->rng, e->options->seed * CONNECTIONS_MAX + number);
    c->asked = calloc(c->capacity, sizeof(c->asked[0]));
    return c->asked != NULL || fail("connection", "no memory");
}

void conn_fini(struct conn *c)
{
    if (c->capacity > 0) {
        close(c->fd);
    }
    buf_fini(&c->unsent);
    free(c->asked);
}

int64_t conn_due_ns(const struct conn *c, const struct engine *e, uint64_t made)
{
    double place = (double)(made * e->options->connections + c->number);
    return e->start_ns + (int64_t)(place / e->phase->rate * NS_PER_S);
}

/* Appends one request to e->out. */
static bool make_request(struct conn *c, struct engine *e)
{
    const struct phase *phase = e->phase;
    const struct protocol *p = e->options->protocol;
    bool is_read = phase->read_share >= 1 ||
                   (phase->read_share > 0 && rng_fraction(&c->rng) < phase->read_share);
    uint64_t key = key_space_next(phase->keys, &c->rng);
    char text[KEY_BYTES];
    if (is_read && phase->hit_share < 1 && rng_fraction(&c->rng) >= phase->hit_share) {
        key += KEYS_MAX;
    }
    key_format(text, key);
    assert(c->under_way < c->capacity);
    uint32_t slot = c->head + c->under_way;
    c->asked[slot < c->capacity ? slot : slot - c->capacity] = key * 2 + !is_read;
    c->under_way++;
    c->made++;
    e->under_way++;
    e->left--;
    return is_read ? p->put_get(&e->out, text)
                   : p->put_set(&e->out, text, payload_of(&e->payload, key), phase->ttl_ms);
}

static bool watch(struct conn *c, struct engine *e, bool writes)
{
    struct epoll_event event = {.events = EPOLLIN | (writes ? EPOLLOUT : 0), .data.ptr = c};
    if (c->waits_to_write == writes) {
        return true;
    }
    c->waits_to_write = writes;
    return epoll_ctl(e->epoll, EPOLL_CTL_MOD, c->fd, &event) == 0 || fail("epoll", strerror(errno));
}

/* Sends from `b`; what the socket does not take stays there. */
static bool send_buf(struct conn *c, struct buf *b)
{
    while (buf_len(b) > 0) {
        struct strview v = buf_view(b);
        ssize_t n = send(c->fd, v.data, v.len, MSG_NOSIGNAL);
        if (n >= 0) {
            buf_consume(b, (size_t)n);
        } else if (errno == EAGAIN) {
            return true;
        } else if (errno != EINTR) {
            return fail("send", strerror(errno));
        }
    }
    return true;
}

bool conn_flush(struct conn *c, struct engine *e)
{
    return send_buf(c, &c->unsent) && watch(c, e, buf_len(&c->unsent) > 0);
}

/* Sends e->out, after what was left before; keeps what the socket does not take. */
static bool send_out(struct conn *c, struct engine *e)
{
    bool fine = true;
    if (buf_len(&c->unsent) == 0) {
        fine = send_buf(c, &e->out);
    }
    if (fine && buf_len(&e->out) > 0) {
        fine = (buf_append_view(&c->unsent, buf_view(&e->out)) || fail("send", "no memory")) &&
               watch(c, e, true);
    }
    buf_clear(&e->out);
    return fine;
}

bool conn_send(struct conn *c, struct engine *e)
{
    bool fine = true;
    bool is_open = e->phase->rate > 0;
    uint64_t before = c->made;
    if (e->now_ns >= e->end_ns || (!is_open && c->under_way > 0)) {
        return true;
    }
    while (fine && c->under_way < e->phase->pipeline && e->left > 0 &&
           (!is_open || conn_due_ns(c, e, c->made) <= e->now_ns)) {
        fine = make_request(c, e);
    }
    if (!fine) {
        return fail("request", "no memory");
    }
    c->sent_ns = e->now_ns;
    return c->made == before || send_out(c, e);
}

static void count_reply(struct conn *c, struct engine *e, enum reply reply, bool is_write)
{
    struct tally *t = e->tally;
    int64_t since = e->phase->rate > 0 ? conn_due_ns(c, e, c->answered) : c->sent_ns;
    t->replies++;
    t->reads += !is_write;
    t->hits += reply == REPLY_VALUE || reply == REPLY_WRONG;
    t->misses += reply == REPLY_MISS;
    t->errors += reply == REPLY_ERROR;
    /* A value in answer to a SET, or OK in answer to a GET, is as wrong as another value. */
    const bool is_wrong = reply == REPLY_WRONG ||
                          (is_write ? reply == REPLY_VALUE || reply == REPLY_MISS
                                    : reply == REPLY_OK);
    t->wrong += is_wrong && !e->options->unchecked;
    histogram_add(&t->latency, e->now_ns > since ? (uint64_t)(e->now_ns - since) : 0);
    if (reply == REPLY_ERROR && t->errors == 1) {
        memcpy(t->first_error, c->reader.line, sizeof(t->first_error));
    }
    c->head = c->head + 1 < c->capacity ? c->head + 1 : 0;
    c->under_way--;
    c->answered++;
    e->under_way--;
}

static bool count_replies(struct conn *c, struct engine *e, struct strview in)
{
    while (in.len > 0) {
        if (c->under_way == 0) {
            return fail("reply", "one more than requests");
        }
        uint64_t asked = c->asked[c->head];
        struct strview expected = payload_of(&e->payload, asked / 2);
        size_t used;
        enum reply reply = reply_read(&c->reader, e->options->protocol, in, expected, &used);
        in = strview_of(in.data + used, in.len - used);
        if (reply == REPLY_BROKEN) {
            return fail("reply", "not the protocol");
        }
        if (reply != REPLY_MORE) {
            count_reply(c, e, reply, asked & 1);
        }
    }
    return true;
}

bool conn_receive(struct conn *c, struct engine *e)
{
    ssize_t n = recv(c->fd, e->in, CONN_IN_BYTES, 0);
    if (n == 0) {
        return fail("receive", "the server closed the connection");
    }
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR || fail("receive", strerror(errno));
    }
    return count_replies(c, e, strview_of(e->in, (size_t)n)) && conn_send(c, e);
}
