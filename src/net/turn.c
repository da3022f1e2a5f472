/*
 * One turn of the loop, as the network layer takes part in it:
 *
 *     check    +2   read the clocks; everything in this turn happens at that moment
 *     async    +1   results of helper threads arrive (source layer); sessions are resumed
 *     clients   0   recv into the ring, parse, hash, prefetch buckets, queue (conn_read.c, batch.c)
 *     accept   -1   new connections (listener.c) busy     -2   an idle watcher without effect,
 * started while work is left: the loop polls without sleeping prepare       run the batch; for each
 * connection with work: run its kept input, one send, or free it; hand the loads that were started
 * to their databases (the loop sleeps)
 *
 * So a request is run in the same turn in which it is read, after at most one look at every other
 * socket; replies leave in one send per connection and turn. Connections are freed here and nowhere
 * else, thus never under a callback of their own.
 *
 * One pass over the list of work per turn: what comes up during it (a pipeline that used up its
 * share, a connection resumed by another's command) waits for the next turn, behind the sockets.
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
}

static void work_on(struct conn *c)
{
    unsigned work = c->work;
    c->work = 0;
    if (!c->is_dead && (work & CONN_WORK_PARSE) != 0) {
        conn_run_input(c);
        conn_drop_work(c, CONN_WORK_FLUSH); /* it comes now */
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

    struct list round;
    list_init(&round);
    list_splice_back(&round, &net->work);
    for (struct list *link = list_pop_front(&round); link != NULL; link = list_pop_front(&round)) {
        work_on(container_of(link, struct conn, work_link));
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
