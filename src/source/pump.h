/*
 * From the queues of a source to its driver and back.
 */
#ifndef TARN_SOURCE_PUMP_H
#define TARN_SOURCE_PUMP_H

#include "sources.h"

#define NO_SLOT UINT32_MAX

/* The flight waits for a connection. */
void queue_enter(struct flight *f);
/* It does so no more, if it did. */
void queue_leave(struct flight *f);

/* The flight ends before its answer came, if it was sent: the driver is told to give up when nobody
 * else's load is in the same query. The slot stays taken until the driver reports. */
void slot_leave(struct flight *f);

/* Hands queued flights to the driver while it has free slots. */
void source_pump(struct source *src);

/* Driver events; ctx is the struct source. */
void source_on_done(void *ctx, const struct driver_result *r);
void source_on_state(void *ctx, enum driver_state state);

#endif
