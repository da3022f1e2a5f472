/*
 * A timer has a helper thread ask, on a connection of its own, for what was added to the changelog.
 * Its numbers are not in the order of the commits: a transaction takes a number when its trigger
 * runs and may commit long after others that took later ones. So the numbers that were passed over
 * are asked for again, for `overlap` (change_window.h), and the highest number says nothing.
 *
 *     loop's thread                       helper thread
 *     timer ── job ──>  connect, or read what is new into `notice`
 *     report, timer <── job ──
 *
 * There is one job, and whoever has it has the fields behind it: nothing else is shared.
 *
 * The first answer on a connection says that the feed is up; a failure, or an answer that does not
 * come in time, closes the connection and says that it is down. On a new connection, which may lead
 * to another server, the numbers that are missing below the highest are waited for as well. Rows
 * that went before they were read, or numbers that start again, mean that anything may have changed.
 */
#include "mysql_feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>
#include <mysql.h>

#include "backoff.h"
#include "change_window.h"
#include "driver_support.h"
#include "tarn/base/clock.h"
#include "tarn/base/log.h"
#include "tarn/base/num.h"

#define POLL_S        0.05
#define ANSWER_MS     2000   /* beyond connect-timeout */
#define ROWS_MAX      1000   /* read at once */
#define LOOK_BACK_MAX 10000  /* numbers below the highest that are looked at on a new connection */
#define RANGES_MAX    256    /* holes in one question */
#define KEY_BYTES_MAX 262144 /* a longer one is read as an empty one: anything */
#define JOB_ID        1

struct mysql_feed {
    const struct upstream_config *config; /* borrowed */
    ev_timer timer;                       /* until the next question, or until it is given up */
    struct worker_pool *pool;
    void *state;
    bool is_asking; /* the job is under way */
    bool is_up, was_told_down;
    struct backoff backoff;
    struct rng rng;
    struct mysql_job *job; /* owned */
    /* Of whoever has the job: */
    struct mysql_conn conn;
    struct change_window window;
    struct buf table, sql, notice;
    bool is_first; /* answer on this connection */
    bool is_all;   /* anything may have changed */
    bool has_more; /* rows that were not read yet */
};

/* ---- the thread: questions ------------------------------------------------------------------- */

/* The statement in f->sql; NULL: it failed. The caller frees. */
static MYSQL_RES *ask(struct mysql_feed *f)
{
    const struct strview sql = buf_view(&f->sql);
    if (f->sql.failed || mysql_real_query(f->conn.db, sql.data, (unsigned long)sql.len) != 0) {
        return NULL;
    }
    return mysql_store_result(f->conn.db);
}

static bool parse_number(const char *text, int64_t *out)
{
    *out = 0;
    return text == NULL || (num_parse_i64(strview_str(text), out) && *out >= 0);
}

/* The lowest and the highest number in the table; 0: it is empty. */
static bool read_ends(struct mysql_feed *f, int64_t *lowest, int64_t *highest)
{
    buf_clear(&f->sql);
    buf_append_str(&f->sql, "SELECT MIN(seq), MAX(seq) FROM ");
    buf_append_view(&f->sql, buf_view(&f->table));
    MYSQL_RES *result = ask(f);
    MYSQL_ROW row = result != NULL ? mysql_fetch_row(result) : NULL;
    const bool is_fine = row != NULL && parse_number(row[0], lowest) &&
                         parse_number(row[1], highest);
    mysql_free_result(result);
    return is_fine;
}

/* The holes from the number `*from` on, as many as go into one question, and what is above the
 * highest number. `*from` becomes where the next question begins; 0: there is none. */
