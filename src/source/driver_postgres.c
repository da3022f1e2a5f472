/*
 * The PostgreSQL driver: libpq inside the event loop, no thread but the one that looks up names.
 *
 *     load() ──> struct pg_request ──> pg_members ──> pg_server ──> pg_pipe ──> pg_link ──> libpq
 *                                      (which one)   (the pool)   (a pipeline)
 *
 * This file makes requests and reports how they ended. Reporting happens in one place, on_kick(),
 * which libev calls in the same turn as whatever asked for it: so no event of a connection ever runs
 * into the layer above.
 */
#include "tarn/source/driver.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver_support.h"
#include "pg_ddl.h"
#include "pg_feed.h"
#include "pg_members.h"
#include "pg_params.h"
#include "pg_rows.h"
#include "tarn/base/clock.h"

/* A resolver that has been asked nothing ends at once; this only bounds the wait for its thread. */
#define RESOLVER_IDLE_WAIT_MS 1000

static const char ping_sql[] = "SELECT 1";

struct upstream {
    struct upstream_config config;
    struct resolver *resolver;
    struct pg_members members;
    struct pg_feed feed;
    struct statement_list statements; /* struct pg_statement */
    struct list finished;             /* struct pg_request::link, not yet reported */
    size_t memory;                    /* of requests and their rows */
    unsigned requests;                /* taken and not yet reported */
    enum driver_state state;
    ev_prepare kick; /* never started, only fed */
};

static void kick(struct upstream *u)
{
    ev_feed_event(u->config.loop, &u->kick, EV_CUSTOM);
}

/* ---- requests -------------------------------------------------------------------------------- */

static struct pg_request *make_request(const struct upstream *u, const struct driver_request *q,
                                       const struct driver_value *params, unsigned params_count)
{
    const size_t memory = sizeof(struct pg_request) + pg_values_bytes(params, params_count);
    struct pg_request *r = malloc(memory);
    if (r == NULL) {
        return NULL;
    }
    *r = (struct pg_request){
        .id = q->id,
        .task = q->task,
        .statement = q->task != DRIVER_PING ? u->statements.items[q->statement] : NULL,
        .sql = ping_sql,
        .deadline_us = clock_now_us() + q->timeout_ms * 1000,
        .row_bytes_max = q->task == DRIVER_PING ? SIZE_MAX : q->row_bytes_max,
        .rows_max = q->rows_max > 0 ? q->rows_max : 1,
        .needs_primary = q->needs_primary,
        .is_write = q->task == DRIVER_WRITE || q->is_write,
        .memory = memory,
    };
    pg_bind(r, params, params_count);
    return r;
}

static struct pg_request *make_list_request(const struct upstream *u,
                                            const struct driver_request *q)
{
    struct buf list;
    struct pg_request *r = NULL;
    buf_init(&list);
    pg_write_array(&list, q->params, q->params_count);
    if (!list.failed) {
        const struct driver_value text = {.bytes = buf_view(&list), .type = VALUE_TEXT};
        r = make_request(u, q, &text, 1);
    }
    if (r != NULL && pg_has_wide(q->params, q->params_count)) {
        r->wide_params = 1;
        r->wide_types[0] = PG_INT8_ARRAY;
    }
    buf_fini(&list);
    return r;
}

static void free_request(void *ctx, struct pg_request *r)
{
    struct upstream *u = ctx;
    list_remove(&r->link);
    u->memory -= r->memory + (r->rows != NULL ? r->rows->memory : 0);
    u->requests--;
    rows_abandon(&r->builder);
    free(r->rows);
    free(r);
}

static unsigned load(struct upstream *u, const struct driver_request *requests, unsigned count)
{
    unsigned taken = 0;
    for (; taken < count; taken++) {
        const struct driver_request *q = &requests[taken];
        const bool has_params = q->task == DRIVER_LOAD || q->task == DRIVER_WRITE;
        struct pg_request *r = q->takes_list && has_params
                                   ? make_list_request(u, q)
                                   : make_request(u, q, q->params,
                                                  has_params ? q->params_count : 0);
        if (r == NULL) {
            break;
        }
        u->memory += r->memory;
        u->requests++;
        pg_members_submit(&u->members, r);
    }
    kick(u);
    return taken;
}

