/*
 * The store's upkeep (expiry, compaction, eviction ahead, growth of the index) is done ten times a
 * second, and in every turn as long as the store says that more is waiting. It comes after the
 * requests of the turn (a prepare watcher of lower priority than net's); while work is left, an
 * idle watcher keeps the loop from sleeping, so upkeep takes the time that requests leave, and a
 * slice of every turn at least.
 *
 * This is the last that a turn does, so it also measures the turn: from the reading of the clock
 * after the sleep (net's check watcher) to here. One more reading of the clock is all that costs.
 */
#include "tick.h"

#include "tarn/base/clock.h"
#include "tarn/base/compiler.h"
#include "tarn/command/command.h"
#include "tarn/store/store.h"
#include "tarn/types/types.h"

#define TICK_S         0.1
#define SLICE_US       500
#define PRIORITY_CHECK 1  /* after net has read the clock, before anybody works */
#define PRIORITY       -1 /* after net has run the requests */
#define PRIORITY_BUSY  -2

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    struct tick *t = w->data;
    t->is_due = true;
    t->is_types_due = true;
    command_note_memory(t->env);
}

static void on_turn_begin(struct ev_loop *loop, struct ev_check *w, int revents)
{
    (void)loop;
    (void)revents;
    struct tick *t = w->data;
    t->turn_began_us = t->env->clock->mono_us;
}

static void work(struct ev_loop *loop, struct tick *t)
{
    t->is_types_due = t->is_types_due && types_tick(t->env->types, SLICE_US);
    t->is_due = store_tick(t->env->store, SLICE_US) || t->is_types_due;
    if (t->is_due) {
        ev_idle_start(loop, &t->busy);
    } else {
        ev_idle_stop(loop, &t->busy);
    }
}

static void on_turn_end(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
    (void)revents;
    struct tick *t = w->data;
    if (t->is_due) {
        work(loop, t);
    }
    if (LIKELY(t->turn_began_us != 0)) {
        int64_t took_us = clock_now_us() - t->turn_began_us;
        histogram_add(&t->turn_us, took_us > 0 ? (uint64_t)took_us : 0);
    }
}

static void on_busy(struct ev_loop *loop, struct ev_idle *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
}

void tick_start(struct tick *t, struct ev_loop *loop, struct command_env *env)
{
    *t = (struct tick){.loop = loop, .env = env};
    env->turn_us = &t->turn_us;
    ev_timer_init(&t->timer, on_timer, TICK_S, TICK_S);
    t->timer.data = t;
    ev_timer_start(loop, &t->timer);
    ev_check_init(&t->check, on_turn_begin);
    ev_set_priority(&t->check, PRIORITY_CHECK);
    t->check.data = t;
    ev_check_start(loop, &t->check);
    ev_prepare_init(&t->prepare, on_turn_end);
    ev_set_priority(&t->prepare, PRIORITY);
    t->prepare.data = t;
    ev_prepare_start(loop, &t->prepare);
    ev_idle_init(&t->busy, on_busy);
    ev_set_priority(&t->busy, PRIORITY_BUSY);
}

void tick_stop(struct tick *t)
{
    if (t->loop == NULL) {
        return;
    }
    ev_timer_stop(t->loop, &t->timer);
    ev_check_stop(t->loop, &t->check);
    ev_prepare_stop(t->loop, &t->prepare);
    ev_idle_stop(t->loop, &t->busy);
}
