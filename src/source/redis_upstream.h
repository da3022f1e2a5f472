/*
 * The Redis driver's state, which driver_redis.c (requests) and redis_conns.c (connections) share.
 */
#ifndef TARN_SOURCE_REDIS_UPSTREAM_H
#define TARN_SOURCE_REDIS_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "driver_support.h"
#include "redis_dsn.h"
#include "redis_link.h"
#include "redis_request.h"
#include "resolve.h"
#include "tarn/base/err.h"
#include "tarn/base/hash.h"
#include "tarn/base/list.h"
#include "tarn/source/driver.h"

struct upstream {
    struct upstream_config config;
    struct redis_dsn dsn;
    struct redis_target target;
    struct resolver *resolver;
    struct redis_link *links;         /* owned, config.connections of them */
    struct statement_list statements; /* struct redis_statement */
    struct list waiting, finished;    /* struct redis_request::link */
    unsigned requests;                /* taken and not yet reported */
    size_t memory;                    /* of requests and their rows */
    int64_t sweep_at_us;              /* when the next deadline is looked at; 0: there is none */
    ev_timer sweep, retry, upkeep;
    struct rng rng;
    double retry_seconds;
    bool has_failed; /* the last attempt to connect did, and none succeeded since */
    bool was_cut;    /* a connection was cut before it was up, since the last one that came up */
    struct errtext problem;
    enum driver_state state, reported_state;
    ev_prepare kick; /* never started, only fed */
};

/* ---- driver_redis.c -------------------------------------------------------------------------- */

/* Has the driver look at everything once more in this turn. */
static inline void redis_kick(struct upstream *u)
{
    ev_feed_event(u->config.loop, &u->kick, EV_CUSTOM);
}

/* The request, which is nowhere any more, has its answer; or none, and why. */
void redis_finish(struct upstream *u, struct redis_request *r);
void redis_fail(struct upstream *u, struct redis_request *r, enum driver_status status,
                const char *detail);

/* ---- redis_conns.c --------------------------------------------------------------------------- */

/* -ENOMEM: redis_conns_fini() is due all the same. */
int redis_conns_init(struct upstream *u) WARN_UNUSED;
void redis_conns_fini(struct upstream *u);

/* Sends what waits, and opens connections for it. */
void redis_conns_send(struct upstream *u);

bool redis_conns_are_up(const struct upstream *u);

/* The next deadline is no later than this. */
void redis_conns_watch(struct upstream *u, int64_t deadline_us);

#endif
