/*
 * The session only reads; a write is the exception, a transaction that says READ WRITE around its one
 * statement. It ends with COMMIT or with ROLLBACK, or its connection ends: nothing else is ever run
 * inside of it.
 *
 * Whether it happened: the server that answers to ROLLBACK has undone it. One that answers to neither
 * COMMIT nor ROLLBACK leaves the outcome unknown; it is not asked again. All this is only as true as
 * the table's engine has transactions.
 */
#include "mysql_write.h"

#include <stdlib.h>
#include <string.h>

#include <mysql.h>

#include "mysql_conn.h"
#include "mysql_rows.h"

static bool run_text(struct mysql_conn *c, const char *sql)
{
    return mysql_real_query(c->db, sql, (unsigned long)strlen(sql)) == 0;
}

/* The row that RETURNING gives, if there is room for it: the statement happens all the same. */
static bool take_row(struct mysql_conn *c, struct mysql_job *job, MYSQL_STMT *stmt)
{
    const enum driver_status status = mysql_rows_fetch(stmt, job->row_bytes_max, 1, &job->rows);
    if (status == DRIVER_ERROR) {
        mysql_note_stmt_error(c, job, stmt);
        return false;
    }
    job->changed = status != DRIVER_OK || job->rows->count > 0;
    if (status == DRIVER_OK && !worker_reserve(c->pool, &job->base, job->rows->memory)) {
        free(job->rows);
        job->rows = NULL;
    }
    return true;
}

/* A procedure has more results than one. */
static bool take_results(struct mysql_conn *c, struct mysql_job *job, MYSQL_STMT *stmt)
{
    if (mysql_stmt_field_count(stmt) > 0) {
        if (!take_row(c, job, stmt)) {
            return false;
        }
    } else {
        job->changed = (int64_t)mysql_stmt_affected_rows(stmt);
    }
    bool is_fine = mysql_stmt_free_result(stmt) == 0;
    while (is_fine && mysql_stmt_more_results(stmt)) {
        is_fine = mysql_stmt_next_result(stmt) <= 0 && mysql_stmt_free_result(stmt) == 0;
    }
    if (!is_fine) {
        mysql_note_stmt_error(c, job, stmt);
    }
    return is_fine;
}

static bool commit(struct mysql_conn *c, struct mysql_job *job)
{
    if (mysql_job_must_end(job)) {
        mysql_job_fail(job, DRIVER_TIMEOUT, "its time was up before it was committed");
        return false;
    }
    if (!run_text(c, "COMMIT")) {
        mysql_note_db_error(c, job);
        return false;
    }
    return true;
}

void mysql_write_run(struct mysql_conn *c, struct mysql_job *job)
{
    if (!run_text(c, "START TRANSACTION READ WRITE")) {
        mysql_note_db_error(c, job);
        return;
    }
    MYSQL_STMT *stmt = mysql_conn_execute(c, job);
    if (stmt != NULL && take_results(c, job, stmt) && commit(c, job)) {
        job->status = DRIVER_OK;
        return;
    }
    free(job->rows);
    job->rows = NULL;
    if (!run_text(c, "ROLLBACK")) {
        job->is_unknown = true;
        mysql_conn_close(c);
    }
}
