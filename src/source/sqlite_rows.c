/*
 * From SQLite's values to struct rows. Values have types, columns only declare some: BOOLEAN and JSON
 * are what a column says it is, all else is what the value is. Room is reserved before anything is
 * copied.
 */
#include "sqlite_conn.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <sqlite3.h>

#include "tarn/base/num.h"

#define NUMBER_CHARS    64
#define REAL_DIGITS_MIN 15
#define REAL_DIGITS_MAX 17 /* enough for any double */

static bool is_declared(sqlite3_stmt *stmt, int column, const char *type)
{
    const char *declared = sqlite3_column_decltype(stmt, column);
    return declared != NULL && strcasecmp(declared, type) == 0;
}

static void add_integer(struct rows_builder *b, sqlite3_stmt *stmt, int column)
{
    char text[NUM_I64_CHARS];
    int64_t value = sqlite3_column_int64(stmt, column);
    bool is_bool = (value == 0 || value == 1) &&
                   (is_declared(stmt, column, "BOOLEAN") || is_declared(stmt, column, "BOOL"));
    rows_add(b, is_bool ? CELL_BOOL : CELL_INT, strview_of(text, num_format_i64(text, value)));
}

/* As few digits as read back to the same number; whole numbers keep a ".0", as SQLite shows them.
 * (SQLite's own conversion is not exact.) */
static void add_real(struct rows_builder *b, sqlite3_stmt *stmt, int column)
{
    char text[NUMBER_CHARS];
    double value = sqlite3_column_double(stmt, column); /* never NaN: SQLite makes that NULL */
    bool is_exact = false;
    int len = 0;
    for (int digits = REAL_DIGITS_MIN; digits <= REAL_DIGITS_MAX && !is_exact; digits++) {
        double back;
        len = snprintf(text, sizeof(text) - 2, "%.*g", digits, value);
        is_exact = num_parse_double(strview_of(text, (size_t)len), &back) && back == value;
    }
    if (strspn(text, "-0123456789") == (size_t)len) {
        memcpy(text + len, ".0", 2);
        len += 2;
    }
    rows_add(b, CELL_REAL, strview_of(text, (size_t)len));
}

static void add_cell(struct rows_builder *b, sqlite3_stmt *stmt, int column)
{
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        add_integer(b, stmt, column);
        break;
    case SQLITE_FLOAT:
        add_real(b, stmt, column);
        break;
    case SQLITE_TEXT: {
        const unsigned char *text = sqlite3_column_text(stmt, column);
        size_t len = (size_t)sqlite3_column_bytes(stmt, column);
        rows_add(b, is_declared(stmt, column, "JSON") ? CELL_JSON : CELL_TEXT,
                 strview_of(text, len));
        break;
    }
    case SQLITE_BLOB: {
        const void *bytes = sqlite3_column_blob(stmt, column);
        size_t len = (size_t)sqlite3_column_bytes(stmt, column);
        rows_add(b, CELL_BYTES, strview_of(bytes, len));
        break;
    }
    default:
        rows_add(b, CELL_NULL, strview_of("", 0));
        break;
    }
}

static size_t row_bytes(sqlite3_stmt *stmt)
{
    size_t bytes = 0;
    int columns = sqlite3_column_count(stmt);
    for (int i = 0; i < columns; i++) {
        int type = sqlite3_column_type(stmt, i);
        bool is_bytes = type == SQLITE_TEXT || type == SQLITE_BLOB;
        bytes += is_bytes ? (size_t)sqlite3_column_bytes(stmt, i) : NUM_I64_CHARS;
    }
    return bytes; /* columns are at most 32767, each below 2 GiB */
}

bool sqlite_begin_rows(struct sqlite_conn *c, struct rows_builder *b, sqlite3_stmt *stmt)
{
    int columns = sqlite3_column_count(stmt);
    size_t names = 0;
    for (int i = 0; i < columns; i++) {
        const char *name = sqlite3_column_name(stmt, i);
        names += name != NULL ? strlen(name) : 0;
    }
    size_t table = (size_t)columns * 2 * sizeof(struct cell);
    if (!worker_reserve(c->pool, &c->job->base, names + table)) {
        sqlite_job_fail(c->job, DRIVER_BUSY, "inflight-memory is reached");
        return false;
    }
    rows_begin(b, (unsigned)columns);
    for (int i = 0; i < columns; i++) {
        const char *name = sqlite3_column_name(stmt, i);
        rows_add(b, CELL_TEXT, strview_str(name != NULL ? name : ""));
    }
    return true;
}

bool sqlite_copy_row(struct sqlite_conn *c, struct rows_builder *b, sqlite3_stmt *stmt)
{
    size_t bytes = row_bytes(stmt);
    if (bytes > c->job->row_bytes_max) {
        sqlite_job_fail(c->job, DRIVER_TOO_BIG, "the row is larger than max-row");
        return false;
    }
    if (!worker_reserve(c->pool, &c->job->base, bytes)) {
        sqlite_job_fail(c->job, DRIVER_BUSY, "inflight-memory is reached");
        return false;
    }
    for (int i = 0; i < (int)b->columns; i++) {
        add_cell(b, stmt, i);
    }
    return true;
}

void sqlite_finish_rows(struct sqlite_job *job, struct rows_builder *b, bool has_more)
{
    job->rows = rows_finish(b, has_more);
    if (job->rows == NULL) {
        sqlite_job_fail(job, DRIVER_BUSY, "out of memory for the row");
    }
}
