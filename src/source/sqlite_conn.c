/*
 * What a helper thread does with SQLite: open the file read-only, prepare statements once per
 * connection, run them within their deadline, copy rows out.
 *
 *  - A file that is missing is not created; the next load tries again.
 *  - A file that was replaced, or that turns out to be broken, closes the connection; the next load
 *    opens it anew.
 *  - A lock held by a writer is waited for within the deadline, in small steps, so that a cancelled
 *    load ends soon.
 *  - Only reading is allowed: one statement, on a read-only connection, without PRAGMA, ATTACH and
 *    the like. Extensions cannot be loaded, and the schema is not trusted.
 */
#include "sqlite_conn.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <sqlite3.h>

#include "sqlite_write.h"
#include "tarn/base/clock.h"
#include "tarn/base/num.h"

#define PROGRESS_STEPS   1000 /* virtual machine steps between looks at the clock: some 10 us */
#define LOCK_WAIT_MAX_US 8000 /* between two tries for a lock */
#define NUMBER_CHARS     64
#define REAL_DIGITS_MIN  15
#define REAL_DIGITS_MAX  17          /* enough for any double */
#define LENGTH_MIN       (64 * 1024) /* SQLite's own texts (the schema) have to fit too */

/* ---- time ------------------------------------------------------------------------------------ */

static bool must_end(const struct sqlite_job *job)
{
    return atomic_load(&job->base.is_cancelled) || clock_now_us() >= job->deadline_us;
}

/* SQLite asks now and then whether to go on. */
int sqlite_on_progress(void *ctx)
{
    struct sqlite_conn *c = ctx;
    return c->job != NULL && must_end(c->job);
}

/* SQLite asks whether to try again for a lock. */
int sqlite_on_locked(void *ctx, int tries)
{
    struct sqlite_conn *c = ctx;
    if (c->job == NULL || must_end(c->job)) {
        return 0;
    }
    int64_t left_us = c->job->deadline_us - clock_now_us();
    int64_t wait_us = tries < 3 ? INT64_C(1000) << tries : LOCK_WAIT_MAX_US;
    wait_us = wait_us < left_us ? wait_us : left_us;
    if (wait_us > 0) {
        struct timespec pause = {.tv_nsec = wait_us * 1000};
        nanosleep(&pause, NULL);
    }
    return 1;
}

void sqlite_conn_interrupt(void *conn)
{
    struct sqlite_conn *c = conn;
    pthread_mutex_lock(&c->lock);
    if (c->db != NULL) {
        sqlite3_interrupt(c->db);
    }
    pthread_mutex_unlock(&c->lock);
}

/* ---- failures -------------------------------------------------------------------------------- */

static enum driver_status status_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_INTERRUPT:
        return DRIVER_TIMEOUT;
    case SQLITE_TOOBIG:
        return DRIVER_TOO_BIG;
    case SQLITE_NOMEM:
        return DRIVER_BUSY;
    case SQLITE_CANTOPEN:
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_IOERR:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_PROTOCOL:
    case SQLITE_FULL:
        return DRIVER_DOWN;
    default:
        return DRIVER_ERROR;
    }
}

void sqlite_job_fail(struct sqlite_job *job, enum driver_status status, const char *detail)
{
    job->status = status;
    (void)snprintf(job->detail, sizeof(job->detail), "%s", detail);
}

static void fail_code(struct sqlite_conn *c, int code)
{
    const char *text = c->db != NULL ? sqlite3_errmsg(c->db) : sqlite3_errstr(code);
    c->job->status = status_of(code);
    (void)snprintf(c->job->detail, sizeof(c->job->detail), "sqlite %d: %s", code, text);
}

/* ---- the connection -------------------------------------------------------------------------- */

static void close_conn(struct sqlite_conn *c)
{
    for (size_t i = 0; i < c->statements_count; i++) {
        sqlite3_finalize(c->statements[i]);
        c->statements[i] = NULL;
    }
    pthread_mutex_lock(&c->lock);
    sqlite3 *db = c->db;
    c->db = NULL;
    pthread_mutex_unlock(&c->lock);
    sqlite3_close(db);
}

/* Writing is refused by the read-only connection and by sqlite3_stmt_readonly(); this refuses what
 * reads, but is no query. (Asking for SELECT only would refuse table-valued functions too: SQLite
 * declares them like tables.) */
