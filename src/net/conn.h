/*
 * A connection: a socket, its buffers, and the session that commands see.
 *
 *     socket --recv--> net->ring (shared) --parse--> batch --run--> conn.out --send--> socket
 *                          |                           |
 *                          +--- unfinished request ----+--- held requests ---> conn.in
 *
 * `in` holds bytes only while they cannot be run: the beginning of a request whose end has not
 * arrived, or requests behind one that is held. So an idle connection owns no buffers at all.
 */
#ifndef TARN_NET_CONN_H
#define TARN_NET_CONN_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <ev.h>

#include "tarn/base/buf.h"
#include "tarn/base/list.h"
#include "tarn/command/session.h"
#include "tarn/proto/resp_parse.h"

struct net;

/* Why requests of a connection are not run now; bits. The held request and all behind it wait in
 * `in`. */
enum conn_hold {
    CONN_HOLD_LOAD = 1 << 0,   /* its command waits for a load: ends with session_ops::resume */
    CONN_HOLD_OUTPUT = 1 << 1, /* the client does not read its replies: ends when they are sent */
    CONN_HOLD_DELAY =
        1 << 2, /* delayed by a command until session::blocked_until_ms; replies wait as well */
};

/* What is to be done for a connection before the turn ends; bits. */
enum conn_work {
    CONN_WORK_FLUSH = 1 << 0, /* look for replies to send, and whether it is over */
    CONN_WORK_PARSE = 1 << 1, /* `in` may hold requests that can be run */
    CONN_WORK_READ = 1 << 2,  /* the socket has something, but the turn was long */
};

struct conn {
    struct ev_io watcher;
    struct net *net;           /* borrowed */
    struct buf in, out;        /* owned; without memory while idle */
    struct resp_parser parser; /* of the bytes in `in` */
    struct list work_link;     /* net::work */
    struct list idle_link;     /* net::conns */
    struct list wait_link;     /* net::waiting: time may end its patience or ours */
    struct list memory_link;   /* net::by_memory; while its buffers hold anything */
    const char *queued_end;    /* end of its last queued request, in net->ring */
    size_t accounted;          /* bytes of its buffers that are part of net->buffers_bytes */
    int64_t eof_at_ms;     /* when the client said that it will send nothing more, 0: it has not */
    int64_t soft_since_ms; /* since when output is above the soft limit, 0: it is not */
    uint32_t idle_at_s;    /* second of its place in net::conns */
    uint8_t hold;          /* enum conn_hold */
    uint8_t early;         /* NET_OUT_EARLY_BYTES that were sent early in this turn */
    uint8_t work;          /* enum conn_work; non-zero: linked in net::work */
    bool is_dead : 1;      /* to be freed at the end of the turn; does nothing any more */
    bool is_blocked : 1;   /* the socket took less than was to be sent: it waits for EV_WRITE */
    bool is_looked_ahead : 1; /* for what its held requests will have to load */
    bool is_greeted : 1;      /* something was read from it before */
    struct session session;
};
static_assert(sizeof(struct conn) <= 472, "an idle connection is to cost less than 512 bytes");

static inline struct conn *conn_of(struct session *s)
{
    return container_of(s, struct conn, session);
}

static inline const struct conn *conn_of_const(const struct session *s)
{
    return (const void *)((const char *)s - offsetof(struct conn, session));
}

/* Takes over the connected, non-blocking socket; local_address is borrowed. Returns 0 or -errno;
 * the socket is closed on failure. */
int conn_open(struct net *net, int fd, unsigned session_flags, const char *address,
              const char *local_address) WARN_UNUSED;

/* Frees the connection. Only from the end of the turn, or when net goes down. */
void conn_destroy(struct conn *c);

/* Nothing more is run, read or sent; freed at the end of the turn. */
void conn_kill(struct conn *c);

/* May its next request be run? */
static inline bool conn_may_run(const struct conn *c)
{
    return !c->is_dead && c->hold == 0 && (c->session.flags & SESSION_CLOSING) == 0;
}

/* Puts the connection on the list of this turn's work. */
void conn_add_work(struct conn *c, enum conn_work work);

/* Holds the connection; its bytes from `from` (in what is being parsed, or in the ring) on are kept
 * for later. */
void conn_hold(struct conn *c, enum conn_hold why, const char *from);
void conn_release(struct conn *c, enum conn_hold why);

/* Watches the socket for what the connection's state asks for. */
void conn_watch(struct conn *c);

/* Bytes of its buffers: input, output, and what the parser keeps of an unfinished request. */
static inline size_t conn_buffer_bytes(const struct conn *c)
{
    return c->in.cap + c->out.cap + (c->parser.spans != NULL ? resp_parser_memory(&c->parser) : 0);
}

/* budget.c: brings the count of its buffers' memory up to date; a dead one counts as nothing. */
void conn_account(struct conn *c);

/* conn_read.c: takes what the socket has, queues or keeps it. In a long turn it only notes that
 * there is something. */
void conn_read(struct conn *c);
/* The same in any turn. */
void conn_read_now(struct conn *c);

/* conn_read.c: runs what can be run of `in`; nothing of it is queued when this returns. */
void conn_run_input(struct conn *c);

/* look_ahead.c: starts loads for requests that wait behind the one that is held. */
void conn_look_ahead(struct conn *c);

/* conn_write.c: one send, unless the socket is known to be full; then decides whether the
 * connection is over. */
void conn_flush(struct conn *c);

/* conn_write.c: sends what the connection has, in the middle of a turn. */
void conn_send_early(struct conn *c);

/* conn_write.c: the same with these pieces, of `bytes` together, in the place of the output. Returns
 * how many of them the socket took; all when it is broken and the connection ended. */
size_t conn_send_pieces(struct conn *c, struct iovec *iov, size_t count, size_t bytes);

/* conn_write.c: the socket can take more. */
void conn_on_writable(struct conn *c);

/* conn_write.c: limits of unsent output, and of waiting for a client that may be gone; called ten
 * times a second for those in net::waiting. */
void conn_check_limits(struct conn *c);

#endif
