/*
 * The connections of a Redis source: when they are made and closed, which one takes a request, and
 * what becomes of requests whose time is up.
 *
 * Connections are made when requests need them. While none is up, requests wait for the first
 * attempt and fail at once after it; one connection keeps trying, ever less often, so that the
 * state comes back without anybody asking. One that nobody used for idle-timeout is closed; one that
 * is older than max-lifetime takes no further requests and is closed after its last.
 */
#include "redis_upstream.h"

#include <errno.h>
#include <stdlib.h>

#include "tarn/base/clock.h"

#define RETRY_SECONDS_MIN 0.05 /* between attempts to connect, doubled up to: */
#define RETRY_SECONDS_MAX 2.0
#define STABLE_US         (1000 * 1000) /* a connection that lived so long was no failed attempt */
#define SWEEP_SECONDS_MIN 0.005         /* deadlines are kept to this */
#define UPKEEP_SECONDS    1.0

static bool has_link(const struct upstream *u, bool is_up)
{
    for (unsigned i = 0; i < u->config.connections; i++) {
        const enum redis_link_state state = u->links[i].state;
        if (is_up ? state == REDIS_LINK_UP : state != REDIS_LINK_UP && state != REDIS_LINK_CLOSED) {
            return true;
        }
    }
    return false;
}

bool redis_conns_are_up(const struct upstream *u)
{
    return has_link(u, true);
}

/* Opens one more connection, unless one is on its way or it is too soon after a failure. */
static void open_link(struct upstream *u)
{
    if (ev_is_active(&u->retry) || has_link(u, false)) {
        return;
    }
    for (unsigned i = 0; i < u->config.connections; i++) {
        if (u->links[i].state == REDIS_LINK_CLOSED) {
            redis_link_open(&u->links[i]);
            return;
        }
    }
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct upstream *u = container_of(timer, struct upstream, retry);
    (void)events;
    ev_timer_stop(loop, timer);
    if (!has_link(u, true)) {
        open_link(u);
    }
    redis_kick(u);
}

static void wait_to_retry(struct upstream *u)
{
    ev_timer_set(&u->retry, u->retry_seconds, 0.0);
    ev_timer_start(u->config.loop, &u->retry);
    u->retry_seconds = u->retry_seconds * 2 < RETRY_SECONDS_MAX ? u->retry_seconds * 2
                                                                : RETRY_SECONDS_MAX;
}

static int64_t draw_end_us(struct upstream *u)
{
    const int64_t life_ms = u->config.options->max_lifetime_ms;
    if (life_ms == 0) {
        return INT64_MAX;
    }
    const uint64_t spread_ms = rng_below(&u->rng, (uint64_t)life_ms * 2 / 5 + 1);
    return clock_now_us() + (life_ms * 4 / 5 + (int64_t)spread_ms) * 1000; /* give or take 20 % */
}

static void on_up(void *ctx, struct redis_link *l)
{
    struct upstream *u = ctx;
    u->state = DRIVER_STATE_UP;
    u->has_failed = false;
    u->was_cut = false;
    ev_timer_stop(u->config.loop, &u->retry);
    l->ends_us = draw_end_us(u);
    if (!ev_is_active(&u->upkeep)) {
        ev_timer_again(u->config.loop, &u->upkeep);
    }
    redis_kick(u);
}

/* A connection broke: others may have, too, so that a request tried once more is not lost again. */
static void close_dead(struct upstream *u)
{
    for (unsigned i = 0; i < u->config.connections; i++) {
        struct redis_link *l = &u->links[i];
        if (l->state == REDIS_LINK_UP && redis_link_is_dead(l)) {
            redis_link_close(l);
        }
    }
}

static void on_down(void *ctx, struct redis_link *l, enum redis_failure failure, const char *text)
{
    struct upstream *u = ctx;
    const bool was_good = l->up_us != 0 &&
                          (l->answers > 0 || clock_now_us() - l->up_us > STABLE_US);
    errtext_set(&u->problem, "%s", text);
    close_dead(u);
    const bool was_there = failure == REDIS_FAILURE_CUT && !u->was_cut; /* one is an accident */
    u->was_cut = u->was_cut || (!was_good && failure == REDIS_FAILURE_CUT);
    if (was_good || was_there) {
        u->retry_seconds = was_good ? RETRY_SECONDS_MIN : u->retry_seconds;
        if (!has_link(u, true)) {
            open_link(u); /* to know how it is */
        }
    } else {
        wait_to_retry(u);
        if (!has_link(u, true)) {
            u->has_failed = true;
            u->state = failure == REDIS_FAILURE_AUTH ? DRIVER_STATE_AUTH : DRIVER_STATE_DOWN;
        }
    }
    redis_kick(u);
}

static void on_finished(void *ctx, struct redis_request *r)
{
    redis_finish(ctx, r);
}

static void on_lost(void *ctx, struct redis_request *r)
{
    r->is_lost = true;
    r->status = DRIVER_OK; /* what a part of its replies said does not count */
    redis_fail(ctx, r, DRIVER_DOWN, "the connection broke");
}

/* The connection with the least to do, of those that have room; NULL: none has. */
static struct redis_link *pick_link(const struct upstream *u)
{
    struct redis_link *best = NULL;
    for (unsigned i = 0; i < u->config.connections; i++) {
        struct redis_link *l = &u->links[i];
        if (redis_link_has_room(l) && (best == NULL || l->slots_count < best->slots_count)) {
            best = l;
        }
    }
    return best;
}

static void close_worn(struct upstream *u)
{
    for (unsigned i = 0; i < u->config.connections; i++) {
        if (u->links[i].is_worn && u->links[i].slots_count == 0) {
            redis_link_close(&u->links[i]);
        }
    }
}

