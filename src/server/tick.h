/*
 * What comes round: the store's upkeep in slices between requests, the time each turn took, the
 * peak of memory.
 */
#ifndef TARN_SERVER_TICK_H
#define TARN_SERVER_TICK_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "tarn/base/histogram.h"

struct command_env;

struct tick {
    struct ev_loop *loop;    /* borrowed */
    struct command_env *env; /* borrowed */
    struct ev_timer timer;
    struct ev_check check;
    struct ev_prepare prepare;
    struct ev_idle busy;
    bool is_due;
    bool is_types_due;     /* once for each timer, however long the store has to do */
    int64_t turn_began_us; /* 0: no turn has begun */
    struct histogram turn_us;
};

/* Zeroes *t. The store, the clock and all that memory is asked of are in place in `env`. */
void tick_start(struct tick *t, struct ev_loop *loop, struct command_env *env);
void tick_stop(struct tick *t);

#endif
