/*
 * The MySQL and MariaDB driver: a pool of helper threads, one connection each, because the calls of
 * Connector/C block (its non-blocking ones still look up names in line). What a thread does is in
 * mysql_conn.c; this file turns requests into jobs and finished jobs into events.
 *
 * A server that is out of reach is tried again by a timer, without traffic; requests are refused at
 * once meanwhile, so that they do not each wait for a connection that nobody accepts.
 */
#include "tarn/source/driver.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <ev.h>
#include <mysql.h>

#include "backoff.h"
#include "driver_support.h"
#include "mysql_conn.h"
#include "mysql_feed.h"
#include "tarn/base/clock.h"

#define PROBE_ID UINT64_MAX

struct upstream {
    struct upstream_config config;
    struct mysql_target target;
    struct worker_pool *pool;
    struct mysql_feed *feed;          /* NULL: none */
    struct mysql_conn *conns;         /* owned, config.connections of them */
    void **states;                    /* owned; the same as pointers */
    struct statement_list statements; /* struct mysql_statement */
    enum driver_state state;
    ev_timer retry;  /* until the next probe, or until a probe is given up */
    bool is_probing; /* a job of our own is under way */
    struct backoff backoff;
    struct rng rng;
};

/* ---- answers --------------------------------------------------------------------------------- */

static void drop(struct worker_job *base)
{
    struct mysql_job *job = container_of(base, struct mysql_job, base);
    free(job->rows);
    free(job);
}

static void wait_before_retry(struct upstream *u)
{
    bool is_auth = u->state == DRIVER_STATE_AUTH;
    double seconds = (double)backoff_next(&u->backoff, is_auth, &u->rng) / 1000;
    ev_timer_stop(u->config.loop, &u->retry);
    ev_timer_set(&u->retry, seconds, 0.0);
    ev_timer_start(u->config.loop, &u->retry);
}

static void set_state(struct upstream *u, enum driver_state state)
{
    if (state == u->state) {
        return;
    }
    u->state = state;
    if (state == DRIVER_STATE_UP) {
        ev_timer_stop(u->config.loop, &u->retry);
        u->backoff = (struct backoff){0};
    } else {
        wait_before_retry(u);
    }
    u->config.events.state(u->config.events.ctx, state);
}

static void report_state(struct upstream *u, const struct mysql_job *job)
{
    if (job->is_unreachable) {
        set_state(u, job->is_auth ? DRIVER_STATE_AUTH : DRIVER_STATE_DOWN);
    } else if (job->status == DRIVER_OK || job->status == DRIVER_ERROR ||
               job->status == DRIVER_TOO_BIG) {
        set_state(u, DRIVER_STATE_UP);
    }
}

static void on_done(void *ctx, struct worker_job *base)
{
    struct upstream *u = ctx;
    struct mysql_job *job = container_of(base, struct mysql_job, base);
    report_state(u, job);
    if (job->is_probe) {
        u->is_probing = false;
        if (u->state != DRIVER_STATE_UP) {
            wait_before_retry(u);
        }
    } else {
        struct driver_result result = {.id = base->id,
                                       .status = job->status,
                                       .rows = job->rows,
                                       .detail = job->detail,
                                       .is_lost = job->is_lost};
        u->config.events.done(u->config.events.ctx, &result);
    }
    worker_release(u->pool, base);
    drop(base);
}

/* ---- requests -------------------------------------------------------------------------------- */

static struct mysql_job *make_job(const struct upstream *u, const struct driver_request *r)
{
    const unsigned params_count = r->task == DRIVER_LOAD ? r->params_count : 0;
    const size_t memory = sizeof(struct mysql_job) + driver_values_bytes(r->params, params_count);
    struct mysql_job *job = malloc(memory);
    if (job == NULL) {
        return NULL;
    }
    *job = (struct mysql_job){
        .base = {.id = r->id, .bytes = memory},
        .task = r->task,
        .statement = r->task == DRIVER_PING ? NULL : u->statements.items[r->statement],
        .deadline_us = clock_now_us() + r->timeout_ms * 1000,
        .row_bytes_max = r->row_bytes_max,
        .rows_max = r->rows_max > 0 ? r->rows_max : 1,
        .is_refused = u->state == DRIVER_STATE_DOWN || u->state == DRIVER_STATE_AUTH,
        .params_count = params_count,
    };
    driver_values_copy(job->params, r->params, params_count, job->bytes);
    return job;
}

static unsigned load(struct upstream *u, const struct driver_request *requests, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct mysql_job *job = make_job(u, &requests[i]);
        if (job == NULL) {
            return i;
        }
        worker_pool_submit(u->pool, &job->base);
    }
    return count;
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct upstream *u = container_of(timer, struct upstream, retry);
    int64_t wait_ms = u->config.options->connect_timeout_ms;
    if (u->is_probing) { /* connected, and silent since */
        worker_pool_cancel(u->pool, PROBE_ID);
        return;
    }
    struct driver_request ping = {.id = PROBE_ID, .task = DRIVER_PING, .timeout_ms = 2 * wait_ms};
    struct mysql_job *job = make_job(u, &ping);
    if (job == NULL) {
        wait_before_retry(u);
        return;
    }
    job->is_probe = u->is_probing = true;
    job->is_refused = false;
    worker_pool_submit(u->pool, &job->base);
    ev_timer_set(&u->retry, (double)(2 * wait_ms) / 1000, 0.0);
    ev_timer_start(u->config.loop, &u->retry);
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

/* ---- statements ------------------------------------------------------------------------------ */

