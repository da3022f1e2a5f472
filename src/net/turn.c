/*
 * One turn of the loop, as the network layer takes part in it:
 *
 *     check    +2   read the clocks; everything in this turn happens at that moment
 *     async    +1   results of helper threads arrive (source layer); sessions are resumed
 *     clients   0   recv into the ring, parse, hash, prefetch buckets, queue (conn_read.c, batch.c)
 *     accept   -1   new connections (listener.c)
 *     busy     -2   an idle watcher without effect, started while work is left: the loop polls
 *                   without sleeping
 *     prepare       run the batch; for each connection with work: run its kept input, one send, or
 *                   free it; hand the loads that were started to their databases
 *     (the loop sleeps)
 *
 * So a request is run in the same turn in which it is read, after at most one look at every other
 * socket; replies leave in one send per connection and turn. Connections are freed here and nowhere
 * else, thus never under a callback of their own.
 *
 * One pass over the list of work per turn: what comes up during it (a pipeline that used up its
 * share, a connection resumed by another's command) waits for the next turn.
 *
 * A turn reads for NET_TURN_US at most. Sockets that it did not come to are noted in the list of
 * work, in their order, and while any are left all others queue up behind them: so the loop comes
 * round in time for everybody, and nobody is passed over.
 */
#include <assert.h>

#include "state.h"
#include "tarn/base/clock.h"
#include "tarn/source/source.h"

static void on_clock(struct ev_loop *loop, struct ev_check *w, int revents)
{
    (void)loop;
    (void)revents;
    struct net *net = w->data;
    clock_update(net->env->clock);
    net->turn_began_us = net->env->clock->mono_us;
}

static bool wants_read(struct conn *c)
{
    return !c->is_dead && ev_is_active(&c->watcher) && (c->watcher.events & EV_READ) != 0;
}

/* Kept input, and sockets that had to wait, in the order in which they came up: one, and then as
 * many as the turn has time for. Who has more to do goes behind all others; who comes up meanwhile
 * is for the next turn. */
static void catch_up(struct net *net)
{
    bool is_first = true;
    struct list *const last = net->work.prev;
    for (struct list *link = &net->work, *next = link->next; link != last;) {
        link = next;
        next = link->next;
        struct conn *c = container_of(link, struct conn, work_link);
        unsigned work = c->work & (CONN_WORK_PARSE | CONN_WORK_READ);
        if (work == 0 || c->is_dead) {
            continue;
        }
        if (!is_first && turn_is_long(net)) {
            break;
        }
        is_first = false;
        c->work = CONN_WORK_FLUSH;
        if ((work & CONN_WORK_PARSE) != 0) {
            batch_run(net);
            conn_run_input(c);
            clock_update(net->env->clock);
        }
        if ((c->work & CONN_WORK_PARSE) != 0) {
            c->work |= work & CONN_WORK_READ;
        } else if ((work & CONN_WORK_READ) != 0 && wants_read(c)) {
            conn_read_now(c);
        }
        list_remove(link);
        list_push_back(&net->work, link);
    }
    batch_run(net);
    net->ring_at = 0;
}

static void end_turn_of(struct conn *c)
{
    struct net *net = c->net;
    c->work &= CONN_WORK_PARSE | CONN_WORK_READ;
    if (c->work != 0 && !c->is_dead) {
        list_push_back(&net->work, &c->work_link); /* it goes on in the next turn */
        net->is_behind = true;
    } else {
        c->work = 0;
    }
    conn_flush(c);
    if (c->is_dead) {
        conn_destroy(c);
    } else if ((c->hold & CONN_HOLD_LOAD) != 0 && !c->is_looked_ahead) {
        conn_look_ahead(c);
    }
}

static void on_turn_end(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
    (void)revents;
    struct net *net = w->data;
    batch_run(net);
    net->ring_at = 0;
    command_turn_end(net->env);

    catch_up(net);
    net->is_behind = false;
    struct list round;
    list_init(&round);
    list_splice_back(&round, &net->work);
    for (struct list *link = list_pop_front(&round); link != NULL; link = list_pop_front(&round)) {
        end_turn_of(container_of(link, struct conn, work_link));
    }
    budget_keep(net);
    command_turn_end(net->env); /* of the input that was kept: the next turn sends it */
    if (net->env->sources != NULL) {
        sources_flush(net->env->sources);
    }
    net_check_drained(net);
    if (list_is_empty(&net->work)) {
        ev_idle_stop(loop, &net->busy_watcher);
    } else {
        ev_idle_start(loop, &net->busy_watcher);
    }
}

static void on_busy(struct ev_loop *loop, struct ev_idle *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
}

void turn_start(struct net *net)
{
    ev_check_init(&net->clock_watcher, on_clock);
    ev_set_priority(&net->clock_watcher, NET_PRIORITY_CLOCK);
    net->clock_watcher.data = net;
    ev_check_start(net->loop, &net->clock_watcher);

    ev_prepare_init(&net->turn_watcher, on_turn_end);
    net->turn_watcher.data = net;
    ev_prepare_start(net->loop, &net->turn_watcher);

    ev_idle_init(&net->busy_watcher, on_busy);
    ev_set_priority(&net->busy_watcher, NET_PRIORITY_BUSY);
}

void turn_stop(struct net *net)
{
    ev_check_stop(net->loop, &net->clock_watcher);
    ev_prepare_stop(net->loop, &net->turn_watcher);
    ev_idle_stop(net->loop, &net->busy_watcher);
}
