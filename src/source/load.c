/*
 * The door for readers whose key is missing: may a load start, does one run already, and is there
 * an old value for want of a new one.
 *
 * Counting: every miss is counted here once, and is a load of its own (miss_loads), a place in
 * somebody else's (coalesced), or a refusal (rejected).
 */
#include "load.h"

#include <assert.h>

#include "bulk.h"
#include "freshness.h"
#include "load_error.h"
#include "pump.h"

/* ---- maps ---------------------------------------------------------------------------------------
 */

bool sources_has_maps(const struct sources *s)
{
    return s->maps_count > 0;
}

struct source_map *sources_match(struct sources *s, struct strview key)
{
    return map_index_match(&s->map_index, key);
}

enum entry_type source_map_type(const struct source_map *m)
{
    return m->options.as == SHAPE_HASH ? ENTRY_HASH : ENTRY_STRING;
}

unsigned source_map_weight(const struct source_map *m)
{
    return (unsigned)map_load_weight(m);
}

bool source_map_exists_loads(const struct source_map *m)
{
    return m->options.exists_loads != 0;
}

struct strview source_map_name(const struct source_map *m)
{
    return strview_str(m->name);
}

struct strview source_map_source_name(const struct source_map *m)
{
    return strview_str(m->source->name);
}

/* ---- loads ----------------------------------------------------------------------------------- */

static enum load_start refuse(struct source *src, struct source_map *m, enum load_error code,
                              int64_t elapsed_ms, const char *detail, struct load_result *now)
{
    struct sources *s = src->owner;
    uint64_t id = s->next_flight_id++;
    load_error_text(s->refusal, code, src, m, elapsed_ms, id);
    load_error_log(src, code, m, id, detail);
    *now = (struct load_result){.status = LOAD_FAILED, .error = strview_str(s->refusal)};
    return LOAD_AT_ONCE;
}

struct refusal load_refuse_source(const struct source *src, enum flight_purpose purpose)
{
    if (src->owner->is_stopped || src->upstream == NULL) {
        return (struct refusal){LOAD_ERROR_DOWN, "the server is shutting down"};
    }
    if (src->is_paused) {
        return (struct refusal){LOAD_ERROR_DOWN, "the source is paused"};
    }
    if (src->breaker.state != BREAKER_CLOSED && purpose != FLIGHT_PING) {
        return (struct refusal){LOAD_ERROR_DOWN, "the breaker is open"};
    }
    return (struct refusal){0};
}

/* What speaks against one more waiter. */
static struct refusal refuse_waiter(const struct source *src, enum flight_purpose purpose,
                                    const struct load_waiter *w)
{
    const struct refusal why = load_refuse_source(src, purpose);
    if (why.detail != NULL) {
        return why;
    }
    if (w->client_weight >= (size_t)src->options.max_client_loads * SOURCE_LOAD_WEIGHT) {
        return (struct refusal){LOAD_ERROR_BUSY, "max-client-loads is reached"};
    }
    if ((int64_t)src->waiters >= src->options.max_waiters) {
        return (struct refusal){LOAD_ERROR_BUSY, "max-waiters is reached"};
    }
    return (struct refusal){0};
}

struct refusal load_refuse_flight(const struct source *src, const struct flight_plan *plan)
{
    const size_t weight = plan->is_background ? src->background_len * BULK_MAX : src->queue_weight;
    /* Queued flights that have a free slot waiting go out at the end of this turn. */
    if (weight >= ((size_t)src->options.max_queue + src->free_count) * BULK_MAX) {
        return (struct refusal){LOAD_ERROR_BUSY, "max-queue is reached"};
    }
    if (src->bytes + src->driver->memory(src->upstream) + flight_cost(plan) >
        (size_t)src->options.inflight_memory) {
        return (struct refusal){LOAD_ERROR_BUSY, "inflight-memory is reached"};
    }
    return (struct refusal){0};
}

int64_t map_load_timeout(const struct source_map *m)
{
    int64_t own_ms = m->options.load_timeout_ms;
    return own_ms > 0 ? own_ms : m->source->options.load_timeout_ms;
}

struct flight *load_find_flight(struct sources *s, const struct store_key *k)
{
    struct flight *f = flight_table_find(&s->flights, k);
    if (f == NULL) {
        return NULL;
    }
    bool is_over = f->state == FLIGHT_HELD && f->deadline_ms <= s->clock->mono_ms;
    if (is_over || flight_is_stale(f)) {
        flight_void(f);
        return NULL;
    }
    return f;
}

