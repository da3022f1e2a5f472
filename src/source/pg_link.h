/*
 * One connection to a PostgreSQL server, inside the event loop: how it comes to be and how it ends.
 * What is said over it is the business of its owner (pg_pipe.c, pg_feed.c).
 *
 *     CLOSED ──open──> LOGIN ──addresses, secrets──> CONNECTING ──> UP ──broke, close──> CLOSED
 *                        └────────── failed, connect-timeout ──────────────────────────────┘
 */
#ifndef TARN_SOURCE_PG_LINK_H
#define TARN_SOURCE_PG_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "resolve.h"
#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/source/driver.h"

struct pg_conn; /* libpq's PGconn */

enum pg_failure {
    PG_FAILURE_LINK, /* out of reach, or it broke */
    PG_FAILURE_AUTH, /* the server refuses the user */
};

/* The server, or the one of several that fits. */
struct pg_target {
    const char *dsn; /* borrowed, like all here */
    const struct driver_options *options;
    struct ev_loop *loop;
    struct resolver *resolver;
    bool is_primary; /* of several servers, only one that takes writes will do */
    unsigned first;  /* which address to begin with: each failure moves on, for one may hang */
};

/* All on the loop's thread, none from within pg_link_open(), _flush() or _close(). */
struct pg_link_events {
    void *ctx;
    void (*up)(void *ctx);
    void (*readable)(void *ctx); /* input was consumed: PQisBusy() may have changed */
    /* The link is closed when this is called. `text` is borrowed. */
    void (*down)(void *ctx, enum pg_failure failure, const char *text);
};

enum pg_link_state { PG_LINK_CLOSED, PG_LINK_LOGIN, PG_LINK_CONNECTING, PG_LINK_UP };

struct pg_link {
    const struct pg_target *target; /* borrowed */
    struct pg_link_events events;
    struct pg_conn *pg; /* owned; NULL in CLOSED and LOGIN */
    ev_io io;
    ev_timer deadline; /* of connecting */
    uint64_t ticket;   /* of the resolver, in LOGIN */
    enum pg_link_state state;
};

/* Is it a dsn that can be used? 0 or -EINVAL with text. */
int pg_dsn_check(const char *dsn, struct errtext *err) WARN_UNUSED;
void pg_dsn_judge(const char *dsn, struct driver_dsn_facts *out);

void pg_link_init(struct pg_link *l, const struct pg_target *target,
                  const struct pg_link_events *events);
/* -ENOMEM: nothing happens. Else up() or down() follows. */
int pg_link_open(struct pg_link *l) WARN_UNUSED;
/* Sends what libpq has queued, now and as the socket takes it. */
void pg_link_flush(struct pg_link *l);
/* No event follows. A closed one stays closed. */
void pg_link_close(struct pg_link *l);

#endif
