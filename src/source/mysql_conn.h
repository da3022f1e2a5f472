/*
 * One connection to a MySQL or MariaDB server, used by one helper thread.
 */
#ifndef TARN_SOURCE_MYSQL_CONN_H
#define TARN_SOURCE_MYSQL_CONN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mysql_dsn.h"
#include "mysql_statement.h"
#include "tarn/base/compiler.h"
#include "tarn/base/hash.h"
#include "tarn/source/driver.h"
#include "worker.h"

#define MYSQL_DETAIL_MAX 256

struct st_mysql;
struct st_mysql_stmt;

struct mysql_job {
    struct worker_job base;
    enum driver_task task;
    const struct mysql_statement *statement; /* borrowed; NULL for a ping */
    int64_t deadline_us;                     /* clock_now_us() */
    size_t row_bytes_max;
    unsigned rows_max;
    bool is_probe;   /* the driver's own: no request belongs to it */
    bool is_refused; /* the server is known to be out of reach */
    unsigned params_count;
    struct driver_value *params; /* behind the job, and views into bytes behind them */
    /* The answer: */
    enum driver_status status;
    bool is_unreachable, is_auth; /* no connection could be made */
    bool is_lost;                 /* as in struct driver_result */
    struct rows *rows;            /* owned */
    int64_t changed;              /* by a write */
    bool is_unknown;              /* of a write that failed: whether it did */
    char detail[MYSQL_DETAIL_MAX];
};

/* What all connections of an upstream share. */
struct mysql_target {
    struct mysql_dsn dsn;
    const struct driver_options *options; /* borrowed */
    atomic_uint losses;                   /* connections that broke */
};

/* A prepared statement. */
struct mysql_plan {
    struct st_mysql_stmt *stmt; /* owned; NULL: not prepared */
};

struct mysql_conn {
    struct mysql_target *target; /* borrowed */
    struct worker_pool *pool;    /* borrowed; set once the pool exists */
    pthread_mutex_t lock;        /* guards `fd` against an interrupt while it is closed */
    int fd;                      /* -1: not connected */
    struct st_mysql *db;         /* owned; NULL: closed */
    struct mysql_plan *plans;    /* owned; by statement */
    size_t plans_count;
    int64_t timeout_ms; /* the session's; 0: not set yet */
    int64_t ends_us;    /* when the connection is to be replaced */
    int64_t used_us;    /* when it was used last */
    unsigned losses;    /* the target's when it was opened */
    bool is_mariadb;
    struct rng rng;
};

void mysql_conn_init(struct mysql_conn *c, struct mysql_target *target);
void mysql_conn_fini(struct mysql_conn *c);

/* Connects and makes the session what it has to be. False: the job says why. */
bool mysql_conn_open(struct mysql_conn *c, struct mysql_job *job);
void mysql_conn_close(struct mysql_conn *c);

/* The thread's work: does the job and writes the answer into it. Never fails otherwise. */
void mysql_conn_run(void *conn, struct worker_job *job);

/* For mysql_open.c and mysql_write.c: pieces of a load. Those that fail note why in the job. */
bool mysql_conn_ensure_open(struct mysql_conn *c, struct mysql_job *job);
/* NULL: the statement did not run, or failed. */
struct st_mysql_stmt *mysql_conn_execute(struct mysql_conn *c, struct mysql_job *job);
bool mysql_job_must_end(const struct mysql_job *job);
void mysql_job_fail(struct mysql_job *job, enum driver_status status, const char *format, ...)
    PRINTF_LIKE(3, 4);
void mysql_note_db_error(struct mysql_conn *c, struct mysql_job *job);
void mysql_note_stmt_error(struct mysql_conn *c, struct mysql_job *job, struct st_mysql_stmt *stmt);

/* From any thread: what the connection is doing ends soon, and the connection with it. */
void mysql_conn_interrupt(void *conn);

#endif