static struct refusal start(const struct flight_plan *plan, struct load_waiter *w, int64_t soft_ms,
                            struct flight **out)
{
    struct refusal why = refuse_waiter(plan->source, plan->purpose, w);
    if (why.detail == NULL) {
        why = load_refuse_flight(plan->source, plan);
    }
    if (why.detail != NULL) {
        return why;
    }
    struct flight *f = flight_create(plan);
    if (f == NULL) {
        return (struct refusal){LOAD_ERROR_BUSY, "out of memory"};
    }
    flight_join(f, w, plan->deadline_ms, soft_ms);
    *out = f;
    return (struct refusal){0};
}

struct refusal load_start_flight(const struct flight_plan *plan, struct load_waiter *w,
                                 struct flight **out)
{
    return start(plan, w, INT64_MAX, out);
}

enum load_start load_refuse(struct source_map *m, enum load_error code, const char *detail,
                            struct load_result *now)
{
    return refuse(m->source, m, code, 0, detail, now);
}

static struct refusal join(struct flight *f, struct load_waiter *w, const struct flight_plan *plan,
                           int64_t soft_ms)
{
    struct refusal why = refuse_waiter(f->source, f->purpose, w);
    if (why.detail != NULL) {
        return why;
    }
    if ((int64_t)f->waiters_count >= f->source->options.max_waiters_per_key) {
        return (struct refusal){LOAD_ERROR_BUSY, "max-waiters-per-key is reached"};
    }
    flight_join(f, w, plan->deadline_ms, soft_ms);
    f->is_admitted = f->is_admitted || plan->is_admitted;
    return (struct refusal){0};
}

/* Starts, joins or refuses, and counts which. */
static struct refusal start_or_join(struct flight *f, const struct flight_plan *plan,
                                    struct load_waiter *w, int64_t soft_ms)
{
    struct map_stats *stats = &plan->map->stats;
    struct flight *started;
    struct refusal why = f != NULL ? join(f, w, plan, soft_ms) : start(plan, w, soft_ms, &started);
    if (why.detail != NULL) {
        stats->rejected++;
        plan->source->stats.rejected++;
    } else if (f != NULL) {
        stats->coalesced++;
    } else {
        stats->miss_loads++;
    }
    return why;
}

static bool is_admitted(struct source_map *m, const struct store_key *k)
{
    struct sources *s = m->source->owner;
    return m->options.admit == 1 ||
           admission_count(&s->admission, k->hash, s->clock->mono_ms, m->options.admit);
}

/* The old value goes to who takes it. */
static enum load_start refused(struct source_map *m, const struct load_result *old,
                               struct load_result *now)
{
    if (old->status == LOAD_FOUND) {
        m->stats.stale_error++;
        *now = *old;
    }
    return LOAD_AT_ONCE;
}

/* Until when a reader waits who could be given an old value instead. */
static int64_t soft_deadline(const struct source_map *m, const struct load_result *old,
                             int64_t arrived_ms)
{
    const struct map_options *o = &m->options;
    const bool is_soft = old->status == LOAD_FOUND && o->soft_timeout_ms > 0 &&
                         o->stale_ttl_ms == 0;
    return is_soft ? arrived_ms + o->soft_timeout_ms : INT64_MAX;
}

static enum load_start refuse_held(struct flight *f, struct load_result *now)
{
    struct sources *s = f->source->owner;
    f->map->stats.rejected++;
    f->source->stats.rejected++;
    (void)strncpy(s->refusal, f->error, sizeof(s->refusal) - 1);
    *now = (struct load_result){.status = LOAD_FAILED, .error = strview_str(s->refusal)};
    return LOAD_AT_ONCE;
}

