/*
 * What a helper thread does with MySQL: prepare statements once per connection, run them within
 * their deadline, copy rows out. Connecting is in mysql_open.c, writing in mysql_write.c.
 *
 *  - The server ends a query shortly before its deadline. A server that does not loses the
 *    connection: an interrupt shuts the socket down, which wakes the thread out of any call.
 *  - A connection that breaks under a query is reported as lost, and makes all others be opened
 *    anew, so that the second try does not meet the same end.
 */
#include "mysql_conn.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>

#include "mysql_rows.h"
#include "mysql_write.h"
#include "tarn/base/clock.h"

#define ROW_BYTES_LARGE  (1024 * 1024) /* the library keeps a buffer of that size ever after */
#define TIMEOUT_STEPS    8             /* values of the session's limit between two powers of two */
#define TIMEOUT_MARGIN   20            /* the server's limit ends this part earlier, 1/20 */
#define SERVER_STMT_GONE 1615          /* ER_NEED_REPREPARE */

/* ---- failures -------------------------------------------------------------------------------- */

void mysql_job_fail(struct mysql_job *job, enum driver_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(job->detail, sizeof(job->detail), format, args);
    va_end(args);
    job->status = status;
}

static bool is_link_error(unsigned code)
{
    return code >= CR_MIN_ERROR && code <= CR_MAX_ERROR && code != CR_OUT_OF_MEMORY &&
           code != CR_NO_PREPARE_STMT && code != CR_PARAMS_NOT_BOUND && code != CR_NO_DATA;
}

static bool is_auth_error(unsigned code)
{
    return code == ER_ACCESS_DENIED_ERROR || code == ER_DBACCESS_DENIED_ERROR ||
           code == ER_ACCESS_DENIED_NO_PASSWORD_ERROR || code == ER_HOST_NOT_PRIVILEGED;
}

static bool is_timeout_error(unsigned code)
{
    return code == ER_STATEMENT_TIMEOUT || code == 3024; /* MySQL's ER_QUERY_TIMEOUT */
}

/* Somebody ended the session or its query, or the server ends. */
static bool is_killed_error(unsigned code)
{
    return code == ER_SERVER_SHUTDOWN || code == ER_CONNECTION_KILLED ||
           code == ER_QUERY_INTERRUPTED;
}

bool mysql_job_must_end(const struct mysql_job *job)
{
    return atomic_load(&job->base.is_cancelled) || clock_now_us() >= job->deadline_us;
}

static void note_error(struct mysql_conn *c, struct mysql_job *job, unsigned code, const char *text)
{
    bool is_down = is_link_error(code) || is_killed_error(code) || code == ER_CON_COUNT_ERROR;
    if (mysql_job_must_end(job) || is_timeout_error(code)) {
        mysql_job_fail(job, DRIVER_TIMEOUT, "%s (%u)", text, code);
    } else if (is_auth_error(code) && c->fd < 0) {
        mysql_job_fail(job, DRIVER_DOWN, "%s (%u)", text, code);
        job->is_auth = true;
    } else {
        mysql_job_fail(job, is_down ? DRIVER_DOWN : DRIVER_ERROR, "%s (%u)", text, code);
        job->is_lost = is_down && c->fd >= 0;
        atomic_fetch_add(&c->target->losses, job->is_lost);
    }
}

void mysql_note_db_error(struct mysql_conn *c, struct mysql_job *job)
{
    note_error(c, job, mysql_errno(c->db), mysql_error(c->db));
}

/* A row that was not sent is the connection's error, not the statement's. */
void mysql_note_stmt_error(struct mysql_conn *c, struct mysql_job *job, MYSQL_STMT *stmt)
{
    if (mysql_stmt_errno(stmt) != 0) {
        note_error(c, job, mysql_stmt_errno(stmt), mysql_stmt_error(stmt));
    } else {
        mysql_note_db_error(c, job);
    }
}

/* ---- time ------------------------------------------------------------------------------------ */

/* Somewhat less than what is left, rounded down, so that requests with nearly the same deadline
 * need the same setting. */
static int64_t session_timeout_ms(const struct mysql_job *job)
{
    int64_t left_ms = (job->deadline_us - clock_now_us()) / 1000;
    left_ms -= left_ms / TIMEOUT_MARGIN;
    int64_t step = 1;
    while (step * TIMEOUT_STEPS * 2 < left_ms) {
        step *= 2;
    }
    left_ms = left_ms / step * step;
    return left_ms > 0 ? left_ms : 1;
}

