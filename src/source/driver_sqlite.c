/*
 * The SQLite driver: a pool of helper threads, one read-only connection each, because SQLite's
 * calls block. What a thread does is in sqlite_conn.c; this file turns requests into jobs and
 * finished jobs into events.
 *
 * The dsn is a file name or a file: URI. Should a thread hang in its file system for ever, closing
 * leaves it and all it uses behind: the whole upstream.
 */
#include "tarn/source/driver.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "driver_support.h"
#include "json.h"
#include "sqlite_conn.h"
#include "sqlite_feed.h"
#include "tarn/base/clock.h"

struct upstream {
    struct upstream_config config;
    char *path; /* owned */
    struct worker_pool *pool;
    struct sqlite_feed *feed;         /* owned; NULL: there is none */
    struct sqlite_conn *conns;        /* owned, config.connections of them */
    void **states;                    /* owned; the same as pointers */
    struct statement_list statements; /* struct sqlite_statement */
    enum driver_state state;
};

/* ---- answers --------------------------------------------------------------------------------- */

static void drop(struct worker_job *base)
{
    struct sqlite_job *job = container_of(base, struct sqlite_job, base);
    free(job->rows);
    free(job);
}

static void report_state(struct upstream *u, enum driver_status status)
{
    enum driver_state state = u->state;
    if (status == DRIVER_DOWN) {
        state = DRIVER_STATE_DOWN;
    } else if (status == DRIVER_OK || status == DRIVER_ERROR || status == DRIVER_TOO_BIG) {
        state = DRIVER_STATE_UP;
    }
    if (state != u->state) {
        u->state = state;
        u->config.events.state(u->config.events.ctx, state);
    }
}

static void on_done(void *ctx, struct worker_job *base)
{
    struct upstream *u = ctx;
    struct sqlite_job *job = container_of(base, struct sqlite_job, base);
    report_state(u, job->status);
    struct driver_result result = {.id = base->id,
                                   .status = job->status,
                                   .rows = job->rows,
                                   .detail = job->detail,
                                   .changed = job->changed,
                                   .is_unknown = job->is_unknown};
    u->config.events.done(u->config.events.ctx, &result);
    worker_release(u->pool, base);
    drop(base);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* A list travels as one text, a JSON array, for json_each(). */
static bool write_list(const struct driver_request *r, struct buf *out)
{
    buf_append_char(out, '[');
    for (unsigned i = 0; i < r->params_count; i++) {
        if (i > 0) {
            buf_append_char(out, ',');
        }
        if (r->params[i].type == VALUE_INT) {
            buf_append_i64(out, r->params[i].number);
        } else {
            json_write_string(out, r->params[i].bytes);
        }
    }
    buf_append_char(out, ']');
    return !out->failed;
}

static struct sqlite_job *make_job(const struct upstream *u, const struct driver_request *r,
                                   const struct driver_value *params, unsigned params_count)
{
    const size_t memory = sizeof(struct sqlite_job) + driver_values_bytes(params, params_count);
    struct sqlite_job *job = malloc(memory);
    if (job == NULL) {
        return NULL;
    }
    const int64_t limit_ms = r->task == DRIVER_WRITE ? driver_write_limit_ms(r->timeout_ms)
                                                     : r->timeout_ms;
    *job = (struct sqlite_job){
        .base = {.id = r->id, .bytes = memory},
        .task = r->task,
        .statement = r->task == DRIVER_PING ? NULL : u->statements.items[r->statement],
        .deadline_us = clock_now_us() + limit_ms * 1000,
        .row_bytes_max = r->row_bytes_max,
        .rows_max = r->rows_max > 0 ? r->rows_max : 1,
        .wants_more = r->wants_more,
        .params_count = params_count,
    };
    driver_values_copy(job->params, params, params_count, job->bytes);
    return job;
}

static struct sqlite_job *make_list_job(const struct upstream *u, const struct driver_request *r)
{
    struct buf list;
    struct sqlite_job *job = NULL;
    buf_init(&list);
    if (write_list(r, &list)) {
        const struct driver_value text = {.bytes = buf_view(&list), .type = VALUE_TEXT};
        job = make_job(u, r, &text, 1);
    }
    buf_fini(&list);
    return job;
}

static unsigned load(struct upstream *u, const struct driver_request *requests, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct driver_request *r = &requests[i];
        const unsigned params = r->task == DRIVER_LOAD || r->task == DRIVER_WRITE ? r->params_count
                                                                                  : 0;
        struct sqlite_job *job = r->takes_list && r->task == DRIVER_LOAD
                                     ? make_list_job(u, r)
                                     : make_job(u, r, r->params, params);
        if (job == NULL) {
            return i;
        }
        worker_pool_submit(u->pool, &job->base);
    }
    return count;
}