static void cancel(struct upstream *u, uint64_t id)
{
    if (pg_members_cancel(&u->members, id)) {
        kick(u);
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

static void finish(struct upstream *u, struct pg_request *r)
{
    if (r->rows != NULL) {
        u->memory += r->rows->memory;
        if (u->memory > u->config.result_bytes_max && r->task == DRIVER_WRITE) {
            u->memory -= r->rows->memory;
            free(r->rows); /* it happened all the same */
            r->rows = NULL;
        } else if (u->memory > u->config.result_bytes_max) {
            r->status = DRIVER_BUSY;
            (void)snprintf(r->detail, sizeof(r->detail), "results take all memory they may");
        }
    }
    list_push_back(&u->finished, &r->link);
    kick(u);
}

static void on_finished(void *ctx, struct pg_request *r)
{
    struct upstream *u = ctx;
    finish(u, r);
}

static void on_refused(void *ctx, struct pg_server *s, struct pg_request *r)
{
    (void)s;
    bool has_time = !r->is_cancelled && clock_now_us() < r->deadline_us;
    r->status = has_time ? DRIVER_DOWN : DRIVER_TIMEOUT;
    finish(ctx, r);
}

static void report_state(struct upstream *u)
{
    enum driver_state state = pg_members_state(&u->members);
    if (state != u->state) {
        u->state = state;
        if (state == DRIVER_STATE_UP) {
            pg_feed_hurry(&u->feed);
        }
        u->config.events.state(u->config.events.ctx, state);
    }
}

static void report_finished(struct upstream *u)
{
    struct list batch; /* what done() leads to is the next turn's */
    list_init(&batch);
    while (!list_is_empty(&u->finished)) {
        list_push_back(&batch, list_pop_front(&u->finished));
    }
    while (!list_is_empty(&batch)) {
        struct pg_request *r = container_of(batch.next, struct pg_request, link);
        struct driver_result result = {.id = r->id,
                                       .status = r->status,
                                       .rows = r->rows,
                                       .detail = r->detail,
                                       .changed = r->changed,
                                       .is_unknown = r->is_unknown,
                                       .is_lost = r->is_lost && r->status == DRIVER_DOWN};
        u->config.events.done(u->config.events.ctx, &result);
        free_request(u, r);
    }
}

static void on_kick(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop;
    (void)events;
    struct upstream *u = container_of(watcher, struct upstream, kick);
    report_state(u);
    report_finished(u);
    pg_members_pump(&u->members);
}

static void on_changed(void *ctx, struct pg_server *s)
{
    (void)s;
    struct upstream *u = ctx;
    kick(u);
}

static void settle(struct upstream *u, int64_t wait_ms)
{
    driver_settle(u->config.loop, &u->requests, wait_ms);
}

/* ---- looking at it --------------------------------------------------------------------------- */

static size_t memory(const struct upstream *u)
{
    return u->memory;
}

static void report(const struct upstream *u, struct driver_report *out)
{
    pg_members_report(&u->members, out);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void free_statement(void *statement)
{
    struct pg_statement *s = statement;
    free(s->sql);
    free(s);
}

static int add_statement(struct upstream *u, struct strview sql, unsigned params_count)
{
    (void)params_count; /* the server counts them itself */
    struct pg_statement *s = malloc(sizeof(*s));
    if (s == NULL) {
        return -ENOMEM;
    }
    *s = (struct pg_statement){.sql = strndup(sql.data, sql.len), .number = u->statements.count};
    const int number = s->sql != NULL ? statement_list_add(&u->statements, s) : -ENOMEM;
    if (number < 0) {
        free_statement(s);
    }
    return number;
}

static bool close_upstream(struct upstream *u, int64_t wait_ms)
{
    if (u == NULL) {
        return true;
    }
    pg_feed_stop(&u->feed);
    pg_members_fini(&u->members, free_request, u);
    while (!list_is_empty(&u->finished)) {
        free_request(u, container_of(u->finished.next, struct pg_request, link));
    }
    assert(u->requests == 0);
    assert(u->memory == 0);
    ev_clear_pending(u->config.loop, &u->kick);
    resolver_destroy(u->resolver, wait_ms);
    statement_list_fini(&u->statements, free_statement);
    free(u);
    return true;
}

static int open_upstream(struct upstream **out, const struct upstream_config *config,
                         struct errtext *err)
{
    int r = pg_dsn_check(config->dsn, err);
    if (r != 0) {
        return r;
    }
    struct upstream *u = malloc(sizeof(*u));
    if (u == NULL) {
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    *u = (struct upstream){.config = *config};
    r = resolver_create(&u->resolver, config->loop);
    if (r != 0) {
        errtext_set(err, "cannot start a helper thread: %s", strerror(-r));
        free(u);
        return r;
    }
    list_init(&u->finished);
    ev_init(&u->kick, on_kick);
    struct pg_target target = {.dsn = config->dsn,
                               .options = config->options,
                               .loop = config->loop,
                               .resolver = u->resolver,
                               .is_primary = true};
    struct pg_server_events events = {
        .ctx = u, .finished = on_finished, .refused = on_refused, .changed = on_changed};
    r = pg_members_init(&u->members, &target, &events, config->connections, err);
    if (r != 0) {
        resolver_destroy(u->resolver, RESOLVER_IDLE_WAIT_MS);
        free(u);
        return r;
    }
    pg_feed_init(&u->feed, &target, &config->events);
    if (config->options->feed == DRIVER_FEED_NOTIFY && config->events.feed != NULL) {
        pg_feed_start(&u->feed);
    }
    *out = u;
    return 0;
}

const struct source_driver driver_postgres = {
    .name = "postgres",
    .help = "a PostgreSQL server",
    .connections_default = 8,
    .abilities = DRIVER_CAN_LOG_IN | DRIVER_CAN_PIPELINE | DRIVER_CAN_PREPARE |
                 DRIVER_CAN_USE_REPLICAS | DRIVER_CAN_NOTIFY | DRIVER_CAN_BULK | DRIVER_CAN_WRITE,
    .placeholder = '$',
    .open = open_upstream,
    .close = close_upstream,
    .judge_dsn = pg_dsn_judge,
    .add_statement = add_statement,
    .load = load,
    .cancel = cancel,
    .settle = settle,
    .memory = memory,
    .report = report,
    .ddl = pg_ddl,
};
