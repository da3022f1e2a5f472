/*
 * One warm-up at a time. Its loads are background loads like others: behind everything somebody
 * waits for, within background-share, and no more of them queued than a batch has. Keys that are
 * cached are passed over; a failure is counted and not tried again.
 *
 * The keys are given, or are the answer of a query, whose columns fill the pattern's parameters from
 * left to right, or the lines of a file, of which no more is read than is needed next.
 */
#include "warm.h"

#include <errno.h>
#include <string.h>

#include "deadline.h"
#include "flight.h"
#include "load.h"
#include "tarn/base/num.h"
#include "warm_file.h"

#define WARM_TICK_MS        20
#define WARM_QUERY_TIMEOUTS 10 /* load-timeouts that the query for keys may take */
#define KEY_LEN_BYTES       4
#define KEYS_LOW_BYTES      65536 /* with less than that in hand a file is read on */

void warm_fini(struct warm *w)
{
    warm_file_close(w->file);
    w->file = NULL;
    buf_fini(&w->keys);
    buf_fini(&w->line);
}

static void begin(struct sources *s, struct source_map *m, int64_t rate, enum warm_state state)
{
    warm_fini(&s->warm);
    s->warm = (struct warm){.state = state, .map = m, .rate = rate, .began_ms = s->clock->mono_ms};
    deadline_arm(s, s->clock->mono_ms + WARM_TICK_MS);
}

static void add_key(struct warm *w, struct strview key)
{
    const uint32_t len = (uint32_t)key.len; /* keys of maps are bounded by max-param */
    buf_append(&w->keys, &len, KEY_LEN_BYTES);
    buf_append_view(&w->keys, key);
    w->total++;
}

static bool is_busy(const struct sources *s)
{
    return s->warm.state == WARM_ASKING || s->warm.state == WARM_LOADING || s->warm.pending > 0;
}

static int refuse_busy(struct errtext *err)
{
    errtext_set(err, "a warm-up is under way; SOURCE WARM STOP ends it");
    return -EBUSY;
}

