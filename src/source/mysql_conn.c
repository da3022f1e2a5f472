/*
 * What a helper thread does with MySQL: connect, prepare statements once per connection, run them
 * within their deadline, copy the first row out.
 *
 *  - The session only reads (SET SESSION TRANSACTION READ ONLY), in UTC and UTF-8. Backslashes in
 *    literals are no escapes, so that literals end where the configuration's lexer thinks they do.
 *  - The server ends a query shortly before its deadline. A server that does not loses the
 *    connection: an interrupt shuts the socket down, which wakes the thread out of any call.
 *  - A connection that died while nobody used it is found out before it is used: its socket is
 *    readable. One that breaks under a query is reported as lost, and makes all others be opened
 *    anew, so that the second try does not meet the same end.
 */
#include "mysql_conn.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <sys/socket.h>

#include "mysql_rows.h"
#include "secret.h"
#include "tarn/base/clock.h"

#define ROW_BYTES_LARGE  (1024 * 1024) /* the library keeps a buffer of that size ever after */
#define CONNECT_SLICE_MS 20            /* between looks at whether it was cancelled */
#define TIMEOUT_STEPS    8             /* values of the session's limit between two powers of two */
#define TIMEOUT_MARGIN   20            /* the server's limit ends this part earlier, 1/20 */
#define SERVER_STMT_GONE 1615          /* ER_NEED_REPREPARE */

static const char *const session_sql[] = {
    "SET SESSION TRANSACTION READ ONLY",
    "SET time_zone = '+00:00', sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')",
};

/* ---- failures -------------------------------------------------------------------------------- */

static void PRINTF_LIKE(3, 4)
    fail(struct mysql_job *job, enum driver_status status, const char *format, ...)
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

static bool must_end(const struct mysql_job *job)
{
    return atomic_load(&job->base.is_cancelled) || clock_now_us() >= job->deadline_us;
}

static void note_error(struct mysql_conn *c, struct mysql_job *job, unsigned code, const char *text)
{
    bool is_down = is_link_error(code) || is_killed_error(code) || code == ER_CON_COUNT_ERROR;
    if (must_end(job) || is_timeout_error(code)) {
        fail(job, DRIVER_TIMEOUT, "%s (%u)", text, code);
    } else if (is_auth_error(code) && c->fd < 0) {
        fail(job, DRIVER_DOWN, "%s (%u)", text, code);
        job->is_auth = true;
    } else {
        fail(job, is_down ? DRIVER_DOWN : DRIVER_ERROR, "%s (%u)", text, code);
        job->is_lost = is_down && c->fd >= 0;
        atomic_fetch_add(&c->target->losses, job->is_lost);
    }
}

static void note_db_error(struct mysql_conn *c, struct mysql_job *job)
{
    note_error(c, job, mysql_errno(c->db), mysql_error(c->db));
}

/* A row that was not sent is the connection's error, not the statement's. */
static void note_stmt_error(struct mysql_conn *c, struct mysql_job *job, MYSQL_STMT *stmt)
{
    if (mysql_stmt_errno(stmt) != 0) {
        note_error(c, job, mysql_stmt_errno(stmt), mysql_stmt_error(stmt));
    } else {
        note_db_error(c, job);
    }
}

/* ---- closing --------------------------------------------------------------------------------- */

void mysql_conn_close(struct mysql_conn *c)
{
    pthread_mutex_lock(&c->lock);
    c->fd = -1;
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < c->plans_count; i++) {
        if (c->plans[i].stmt != NULL) {
            (void)mysql_stmt_close(c->plans[i].stmt);
            c->plans[i].stmt = NULL;
        }
    }
    if (c->db != NULL) {
        mysql_close(c->db);
        c->db = NULL;
    }
}