static int authorize(void *ctx, int action, const char *a, const char *b, const char *database,
                     const char *trigger)
{
    (void)ctx;
    (void)a;
    (void)b;
    (void)database;
    (void)trigger;
    static const int refused[] = {SQLITE_PRAGMA, SQLITE_ATTACH, SQLITE_DETACH, SQLITE_TRANSACTION,
                                  SQLITE_SAVEPOINT};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (action == refused[i]) {
            return SQLITE_DENY;
        }
    }
    return SQLITE_OK;
}

static void configure(struct sqlite_conn *c, sqlite3 *db)
{
    sqlite3_extended_result_codes(db, 1);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_progress_handler(db, PROGRESS_STEPS, sqlite_on_progress, c);
    sqlite3_busy_handler(db, sqlite_on_locked, c);
    sqlite3_set_authorizer(db, authorize, NULL);
}

static bool open_conn(struct sqlite_conn *c)
{
    int was_moved = 0;
    if (c->db != NULL &&
        sqlite3_file_control(c->db, "main", SQLITE_FCNTL_HAS_MOVED, &was_moved) == SQLITE_OK &&
        was_moved) {
        close_conn(c); /* another file has this name now */
    }
    if (c->db != NULL) {
        return true;
    }
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
    int code = sqlite3_open_v2(c->path, &db, flags, NULL);
    if (code != SQLITE_OK) {
        sqlite3_close(db);
        fail_code(c, code);
        return false;
    }
    configure(c, db);
    pthread_mutex_lock(&c->lock);
    c->db = db;
    pthread_mutex_unlock(&c->lock);
    return true;
}

/* ---- statements ------------------------------------------------------------------------------ */

/* Is there anything but blanks and comments behind the first statement? */
static bool has_second_statement(sqlite3 *db, const char *tail)
{
    while (tail != NULL && *tail != '\0') {
        sqlite3_stmt *second = NULL;
        int code = sqlite3_prepare_v2(db, tail, -1, &second, &tail);
        sqlite3_finalize(second);
        if (code != SQLITE_OK || second != NULL) {
            return true;
        }
    }
    return false;
}

/* What is wrong with a statement that SQLite accepted; NULL: nothing. */
static const char *refuse_statement(sqlite3 *db, sqlite3_stmt *stmt, const char *tail,
                                    const struct sqlite_statement *statement)
{
    if (stmt == NULL) {
        return "the query is empty";
    }
    if (has_second_statement(db, tail)) {
        return "the query is more than one statement";
    }
    if (!sqlite3_stmt_readonly(stmt) || sqlite3_column_count(stmt) == 0) {
        return "the query does not only read";
    }
    if (sqlite3_bind_parameter_count(stmt) != (int)statement->params_count) {
        return "the query has parameters that are not in the pattern";
    }
    return NULL;
}

static bool make_place(struct sqlite_conn *c, unsigned id)
{
    if (id < c->statements_count) {
        return true;
    }
    size_t count = (size_t)id + 1;
    sqlite3_stmt **statements = realloc(c->statements, count * sizeof(*statements));
    if (statements == NULL) {
        sqlite_job_fail(c->job, DRIVER_BUSY, "out of memory");
        return false;
    }
    memset(statements + c->statements_count, 0,
           (count - c->statements_count) * sizeof(*statements));
    c->statements = statements;
    c->statements_count = count;
    return true;
}

static sqlite3_stmt *prepare(struct sqlite_conn *c, const struct sqlite_statement *statement)
{
    if (!make_place(c, statement->id)) {
        return NULL;
    }
    sqlite3_stmt *stmt = c->statements[statement->id];
    if (stmt != NULL) {
        return stmt;
    }
    const char *tail = NULL;
    int code = sqlite3_prepare_v3(c->db, statement->sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt,
                                  &tail);
    if (code != SQLITE_OK) {
        fail_code(c, code);
        return NULL;
    }
    const char *problem = refuse_statement(c->db, stmt, tail, statement);
    if (problem != NULL) {
        sqlite3_finalize(stmt);
        sqlite_job_fail(c->job, DRIVER_ERROR, problem);
        return NULL;
    }
    c->statements[statement->id] = stmt;
    return stmt;
}

static int bind_value(sqlite3_stmt *stmt, int at, const struct driver_value *v)
{
    int len = (int)v->bytes.len; /* bounded by max-param */
    switch (v->type) {
    case VALUE_INT:
        return sqlite3_bind_int64(stmt, at, v->number);
    case VALUE_TEXT:
        return sqlite3_bind_text(stmt, at, v->bytes.data, len, SQLITE_STATIC);
    case VALUE_BYTES:
        return sqlite3_bind_blob(stmt, at, v->bytes.data, len, SQLITE_STATIC);
    case VALUE_NULL:
        return sqlite3_bind_null(stmt, at);
    }
    return SQLITE_MISUSE;
}