static void cancel(struct upstream *u, uint64_t id)
{
    worker_pool_cancel(u->pool, id);
}

static void settle(struct upstream *u, int64_t wait_ms)
{
    worker_pool_settle(u->pool, wait_ms);
}

static size_t memory(const struct upstream *u)
{
    return worker_pool_memory(u->pool);
}

static void free_statement(void *statement)
{
    struct sqlite_statement *s = statement;
    free(s->sql);
    free(s);
}

static int add_statement(struct upstream *u, struct strview sql, unsigned params_count)
{
    struct sqlite_statement *s = malloc(sizeof(*s));
    if (s == NULL) {
        return -ENOMEM;
    }
    *s = (struct sqlite_statement){
        .sql = strndup(sql.data, sql.len), .id = u->statements.count, .params_count = params_count};
    const int number = s->sql != NULL ? statement_list_add(&u->statements, s) : -ENOMEM;
    if (number < 0) {
        free_statement(s);
    }
    return number;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void free_upstream(struct upstream *u)
{
    for (unsigned i = 0; i < u->config.connections && u->conns != NULL; i++) {
        sqlite_conn_fini(&u->conns[i]);
    }
    statement_list_fini(&u->statements, free_statement);
    free(u->conns);
    free(u->states);
    free(u->path);
    free(u);
}

static bool close_upstream(struct upstream *u, int64_t wait_ms)
{
    if (u == NULL) {
        return true;
    }
    const bool feed_ended = sqlite_feed_close(u->feed, wait_ms);
    if ((u->pool != NULL && !worker_pool_destroy(u->pool, wait_ms)) || !feed_ended) {
        return false;
    }
    free_upstream(u);
    return true;
}

static int start_pool(struct upstream *u)
{
    for (unsigned i = 0; i < u->config.connections; i++) {
        sqlite_conn_init(&u->conns[i], u->path);
        u->states[i] = &u->conns[i];
    }
    struct worker_config config = {
        .loop = u->config.loop,
        .count = u->config.connections,
        .states = u->states,
        .bytes_max = u->config.result_bytes_max,
        .ctx = u,
        .run = sqlite_conn_run,
        .interrupt = sqlite_conn_interrupt,
        .done = on_done,
        .drop = drop,
    };
    int r = worker_pool_create(&u->pool, &config);
    for (unsigned i = 0; i < u->config.connections && r == 0; i++) {
        u->conns[i].pool = u->pool; /* no job has been submitted yet */
    }
    return r;
}

static int open_upstream(struct upstream **out, const struct upstream_config *config,
                         struct errtext *err)
{
    if (!sqlite3_threadsafe()) {
        errtext_set(err, "this SQLite library was built without threads");
        return -ENOTSUP;
    }
    struct upstream *u = calloc(1, sizeof(*u));
    if (u == NULL) {
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    u->config = *config;
    u->path = strdup(config->dsn);
    u->states = calloc(config->connections, sizeof(void *));
    u->conns = u->states != NULL ? calloc(config->connections, sizeof(u->conns[0])) : NULL;
    int r = u->path == NULL || u->conns == NULL ? -ENOMEM : start_pool(u);
    if (r == 0 && config->events.feed != NULL) {
        r = sqlite_feed_open(&u->feed, &u->config, u->path);
    }
    if (r != 0) {
        errtext_set(err, "cannot start helper threads: %s", strerror(-r));
        (void)close_upstream(u, 0);
        return r;
    }
    *out = u;
    return 0;
}

const struct source_driver driver_sqlite = {
    .name = "sqlite",
    .help = "an SQLite file, opened read-only",
    .connections_default = 2,
    .abilities = DRIVER_CAN_BULK | DRIVER_CAN_WRITE | DRIVER_CAN_CHANGELOG | DRIVER_CAN_VERSION,
    .placeholder = '?',
    .bracket_quotes = true,
    .open = open_upstream,
    .close = close_upstream,
    .add_statement = add_statement,
    .load = load,
    .cancel = cancel,
    .settle = settle,
    .memory = memory,
    .ddl = sqlite_feed_ddl,
};
