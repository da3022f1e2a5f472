/*
 * Looking at the layer: lists, numbers, definitions, explanations. Nothing here shows a secret, and nothing here changes what is loaded.
 */
#include "sources.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "feed.h"
#include "flight.h"
#include "freshness.h"
#include "probe.h"
#include "tarn/base/num.h"

#define COUNTER(s, f, text)                                                               \
    {                                                                                     \
        .name = #f, .help = text, .offset = offsetof(struct s, f), .kind = METRIC_COUNTER \
    }

static const struct metric source_stat_rows[] = {
    COUNTER(source_stats, loads, "queries sent, and loads that failed before theirs was"),
    COUNTER(source_stats, errors, "loads that failed, timeouts aside"),
    COUNTER(source_stats, timeouts, "loads that took longer than load-timeout"),
    COUNTER(source_stats, rejected, "misses refused at once: limits, error-hold, paused"),
    COUNTER(source_stats, reconnects, "times the database came back"),
    COUNTER(source_stats, feed_gaps, "times the feed came up, having missed what happened before"),
};
const struct metric_table source_stat_table = {"Sources", source_stat_rows,
                                               ARRAY_LEN(source_stat_rows)};

static const struct metric map_stat_rows[] = {
    COUNTER(map_stats, hits, "reads answered from memory"),
    COUNTER(map_stats, stale_hits, "reads answered with a value past its ttl"),
    COUNTER(map_stats, negative_hits, "reads of rows known to be missing"),
    COUNTER(map_stats, misses, "reads that needed the database"),
    COUNTER(map_stats, miss_loads, "misses that started a load"),
    COUNTER(map_stats, coalesced, "misses that joined a load under way"),
    COUNTER(map_stats, rejected, "misses refused at once"),
    COUNTER(map_stats, loads, "loads, each of which ended as one of the following six"),
    COUNTER(map_stats, batches, "queries that loaded several keys at once"),
    COUNTER(map_stats, fills, "values stored"),
    COUNTER(map_stats, negatives, "missing rows remembered"),
    COUNTER(map_stats, voided, "answers not stored because the key had changed meanwhile"),
    COUNTER(map_stats, nofill, "answers not stored: too large, no ttl, no memory"),
    COUNTER(map_stats, errors, "loads that failed"),
    COUNTER(map_stats, timeouts, "loads that took too long"),
    COUNTER(map_stats, refreshes, "loads started in the background by hits"),
    COUNTER(map_stats, stale_error, "reads answered with an old value because the load failed"),
    COUNTER(map_stats, soft_timeouts, "reads answered with an old value because the load is slow"),
    COUNTER(map_stats, bulk_orphans, "rows of bulk queries that nobody had asked for"),
    COUNTER(map_stats, writes, "writes begun in the database"),
    COUNTER(map_stats, write_errors, "those that failed, or nobody knows of"),
    COUNTER(map_stats, invalidated, "invalidations that found something, and of the whole map"),
};
const struct metric_table map_stat_table = {"Maps", map_stat_rows, ARRAY_LEN(map_stat_rows)};

#undef COUNTER

/* ---- fields ---------------------------------------------------------------------------------- */

struct fields {
    source_field_fn each;
    void *ctx;
};

static void field_text(const struct fields *f, const char *name, const char *value)
{
    f->each(f->ctx, name, strview_str(value));
}

static void field_number(const struct fields *f, const char *name, int64_t value)
{
    char text[NUM_I64_CHARS];
    f->each(f->ctx, name, strview_of(text, num_format_i64(text, value)));
}

static void field_stats(const struct fields *f, const struct metric_table *t, const void *values)
{
    for (size_t i = 0; i < t->count; i++) {
        const char *at = (const char *)values + t->rows[i].offset;
        field_number(f, t->rows[i].name, (int64_t) * (const uint64_t *)(const void *)at);
    }
}

static void field_settings(const struct fields *f, const struct setting_table *t,
                           const void *values)
{
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < t->count; i++) {
        buf_clear(&text);
        setting_write(&t->rows[i], values, &text);
        f->each(f->ctx, t->rows[i].name, buf_view(&text));
    }
    buf_fini(&text);
}

/* ---- lists and numbers ----------------------------------------------------------------------- */

