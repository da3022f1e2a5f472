/*
 * The store's upkeep (expiry, compaction, eviction ahead, growth of the index) is done ten times a
 * second, and in every turn as long as the store says that more is waiting. It comes after the
 * requests of the turn (a prepare watcher of lower priority than net's); while work is left, an
 * idle watcher keeps the loop from sleeping, so upkeep takes the time that requests leave, and a
 * slice of every turn at least.
 */
#include "tick.h"

#include "tarn/store/store.h"

#define TICK_S        0.1
#define SLICE_US      500
#define PRIORITY      -1 /* after net has run the requests */
#define PRIORITY_BUSY -2

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    struct tick *t = w->data;
    t->is_due = true;
}

static void on_turn_end(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
    (void)revents;
    struct tick *t = w->data;
    if (!t->is_due) {
        return;
    }
    t->is_due = store_tick(t->store, SLICE_US);
    if (t->is_due) {
        ev_idle_start(loop, &t->busy);
    } else {
        ev_idle_stop(loop, &t->busy);
    }
}

static void on_busy(struct ev_loop *loop, struct ev_idle *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
}

void tick_start(struct tick *t, struct ev_loop *loop, struct store *store)
{
    *t = (struct tick){.loop = loop, .store = store};
    ev_timer_init(&t->timer, on_timer, TICK_S, TICK_S);
    t->timer.data = t;
    ev_timer_start(loop, &t->timer);
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
    ev_prepare_stop(t->loop, &t->prepare);
    ev_idle_stop(t->loop, &t->busy);
}