static void write_question(struct mysql_feed *f, int64_t *from)
{
    const struct change_window *w = &f->window;
    struct buf *sql = &f->sql;
    const size_t first = change_window_find(w, *from);
    const size_t count = size_min(w->count - first, RANGES_MAX);
    buf_clear(sql);
    buf_printf(sql, "SELECT seq, IF(LENGTH(`key`) > %d, '', `key`) FROM ", KEY_BYTES_MAX);
    buf_append_view(sql, buf_view(&f->table));
    buf_printf(sql, " WHERE seq > %lld", (long long)w->highest);
    for (size_t i = first; i < first + count; i++) {
        buf_printf(sql, " OR seq BETWEEN %lld AND %lld", (long long)w->holes[i].from,
                   (long long)w->holes[i].to);
    }
    buf_printf(sql, " ORDER BY seq LIMIT %d", ROWS_MAX);
    *from = first + count < w->count ? w->holes[first + count].from : 0;
}

static bool take_row(struct mysql_feed *f, MYSQL_RES *result, MYSQL_ROW row, int64_t now_ms)
{
    int64_t number;
    bool is_new;
    if (!parse_number(row[0], &number) || number == 0) {
        return false;
    }
    const bool is_noted = change_window_add(&f->window, number, now_ms, &is_new) == 0;
    if (is_new && row[1] != NULL) {
        const unsigned long *lengths = mysql_fetch_lengths(result);
        buf_append(&f->notice, row[1], lengths[1]);
        buf_append_char(&f->notice, '\n');
    }
    return is_noted;
}

static bool read_some(struct mysql_feed *f, int64_t *from, int64_t now_ms)
{
    write_question(f, from);
    MYSQL_RES *result = ask(f);
    if (result == NULL) {
        return false;
    }
    f->has_more = f->has_more || mysql_num_rows(result) == ROWS_MAX;
    bool is_fine = true;
    for (MYSQL_ROW row; is_fine && (row = mysql_fetch_row(result)) != NULL;) {
        is_fine = take_row(f, result, row, now_ms);
    }
    mysql_free_result(result);
    f->is_all = f->is_all || f->notice.failed;
    return is_fine;
}

static bool read_rows(struct mysql_feed *f)
{
    const int64_t now_ms = clock_now_us() / 1000;
    int64_t from = 0;
    bool is_fine = true;
    change_window_age(&f->window, now_ms, f->config->options->overlap_ms);
    f->has_more = false;
    do {
        is_fine = read_some(f, &from, now_ms);
    } while (is_fine && from > 0);
    return is_fine;
}

static bool read_changes(struct mysql_feed *f)
{
    int64_t lowest, highest;
    if (!read_ends(f, &lowest, &highest)) {
        return false;
    }
    if (highest > 0 && highest < f->window.highest) { /* TRUNCATE, or another table */
        f->is_all = true;
        change_window_reset(&f->window, 0);
    } else if (highest > f->window.highest && lowest > f->window.highest + 1) {
        f->is_all = true; /* what was between may never have been read */
    }
    if (highest <= f->window.highest && f->window.count == 0) {
        return true;
    }
    return read_rows(f);
}

/* ---- the thread: connecting ------------------------------------------------------------------ */

/* Where to begin: nothing that is there is new, but what is missing may still come. */
static bool find_start(struct mysql_feed *f)
{
    int64_t lowest, highest;
    if (!read_ends(f, &lowest, &highest)) {
        return false;
    }
    change_window_reset(&f->window, highest > LOOK_BACK_MAX ? highest - LOOK_BACK_MAX : 0);
    do {
        if (!read_rows(f)) {
            return false;
        }
    } while (f->has_more);
    buf_clear(&f->notice);
    return true;
}

static bool run_step(struct mysql_feed *f)
{
    f->is_first = f->conn.db == NULL;
    if (f->is_first) {
        return mysql_conn_open(&f->conn, f->job) && find_start(f);
    }
    return read_changes(f);
}

static void note_failure(struct mysql_feed *f)
{
    if (f->job->detail[0] == '\0' && f->conn.db != NULL) {
        const char *text = mysql_error(f->conn.db);
        const size_t len = size_min(strlen(text), sizeof(f->job->detail) - 1);
        memcpy(f->job->detail, text, len);
        f->job->detail[len] = '\0';
    }
}

static void run(void *state, struct worker_job *base)
{
    struct mysql_feed *f = state;
    struct mysql_job *job = container_of(base, struct mysql_job, base);
    job->status = run_step(f) ? DRIVER_OK : DRIVER_DOWN;
    if (job->status != DRIVER_OK) {
        note_failure(f);
        mysql_conn_close(&f->conn);
    }
}