void sources_walk(const struct sources *s, source_name_fn each, void *ctx)
{
    for (size_t i = 0; i < s->sources_count; i++) {
        each(ctx, strview_str(s->sources[i]->name));
    }
}

void sources_walk_maps(const struct sources *s, source_name_fn each, void *ctx)
{
    for (size_t i = 0; i < s->maps_count; i++) {
        if (!s->maps[i]->is_gone) {
            each(ctx, strview_str(s->maps[i]->name));
        }
    }
}

static const char *state_name(const struct source *src)
{
    static const char *const names[] = {[DRIVER_STATE_UNKNOWN] = "unknown",
                                        [DRIVER_STATE_UP] = "up",
                                        [DRIVER_STATE_DOWN] = "down",
                                        [DRIVER_STATE_AUTH] = "auth",
                                        [DRIVER_STATE_DEGRADED] = "degraded"};
    return src->is_paused ? "paused" : names[src->state];
}

/* Connections, and where there are replicas how those do. */
static void describe_upstream(const struct fields *f, const struct source *src)
{
    if (src->driver->report == NULL || src->upstream == NULL) {
        field_number(f, "conns", src->connections);
        return;
    }
    struct driver_report report;
    src->driver->report(src->upstream, &report);
    field_number(f, "conns", report.connections);
    if (report.replicas > 0) {
        char replicas[32];
        (void)snprintf(replicas, sizeof(replicas), "%u/%u", report.replicas_fit, report.replicas);
        field_text(f, "primary", report.is_primary_up ? "up" : "down");
        field_text(f, "replicas", replicas);
        field_number(f, "lag_ms", report.lag_ms);
    }
}

bool sources_describe(struct sources *s, struct strview source, source_field_fn each, void *ctx)
{
    const struct source *src = source_find(s, source);
    if (src == NULL) {
        return false;
    }
    struct fields f = {each, ctx};
    field_text(&f, "driver", src->driver->name);
    field_text(&f, "state", state_name(src));
    field_text(&f, "breaker", source_breaker_name(src));
    describe_upstream(&f, src);
    field_number(&f, "busy", src->capacity - src->free_count);
    field_number(&f, "queue", (int64_t)src->queue_len);
    field_number(&f, "waiters", (int64_t)src->waiters);
    field_stats(&f, &source_stat_table, &src->stats);
    field_text(&f, "feed", source_feed_name(src));
    field_number(&f, "p50_us", latency_quantile(&src->latency, 50));
    field_number(&f, "p99_us", latency_quantile(&src->latency, 99));
    return true;
}

bool sources_describe_map(struct sources *s, struct strview map, source_field_fn each, void *ctx)
{
    const struct source_map *m = sources_map_by_name(s, map);
    if (m == NULL) {
        return false;
    }
    field_stats(&(struct fields){each, ctx}, &map_stat_table, &m->stats);
    return true;
}

bool sources_define_map(struct sources *s, struct strview map, source_field_fn each, void *ctx)
{
    const struct source_map *m = sources_map_by_name(s, map);
    if (m == NULL) {
        return false;
    }
    struct fields f = {each, ctx};
    struct map_options shown = m->options;
    shown.load_timeout_ms = map_load_timeout(m);
    field_text(&f, "name", m->name);
    field_text(&f, "source", m->source->name);
    each(ctx, "pattern", pattern_text(&m->pattern));
    field_text(&f, "sql", m->sql);
    field_settings(&f, &map_settings, &shown);
    return true;
}

uint64_t sources_count_loads(const struct sources *s, uint64_t within_us)
{
    uint64_t count = 0;
    for (size_t i = 0; i < s->sources_count; i++) {
        count += latency_count(&s->sources[i]->latency, within_us);
    }
    return count;
}

static void reset(const struct metric_table *t, void *values)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->rows[i].kind == METRIC_COUNTER) {
            *(uint64_t *)(void *)((char *)values + t->rows[i].offset) = 0;
        }
    }
}

void sources_reset_stats(struct sources *s)
{
    for (size_t i = 0; i < s->sources_count; i++) {
        reset(&source_stat_table, &s->sources[i]->stats);
        s->sources[i]->latency = (struct latency){0};
    }
    for (size_t i = 0; i < s->maps_count; i++) {
        reset(&map_stat_table, &s->maps[i]->stats);
    }
}