int sqlite_bind_params(sqlite3_stmt *stmt, const struct sqlite_job *job)
{
    int code = SQLITE_OK;
    for (unsigned i = 0; i < job->params_count && code == SQLITE_OK; i++) {
        code = bind_value(stmt, (int)i + 1, &job->params[i]);
    }
    return code;
}

/* ---- rows ------------------------------------------------------------------------------------ */

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

/* Runs a bound statement: rows_max rows are copied at most, one more only noticed. */
static void run(struct sqlite_conn *c, sqlite3_stmt *stmt)
{
    struct sqlite_job *job = c->job;
    struct rows_builder b = {0};
    unsigned count = 0;
    int code = sqlite3_step(stmt);
    if ((code != SQLITE_ROW && code != SQLITE_DONE) || !sqlite_begin_rows(c, &b, stmt)) {
        if (job->status == DRIVER_OK) {
            fail_code(c, code);
        }
        return;
    }
    while (code == SQLITE_ROW && count < job->rows_max) {
        if (!sqlite_copy_row(c, &b, stmt)) {
            rows_abandon(&b);
            return;
        }
        count++;
        code = count < job->rows_max || job->wants_more ? sqlite3_step(stmt) : SQLITE_DONE;
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        fail_code(c, code);
        rows_abandon(&b);
        return;
    }
    sqlite_finish_rows(job, &b, code == SQLITE_ROW);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static void load(struct sqlite_conn *c)
{
    struct sqlite_job *job = c->job;
    sqlite3_stmt *stmt = prepare(c, job->statement);
    if (stmt == NULL) {
        return;
    }
    int length_max = job->row_bytes_max < LENGTH_MIN ? LENGTH_MIN : (int)job->row_bytes_max;
    int before = sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, length_max);
    int code = sqlite_bind_params(stmt, job);
    if (code == SQLITE_OK) {
        run(c, stmt);
    } else {
        fail_code(c, code);
    }
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt); /* they point into the job */
    sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, before);
    if (job->status == DRIVER_ERROR) { /* perhaps the schema changed: prepare again next time */
        sqlite3_finalize(stmt);
        c->statements[job->statement->id] = NULL;
    }
}

static void check(struct sqlite_conn *c)
{
    struct rows_builder b = {0};
    sqlite3_stmt *stmt = prepare(c, c->job->statement);
    if (stmt != NULL && sqlite_begin_rows(c, &b, stmt)) {
        sqlite_finish_rows(c->job, &b, false);
    }
}

/* Reads the file's first page, which an empty or foreign file does not survive. */
static void ping(struct sqlite_conn *c)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(c->db, "SELECT count(*) FROM sqlite_schema", -1, &stmt, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(stmt);
    }
    if (code != SQLITE_ROW) {
        fail_code(c, code);
    }
    sqlite3_finalize(stmt);
}

void sqlite_conn_run(void *conn, struct worker_job *base)
{
    struct sqlite_conn *c = conn;
    struct sqlite_job *job = container_of(base, struct sqlite_job, base);
    assert(c->job == NULL);
    c->job = job;
    job->status = DRIVER_OK;
    if (must_end(job)) {
        sqlite_job_fail(job, DRIVER_TIMEOUT, "its time was up before it began");
    } else if (job->task == DRIVER_WRITE) {
        sqlite_write_run(c);
    } else if (open_conn(c)) {
        switch (job->task) {
        case DRIVER_LOAD:
            load(c);
            break;
        case DRIVER_CHECK:
            check(c);
            break;
        case DRIVER_PING:
            ping(c);
            break;
        case DRIVER_WRITE:
            break; /* not through this connection: see below */
        }
    }
    if (job->status == DRIVER_DOWN && job->task != DRIVER_WRITE) {
        close_conn(c);
    }
    c->job = NULL;
}

void sqlite_conn_init(struct sqlite_conn *c, const char *path)
{
    *c = (struct sqlite_conn){.path = path};
    pthread_mutex_init(&c->lock, NULL);
}

void sqlite_conn_fini(struct sqlite_conn *c)
{
    close_conn(c);
    sqlite3_close(c->writer);
    free(c->statements);
    pthread_mutex_destroy(&c->lock);
}
