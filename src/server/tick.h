/*
 * Periodic work of the store, in slices between requests.
 */
#ifndef TARN_SERVER_TICK_H
#define TARN_SERVER_TICK_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

struct store;

struct tick {
    struct ev_loop *loop; /* borrowed */
    struct store *store;  /* borrowed */
    struct ev_timer timer;
    struct ev_prepare prepare;
    struct ev_idle busy;
    bool is_due;
};

void tick_start(struct tick *t, struct ev_loop *loop, struct store *store);
void tick_stop(struct tick *t);

#endif