/* ---- one key --------------------------------------------------------------------------------- */

static void explain_params(const struct fields *f, const struct source_map *m, struct strview key)
{
    struct strview values[PATTERN_PARAMS_MAX];
    struct buf text;
    buf_init(&text);
    bool matches = pattern_match(&m->pattern, key, SIZE_MAX, values);
    assert(matches); /* the map was found by this key */
    for (unsigned i = 0; i < m->pattern.params_count && matches; i++) {
        const struct pattern_param *p = &m->pattern.params[i];
        buf_printf(&text, "%s%.*s:%s=", i > 0 ? " " : "", STRVIEW_ARG(p->name),
                   param_type_name(p->type));
        buf_append_view(&text, values[i]);
    }
    f->each(f->ctx, "params", buf_view(&text));
    buf_fini(&text);
}

/* True: a read would load. */
static bool explain_entry(const struct fields *f, struct sources *s, const struct store_key *k)
{
    struct entry_view e;
    if (!store_peek(s->store, k, &e)) {
        field_text(f, "cached", "no");
        return true;
    }
    if (e.aux == NULL) {
        field_text(f, "cached", "written by a client");
        return false;
    }
    static const char *const words[] = {[SOURCE_FRESH] = "yes",
                                        [SOURCE_STALE] = "stale",
                                        [SOURCE_ABSENT] = "negative",
                                        [SOURCE_GONE] = "invalidated"};
    const struct freshness fr = freshness_of(s, &e);
    const int64_t now_ms = s->clock->mono_ms;
    const enum source_freshness freshness = sources_peek(s, &e);
    if (freshness == SOURCE_GONE && fr.is_current) {
        field_text(f, "cached", "expired");
    } else {
        field_text(f, "cached", words[freshness]);
    }
    if (freshness != SOURCE_GONE) {
        field_number(f, "age_ms", now_ms - fr.sent_ms);
        field_number(f, "ttl_ms", fr.ends_ms > now_ms ? fr.ends_ms - now_ms : 0);
    }
    return freshness == SOURCE_GONE;
}

bool sources_explain(struct sources *s, const struct store_key *k, source_field_fn each, void *ctx)
{
    static const char *const states[] = {
        [FLIGHT_QUEUED] = "queued", [FLIGHT_SENT] = "sent", [FLIGHT_HELD] = "failed"};
    const struct source_map *m = sources_match(s, k->key);
    if (m == NULL) {
        return false;
    }
    struct fields f = {each, ctx};
    field_text(&f, "map", m->name);
    field_text(&f, "source", m->source->name);
    each(ctx, "pattern", pattern_text(&m->pattern));
    explain_params(&f, m, k->key);
    /* A placeholder that nobody can read is the driver's own business. */
    bool is_readable = (unsigned char)m->source->driver->placeholder >= ' ';
    each(ctx, "sql", is_readable ? buf_view(&m->statement) : strview_str(m->sql));
    bool would_load = explain_entry(&f, s, k);
    const struct flight *flight = flight_table_find(&s->flights, k);
    bool is_joinable = flight != NULL && !flight_is_stale(flight);
    field_text(&f, "flight", is_joinable ? states[flight->state] : "none");
    field_text(&f, "would_load", would_load && !is_joinable ? "yes" : "no");
    return true;
}

/* ---- acting on a source ---------------------------------------------------------------------- */

bool sources_pause(struct sources *s, struct strview source, bool is_paused)
{
    struct source *src = source_find(s, source);
    if (src == NULL) {
        return false;
    }
    src->is_paused = is_paused;
    return true;
}

int sources_debug(struct sources *s, const struct strview *argv, int argc, struct buf *reply,
                  struct errtext *err)
{
    struct source *src = argc > 0 ? source_find(s, argv[0]) : NULL;
    if (src == NULL || src->upstream == NULL) {
        errtext_set(err, "there is no such source");
        return -EINVAL;
    }
    if (src->driver->debug == NULL) {
        errtext_set(err, "driver '%s' has no gates", src->driver->name);
        return -EINVAL;
    }
    return src->driver->debug(src->upstream, argv + 1, argc - 1, reply, err);
}