static bool set_timeout(struct mysql_conn *c, struct mysql_job *job)
{
    int64_t timeout_ms = session_timeout_ms(job);
    if (timeout_ms == c->timeout_ms) {
        return true;
    }
    char sql[96];
    int len;
    if (c->is_mariadb) {
        len = snprintf(sql, sizeof(sql), "SET SESSION max_statement_time = %lld.%03d",
                       (long long)(timeout_ms / 1000), (int)(timeout_ms % 1000));
    } else {
        len = snprintf(sql, sizeof(sql), "SET SESSION max_execution_time = %lld",
                       (long long)timeout_ms);
    }
    if (mysql_real_query(c->db, sql, (unsigned long)len) != 0) {
        mysql_note_db_error(c, job);
        return false;
    }
    c->timeout_ms = timeout_ms;
    return true;
}

/* ---- statements ------------------------------------------------------------------------------ */

static bool reserve_plan(struct mysql_conn *c, unsigned number)
{
    if (number < c->plans_count) {
        return true;
    }
    size_t count = (size_t)number + 1;
    struct mysql_plan *plans = realloc(c->plans, count * sizeof(plans[0]));
    if (plans == NULL) {
        return false;
    }
    memset(plans + c->plans_count, 0, (count - c->plans_count) * sizeof(plans[0]));
    c->plans = plans;
    c->plans_count = count;
    return true;
}

static MYSQL_STMT *prepare(struct mysql_conn *c, struct mysql_job *job)
{
    const struct mysql_statement *s = job->statement;
    if (!reserve_plan(c, s->number)) {
        mysql_job_fail(job, DRIVER_BUSY, "out of memory");
        return NULL;
    }
    struct mysql_plan *plan = &c->plans[s->number];
    if (plan->stmt != NULL) {
        return plan->stmt;
    }
    MYSQL_STMT *stmt = mysql_stmt_init(c->db);
    if (stmt == NULL) {
        mysql_job_fail(job, DRIVER_BUSY, "out of memory");
        return NULL;
    }
    if (mysql_stmt_prepare(stmt, s->sql, strlen(s->sql)) != 0) {
        mysql_note_stmt_error(c, job, stmt);
        (void)mysql_stmt_close(stmt);
        return NULL;
    }
    if (job->task != DRIVER_WRITE && (!s->is_query || mysql_stmt_field_count(stmt) == 0)) {
        mysql_job_fail(job, DRIVER_ERROR, "the statement is no query");
        (void)mysql_stmt_close(stmt);
        return NULL;
    }
    plan->stmt = stmt;
    return stmt;
}

static void forget_plan(struct mysql_conn *c, unsigned number)
{
    (void)mysql_stmt_close(c->plans[number].stmt);
    c->plans[number].stmt = NULL;
}

static void bind_value(const struct driver_value *v, MYSQL_BIND *out)
{
    static const enum enum_field_types types[] = {[VALUE_INT] = MYSQL_TYPE_LONGLONG,
                                                  [VALUE_TEXT] = MYSQL_TYPE_STRING,
                                                  [VALUE_BYTES] = MYSQL_TYPE_BLOB,
                                                  [VALUE_NULL] = MYSQL_TYPE_NULL};
    out->buffer_type = types[v->type];
    if (v->type == VALUE_INT) {
        out->buffer = (void *)(uintptr_t)&v->number; /* only read */
    } else {
        out->buffer = (void *)(uintptr_t)v->bytes.data;
        out->buffer_length = v->bytes.len;
    }
}

static bool execute(MYSQL_STMT *stmt, struct mysql_job *job)
{
    const struct mysql_statement *s = job->statement;
    MYSQL_BIND *binds = NULL;
    if (s->places_count > 0) {
        binds = calloc(s->places_count, sizeof(binds[0]));
        if (binds == NULL) {
            return false;
        }
    }
    for (unsigned i = 0; i < s->places_count; i++) {
        bind_value(&job->params[mysql_statement_param(s, i, job->params_count)], &binds[i]);
    }
    const bool is_fine = (binds == NULL || mysql_stmt_bind_param(stmt, binds) == 0) &&
                         mysql_stmt_execute(stmt) == 0;
    free(binds);
    return is_fine;
}