enum load_start sources_load(struct sources *s, struct source_map *m, const struct store_key *k,
                             int64_t arrived_ms, struct load_waiter *w, struct load_result *now)
{
    assert(w->flight == NULL);
    int64_t now_ms = s->clock->mono_ms;
    struct flight_plan plan = {.source = m->source,
                               .map = m,
                               .key = *k,
                               .started_ms = arrived_ms,
                               .deadline_ms = arrived_ms + map_load_timeout(m),
                               .purpose = FLIGHT_READ,
                               .is_admitted = is_admitted(m, k)};
    struct load_result old = {.status = LOAD_FAILED};
    m->stats.misses++;
    if (!w->wants_new) {
        (void)old_value_find(s, m, k, &old);
    }
    struct flight *f = load_find_flight(s, k);
    if (f != NULL && f->state == FLIGHT_HELD) {
        (void)refuse_held(f, now);
        return refused(m, &old, now);
    }
    if (plan.deadline_ms <= now_ms) {
        m->stats.rejected++;
        m->source->stats.rejected++;
        (void)refuse(m->source, m, LOAD_ERROR_TIMEOUT, now_ms - arrived_ms,
                     "the command's time was up before this load", now);
        return refused(m, &old, now);
    }
    struct refusal why = start_or_join(f, &plan, w, soft_deadline(m, &old, arrived_ms));
    if (why.detail != NULL) {
        (void)refuse(m->source, m, why.code, now_ms - arrived_ms, why.detail, now);
        return refused(m, &old, now);
    }
    return LOAD_WAITS;
}

bool sources_prefetch(struct sources *s, struct source_map *m, const struct store_key *k)
{
    struct source *src = m->source;
    const int64_t now_ms = s->clock->mono_ms;
    const struct flight_plan plan = {.source = src,
                                     .map = m,
                                     .key = *k,
                                     .started_ms = now_ms,
                                     .deadline_ms = now_ms + map_load_timeout(m),
                                     .purpose = FLIGHT_READ,
                                     .is_admitted = true};
    if (m->options.ttl_ms == 0 || m->options.admit > 1 || load_find_flight(s, k) != NULL) {
        return true;
    }
    return load_refuse_source(src, FLIGHT_READ).detail == NULL &&
           load_refuse_flight(src, &plan).detail == NULL && flight_create(&plan) != NULL;
}

enum load_start sources_test(struct sources *s, struct source_map *m, struct strview key,
                             struct load_waiter *w, struct load_result *now)
{
    struct strview values[PATTERN_PARAMS_MAX];
    if (!pattern_match(&m->pattern, key, (size_t)m->options.max_param, values)) {
        return refuse(m->source, m, LOAD_ERROR_REFUSED, 0, "the key does not match the pattern",
                      now);
    }
    struct flight_plan plan = {.source = m->source,
                               .map = m,
                               .key = {.key = key},
                               .started_ms = s->clock->mono_ms,
                               .deadline_ms = s->clock->mono_ms + map_load_timeout(m),
                               .purpose = FLIGHT_TEST};
    struct flight *started;
    struct refusal why = start(&plan, w, INT64_MAX, &started);
    return why.detail != NULL ? refuse(m->source, m, why.code, 0, why.detail, now) : LOAD_WAITS;
}

enum load_start sources_check(struct sources *s, struct source_map *m, bool is_bulk,
                              struct load_waiter *w, struct load_result *now)
{
    struct source *src = m->source;
    const int64_t now_ms = s->clock->mono_ms;
    if (is_bulk && m->bulk_statement_id < 0) {
        *now = (struct load_result){.status = LOAD_ABSENT};
        return LOAD_AT_ONCE;
    }
    const struct flight_plan plan = {.source = src,
                                     .map = m,
                                     .started_ms = now_ms,
                                     .deadline_ms = now_ms + src->options.driver.connect_timeout_ms,
                                     .purpose = FLIGHT_CHECK,
                                     .statement_id = is_bulk ? m->bulk_statement_id
                                                             : m->statement_id};
    struct flight *started;
    const struct refusal why = start(&plan, w, INT64_MAX, &started);
    return why.detail != NULL ? refuse(src, m, why.code, 0, why.detail, now) : LOAD_WAITS;
}

void sources_flush(struct sources *s)
{
    for (size_t i = 0; i < s->sources_count; i++) {
        source_pump(s->sources[i]);
    }
}

enum load_start sources_ping(struct sources *s, struct strview source, struct load_waiter *w,
                             struct load_result *now)
{
    struct source *src = source_find(s, source);
    if (src == NULL) {
        *now = (struct load_result){.status = LOAD_FAILED,
                                    .error = strview_str("ERR no such source")};
        return LOAD_AT_ONCE;
    }
    int64_t now_ms = s->clock->mono_ms;
    struct flight_plan plan = {.source = src,
                               .started_ms = now_ms,
                               .deadline_ms = now_ms + src->options.driver.connect_timeout_ms,
                               .purpose = FLIGHT_PING};
    struct flight *started;
    struct refusal why = start(&plan, w, INT64_MAX, &started);
    return why.detail != NULL ? refuse(src, NULL, why.code, 0, why.detail, now) : LOAD_WAITS;
}
