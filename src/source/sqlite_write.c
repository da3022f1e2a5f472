/*
 * The connection that reads cannot write. A write opens another one for this thread, which stays
 * open, and runs its statement there in a transaction of its own. The statement either happened or
 * did not: SQLite says which, except when the file breaks while it commits.
 */
#include "sqlite_write.h"

#include <stdio.h>

#include <sqlite3.h>

#include "sqlite_conn.h"

static void fail_code(struct sqlite_conn *c, enum driver_status status, int code)
{
    c->job->status = status;
    (void)snprintf(c->job->detail, sizeof(c->job->detail), "sqlite %d: %s", code,
                   c->writer != NULL ? sqlite3_errmsg(c->writer) : sqlite3_errstr(code));
}

static bool open_writer(struct sqlite_conn *c)
{
    int was_moved = 0;
    if (c->writer != NULL &&
        sqlite3_file_control(c->writer, "main", SQLITE_FCNTL_HAS_MOVED, &was_moved) == SQLITE_OK &&
        was_moved != 0) {
        sqlite3_close(c->writer);
        c->writer = NULL;
    }
    if (c->writer != NULL) {
        return true;
    }
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
    const int code = sqlite3_open_v2(c->path, &c->writer, flags, NULL);
    if (code != SQLITE_OK) {
        fail_code(c, DRIVER_DOWN, code);
        sqlite3_close(c->writer);
        c->writer = NULL;
        return false;
    }
    sqlite3_extended_result_codes(c->writer, 1);
    sqlite3_db_config(c->writer, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(c->writer, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_progress_handler(c->writer, 1000, sqlite_on_progress, c);
    sqlite3_busy_handler(c->writer, sqlite_on_locked, c);
    return true;
}

/* Why a statement did not end as it should. One that was interrupted, or did not get its lock, was
 * rolled back. */
static enum driver_status status_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_INTERRUPT:
        return DRIVER_TIMEOUT;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
        return DRIVER_DOWN;
    default:
        return DRIVER_ERROR;
    }
}

/* The first row that the statement returns, if it does. Without memory for it there is none: the
 * statement happens all the same. */
static int run(struct sqlite_conn *c, sqlite3_stmt *stmt)
{
    struct rows_builder b = {0};
    int code = sqlite3_step(stmt);
    if (code != SQLITE_ROW) {
        return code;
    }
    const bool has_row = sqlite_begin_rows(c, &b, stmt) && sqlite_copy_row(c, &b, stmt);
    code = sqlite3_step(stmt);
    if (has_row) {
        sqlite_finish_rows(c->job, &b, code == SQLITE_ROW);
    } else {
        rows_abandon(&b);
    }
    c->job->status = DRIVER_OK;
    while (code == SQLITE_ROW) {
        code = sqlite3_step(stmt);
    }
    return code;
}

void sqlite_write_run(struct sqlite_conn *c)
{
    struct sqlite_job *job = c->job;
    sqlite3_stmt *stmt = NULL;
    if (!open_writer(c)) {
        return;
    }
    int code = sqlite3_prepare_v2(c->writer, job->statement->sql, -1, &stmt, NULL);
    if (code == SQLITE_OK && stmt != NULL) {
        code = sqlite_bind_params(stmt, job);
    }
    if (code != SQLITE_OK || stmt == NULL) {
        fail_code(c, DRIVER_ERROR, code);
        sqlite3_finalize(stmt);
        return;
    }
    code = run(c, stmt);
    job->changed = sqlite3_changes(c->writer);
    if (code != SQLITE_DONE) {
        fail_code(c, status_of(code), code);
        job->is_unknown = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CORRUPT;
    }
    sqlite3_finalize(stmt);
}
