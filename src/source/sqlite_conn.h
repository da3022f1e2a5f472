/*
 * One read-only connection to an SQLite file, used by one helper thread.
 */
#ifndef TARN_SOURCE_SQLITE_CONN_H
#define TARN_SOURCE_SQLITE_CONN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/source/driver.h"
#include "worker.h"

#define SQLITE_DETAIL_MAX 256

struct sqlite3;
struct sqlite3_stmt;

/* Of the upstream; never changed after it was made. */
struct sqlite_statement {
    char *sql; /* owned, NUL-terminated */
    unsigned id, params_count;
};

struct sqlite_job {
    struct worker_job base;
    enum driver_task task;
    const struct sqlite_statement *statement; /* borrowed; NULL for a ping */
    int64_t deadline_us;                      /* clock_now_us() */
    size_t row_bytes_max;
    unsigned rows_max;
    bool wants_more;
    unsigned params_count;
    struct driver_value params[DRIVER_PARAMS_MAX]; /* views into `bytes` */
    /* The answer: */
    enum driver_status status;
    struct rows *rows; /* owned */
    int64_t changed;   /* by a write */
    bool is_unknown;   /* of a write that failed: whether it did */
    char detail[SQLITE_DETAIL_MAX];
    char bytes[];
};

struct sqlite_conn {
    const char *path;         /* borrowed */
    struct worker_pool *pool; /* borrowed; set once the pool exists */
    pthread_mutex_t lock;     /* guards `db` against an interrupt while it is opened or closed */
    struct sqlite3 *db;       /* owned; NULL: closed */
    struct sqlite3 *writer;   /* owned; NULL until the first write, which is why it can write */
    struct sqlite3_stmt **statements; /* owned; by number, NULL: not prepared */
    size_t statements_count;
    struct sqlite_job *job; /* under way */
};

void sqlite_conn_init(struct sqlite_conn *c, const char *path);
void sqlite_conn_fini(struct sqlite_conn *c);

/* The thread's work: does the job and writes the answer into it. Never fails otherwise. */
void sqlite_conn_run(void *conn, struct worker_job *job);

/* For sqlite_write.c: pieces of a load that a write shares. */
void sqlite_job_fail(struct sqlite_job *job, enum driver_status status, const char *detail);
int sqlite_bind_params(struct sqlite3_stmt *stmt, const struct sqlite_job *job);
bool sqlite_begin_rows(struct sqlite_conn *c, struct rows_builder *b, struct sqlite3_stmt *stmt);
bool sqlite_copy_row(struct sqlite_conn *c, struct rows_builder *b, struct sqlite3_stmt *stmt);
void sqlite_finish_rows(struct sqlite_job *job, struct rows_builder *b, bool has_more);
int sqlite_on_progress(void *conn);
int sqlite_on_locked(void *conn, int tries);

/* From any thread: what the connection is doing ends soon with SQLITE_INTERRUPT. */
void sqlite_conn_interrupt(void *conn);

#endif