static void interrupt(void *state)
{
    struct mysql_feed *f = state;
    mysql_conn_interrupt(&f->conn);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void tell(struct mysql_feed *f, enum feed_event event)
{
    const struct driver_events *events = &f->config->events;
    events->feed(events->ctx, event, strview_of("", 0));
}

static void set_timer(struct mysql_feed *f, double seconds)
{
    ev_timer_stop(f->config->loop, &f->timer);
    ev_timer_set(&f->timer, seconds, 0.0);
    ev_timer_start(f->config->loop, &f->timer);
}

static void report_down(struct mysql_feed *f)
{
    if (f->is_up) {
        tell(f, FEED_DOWN);
    }
    if (!f->was_told_down) {
        log_warning("source '%s': its feed cannot read table '%s': %s", f->config->name,
                    f->config->options->feed_name, f->job->detail);
    }
    f->is_up = false;
    f->was_told_down = true;
}

static void report(struct mysql_feed *f)
{
    if (f->is_first) {
        f->is_up = true;
        f->was_told_down = false;
        f->backoff = (struct backoff){0};
        tell(f, FEED_UP);
        return;
    }
    if (f->is_all) {
        tell(f, FEED_ALL);
    }
    if (buf_len(&f->notice) > 0) {
        driver_feed_notice(&f->config->events, buf_view(&f->notice));
    }
}

static void on_done(void *ctx, struct worker_job *base)
{
    struct mysql_feed *f = ctx;
    f->is_asking = false;
    worker_release(f->pool, base);
    if (f->job->status == DRIVER_OK) {
        report(f);
        set_timer(f, f->has_more ? 0.0 : POLL_S);
    } else {
        report_down(f);
        set_timer(f, (double)backoff_next(&f->backoff, f->job->is_auth, &f->rng) / 1000);
    }
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct mysql_feed *f = container_of(timer, struct mysql_feed, timer);
    const int64_t wait_ms = f->config->options->connect_timeout_ms + ANSWER_MS;
    if (f->is_asking) { /* silent */
        worker_pool_cancel(f->pool, JOB_ID);
        return;
    }
    *f->job = (struct mysql_job){.base = {.id = JOB_ID},
                                 .task = DRIVER_PING,
                                 .deadline_us = clock_now_us() + wait_ms * 1000};
    f->is_all = f->has_more = false;
    buf_clear(&f->notice);
    f->is_asking = true;
    worker_pool_submit(f->pool, &f->job->base);
    set_timer(f, (double)wait_ms / 1000);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void free_feed(struct mysql_feed *f)
{
    mysql_conn_fini(&f->conn);
    change_window_fini(&f->window);
    buf_fini(&f->table);
    buf_fini(&f->sql);
    buf_fini(&f->notice);
    free(f->job);
    free(f);
}

int mysql_feed_open(struct mysql_feed **out, const struct upstream_config *config,
                    struct mysql_target *target)
{
    struct mysql_feed *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return -ENOMEM;
    }
    f->config = config;
    f->state = f;
    mysql_conn_init(&f->conn, target);
    rng_init_random(&f->rng);
    ev_init(&f->timer, on_timer);
    mysql_append_name(&f->table, strview_str(config->options->feed_name));
    f->job = calloc(1, sizeof(*f->job));
    const struct worker_config workers = {.loop = config->loop,
                                          .count = 1,
                                          .states = &f->state,
                                          .bytes_max = SIZE_MAX,
                                          .ctx = f,
                                          .run = run,
                                          .interrupt = interrupt,
                                          .done = on_done};
    int r = f->job == NULL || f->table.failed ? -ENOMEM : 0;
    r = r != 0 ? r : worker_pool_create(&f->pool, &workers);
    if (r != 0) {
        free_feed(f);
        return r;
    }
    set_timer(f, 0.0);
    *out = f;
    return 0;
}

bool mysql_feed_close(struct mysql_feed *f, int64_t wait_ms)
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
