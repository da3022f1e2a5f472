/*
 * Time for connections: idle ones are closed after `timeout`, unsent output is judged, delays end.
 *
 * No connection has a timer. net::conns is ordered by the second of the last activity: reading
 * moves a connection to the end, once per second at most, so that the common path does not touch
 * its neighbours' memory. Ten times a second the tick looks at the front of that list, and at the
 * short list of connections that wait for something. A delay (a command that answers later) has a
 * timer for the earliest end of all.
 */
#include <assert.h>

#include "state.h"
#include "tarn/base/clock.h"
#include "tarn/base/compiler.h"
#include "tarn/base/log.h"

#define CLOSES_PER_TICK 256

void idle_touch(struct conn *c)
{
    struct net *net = c->net;
    uint32_t now_s = (uint32_t)(net->env->clock->mono_ms / 1000);
    if (UNLIKELY(c->idle_at_s != now_s)) {
        c->idle_at_s = now_s;
        list_remove(&c->idle_link);
        list_push_back(&net->conns, &c->idle_link);
    }
}

static void close_idle(struct net *net)
{
    int64_t timeout_s = net->options->timeout_s;
    int64_t now_s = net->env->clock->mono_ms / 1000;
    if (timeout_s == 0) {
        return;
    }
    for (int i = 0; i < CLOSES_PER_TICK && !list_is_empty(&net->conns); i++) {
        struct conn *c = container_of(net->conns.next, struct conn, idle_link);
        if (now_s - c->idle_at_s <= timeout_s) {
            break;
        }
        const bool is_listening = (c->session.flags & (SESSION_SUBSCRIBER | SESSION_MONITOR)) != 0;
        if (c->hold == 0 && !c->is_dead && !is_listening) {
            log_verbose("closing client %s: idle", c->session.address);
            net->stats.client_timeout_disconnections++;
            conn_kill(c);
        }
        c->idle_at_s = (uint32_t)
            now_s; /* not the next one's turn for a while, whether freed or waiting */
        list_remove(&c->idle_link);
        list_push_back(&net->conns, &c->idle_link);
    }
}

/* Ends the delays that are over; returns the earliest end of the others, INT64_MAX when there are
 * none. */
static int64_t end_delays(struct net *net)
{
    int64_t now_ms = net->env->clock->mono_ms;
    int64_t next_ms = INT64_MAX;
    list_for_each_safe (link, &net->waiting) {
        struct conn *c = container_of(link, struct conn, wait_link);
        if ((c->hold & CONN_HOLD_DELAY) == 0) {
            continue;
        }
        if (c->session.blocked_until_ms > now_ms) {
            if (c->session.blocked_until_ms < next_ms) {
                next_ms = c->session.blocked_until_ms;
            }
            continue;
        }
        c->session.blocked_until_ms = 0;
        list_remove(&c->wait_link);
        conn_release(c, CONN_HOLD_DELAY);
    }
    return next_ms;
}

static void on_delay(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    struct net *net = w->data;
    int64_t next_ms = end_delays(net);
    if (next_ms != INT64_MAX) {
        idle_delay_until(net, next_ms);
    }
}

void idle_delay_until(struct net *net, int64_t until_ms)
{
    double in_s = (double)(until_ms - net->env->clock->mono_ms) / 1000.0;
    in_s = in_s > 0.001 ? in_s : 0.001;
    if (ev_is_active(&net->delay_watcher) &&
        ev_timer_remaining(net->loop, &net->delay_watcher) <= in_s) {
        return;
    }
    ev_timer_stop(net->loop, &net->delay_watcher);
    ev_timer_set(&net->delay_watcher, in_s, 0.0);
    ev_timer_start(net->loop, &net->delay_watcher);
}

static void on_tick(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    struct net *net = w->data;
    list_for_each_safe (link, &net->waiting) {
        struct conn *c = container_of(link, struct conn, wait_link);
        if (!c->is_dead) {
            conn_check_limits(c);
        }
    }
    close_idle(net);
    spares_trim(&net->spares);
    command_tick(net->env);
}

void idle_start(struct net *net)
{
    ev_timer_init(&net->tick_watcher, on_tick, NET_TICK_S, NET_TICK_S);
    net->tick_watcher.data = net;
    ev_timer_start(net->loop, &net->tick_watcher);
    ev_timer_init(&net->delay_watcher, on_delay, 0.0, 0.0);
    net->delay_watcher.data = net;
}

void idle_stop(struct net *net)
{
    ev_timer_stop(net->loop, &net->tick_watcher);
    ev_timer_stop(net->loop, &net->delay_watcher);
}