int sources_warm_keys(struct sources *s, struct source_map *m, const struct strview *keys,
                      size_t count, int64_t rate, struct errtext *err)
{
    if (is_busy(s)) {
        return refuse_busy(err);
    }
    begin(s, m, rate, WARM_LOADING);
    for (size_t i = 0; i < count; i++) {
        if (sources_match(s, keys[i]) == m) {
            add_key(&s->warm, keys[i]);
        } else {
            s->warm.skipped++;
        }
    }
    if (s->warm.keys.failed) {
        s->warm.state = WARM_FAILED;
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    return 0;
}

int sources_warm_query(struct sources *s, struct source_map *m, struct strview sql, int64_t rate,
                       struct errtext *err)
{
    struct source *src = m->source;
    const int64_t now_ms = s->clock->mono_ms;
    if (is_busy(s)) {
        return refuse_busy(err);
    }
    if (sql.len == 0 || sql.len > SQL_BYTES_MAX) {
        errtext_set(err, "a query has 1 to %d bytes", SQL_BYTES_MAX);
        return -EINVAL;
    }
    const struct refusal why = load_refuse_source(src, FLIGHT_WARM);
    if (why.detail != NULL) {
        errtext_set(err, "%s", why.detail);
        return -EIO;
    }
    const int statement = source_add_statement(src, sql, 0, err);
    if (statement < 0) {
        return statement;
    }
    const struct flight_plan plan = {.source = src,
                                     .map = m,
                                     .started_ms = now_ms,
                                     .deadline_ms = now_ms +
                                                    map_load_timeout(m) * WARM_QUERY_TIMEOUTS,
                                     .purpose = FLIGHT_WARM,
                                     .statement_id = statement,
                                     .is_background = true};
    if (flight_create(&plan) == NULL) {
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    begin(s, m, rate, WARM_ASKING);
    return 0;
}

bool sources_warm_stop(struct sources *s)
{
    const bool was_busy = is_busy(s);
    if (was_busy) {
        s->warm.state = WARM_STOPPED;
        warm_fini(&s->warm);
    }
    return was_busy;
}

/* ---- keys from a file ------------------------------------------------------------------------ */

static void take_line(struct sources *s, struct strview line)
{
    struct warm *w = &s->warm;
    if (line.len > 0 && line.data[line.len - 1] == '\r') {
        line.len--;
    }
    if (line.len > WARM_LINE_MAX || (line.len > 0 && sources_match(s, line) != w->map)) {
        w->skipped++;
    } else if (line.len > 0) {
        add_key(w, line);
    }
}

/* Of a line that is too long no more is kept than shows that it is. */
static void keep_part(struct warm *w, struct strview part)
{
    const size_t len = buf_len(&w->line);
    const size_t room = len <= WARM_LINE_MAX ? WARM_LINE_MAX + 1 - len : 0;
    buf_append(&w->line, part.data, size_min(part.len, room));
}

static void take_lines(struct sources *s, struct strview bytes)
{
    struct warm *w = &s->warm;
    while (bytes.len > 0) {
        const char *end = memchr(bytes.data, '\n', bytes.len);
        const size_t len = end != NULL ? (size_t)(end - bytes.data) : bytes.len;
        keep_part(w, strview_of(bytes.data, len));
        if (end == NULL) {
            return;
        }
        take_line(s, buf_view(&w->line));
        buf_clear(&w->line);
        bytes = strview_of(end + 1, bytes.len - len - 1);
    }
}

static void on_slice(void *ctx, struct strview bytes, bool is_end, int error)
{
    struct sources *s = ctx;
    struct warm *w = &s->warm;
    if (w->state != WARM_LOADING) {
        return;
    }
    take_lines(s, bytes);
    if (is_end) {
        take_line(s, buf_view(&w->line));
    }
    w->is_at_end = is_end;
    if (error != 0 || w->keys.failed || w->line.failed) {
        log_warning("warm-up of map '%s': cannot read its file: %s", w->map->name,
                    strerror(error != 0 ? error : ENOMEM));
        w->state = WARM_FAILED;
    }
    deadline_arm(s, s->clock->mono_ms);
}

int sources_warm_file(struct sources *s, struct source_map *m, struct strview path, int64_t rate,
                      struct errtext *err)
{
    char name[DRIVER_PATH_MAX];
    if (is_busy(s)) {
        return refuse_busy(err);
    }
    if (path.len == 0 || path.len >= sizeof(name) || memchr(path.data, '\0', path.len) != NULL) {
        errtext_set(err, "a path has 1 to %d bytes, none of them NUL", DRIVER_PATH_MAX - 1);
        return -EINVAL;
    }
    memcpy(name, path.data, path.len);
    name[path.len] = '\0';
    begin(s, m, rate, WARM_LOADING);
    const int r = warm_file_open(&s->warm.file, s->loop, name, on_slice, s);
    if (r != 0) {
        s->warm.state = WARM_FAILED;
        errtext_set(err, "cannot start a helper thread: %s", strerror(-r));
    }
    return r;
}

/* By the clock: reads on when there is little left, closes what is no longer needed. */
static void tend_file(struct warm *w)
{
    if (w->file == NULL) {
        return;
    }
    if (w->state != WARM_LOADING || w->is_at_end) {
        warm_file_close(w->file);
        w->file = NULL;
    } else if (buf_len(&w->keys) < KEYS_LOW_BYTES) {
        warm_file_read(w->file);
    }
}

/* ---- keys from rows -------------------------------------------------------------------------- */

/* False: the row is not the parameters of a key in their canonical spelling. */
static bool write_key(const struct source_map *m, const struct rows *rows, unsigned row,
                      struct buf *out)
{
    const struct pattern *p = &m->pattern;
    buf_clear(out);
    buf_append_view(out, p->prefix);
    for (unsigned i = 0; i < p->params_count; i++) {
        buf_append_view(out, rows_bytes(rows, rows_cell(rows, row, i)));
        buf_append_view(out, p->params[i].literal_after);
    }
    return !out->failed && sources_match(m->source->owner, buf_view(out)) == m;
}

void warm_take_rows(struct sources *s, const struct rows *rows)
{
    struct warm *w = &s->warm;
    struct buf key;
    if (w->state != WARM_ASKING) {
        return; /* stopped meanwhile */
    }
    if (rows == NULL || rows->columns != w->map->pattern.params_count) {
        w->state = WARM_FAILED;
        return;
    }
    buf_init(&key);
    for (unsigned i = 0; i < rows->count; i++) {
        if (write_key(w->map, rows, i, &key)) {
            add_key(w, buf_view(&key));
        } else {
            w->skipped++;
        }
    }
    buf_fini(&key);
    w->state = w->keys.failed ? WARM_FAILED : WARM_LOADING;
    w->began_ms = s->clock->mono_ms;
    deadline_arm(s, w->began_ms + WARM_TICK_MS);
}

/* ---- loading --------------------------------------------------------------------------------- */

static void end_if_done(struct warm *w)
{
    if (w->state == WARM_LOADING && w->pending == 0 && buf_len(&w->keys) == 0 && w->file == NULL) {
        w->state = WARM_DONE;
    }
}

void warm_note(struct sources *s, enum load_status status)
{
    struct warm *w = &s->warm;
    w->pending--;
    w->loaded += status == LOAD_FOUND;
    w->absent += status == LOAD_ABSENT;
    w->failed += status == LOAD_FAILED;
    end_if_done(w);
}

static bool is_cached(struct sources *s, const struct store_key *k)
{
    struct entry_view e;
    if (!store_peek(s->store, k, &e)) {
        return false;
    }
    return e.aux == NULL || sources_peek(s, &e) == SOURCE_FRESH ||
           sources_peek(s, &e) == SOURCE_ABSENT;
}

static void begin_key(struct sources *s, const struct store_key *k)
{
    struct warm *w = &s->warm;
    struct source *src = w->map->source;
    const int64_t now_ms = s->clock->mono_ms;
    const struct flight_plan plan = {.source = src,
                                     .map = w->map,
                                     .key = *k,
                                     .started_ms = now_ms,
                                     .deadline_ms = now_ms + map_load_timeout(w->map),
                                     .purpose = FLIGHT_READ,
                                     .is_background = true,
                                     .is_admitted = true,
                                     .is_warm = true};
    w->begun++;
    if (is_cached(s, k) || load_find_flight(s, k) != NULL) {
        w->cached++;
    } else if (load_refuse_source(src, FLIGHT_READ).detail != NULL ||
               load_refuse_flight(src, &plan).detail != NULL || flight_create(&plan) == NULL) {
        w->failed++;
    } else {
        w->pending++;
    }
}

void warm_tick(struct sources *s)
{
    struct warm *w = &s->warm;
    tend_file(w);
    if (w->state != WARM_LOADING || s->is_stopped) {
        return;
    }
    const uint64_t elapsed_ms = (uint64_t)(s->clock->mono_ms - w->began_ms);
    const uint64_t allowed = elapsed_ms * (uint64_t)w->rate / 1000;
    while (w->begun < allowed && w->pending < BULK_MAX && buf_len(&w->keys) > 0) {
        const struct strview keys = buf_view(&w->keys);
        uint32_t len;
        memcpy(&len, keys.data, KEY_LEN_BYTES);
        const struct strview key = strview_of(keys.data + KEY_LEN_BYTES, len);
        const struct store_key k = store_key_init(s->store, 0, key);
        begin_key(s, &k);
        buf_consume(&w->keys, KEY_LEN_BYTES + len);
    }
    end_if_done(w);
}

int64_t warm_next_ms(const struct sources *s)
{
    const struct warm *w = &s->warm;
    const bool has_more = w->file != NULL || (w->state == WARM_LOADING && buf_len(&w->keys) > 0);
    return has_more ? s->clock->mono_ms + WARM_TICK_MS : INT64_MAX;
}

/* ---- looking at it --------------------------------------------------------------------------- */

static void show(source_field_fn each, void *ctx, const char *name, int64_t value)
{
    char text[NUM_I64_CHARS];
    each(ctx, name, strview_of(text, num_format_i64(text, value)));
}

void sources_warm_status(struct sources *s, source_field_fn each, void *ctx)
{
    static const char *const states[] = {
        [WARM_IDLE] = "none", [WARM_ASKING] = "asking",   [WARM_LOADING] = "loading",
        [WARM_DONE] = "done", [WARM_STOPPED] = "stopped", [WARM_FAILED] = "failed"};
    const struct warm *w = &s->warm;
    const uint64_t done = w->loaded + w->cached + w->absent + w->failed;
    const int64_t left = (int64_t)(w->total - done);
    each(ctx, "state", strview_str(states[w->state]));
    each(ctx, "map", strview_str(w->map != NULL ? source_map_name(w->map).data : ""));
    show(each, ctx, "total", (int64_t)w->total);
    show(each, ctx, "done", (int64_t)done);
    show(each, ctx, "loaded", (int64_t)w->loaded);
    show(each, ctx, "cached", (int64_t)w->cached);
    show(each, ctx, "absent", (int64_t)w->absent);
    show(each, ctx, "failed", (int64_t)w->failed);
    show(each, ctx, "skipped", (int64_t)w->skipped);
    show(each, ctx, "eta_ms", w->state == WARM_LOADING && w->rate > 0 ? left * 1000 / w->rate : 0);
}
