/*
 * The feed of a PostgreSQL source: LISTEN on a connection of its own.
 */
#ifndef TARN_SOURCE_PG_FEED_H
#define TARN_SOURCE_PG_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "backoff.h"
#include "pg_link.h"
#include "tarn/base/hash.h"

struct pg_feed {
    struct pg_target target;
    struct driver_events events;
    struct pg_link wire;
    ev_timer retry;
    ev_timer beat;
    struct backoff backoff;
    struct rng rng;
    bool is_listening; /* FEED_UP was said, and FEED_DOWN not since */
    bool is_asking;    /* a statement was sent and is not answered */
    bool was_logged;   /* that it is down */
};

void pg_feed_init(struct pg_feed *f, const struct pg_target *target,
                  const struct driver_events *events);
/* Listens, and does so again whenever the connection broke. Events come later. */
void pg_feed_start(struct pg_feed *f);
/* The server is there again: does not wait for the next try. What is loaded before the feed is up
 * is over when it comes up. */
void pg_feed_hurry(struct pg_feed *f);
/* No event follows. Accepts one that was never started. */
void pg_feed_stop(struct pg_feed *f);

#endif