void mysql_conn_interrupt(void *conn)
{
    struct mysql_conn *c = conn;
    pthread_mutex_lock(&c->lock);
    if (c->fd >= 0) {
        (void)shutdown(c->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&c->lock);
}

/* ---- opening --------------------------------------------------------------------------------- */

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static void set_options(MYSQL *db, const struct mysql_target *t)
{
    const my_bool yes = 1;
    const struct mysql_dsn *d = &t->dsn;
    (void)mysql_optionsv(db, MYSQL_OPT_NONBLOCK, 0);
    (void)mysql_optionsv(db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    (void)mysql_optionsv(db, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "tarn");
    if (d->ssl != MYSQL_SSL_OFF) {
        const my_bool verify = d->ssl == MYSQL_SSL_VERIFY;
        (void)mysql_ssl_set(db, or_null(d->ssl_key), or_null(d->ssl_cert), or_null(d->ssl_ca), NULL,
                            NULL);
        (void)mysql_optionsv(db, MYSQL_OPT_SSL_ENFORCE, &yes);
        (void)mysql_optionsv(db, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    }
}

static int64_t draw_end_us(struct mysql_conn *c)
{
    int64_t life_ms = c->target->options->max_lifetime_ms;
    if (life_ms == 0) {
        return INT64_MAX;
    }
    uint64_t spread_ms = rng_below(&c->rng, (uint64_t)life_ms * 2 / 5 + 1); /* give or take 20 % */
    return clock_now_us() + (life_ms * 4 / 5 + (int64_t)spread_ms) * 1000;
}

/* What poll() found, as the library wants to be told. */
static int wait_status(const struct pollfd *p)
{
    return ((p->revents & (POLLIN | POLLHUP | POLLERR)) != 0 ? MYSQL_WAIT_READ : 0) |
           ((p->revents & POLLOUT) != 0 ? MYSQL_WAIT_WRITE : 0) |
           ((p->revents & POLLPRI) != 0 ? MYSQL_WAIT_EXCEPT : 0);
}

/* Connecting is the one thing that no interrupt can end, as its socket is not known; so it is done
 * in steps, and the handshake has its deadline too. */
static bool connect_in_steps(struct mysql_conn *c, struct mysql_job *job, const char *user,
                             const char *password)
{
    const struct mysql_dsn *d = &c->target->dsn;
    int64_t end_us = clock_now_us() + c->target->options->connect_timeout_ms * 1000;
    MYSQL *db = NULL;
    int waits_for = mysql_real_connect_start(&db, c->db, or_null(d->host), or_null(user), password,
                                             or_null(d->dbname), d->port, or_null(d->socket), 0);
    while (waits_for != 0) {
        struct pollfd p = {.fd = (int)mysql_get_socket(c->db),
                           .events = (short)(((waits_for & MYSQL_WAIT_READ) != 0 ? POLLIN : 0) |
                                             ((waits_for & MYSQL_WAIT_WRITE) != 0 ? POLLOUT : 0) |
                                             ((waits_for & MYSQL_WAIT_EXCEPT) != 0 ? POLLPRI : 0))};
        bool is_over = clock_now_us() >= end_us || atomic_load(&job->base.is_cancelled);
        int ready = is_over ? 0 : poll(&p, 1, CONNECT_SLICE_MS);
        if (ready > 0 || is_over) {
            waits_for = mysql_real_connect_cont(&db, c->db,
                                                is_over ? MYSQL_WAIT_TIMEOUT : wait_status(&p));
        }
    }
    return db != NULL;
}

static bool log_in(struct mysql_conn *c, struct mysql_job *job)
{
    char user[SECRET_MAX], password[SECRET_MAX];
    struct errtext problem;
    const struct mysql_dsn *d = &c->target->dsn;
    if (!secret_read(user, c->target->options->user_file, &problem) ||
        !secret_read(password, c->target->options->password_file, &problem)) {
        fail(job, DRIVER_DOWN, "%s", problem.text);
        return false;
    }
    bool is_fine = connect_in_steps(c, job, user[0] != '\0' ? user : d->user,
                                    password[0] != '\0' ? password : d->password);
    explicit_bzero(password, sizeof(password));
    if (!is_fine) {
        note_db_error(c, job);
    } else if (d->ssl != MYSQL_SSL_OFF && mysql_get_ssl_cipher(c->db) == NULL) {
        fail(job, DRIVER_DOWN, "the server does not offer TLS"); /* the library goes on without */
        is_fine = false;
    }
    return is_fine;
}

static bool set_session(struct mysql_conn *c, struct mysql_job *job)
{
    for (size_t i = 0; i < ARRAY_LEN(session_sql); i++) {
        if (mysql_real_query(c->db, session_sql[i], strlen(session_sql[i])) != 0) {
            note_db_error(c, job);
            return false;
        }
    }
    return true;
}

bool mysql_conn_open(struct mysql_conn *c, struct mysql_job *job)
{
    c->db = mysql_init(NULL);
    if (c->db == NULL) {
        fail(job, DRIVER_BUSY, "out of memory");
        return false;
    }
    set_options(c->db, c->target);
    unsigned losses = atomic_load(&c->target->losses);
    bool is_fine = log_in(c, job);
    if (is_fine) {
        pthread_mutex_lock(&c->lock);
        c->fd = (int)mysql_get_socket(c->db);
        pthread_mutex_unlock(&c->lock);
        is_fine = set_session(c, job);
    }
    if (!is_fine) {
        mysql_conn_close(c);
        job->is_unreachable = true;
        job->is_lost = false;
        job->status = job->status == DRIVER_ERROR ? DRIVER_DOWN : job->status;
        return false;
    }
    c->is_mariadb = mariadb_connection(c->db) != 0;
    c->timeout_ms = 0;
    c->losses = losses;
    c->ends_us = draw_end_us(c);
    return true;
}

/* An idle connection has nothing to read; if it has, that is its end. */
static bool is_dead(const struct mysql_conn *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    return poll(&p, 1, 0) != 0;
}

static bool ensure_open(struct mysql_conn *c, struct mysql_job *job)
{
    int64_t now_us = clock_now_us();
    int64_t idle_ms = c->target->options->idle_timeout_ms;
    bool is_over = c->db != NULL && (now_us >= c->ends_us || is_dead(c) ||
                                     c->losses != atomic_load(&c->target->losses) ||
                                     (idle_ms > 0 && now_us - c->used_us >= idle_ms * 1000));
    if (is_over) {
        mysql_conn_close(c);
    }
    return c->db != NULL || mysql_conn_open(c, job);
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
        note_db_error(c, job);
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
        fail(job, DRIVER_BUSY, "out of memory");
        return NULL;
    }
    struct mysql_plan *plan = &c->plans[s->number];
    if (plan->stmt != NULL) {
        return plan->stmt;
    }
    MYSQL_STMT *stmt = mysql_stmt_init(c->db);
    if (stmt == NULL) {
        fail(job, DRIVER_BUSY, "out of memory");
        return NULL;
    }
    if (mysql_stmt_prepare(stmt, s->sql, strlen(s->sql)) != 0) {
        note_stmt_error(c, job, stmt);
        (void)mysql_stmt_close(stmt);
        return NULL;
    }
    if (!s->is_query || mysql_stmt_field_count(stmt) == 0) {
        fail(job, DRIVER_ERROR, "the statement is no query");
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

static bool execute(MYSQL_STMT *stmt, struct mysql_job *job)
{
    MYSQL_BIND binds[DRIVER_PARAMS_MAX];
    const struct mysql_statement *s = job->statement;
    memset(binds, 0, sizeof(binds));
    for (unsigned i = 0; i < s->places_count; i++) {
        struct driver_value *v = &job->params[s->places[i]];
        if (v->type == VALUE_INT) {
            binds[i].buffer_type = MYSQL_TYPE_LONGLONG;
            binds[i].buffer = &v->number;
        } else {
            binds[i].buffer_type = v->type == VALUE_BYTES ? MYSQL_TYPE_BLOB : MYSQL_TYPE_STRING;
            binds[i].buffer = (char *)job->bytes + (v->bytes.data - job->bytes);
            binds[i].buffer_length = v->bytes.len;
        }
    }
    return (s->places_count == 0 || mysql_stmt_bind_param(stmt, binds) == 0) &&
           mysql_stmt_execute(stmt) == 0;
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
        note_stmt_error(c, job, stmt);
    } else if (status != DRIVER_OK) {
        fail(job, status, status == DRIVER_TOO_BIG ? "a row above max-row" : "out of memory");
    } else if (!worker_reserve(c->pool, &job->base, job->rows->memory)) {
        fail(job, DRIVER_BUSY, "results take all memory they may");
        free(job->rows);
        job->rows = NULL;
    } else {
        job->status = DRIVER_OK;
    }
}

static void run_statement(struct mysql_conn *c, struct mysql_job *job)
{
    MYSQL_STMT *stmt = prepare(c, job);
    if (stmt == NULL || job->task == DRIVER_CHECK) {
        if (stmt != NULL) {
            take_rows(c, job, stmt);
        }
        return;
    }
    if (!execute(stmt, job)) {
        if (!is_outdated(stmt)) {
            note_stmt_error(c, job, stmt);
            return;
        }
        forget_plan(c, job->statement->number); /* once more, and the caller does not notice */
        stmt = prepare(c, job);
        if (stmt == NULL) {
            return;
        }
        if (!execute(stmt, job)) {
            note_stmt_error(c, job, stmt);
            return;
        }
    }
    take_rows(c, job, stmt);
    (void)mysql_stmt_free_result(stmt); /* reads what is left of the rows */
}

static void ping(struct mysql_conn *c, struct mysql_job *job)
{
    if (mysql_ping(c->db) != 0) {
        note_db_error(c, job);
        return;
    }
    job->status = DRIVER_OK;
}

void mysql_conn_run(void *conn, struct worker_job *base)
{
    struct mysql_conn *c = conn;
    struct mysql_job *job = container_of(base, struct mysql_job, base);
    if (must_end(job)) {
        fail(job, DRIVER_TIMEOUT, "no connection was free in time");
        return;
    }
    if (job->is_refused && c->db == NULL) {
        fail(job, DRIVER_DOWN, "the server is out of reach");
        return;
    }
    job->is_refused = false;
    if (!ensure_open(c, job) || !set_timeout(c, job)) {
        /* said why */
    } else if (job->task == DRIVER_PING) {
        ping(c, job);
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
