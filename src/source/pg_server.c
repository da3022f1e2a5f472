/*
 * Which connection a request takes: an idle one; else one that is about to be made; else, when the
 * pool is full or nothing can be made just now, the one with the fewest requests ahead.
 *
 * A server that cannot be reached is tried again by a timer, without traffic, and requests are
 * refused at once meanwhile. Refused users wait longer, so that no account gets locked.
 *
 * Connections are only freed by pg_server_pump(), which no event of a connection calls.
 */
#include "pg_server.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tarn/base/clock.h"
#include "tarn/base/log.h"

#define UPKEEP_SECONDS 1.0

static struct pg_pipe *conn_of(struct list *link)
{
    return container_of(link, struct pg_pipe, link);
}

static struct pg_request *request_of(struct list *link)
{
    return container_of(link, struct pg_request, link);
}

static bool can_take(const struct pg_pipe *c)
{
    return pg_pipe_is_up(c) && !c->is_worn && !c->is_writing;
}

static bool has_conn(const struct pg_server *s)
{
    list_for_each (it, &s->conns) {
        if (pg_pipe_is_up(conn_of(it))) {
            return true;
        }
    }
    return false;
}

static void changed(struct pg_server *s)
{
    s->events.changed(s->events.ctx, s);
}

/* ---- trying again ---------------------------------------------------------------------------- */

static void wait_before_retry(struct pg_server *s, bool is_auth)
{
    int64_t wait_ms = backoff_next(&s->backoff, is_auth, &s->rng);
    ev_timer_stop(s->target.loop, &s->retry);
    ev_timer_set(&s->retry, (double)wait_ms / 1000, 0.0);
    ev_timer_start(s->target.loop, &s->retry);
}

static void on_up(void *ctx, struct pg_pipe *c)
{
    struct pg_server *s = ctx;
    s->connecting--;
    s->health = PG_HEALTH_UP;
    s->backoff = (struct backoff){0};
    int64_t life_ms = s->target.options->max_lifetime_ms;
    if (life_ms > 0) { /* give or take 20 % */
        uint64_t spread_ms = rng_below(&s->rng, (uint64_t)life_ms * 2 / 5 + 1);
        c->ends_us = clock_now_us() + (life_ms * 4 / 5 + (int64_t)spread_ms) * 1000;
    }
    changed(s);
}

static void on_finished(void *ctx, struct pg_pipe *c, struct pg_request *r)
{
    (void)c;
    struct pg_server *s = ctx;
    s->requests--;
    s->events.finished(s->events.ctx, r);
    changed(s);
}

/* A connection could not be made. */
static void note_no_connection(struct pg_server *s, enum pg_failure failure, const char *text)
{
    bool is_auth = failure == PG_FAILURE_AUTH;
    s->connecting--;
    s->target.first++;
    (void)snprintf(s->problem, sizeof(s->problem), "%s", text);
    if (!has_conn(s)) {
        s->health = is_auth ? PG_HEALTH_AUTH : PG_HEALTH_DOWN;
    }
    wait_before_retry(s, is_auth);
}

/* What ended a connection under a request may have ended all, and the second try shall not meet one
 * of them before its end was noticed. */
static void replace_idle(struct pg_server *s)
{
    list_for_each (it, &s->conns) {
        struct pg_pipe *c = conn_of(it);
        c->is_worn = c->is_worn || (pg_pipe_is_up(c) && c->requests_count == 0);
    }
}

static void on_down(void *ctx, struct pg_pipe *c, enum pg_failure failure, const char *text)
{
    struct pg_server *s = ctx;
    bool was_connecting = c->idle_us == 0;
    if (was_connecting) {
        note_no_connection(s, failure, text);
    }
    c->is_worn = true; /* to be freed by the next pump */
    if (!was_connecting && !list_is_empty(&c->requests)) {
        replace_idle(s);
    }
    while (!list_is_empty(&c->requests)) {
        struct pg_request *r = request_of(c->requests.next);
        list_remove(&r->link);
        c->requests_count--;
        s->requests--;
        r->is_lost = true;
        (void)snprintf(r->detail, sizeof(r->detail), "%s", text);
        s->events.refused(s->events.ctx, s, r);
    }
    changed(s);
}

/* ---- the pool -------------------------------------------------------------------------------- */

static bool open_conn(struct pg_server *s)
{
    struct pg_pipe_events events = {
        .ctx = s, .up = on_up, .finished = on_finished, .down = on_down};
    struct pg_pipe *c = pg_pipe_create(&s->target, &events);
    if (c == NULL) {
        return false;
    }
    list_push_back(&s->conns, &c->link);
    s->conns_count++;
    s->connecting++;
    if (!ev_is_active(&s->upkeep)) {
        ev_timer_again(s->target.loop, &s->upkeep);
    }
    return true;
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct pg_server *s = container_of(timer, struct pg_server, retry);
    if (s->health == PG_HEALTH_UP || s->connecting > 0) {
        changed(s);
    } else if (!open_conn(s)) {
        wait_before_retry(s, s->health == PG_HEALTH_AUTH);
    }
}

static bool is_over(const struct pg_server *s, const struct pg_pipe *c, int64_t now_us)
{
    int64_t idle_ms = s->target.options->idle_timeout_ms;
    return now_us >= c->ends_us ||
           (idle_ms > 0 && c->requests_count == 0 && now_us - c->idle_us >= idle_ms * 1000);
}

