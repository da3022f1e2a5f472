/*
 * How a connection to MySQL comes to be and how it ends.
 *
 *  - The session only reads (SET SESSION TRANSACTION READ ONLY), in UTC and UTF-8, and each query
 *    what is committed by then, whatever the server's autocommit is. Backslashes in literals are no
 *    escapes, so that literals end where the configuration's lexer thinks they do.
 *    A value that does not fit its column is an error, never cut to size.
 *  - A row that a write sets to what it was counts as touched (CLIENT_FOUND_ROWS).
 *  - A connection that died while nobody used it is found out before it is used: its socket is
 *    readable.
 */
#include "mysql_conn.h"

#include <poll.h>
#include <string.h>

#include <mysql.h>
#include <sys/socket.h>

#include "secret.h"
#include "tarn/base/clock.h"

#define CONNECT_SLICE_MS 20 /* between looks at whether it was cancelled */

static const char *const session_sql[] = {
    "SET SESSION TRANSACTION READ ONLY",
    "SET autocommit = 1, time_zone = '+00:00', "
    "sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES')",
};

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
                                             or_null(d->dbname), d->port, or_null(d->socket),
                                             CLIENT_FOUND_ROWS);
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
        mysql_job_fail(job, DRIVER_DOWN, "%s", problem.text);
        return false;
    }
    bool is_fine = connect_in_steps(c, job, user[0] != '\0' ? user : d->user,
                                    password[0] != '\0' ? password : d->password);
    explicit_bzero(password, sizeof(password));
    if (!is_fine) {
        mysql_note_db_error(c, job);
    } else if (d->ssl != MYSQL_SSL_OFF && mysql_get_ssl_cipher(c->db) == NULL) {
        /* The library goes on without. */
        mysql_job_fail(job, DRIVER_DOWN, "the server does not offer TLS");
        is_fine = false;
    }
    return is_fine;
}

static bool set_session(struct mysql_conn *c, struct mysql_job *job)
{
    for (size_t i = 0; i < ARRAY_LEN(session_sql); i++) {
        if (mysql_real_query(c->db, session_sql[i], strlen(session_sql[i])) != 0) {
            mysql_note_db_error(c, job);
            return false;
        }
    }
    return true;
}

bool mysql_conn_open(struct mysql_conn *c, struct mysql_job *job)
{
    c->db = mysql_init(NULL);
    if (c->db == NULL) {
        mysql_job_fail(job, DRIVER_BUSY, "out of memory");
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

bool mysql_conn_ensure_open(struct mysql_conn *c, struct mysql_job *job)
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