static bool is_outdated(MYSQL_STMT *stmt)
{
    unsigned code = mysql_stmt_errno(stmt);
    return code == SERVER_STMT_GONE || code == ER_UNKNOWN_STMT_HANDLER;
}

static void take_rows(struct mysql_conn *c, struct mysql_job *job, MYSQL_STMT *stmt)
{
    unsigned rows_max = job->task == DRIVER_CHECK ? 0 : job->rows_max;
    enum driver_status status = mysql_rows_fetch(stmt, job->row_bytes_max, rows_max, &job->rows);
    if (status == DRIVER_ERROR) {
        mysql_note_stmt_error(c, job, stmt);
    } else if (status != DRIVER_OK) {
        mysql_job_fail(job, status,
                       status == DRIVER_TOO_BIG ? "a row above max-row" : "out of memory");
    } else if (!worker_reserve(c->pool, &job->base, job->rows->memory)) {
        mysql_job_fail(job, DRIVER_BUSY, "results take all memory they may");
        free(job->rows);
        job->rows = NULL;
    } else {
        job->status = DRIVER_OK;
    }
}

MYSQL_STMT *mysql_conn_execute(struct mysql_conn *c, struct mysql_job *job)
{
    MYSQL_STMT *stmt = prepare(c, job);
    bool is_done = stmt != NULL && execute(stmt, job);
    if (stmt != NULL && !is_done && is_outdated(stmt)) { /* it did not run */
        forget_plan(c, job->statement->number);
        stmt = prepare(c, job);
        is_done = stmt != NULL && execute(stmt, job);
    }
    if (stmt != NULL && !is_done) {
        mysql_note_stmt_error(c, job, stmt);
    }
    return is_done ? stmt : NULL;
}

static void run_statement(struct mysql_conn *c, struct mysql_job *job)
{
    MYSQL_STMT *stmt = job->task == DRIVER_CHECK ? prepare(c, job) : mysql_conn_execute(c, job);
    if (stmt != NULL) {
        take_rows(c, job, stmt);
    }
    if (stmt != NULL && job->task != DRIVER_CHECK) {
        (void)mysql_stmt_free_result(stmt); /* reads what is left of the rows */
    }
}

static void ping(struct mysql_conn *c, struct mysql_job *job)
{
    if (mysql_ping(c->db) != 0) {
        mysql_note_db_error(c, job);
        return;
    }
    job->status = DRIVER_OK;
}

void mysql_conn_run(void *conn, struct worker_job *base)
{
    struct mysql_conn *c = conn;
    struct mysql_job *job = container_of(base, struct mysql_job, base);
    if (mysql_job_must_end(job)) {
        mysql_job_fail(job, DRIVER_TIMEOUT, "no connection was free in time");
        return;
    }
    if (job->is_refused && c->db == NULL) {
        mysql_job_fail(job, DRIVER_DOWN, "the server is out of reach");
        return;
    }
    job->is_refused = false;
    if (!mysql_conn_ensure_open(c, job) || !set_timeout(c, job)) {
        /* said why */
    } else if (job->task == DRIVER_PING) {
        ping(c, job);
    } else if (job->task == DRIVER_WRITE) {
        mysql_write_run(c, job);
    } else {
        run_statement(c, job);
    }
    bool is_large = job->status == DRIVER_TOO_BIG ||
                    (job->rows != NULL && job->rows->memory > ROW_BYTES_LARGE);
    bool was_cut = job->status == DRIVER_TIMEOUT && atomic_load(&base->is_cancelled);
    if (c->db != NULL && (job->is_lost || is_large || was_cut || job->status == DRIVER_DOWN)) {
        mysql_conn_close(c);
    }
    c->used_us = clock_now_us();
}

/* ---- life ------------------------------------------------------------------------------------ */

void mysql_conn_init(struct mysql_conn *c, struct mysql_target *target)
{
    *c = (struct mysql_conn){.target = target, .fd = -1};
    pthread_mutex_init(&c->lock, NULL);
    rng_init_random(&c->rng);
}

void mysql_conn_fini(struct mysql_conn *c)
{
    mysql_conn_close(c);
    free(c->plans);
    pthread_mutex_destroy(&c->lock);
}
