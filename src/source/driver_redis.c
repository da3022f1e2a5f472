/*
 * The Redis driver: another cache as the database of this one, be it Redis, Valkey or Tarn.
 *
 *     load() ──> struct redis_request ──> waiting ──> redis_link (pipeline) ──> finished ──> done()
 *
 * This file makes requests, decides which connection gets them and when to connect, and keeps the
 * deadlines. All that happens in one place, on_kick(), which libev calls in the same turn as
 * whatever asked for it: no event of a connection ever runs into the layer above.
 *
 * Connections are made when requests need them. While none is up, requests wait for the first
 * attempt and fail at once after it; one connection keeps trying, ever less often, so that the
 * state comes back without anybody asking.
 */
#include "tarn/source/driver.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "driver_support.h"
#include "redis_dsn.h"
#include "redis_link.h"
#include "redis_request.h"
#include "redis_statement.h"
#include "resolve.h"
#include "tarn/base/clock.h"

#define RETRY_SECONDS_MIN 0.05 /* between attempts to connect, doubled up to: */
#define RETRY_SECONDS_MAX 2.0
#define STABLE_US         (1000 * 1000) /* a connection that lived so long was no failed attempt */
#define SWEEP_SECONDS_MIN 0.005         /* deadlines are kept to this */
#define CANCEL_SLACK_US   (20 * 1000)   /* before its deadline a request counts as cancelled */

struct upstream {
    struct upstream_config config;
    struct redis_dsn dsn;
    struct redis_target target;
    struct resolver *resolver;
    struct redis_link *links;         /* owned, config.connections of them */
    struct statement_list statements; /* struct redis_statement */
    struct list waiting, finished;    /* struct redis_request::link */
    unsigned requests;                /* taken and not yet reported */
    size_t memory;                    /* of requests and their rows */
    int64_t sweep_at_us;              /* when the next deadline is looked at; 0: there is none */
    ev_timer sweep, retry;
    double retry_seconds;
    bool has_failed; /* the last attempt to connect did, and none succeeded since */
    bool was_cut;    /* a connection was cut before it was up, since the last one that came up */
    struct errtext problem;
    enum driver_state state, reported_state;
    ev_prepare kick; /* never started, only fed */
};

static void kick(struct upstream *u)
{
    ev_feed_event(u->config.loop, &u->kick, EV_CUSTOM);
}

/* ---- the end of a request -------------------------------------------------------------------- */

static void finish(struct upstream *u, struct redis_request *r)
{
    if (r->status != DRIVER_OK) {
        free(r->rows);
        r->rows = NULL;
    }
    if (r->rows != NULL) {
        r->memory += r->rows->memory;
        u->memory += r->rows->memory;
    }
    if (u->memory > u->config.result_bytes_max) {
        redis_request_fail(r, DRIVER_BUSY, "results take all the memory they may");
    }
    list_push_back(&u->finished, &r->link);
    kick(u);
}

static void fail(struct upstream *u, struct redis_request *r, enum driver_status status,
                 const char *detail)
{
    redis_request_fail(r, status, detail);
    finish(u, r);
}

static void free_request(struct upstream *u, struct redis_request *r)
{
    u->memory -= r->memory;
    u->requests--;
    redis_request_destroy(r);
}

static void report(struct upstream *u)
{
    if (u->state != u->reported_state) {
        u->reported_state = u->state;
        u->config.events.state(u->config.events.ctx, u->state);
    }
    for (struct list *link; (link = list_pop_front(&u->finished)) != NULL;) {
        struct redis_request *r = container_of(link, struct redis_request, link);
        const struct driver_result result = {
            .id = r->id,
            .status = r->status,
            .rows = r->status == DRIVER_OK ? r->rows : NULL,
            .detail = r->detail,
            .is_lost = r->is_lost,
            .has_life = r->has_life,
            .life_ms = r->life_ms,
        };
        u->config.events.done(u->config.events.ctx, &result);
        free_request(u, r);
    }
}

