/*
 * SQLite tells nobody about commits of others, but it answers cheaply whether there were any:
 * PRAGMA data_version changes when another connection has committed. A timer has a helper thread
 * ask that some fifty times a second on a connection of its own; when the answer is new it reads
 * what was added to the changelog. Commits are one after the other, so whoever has read up to a
 * number has missed nothing below it.
 *
 * The first answer on a connection says that the feed is up; a failure closes the connection and
 * says that it is down. Numbers that are gone (the table was emptied, or trimmed further than this
 * feed had read) mean that anything may have changed; sqlite_sequence knows how far they went,
 * which is why the table has to be AUTOINCREMENT.
 */
#include "sqlite_feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>
#include <sqlite3.h>

#include "driver_support.h"
#include "tarn/base/log.h"
#include "worker.h"

#define POLL_S      0.02
#define POLL_DOWN_S 0.5
#define CHANGES_MAX 10000 /* between two looks; more is "anything" */
#define BUSY_MS     100

struct feed_job {
    struct worker_job base;
    bool is_up;        /* it was asked, and answered */
    bool is_first;     /* on this connection */
    bool is_all;       /* anything may have changed */
    struct buf notice; /* the keys, a line each */
};

struct sqlite_feed {
    const struct upstream_config *config; /* borrowed */
    const char *path;                     /* borrowed */
    ev_timer timer;
    struct worker_pool *pool;
    void *state;
    bool is_asking; /* a job is under way */
    bool is_up, was_told_down;
    /* The thread's own: */
    sqlite3 *db;
    sqlite3_stmt *version, *changes, *ends;
    int64_t seen_version, seen_change;
    struct buf select, select_ends;
};

/* ---- the thread ------------------------------------------------------------------------------ */

static void close_db(struct sqlite_feed *f)
{
    sqlite3_finalize(f->version);
    sqlite3_finalize(f->changes);
    sqlite3_finalize(f->ends);
    sqlite3_close(f->db);
    f->version = f->changes = f->ends = NULL;
    f->db = NULL;
}

static bool prepare(sqlite3 *db, struct strview sql, sqlite3_stmt **out)
{
    return sqlite3_prepare_v2(db, sql.data, (int)sql.len, out, NULL) == SQLITE_OK;
}

/* Runs a statement of one row and up to two numbers. */
static bool read_numbers(sqlite3_stmt *stmt, int64_t *first_out, int64_t *second_out)
{
    const bool is_read = sqlite3_step(stmt) == SQLITE_ROW;
    *first_out = sqlite3_column_int64(stmt, 0);
    *second_out = sqlite3_column_int64(stmt, 1);
    return sqlite3_reset(stmt) == SQLITE_OK && is_read;
}

static bool has_table(const struct sqlite_feed *f)
{
    return f->config->options->feed == DRIVER_FEED_CHANGELOG;
}