static void on_upkeep(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    struct pg_server *s = container_of(timer, struct pg_server, upkeep);
    int64_t now_us = clock_now_us();
    list_for_each (it, &s->conns) {
        struct pg_pipe *c = conn_of(it);
        if (pg_pipe_is_up(c) && is_over(s, c, now_us)) {
            c->is_worn = true;
            changed(s);
        }
    }
    if (s->conns_count == 0) {
        ev_timer_stop(loop, timer);
    }
}

static void free_worn(struct pg_server *s)
{
    list_for_each_safe (it, &s->conns) {
        struct pg_pipe *c = conn_of(it);
        if (c->is_worn && c->requests_count == 0) {
            pg_pipe_destroy(c);
            s->conns_count--;
        }
    }
}

/* The connection with the fewest requests ahead that may take one more; NULL: none. */
static struct pg_pipe *least_loaded(struct pg_server *s)
{
    struct pg_pipe *best = NULL;
    list_for_each (it, &s->conns) {
        struct pg_pipe *c = conn_of(it);
        bool has_room = can_take(c) && c->requests_count < s->pipeline;
        if (has_room && (best == NULL || c->requests_count < best->requests_count)) {
            best = c;
        }
    }
    return best;
}

static void refuse(struct pg_server *s, struct pg_request *r)
{
    list_remove(&r->link);
    s->requests--;
    (void)snprintf(r->detail, sizeof(r->detail), "%s", s->problem);
    s->events.refused(s->events.ctx, s, r);
}

static void refuse_waiting(struct pg_server *s, bool only_cancelled)
{
    struct list kept; /* a refused one may come back to the end of the list */
    list_init(&kept);
    while (!list_is_empty(&s->waiting)) {
        list_push_back(&kept, list_pop_front(&s->waiting));
    }
    list_for_each_safe (it, &kept) {
        struct pg_request *r = request_of(it);
        if (r->is_cancelled || !only_cancelled) {
            refuse(s, r);
        }
    }
    while (!list_is_empty(&kept)) {
        list_push_back(&s->waiting, list_pop_front(&kept));
    }
}

static void pump_waiting(struct pg_server *s)
{
    unsigned left = 0; /* requests passed over: each waits for a connection under way */
    list_for_each_safe (it, &s->waiting) {
        struct pg_pipe *c = least_loaded(s);
        bool is_idle = c != NULL && c->requests_count == 0;
        bool can_open = s->conns_count < s->conns_max && !ev_is_active(&s->retry);
        if (!is_idle && left == s->connecting && can_open) {
            (void)open_conn(s);
        }
        if (!is_idle && left < s->connecting) {
            left++;
        } else if (c != NULL) {
            list_remove(it);
            pg_pipe_send(c, request_of(it));
        } else {
            return;
        }
    }
}

void pg_server_pump(struct pg_server *s)
{
    free_worn(s);
    if (s->has_cancelled) {
        s->has_cancelled = false;
        refuse_waiting(s, true);
    }
    if (s->health == PG_HEALTH_DOWN || s->health == PG_HEALTH_AUTH) {
        refuse_waiting(s, false);
    } else {
        pump_waiting(s);
    }
}

void pg_server_submit(struct pg_server *s, struct pg_request *r)
{
    list_push_back(&s->waiting, &r->link);
    s->requests++;
}

static bool cancel_in(struct list *requests, uint64_t id)
{
    list_for_each (it, requests) {
        if (request_of(it)->id == id) {
            request_of(it)->is_cancelled = true;
            return true;
        }
    }
    return false;
}

bool pg_server_cancel(struct pg_server *s, uint64_t id)
{
    bool is_found = cancel_in(&s->waiting, id);
    s->has_cancelled = s->has_cancelled || is_found;
    list_for_each (it, &s->conns) {
        is_found = is_found || cancel_in(&conn_of(it)->requests, id);
    }
    return is_found;
}

/* ---- life ------------------------------------------------------------------------------------ */

void pg_server_init(struct pg_server *s, const struct pg_target *target,
                    const struct pg_server_events *events, unsigned conns_max, unsigned pipeline)
{
    *s = (struct pg_server){
        .target = *target, .events = *events, .conns_max = conns_max, .pipeline = pipeline};
    list_init(&s->conns);
    list_init(&s->waiting);
    ev_init(&s->retry, on_retry);
    ev_timer_init(&s->upkeep, on_upkeep, 0.0, UPKEEP_SECONDS);
    rng_init_random(&s->rng);
}

static void drop_all(struct list *requests, pg_finished_fn drop, void *ctx)
{
    while (!list_is_empty(requests)) {
        struct pg_request *r = request_of(requests->next);
        list_remove(&r->link);
        drop(ctx, r);
    }
}

void pg_server_fini(struct pg_server *s, pg_finished_fn drop, void *ctx)
{
    ev_timer_stop(s->target.loop, &s->retry);
    ev_timer_stop(s->target.loop, &s->upkeep);
    drop_all(&s->waiting, drop, ctx);
    list_for_each_safe (it, &s->conns) {
        drop_all(&conn_of(it)->requests, drop, ctx);
        pg_pipe_destroy(conn_of(it));
    }
}