/* ---- connections ----------------------------------------------------------------------------- */

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
    kick(u);
}

static void wait_to_retry(struct upstream *u)
{
    ev_timer_set(&u->retry, u->retry_seconds, 0.0);
    ev_timer_start(u->config.loop, &u->retry);
    u->retry_seconds = u->retry_seconds * 2 < RETRY_SECONDS_MAX ? u->retry_seconds * 2
                                                                : RETRY_SECONDS_MAX;
}

static void on_up(void *ctx, struct redis_link *l)
{
    struct upstream *u = ctx;
    (void)l;
    u->state = DRIVER_STATE_UP;
    u->has_failed = false;
    u->was_cut = false;
    ev_timer_stop(u->config.loop, &u->retry);
    kick(u);
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
    kick(u);
}

static void on_finished(void *ctx, struct redis_request *r)
{
    finish(ctx, r);
}

static void on_lost(void *ctx, struct redis_request *r)
{
    r->is_lost = true;
    r->status = DRIVER_OK; /* what a part of its replies said does not count */
    fail(ctx, r, DRIVER_DOWN, "the connection broke");
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

static void send_waiting(struct upstream *u)
{
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

static void on_kick(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct upstream *u = container_of(watcher, struct upstream, kick);
    (void)loop;
    (void)events;
    send_waiting(u);
    if (u->has_failed && !has_link(u, true)) {
        for (struct list *link; (link = list_pop_front(&u->waiting)) != NULL;) {
            fail(u, container_of(link, struct redis_request, link), DRIVER_DOWN, u->problem.text);
        }
    }
    report(u);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

static void arm_sweep(struct upstream *u, int64_t deadline_us)
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
        fail(u, r, DRIVER_TIMEOUT, "no reply in time");
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
            fail(u, r, DRIVER_TIMEOUT, "no connection in time");
        } else {
            next_us = min_us(next_us, r->deadline_us);
        }
    }
    if (next_us != INT64_MAX) {
        arm_sweep(u, next_us);
    }
}

/* ---- requests -------------------------------------------------------------------------------- */

static unsigned load(struct upstream *u, const struct driver_request *requests, unsigned count)
{
    unsigned taken = 0;
    for (; taken < count; taken++) {
        const struct driver_request *q = &requests[taken];
        const struct redis_statement *s = NULL;
        if (q->task != DRIVER_PING) {
            s = u->statements.items[q->statement];
        }
        struct redis_request *r = redis_request_create(q, s);
        if (r == NULL) {
            break;
        }
        u->requests++;
        u->memory += r->memory;
        if (s != NULL && s->problem.text[0] != '\0') {
            fail(u, r, DRIVER_ERROR, s->problem.text);
            continue;
        }
        list_push_back(&u->waiting, &r->link);
        arm_sweep(u, r->deadline_us);
    }
    kick(u);
    return taken;
}

static struct redis_request *find_request(const struct upstream *u, uint64_t id)
{
    list_for_each (it, &u->waiting) {
        struct redis_request *r = container_of(it, struct redis_request, link);
        if (r->id == id) {
            return r;
        }
    }
    struct redis_request *found = NULL;
    for (unsigned i = 0; i < u->config.connections && found == NULL; i++) {
        found = redis_link_find(&u->links[i], id);
    }
    return found;
}

/* A cancelled request is a late one, for the sweep to find. The layer above cancels at deadlines
 * too: that says something about the connection. */
static void cancel(struct upstream *u, uint64_t id)
{
    struct redis_request *r = find_request(u, id);
    const int64_t now_us = clock_now_us();
    if (r != NULL) {
        r->is_cancelled = r->deadline_us - now_us > CANCEL_SLACK_US;
        r->deadline_us = now_us;
        arm_sweep(u, now_us);
    }
}

static void free_statement(void *statement)
{
    struct redis_statement *s = statement;
    redis_statement_fini(s);
    free(s);
}

