/*
 * Flights: loads under way, from the first who asks to the last who is answered. See sources.h for
 * their life.
 */
#ifndef TARN_SOURCE_FLIGHT_H
#define TARN_SOURCE_FLIGHT_H

#include "sources.h"

/* What a flight is made of; the key is copied. */
struct flight_plan {
    struct source *source;
    struct source_map *map; /* NULL for a ping */
    struct store_key key;
    int64_t started_ms, deadline_ms;
    enum flight_purpose purpose;
    int statement_id;           /* of a WARM query, of a WRITE, of a CHECK */
    struct write_values *write; /* of a WRITE; becomes the flight's */
    bool is_background, is_admitted, is_warm;
};

/* Bytes such a flight takes. */
size_t flight_cost(const struct flight_plan *plan);

/* Queued at its source, and for a read listed in the table. NULL: no memory. */
struct flight *flight_create(const struct flight_plan *plan) WARN_UNUSED;

/* A waiter whose soft deadline (INT64_MAX: none) passes is given an old value, if there still is
 * one. */
void flight_join(struct flight *f, struct load_waiter *w, int64_t deadline_ms, int64_t soft_ms);

/* A waiter leaves, whatever becomes of the flight. */
void flight_leave(struct load_waiter *w);

/* Has an event passed since the query was sent, so that the result may not be used for anybody who
 * comes now? */
bool flight_is_stale(const struct flight *f);

/* Takes a flight that readers may no longer join out of the table: a SENT one goes on for its
 * waiters, a HELD one ends. */
void flight_void(struct flight *f);

/* The end: all waiters get the result, the flight is freed. */
void flight_finish(struct flight *f, const struct load_result *result);

/* The end in failure: counted, logged, told to the waiters, and remembered for the map's
 * error-hold. */
void flight_fail(struct flight *f, enum load_error code, const char *detail);

/* The timer's callback. */
void sources_on_timer(struct ev_loop *loop, ev_timer *timer, int events);

/* Ends every flight with SOURCEDOWN and forgets every held error. */
void sources_fail_all(struct sources *s);

#endif