/* Puts a ? for each marked number; text needs no more room than before. -EINVAL: too many. */
static int take_places(struct mysql_statement *s, struct strview sql)
{
    size_t len = 0;
    for (size_t i = 0; i < sql.len;) {
        if (sql.data[i] != MYSQL_PLACEHOLDER) {
            s->sql[len++] = sql.data[i++];
            continue;
        }
        unsigned number = 0;
        for (i++; i < sql.len && sql.data[i] >= '0' && sql.data[i] <= '9'; i++) {
            number = number * 10 + (unsigned)(sql.data[i] - '0');
        }
        if (s->places_count == DRIVER_PARAMS_MAX) {
            return -EINVAL;
        }
        assert(number >= 1);
        s->places[s->places_count++] = (unsigned char)(number - 1);
        s->sql[len++] = '?';
    }
    s->sql[len] = '\0';
    return 0;
}

/* Skips blanks, parentheses and comments, and looks at the first word. The session refuses to
 * write; this refuses at start what could only ever fail, or returns rows of something else. */
static bool begins_like_query(const char *sql)
{
    static const char *const words[] = {"select", "with", "values", "table"};
    for (;;) {
        sql += strspn(sql, " \t\r\n(");
        const char *end = NULL;
        if (strncmp(sql, "/*", 2) == 0) {
            end = strstr(sql, "*/");
            end = end != NULL ? end + 2 : NULL;
        } else if (strncmp(sql, "--", 2) == 0 || sql[0] == '#') {
            end = strchr(sql, '\n');
        } else {
            break;
        }
        if (end == NULL) {
            return false;
        }
        sql = end;
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t len = strlen(words[i]);
        if (strncasecmp(sql, words[i], len) == 0 && strchr(" \t\r\n(/*'\"`@+-", sql[len]) != NULL) {
            return true;
        }
    }
    return false;
}

static void free_statement(void *statement)
{
    struct mysql_statement *s = statement;
    free(s->sql);
    free(s);
}

static int add_statement(struct upstream *u, struct strview sql, unsigned params_count)
{
    (void)params_count;
    struct mysql_statement *s = malloc(sizeof(*s));
    if (s == NULL) {
        return -ENOMEM;
    }
    *s = (struct mysql_statement){.sql = strndup(sql.data, sql.len), .number = u->statements.count};
    int r = s->sql != NULL ? take_places(s, sql) : -ENOMEM;
    if (r == 0) {
        s->is_query = begins_like_query(s->sql);
        r = statement_list_add(&u->statements, s);
    }
    if (r < 0) {
        free_statement(s);
    }
    return r;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void free_upstream(struct upstream *u)
{
    for (unsigned i = 0; i < u->config.connections && u->conns != NULL; i++) {
        mysql_conn_fini(&u->conns[i]);
    }
    statement_list_fini(&u->statements, free_statement);
    free(u->conns);
    free(u->states);
    explicit_bzero(&u->target.dsn, sizeof(u->target.dsn));
    free(u);
}

static bool close_upstream(struct upstream *u, int64_t wait_ms)
{
    if (u == NULL) {
        return true;
    }
    ev_timer_stop(u->config.loop, &u->retry);
    const bool has_ended = mysql_feed_close(u->feed, wait_ms);
    if ((u->pool != NULL && !worker_pool_destroy(u->pool, wait_ms)) || !has_ended) {
        return false;
    }
    free_upstream(u);
    return true;
}

static int start_pool(struct upstream *u)
{
    for (unsigned i = 0; i < u->config.connections; i++) {
        mysql_conn_init(&u->conns[i], &u->target);
        u->states[i] = &u->conns[i];
    }
    struct worker_config config = {
        .loop = u->config.loop,
        .count = u->config.connections,
        .states = u->states,
        .bytes_max = u->config.result_bytes_max,
        .ctx = u,
        .run = mysql_conn_run,
        .interrupt = mysql_conn_interrupt,
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
    struct mysql_dsn dsn;
    int r = mysql_dsn_parse(&dsn, config->dsn, err);
    if (r != 0) {
        return r;
    }
    struct upstream *u = calloc(1, sizeof(*u));
    if (u == NULL || mysql_library_init(0, NULL, NULL) != 0) {
        free(u);
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    u->config = *config;
    u->target.dsn = dsn;
    u->target.options = config->options;
    rng_init_random(&u->rng);
    ev_init(&u->retry, on_retry);
    u->states = calloc(config->connections, sizeof(void *));
    u->conns = u->states != NULL ? calloc(config->connections, sizeof(u->conns[0])) : NULL;
    r = u->conns == NULL ? -ENOMEM : start_pool(u);
    if (r == 0 && config->events.feed != NULL) {
        r = mysql_feed_open(&u->feed, &u->config, &u->target);
    }
    if (r != 0) {
        errtext_set(err, "cannot start helper threads: %s", strerror(-r));
        (void)close_upstream(u, 0);
        return r;
    }
    *out = u;
    return 0;
}

const struct source_driver driver_mysql = {
    .name = "mysql",
    .help = "a MySQL or MariaDB server",
    .connections_default = 8,
    .abilities = DRIVER_CAN_LOG_IN | DRIVER_CAN_CHANGELOG | DRIVER_FEED_IS_LOOSE,
    .placeholder = MYSQL_PLACEHOLDER,
    .open = open_upstream,
    .close = close_upstream,
    .add_statement = add_statement,
    .load = load,
    .cancel = cancel,
    .settle = settle,
    .memory = memory,
    .ddl = mysql_ddl,
};
