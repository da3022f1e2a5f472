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

#include <ev.h>
#include <mysql.h>

#include "backoff.h"
#include "driver_support.h"
#include "mysql_conn.h"
#include "mysql_feed.h"
#include "tarn/base/clock.h"

#define PROBE_ID    UINT64_MAX
#define MYSQL_FORMS (1 + MYSQL_LISTS) /* of a statement; each has a number of its own */

struct upstream {
    struct upstream_config config;
    struct mysql_target target;
    struct worker_pool *pool;
    struct mysql_feed *feed;          /* NULL: none */
    struct mysql_conn *conns;         /* owned, config.connections of them */
    void **states;                    /* owned; the same as pointers */
    struct statement_list statements; /* struct statement */
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
                                       .changed = job->changed,
                                       .is_unknown = job->is_unknown,
                                       .is_lost = job->is_lost};
        u->config.events.done(u->config.events.ctx, &result);
    }
    worker_release(u->pool, base);
    drop(base);
}

/* ---- statements ------------------------------------------------------------------------------ */

/* A statement and, made when they are first needed, its forms for lists. */
struct statement {
    char *marked; /* owned */
    size_t marked_len;
    struct mysql_statement *plain;              /* owned */
    struct mysql_statement *lists[MYSQL_LISTS]; /* owned; NULL: not made yet */
};

static void free_statement(void *statement)
{
    struct statement *s = statement;
    for (unsigned i = 0; i < MYSQL_LISTS; i++) {
        mysql_statement_destroy(s->lists[i]);
    }
    mysql_statement_destroy(s->plain);
    free(s->marked);
    free(s);
}

/* The form for so many values; NULL: out of memory. */
static const struct mysql_statement *list_form(const struct upstream *u, unsigned number,
                                               unsigned count)
{
    struct statement *s = u->statements.items[number];
    const unsigned step = mysql_list_step(count);
    if (s->lists[step] == NULL) {
        s->lists[step] = mysql_statement_create(strview_of(s->marked, s->marked_len),
                                                number * MYSQL_FORMS + 1 + step, 1U << step);
    }
    return s->lists[step];
}

static int add_statement(struct upstream *u, struct strview sql, unsigned params_count)
{
    (void)params_count;
    struct statement *s = malloc(sizeof(*s));
    if (s == NULL) {
        return -ENOMEM;
    }
    *s = (struct statement){.marked = strndup(sql.data, sql.len), .marked_len = sql.len};
    int r = -ENOMEM;
    if (s->marked != NULL) {
        s->plain = mysql_statement_create(sql, u->statements.count * MYSQL_FORMS, 0);
        r = s->plain != NULL ? statement_list_add(&u->statements, s) : -errno;
    }
    if (r < 0) {
        free_statement(s);
    }
    return r;
}

/* ---- requests -------------------------------------------------------------------------------- */

static const struct mysql_statement *form_of(const struct upstream *u,
                                             const struct driver_request *r)
{
    const struct statement *s = u->statements.items[r->statement];
    return r->takes_list ? list_form(u, r->statement, r->params_count) : s->plain;
}

static struct mysql_job *make_job(const struct upstream *u, const struct driver_request *r)
{
    const bool has_params = r->task == DRIVER_LOAD || r->task == DRIVER_WRITE;
    const unsigned params_count = has_params ? r->params_count : 0;
    const size_t params_bytes = params_count * sizeof(struct driver_value);
    const size_t memory = sizeof(struct mysql_job) + params_bytes +
                          driver_values_bytes(r->params, params_count);
    const struct mysql_statement *s = r->task == DRIVER_PING ? NULL : form_of(u, r);
    struct mysql_job *job = s != NULL || r->task == DRIVER_PING ? malloc(memory) : NULL;
    if (job == NULL) {
        return NULL;
    }
    const int64_t limit_ms = r->task == DRIVER_WRITE ? driver_write_limit_ms(r->timeout_ms)
                                                     : r->timeout_ms;
    *job = (struct mysql_job){
        .base = {.id = r->id, .bytes = memory},
        .task = r->task,
        .statement = s,
        .deadline_us = clock_now_us() + limit_ms * 1000,
        .row_bytes_max = r->row_bytes_max,
        .rows_max = r->rows_max > 0 ? r->rows_max : 1,
        .is_refused = u->state == DRIVER_STATE_DOWN || u->state == DRIVER_STATE_AUTH,
        .is_write = r->task == DRIVER_WRITE || r->is_write,
        .params_count = params_count,
        .params = (struct driver_value *)(void *)(job + 1),
    };
    driver_values_copy(job->params, r->params, params_count, (char *)(job + 1) + params_bytes);
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

static void judge_dsn(const char *text, struct driver_dsn_facts *out)
{
    struct mysql_dsn dsn;
    struct errtext err;
    if (mysql_dsn_parse(&dsn, text, &err) == 0) {
        out->has_password = dsn.password[0] != '\0';
        out->is_exposed = dsn.ssl == MYSQL_SSL_OFF && !driver_host_is_near(dsn.host);
        explicit_bzero(&dsn, sizeof(dsn));
    }
}

const struct source_driver driver_mysql = {
    .name = "mysql",
    .help = "a MySQL or MariaDB server",
    .connections_default = 8,
    .abilities = DRIVER_CAN_LOG_IN | DRIVER_CAN_CHANGELOG | DRIVER_FEED_IS_LOOSE | DRIVER_CAN_BULK |
                 DRIVER_CAN_WRITE,
    .placeholder = MYSQL_PLACEHOLDER,
    .open = open_upstream,
    .close = close_upstream,
    .judge_dsn = judge_dsn,
    .add_statement = add_statement,
    .load = load,
    .cancel = cancel,
    .settle = settle,
    .memory = memory,
    .ddl = mysql_ddl,
};