static bool open_db(struct sqlite_feed *f)
{
    int64_t ignored;
    const int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
    if (sqlite3_open_v2(f->path, &f->db, flags, NULL) != SQLITE_OK) {
        return false;
    }
    sqlite3_db_config(f->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(f->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_busy_timeout(f->db, BUSY_MS);
    if (!prepare(f->db, strview_str("PRAGMA data_version"), &f->version) ||
        !read_numbers(f->version, &f->seen_version, &ignored)) {
        return false;
    }
    return !has_table(f) || (prepare(f->db, buf_view(&f->select), &f->changes) &&
                             prepare(f->db, buf_view(&f->select_ends), &f->ends) &&
                             read_numbers(f->ends, &ignored, &f->seen_change));
}

static bool was_replaced(const struct sqlite_feed *f)
{
    int was_moved = 0;
    return sqlite3_file_control(f->db, "main", SQLITE_FCNTL_HAS_MOVED, &was_moved) == SQLITE_OK &&
           was_moved != 0;
}

/* What was added to the table. False: it could not be read. */
static bool read_changes(struct sqlite_feed *f, struct feed_job *job)
{
    int64_t lowest, highest;
    int code = SQLITE_ROW;
    if (!read_numbers(f->ends, &lowest, &highest)) {
        return false;
    }
    const bool is_missing = highest > f->seen_change &&
                            (lowest == 0 || lowest > f->seen_change + 1);
    if (highest < f->seen_change || is_missing || highest - f->seen_change > CHANGES_MAX) {
        job->is_all = true;
        f->seen_change = highest;
        return true;
    }
    sqlite3_bind_int64(f->changes, 1, f->seen_change);
    while ((code = sqlite3_step(f->changes)) == SQLITE_ROW) {
        const void *text = sqlite3_column_text(f->changes, 1);
        const int len = sqlite3_column_bytes(f->changes, 1);
        f->seen_change = sqlite3_column_int64(f->changes, 0);
        buf_append(&job->notice, text != NULL ? text : "", (size_t)len);
        buf_append_char(&job->notice, '\n');
    }
    sqlite3_reset(f->changes);
    job->is_all = job->is_all || job->notice.failed;
    return code == SQLITE_DONE;
}

/* False: the database cannot be asked. */
static bool ask(struct sqlite_feed *f, struct feed_job *job)
{
    int64_t version, ignored;
    if (f->db != NULL && was_replaced(f)) {
        return false;
    }
    if (f->db == NULL) {
        job->is_first = true;
        return open_db(f);
    }
    if (!read_numbers(f->version, &version, &ignored)) {
        return false;
    }
    if (version == f->seen_version) {
        return true;
    }
    if (!has_table(f)) {
        job->is_all = true;
    } else if (!read_changes(f, job)) {
        return false;
    }
    f->seen_version = version; /* what was committed since then changes it again */
    return true;
}

static void run(void *state, struct worker_job *base)
{
    struct sqlite_feed *f = state;
    struct feed_job *job = container_of(base, struct feed_job, base);
    job->is_up = ask(f, job);
    if (!job->is_up) {
        close_db(f);
    }
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void drop(struct worker_job *base)
{
    struct feed_job *job = container_of(base, struct feed_job, base);
    buf_fini(&job->notice);
    free(job);
}

static void tell(struct sqlite_feed *f, enum feed_event event)
{
    const struct driver_events *events = &f->config->events;
    events->feed(events->ctx, event, strview_of("", 0));
}

static void report(struct sqlite_feed *f, const struct feed_job *job)
{
    if (!job->is_up) {
        if (f->is_up) {
            tell(f, FEED_DOWN);
        } else if (!f->was_told_down) {
            log_warning("source '%s': its feed cannot read the database", f->config->name);
        }
        f->is_up = false;
        f->was_told_down = true;
        return;
    }
    if (job->is_first) {
        f->is_up = true;
        f->was_told_down = false;
        tell(f, FEED_UP);
    } else if (job->is_all) {
        tell(f, FEED_ALL);
    } else if (buf_len(&job->notice) > 0) {
        driver_feed_notice(&f->config->events, buf_view(&job->notice));
    }
}

static void set_timer(struct sqlite_feed *f)
{
    ev_timer_stop(f->config->loop, &f->timer);
    ev_timer_set(&f->timer, f->is_up ? POLL_S : POLL_DOWN_S, 0.0);
    ev_timer_start(f->config->loop, &f->timer);
}

static void on_done(void *ctx, struct worker_job *base)
{
    struct sqlite_feed *f = ctx;
    struct feed_job *job = container_of(base, struct feed_job, base);
    f->is_asking = false;
    report(f, job);
    worker_release(f->pool, base);
    drop(base);
    set_timer(f);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct sqlite_feed *f = container_of(timer, struct sqlite_feed, timer);
    struct feed_job *job = f->is_asking ? NULL : malloc(sizeof(*job));
    if (job == NULL) {
        set_timer(f);
        return;
    }
    *job = (struct feed_job){.base = {.id = 1, .bytes = sizeof(*job)}};
    buf_init(&job->notice);
    f->is_asking = true;
    worker_pool_submit(f->pool, &job->base);
}

/* ---- life ------------------------------------------------------------------------------------ */

static bool write_questions(struct sqlite_feed *f)
{
    const struct strview table = strview_str(f->config->options->feed_name);
    buf_append_str(&f->select, "SELECT seq, key FROM ");
    driver_append_quoted(&f->select, table, '"');
    buf_append_str(&f->select, " WHERE seq > ?1 ORDER BY seq");
    buf_append_str(&f->select_ends, "SELECT ifnull(min(seq), 0), ifnull((SELECT seq FROM "
                                    "sqlite_sequence WHERE name = ");
    driver_append_quoted(&f->select_ends, table, '\'');
    buf_append_str(&f->select_ends, "), 0) FROM ");
    driver_append_quoted(&f->select_ends, table, '"');
    return !f->select.failed && !f->select_ends.failed;
}

static void free_feed(struct sqlite_feed *f)
{
    close_db(f);
    buf_fini(&f->select);
    buf_fini(&f->select_ends);
    free(f);
}

int sqlite_feed_open(struct sqlite_feed **out, const struct upstream_config *config,
                     const char *path)
{
    struct sqlite_feed *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return -ENOMEM;
    }
    f->config = config;
    f->path = path;
    f->state = f;
    const struct worker_config workers = {.loop = config->loop,
                                          .count = 1,
                                          .states = &f->state,
                                          .bytes_max = SIZE_MAX,
                                          .ctx = f,
                                          .run = run,
                                          .done = on_done,
                                          .drop = drop};
    const int r = write_questions(f) ? worker_pool_create(&f->pool, &workers) : -ENOMEM;
    if (r != 0) {
        free_feed(f);
        return r;
    }
    ev_timer_init(&f->timer, on_timer, 0.0, 0.0);
    ev_timer_start(config->loop, &f->timer);
    *out = f;
    return 0;
}

bool sqlite_feed_close(struct sqlite_feed *f, int64_t wait_ms)
{
    if (f == NULL) {
        return true;
    }
    ev_timer_stop(f->config->loop, &f->timer);
    if (!worker_pool_destroy(f->pool, wait_ms)) {
        return false;
    }
    free_feed(f);
    return true;
}

/* ---- ddl ------------------------------------------------------------------------------------- */

/* INSERT INTO "changes" (key) VALUES ('user:' || NEW."id"); */
static void add_insert(struct buf *out, const struct driver_ddl *d, const char *row)
{
    buf_append_str(out, "  INSERT INTO ");
    driver_append_quoted(out, strview_str(d->options->feed_name), '"');
    buf_append_str(out, " (key) VALUES (");
    for (unsigned i = 0; i < d->parts_count; i++) {
        buf_append_str(out, i > 0 ? " || " : "");
        if (d->parts[i].is_column) {
            buf_printf(out, "%s.", row);
            driver_append_quoted(out, d->parts[i].text, '"');
        } else {
            driver_append_quoted(out, d->parts[i].text, '\'');
        }
    }
    buf_append_str(out, ");\n");
}

static void add_trigger(struct buf *out, const struct driver_ddl *d, const char *event,
                        const char *first, const char *second)
{
    buf_printf(out, "CREATE TRIGGER IF NOT EXISTS \"tarn_%s_%s\" AFTER %s ON ", d->map, event,
               event);
    driver_append_quoted(out, strview_str(d->table), '"');
    buf_append_str(out, " BEGIN\n");
    add_insert(out, d, first);
    if (second != NULL) {
        add_insert(out, d, second);
    }
    buf_append_str(out, "END;\n");
}

void sqlite_feed_ddl(const struct driver_ddl *d, struct buf *out)
{
    if (d->options->feed == DRIVER_FEED_VERSION) {
        buf_append_str(out, "-- nothing: every commit is noticed\n");
        return;
    }
    buf_append_str(out, "CREATE TABLE IF NOT EXISTS ");
    driver_append_quoted(out, strview_str(d->options->feed_name), '"');
    buf_append_str(out, " (seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL);\n");
    add_trigger(out, d, "INSERT", "NEW", NULL);
    add_trigger(out, d, "UPDATE", "OLD", "NEW");
    add_trigger(out, d, "DELETE", "OLD", NULL);
}