void redis_conns_send(struct upstream *u)
{
    close_worn(u);
    while (!list_is_empty(&u->waiting)) {
        struct redis_link *l = pick_link(u);
        if (l == NULL || l->slots_count > 0) {
            open_link(u);
        }
        if (l == NULL) {
            break;
        }
        struct list *link = list_pop_front(&u->waiting);
        redis_link_send(l, container_of(link, struct redis_request, link));
    }
    for (unsigned i = 0; i < u->config.connections; i++) {
        redis_link_flush(&u->links[i]);
    }
}

/* ---- getting old ----------------------------------------------------------------------------- */

static bool is_over(const struct upstream *u, const struct redis_link *l, int64_t now_us)
{
    const int64_t idle_ms = u->config.options->idle_timeout_ms;
    return now_us >= l->ends_us ||
           (idle_ms > 0 && l->slots_count == 0 && now_us - l->read_us >= idle_ms * 1000);
}

static void on_upkeep(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct upstream *u = container_of(timer, struct upstream, upkeep);
    const int64_t now_us = clock_now_us();
    (void)events;
    for (unsigned i = 0; i < u->config.connections; i++) {
        struct redis_link *l = &u->links[i];
        if (l->state == REDIS_LINK_UP && is_over(u, l, now_us)) {
            l->is_worn = true;
        }
    }
    close_worn(u);
    if (!has_link(u, true)) {
        ev_timer_stop(loop, timer);
    }
}

/* ---- deadlines ------------------------------------------------------------------------------- */

void redis_conns_watch(struct upstream *u, int64_t deadline_us)
{
    if (u->sweep_at_us != 0 && u->sweep_at_us <= deadline_us) {
        return;
    }
    const double seconds = (double)(deadline_us - clock_now_us()) / 1e6;
    u->sweep_at_us = deadline_us;
    ev_timer_stop(u->config.loop, &u->sweep);
    ev_timer_set(&u->sweep, seconds > SWEEP_SECONDS_MIN ? seconds : SWEEP_SECONDS_MIN, 0.0);
    ev_timer_start(u->config.loop, &u->sweep);
}

static int64_t min_us(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Ends what is late on this connection. True: nothing came since one of those was sent. */
static bool sweep_link(struct upstream *u, struct redis_link *l, int64_t now_us, int64_t *next_us)
{
    bool is_silent = false;
    for (unsigned i = 0; i < l->slots_count; i++) {
        struct redis_slot *slot = &l->slots[(l->slots_at + i) % l->slots_cap];
        struct redis_request *r = slot->request;
        if (r == NULL) {
            continue;
        }
        if (r->deadline_us > now_us) {
            *next_us = min_us(*next_us, r->deadline_us);
            continue;
        }
        is_silent = is_silent || (!r->is_cancelled && l->read_us < r->sent_us);
        slot->request = NULL;
        redis_fail(u, r, DRIVER_TIMEOUT, "no reply in time");
    }
    return is_silent;
}

static void give_up(struct upstream *u, struct redis_link *l)
{
    redis_link_close(l);
    on_down(u, l, REDIS_FAILURE_LINK, "no reply in time");
}

/* The server may be gone without a word. Then idle connections are worth nothing either, and a new
 * one will tell. */
static void sweep_links(struct upstream *u, int64_t now_us, int64_t *next_us)
{
    bool is_silent = false;
    for (unsigned i = 0; i < u->config.connections; i++) {
        struct redis_link *l = &u->links[i];
        if (sweep_link(u, l, now_us, next_us)) {
            is_silent = true;
            give_up(u, l);
        }
    }
    for (unsigned i = 0; i < u->config.connections && is_silent; i++) {
        struct redis_link *l = &u->links[i];
        if (l->state == REDIS_LINK_UP && l->slots_count == 0) {
            give_up(u, l);
        }
    }
}

static void on_sweep(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct upstream *u = container_of(timer, struct upstream, sweep);
    const int64_t now_us = clock_now_us();
    int64_t next_us = INT64_MAX;
    (void)loop;
    (void)events;
    u->sweep_at_us = 0;
    sweep_links(u, now_us, &next_us);
    list_for_each_safe (it, &u->waiting) {
        struct redis_request *r = container_of(it, struct redis_request, link);
        if (r->deadline_us <= now_us) {
            list_remove(&r->link);
            redis_fail(u, r, DRIVER_TIMEOUT, "no connection in time");
        } else {
            next_us = min_us(next_us, r->deadline_us);
        }
    }
    if (next_us != INT64_MAX) {
        redis_conns_watch(u, next_us);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

int redis_conns_init(struct upstream *u)
{
    const struct redis_link_events events = {
        .ctx = u, .up = on_up, .finished = on_finished, .lost = on_lost, .down = on_down};
    ev_init(&u->sweep, on_sweep);
    ev_init(&u->retry, on_retry);
    ev_timer_init(&u->upkeep, on_upkeep, 0.0, UPKEEP_SECONDS);
    rng_init_random(&u->rng);
    u->retry_seconds = RETRY_SECONDS_MIN;
    u->links = calloc(u->config.connections, sizeof(u->links[0]));
    if (u->links == NULL) {
        return -ENOMEM;
    }
    int r = 0;
    for (unsigned i = 0; i < u->config.connections; i++) {
        const int code = redis_link_init(&u->links[i], &u->target, &events);
        r = r != 0 ? r : code;
    }
    return r;
}

void redis_conns_fini(struct upstream *u)
{
    for (unsigned i = 0; i < u->config.connections && u->links != NULL; i++) {
        redis_link_fini(&u->links[i]);
    }
    ev_timer_stop(u->config.loop, &u->sweep);
    ev_timer_stop(u->config.loop, &u->retry);
    ev_timer_stop(u->config.loop, &u->upkeep);
    free(u->links);
}
