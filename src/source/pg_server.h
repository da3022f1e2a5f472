/*
 * One server (a primary or a replica) and the pool of connections to it.
 */
#ifndef TARN_SOURCE_PG_SERVER_H
#define TARN_SOURCE_PG_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "pg_pipe.h"
#include "backoff.h"
#include "pg_link.h"
#include "tarn/base/hash.h"
#include "tarn/base/list.h"

enum pg_health { PG_HEALTH_UNKNOWN, PG_HEALTH_UP, PG_HEALTH_DOWN, PG_HEALTH_AUTH };

struct pg_server;

/* None of them comes from within a function of this header but pg_server_pump(). */
struct pg_server_events {
    void *ctx;
    /* The request has its answer. */
    void (*finished)(void *ctx, struct pg_request *r);
    /* It has none: its connection broke under it (is_lost), or the server is out of reach. */
    void (*refused)(void *ctx, struct pg_server *s, struct pg_request *r);
    /* Something changed that pg_server_pump() should look at, or the health did. */
    void (*changed)(void *ctx, struct pg_server *s);
};

struct pg_server {
    struct pg_target target;
    struct pg_server_events events;
    unsigned conns_max;
    unsigned pipeline; /* requests on one connection */
    struct list conns; /* struct pg_pipe::link; owned */
    unsigned conns_count, connecting;
    struct list waiting; /* struct pg_request::link, without a connection */
    unsigned requests;   /* here and on connections */
    bool has_cancelled;  /* among those waiting */
    enum pg_health health;
    char problem[PG_DETAIL_MAX]; /* why it is down */
    ev_timer retry;              /* runs: no new connection is tried until then */
    struct backoff backoff;
    ev_timer upkeep;
    struct rng rng;
};

void pg_server_init(struct pg_server *s, const struct pg_target *target,
                    const struct pg_server_events *events, unsigned conns_max, unsigned pipeline);
/* Ends all connections; requests go to `drop`. No event follows. */
void pg_server_fini(struct pg_server *s, pg_finished_fn drop, void *ctx);

/* Takes the request; it is sent by pg_server_pump(). */
void pg_server_submit(struct pg_server *s, struct pg_request *r);

/* Sends what can be sent, opens and closes connections. Not from within an event. */
void pg_server_pump(struct pg_server *s);

/* A request that waits is refused by the next pump; one that was sent ends by its deadline, and is
 * not tried again. False: there is none of this id. */
bool pg_server_cancel(struct pg_server *s, uint64_t id);

#endif