static int add_statement(struct upstream *u, struct strview sql, unsigned params_count)
{
    (void)params_count;
    struct redis_statement *s = malloc(sizeof(*s));
    if (s == NULL || redis_statement_init(s, sql) != 0) {
        free(s);
        return -ENOMEM;
    }
    const int number = statement_list_add(&u->statements, s);
    if (number < 0) {
        free_statement(s);
    }
    return number;
}

static void settle(struct upstream *u, int64_t wait_ms)
{
    driver_settle(u->config.loop, &u->requests, wait_ms);
}

/* ---- looking at it --------------------------------------------------------------------------- */

static size_t memory(const struct upstream *u)
{
    size_t bytes = u->memory;
    for (unsigned i = 0; i < u->config.connections; i++) {
        bytes += u->links[i].reply_bytes; /* of rows on their way */
    }
    return bytes;
}

static void report_upstream(const struct upstream *u, struct driver_report *out)
{
    *out = (struct driver_report){.is_primary_up = u->state == DRIVER_STATE_UP, .lag_ms = -1};
    for (unsigned i = 0; i < u->config.connections; i++) {
        out->connections += u->links[i].state == REDIS_LINK_UP;
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static void drop_requests(struct upstream *u, struct list *requests)
{
    for (struct list *link; (link = list_pop_front(requests)) != NULL;) {
        free_request(u, container_of(link, struct redis_request, link));
    }
}

static bool close_upstream(struct upstream *u, int64_t wait_ms)
{
    if (u == NULL) {
        return true;
    }
    for (unsigned i = 0; i < u->config.connections && u->links != NULL; i++) {
        redis_link_fini(&u->links[i]);
    }
    resolver_destroy(u->resolver, wait_ms);
    ev_timer_stop(u->config.loop, &u->sweep);
    ev_timer_stop(u->config.loop, &u->retry);
    ev_clear_pending(u->config.loop, &u->kick);
    drop_requests(u, &u->waiting);
    drop_requests(u, &u->finished);
    statement_list_fini(&u->statements, free_statement);
    free(u->links);
    redis_dsn_fini(&u->dsn);
    free(u);
    return true;
}

static int init_links(struct upstream *u)
{
    const struct redis_link_events events = {
        .ctx = u, .up = on_up, .finished = on_finished, .lost = on_lost, .down = on_down};
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

static int open_upstream(struct upstream **out, const struct upstream_config *config,
                         struct errtext *err)
{
    struct upstream *u = malloc(sizeof(*u));
    if (u == NULL) {
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    *u = (struct upstream){.config = *config, .retry_seconds = RETRY_SECONDS_MIN};
    u->target = (struct redis_target){
        .dsn = &u->dsn, .options = config->options, .loop = config->loop};
    list_init(&u->waiting);
    list_init(&u->finished);
    ev_init(&u->sweep, on_sweep);
    ev_init(&u->retry, on_retry);
    ev_prepare_init(&u->kick, on_kick);
    int r = redis_dsn_parse(&u->dsn, config->dsn, err);
    if (r == 0) {
        r = resolver_create(&u->resolver, config->loop);
        u->target.resolver = u->resolver;
        r = r == 0 ? init_links(u) : r;
        if (r != 0) {
            errtext_set(err, "cannot start: %s", strerror(-r));
        }
    }
    if (r != 0) {
        (void)close_upstream(u, 0);
        return r;
    }
    *out = u;
    return 0;
}

const struct source_driver driver_redis = {
    .name = "redis",
    .help = "another cache: Redis, Valkey or Tarn",
    .connections_default = 2,
    .abilities = DRIVER_CAN_PIPELINE,
    .takes_words = true,
    .open = open_upstream,
    .close = close_upstream,
    .add_statement = add_statement,
    .load = load,
    .cancel = cancel,
    .settle = settle,
    .memory = memory,
    .report = report_upstream,
};
