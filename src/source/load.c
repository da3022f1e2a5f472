/*
 * The door for readers and for those who know that something changed: may a load start, does one
 * run already, is an entry still good, what does an invalidation touch.
 *
 * Counting: every miss is counted here once, and is a load of its own (miss_loads), a place in
 * somebody else's (coalesced), or a refusal (rejected).
 */
#include "tarn/source/source.h"

#include <assert.h>

#include "flight.h"
#include "load_error.h"

/* ---- entries --------------------------------------------------------------------------------- */

struct source_map *entry_live_map(struct sources *s, const struct entry_view *e,
                                  struct aux *aux_out)
{
    *aux_out = aux_decode(e->aux);
    if (aux_out->map >= s->maps_count) {
        return NULL;
    }
    struct source_map *m = s->maps[aux_out->map];
    bool is_negative = e->type == ENTRY_NEGATIVE;
    int64_t ttl_ms = is_negative ? m->options.negative_ttl_ms : m->options.ttl_ms;
    bool has_own_ttl = (aux_out->flags & AUX_OWN_TTL) != 0;
    if (aux_out->epoch != m->epoch ||
        (!has_own_ttl && s->clock->mono_ms - aux_out->sent_ms >= ttl_ms)) {
        return NULL;
    }
    return m;
}

enum source_freshness sources_peek(struct sources *s, const struct entry_view *e)
{
    assert(e->aux != NULL);
    struct aux aux;
    if (entry_live_map(s, e, &aux) == NULL) {
        return SOURCE_GONE;
    }
    return e->type == ENTRY_NEGATIVE ? SOURCE_ABSENT : SOURCE_FRESH;
}

enum source_freshness sources_judge(struct sources *s, const struct entry_view *e)
{
    const enum source_freshness freshness = sources_peek(s, e);
    if (freshness != SOURCE_GONE) {
        struct map_stats *stats = &s->maps[aux_decode(e->aux).map]->stats;
        stats->hits += freshness == SOURCE_FRESH;
        stats->negative_hits += freshness == SOURCE_ABSENT;
    }
    return freshness;
}

bool sources_has_maps(const struct sources *s)
{
    return s->maps_count > 0;
}

struct source_map *sources_match(struct sources *s, struct strview key)
{
    return map_index_match(&s->map_index, key);
}

bool source_map_exists_loads(const struct source_map *m)
{
    return m->options.exists_loads != 0;
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

struct refusal {
    enum load_error code;
    const char *detail;
};

/* What speaks against one more waiter; detail NULL: nothing. */
static struct refusal refuse_waiter(const struct source *src, const struct load_waiter *w)
{
    if (src->owner->is_stopped || src->upstream == NULL) {
        return (struct refusal){LOAD_ERROR_DOWN, "the server is shutting down"};
    }
    if (src->is_paused) {
        return (struct refusal){LOAD_ERROR_DOWN, "the source is paused"};
    }
    if ((int64_t)w->client_loads >= src->options.max_client_loads) {
        return (struct refusal){LOAD_ERROR_BUSY, "max-client-loads is reached"};
    }
    if ((int64_t)src->waiters >= src->options.max_waiters) {
        return (struct refusal){LOAD_ERROR_BUSY, "max-waiters is reached"};
    }
    return (struct refusal){0};
}

/* What speaks against one more flight. */
static struct refusal refuse_flight(const struct source *src, const struct flight_plan *plan)
{
    /* Queued flights that have a free slot waiting go out at the end of this turn. */
    if (src->queue_len >= (size_t)src->options.max_queue + src->free_count) {
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

/* The flight that a reader of the key may join or is refused by; NULL: none. */
static struct flight *find_flight(struct sources *s, const struct store_key *k)
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

static struct refusal start(const struct flight_plan *plan, struct load_waiter *w)
{
    struct refusal why = refuse_waiter(plan->source, w);
    if (why.detail == NULL) {
        why = refuse_flight(plan->source, plan);
    }
    if (why.detail != NULL) {
        return why;
    }
    struct flight *f = flight_create(plan);
    if (f == NULL) {
        return (struct refusal){LOAD_ERROR_BUSY, "out of memory"};
    }
    flight_join(f, w, plan->deadline_ms);
    return (struct refusal){0};
}

static struct refusal join(struct flight *f, struct load_waiter *w, int64_t deadline_ms)
{
    struct refusal why = refuse_waiter(f->source, w);
    if (why.detail != NULL) {
        return why;
    }
    if ((int64_t)f->waiters_count >= f->source->options.max_waiters_per_key) {
        return (struct refusal){LOAD_ERROR_BUSY, "max-waiters-per-key is reached"};
    }
    flight_join(f, w, deadline_ms);
    return (struct refusal){0};
}

/* Starts, joins or refuses, and counts which. */
static struct refusal start_or_join(struct flight *f, const struct flight_plan *plan,
                                    struct load_waiter *w)
{
    struct map_stats *stats = &plan->map->stats;
    struct refusal why = f != NULL ? join(f, w, plan->deadline_ms) : start(plan, w);
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
                               .purpose = FLIGHT_READ};
    m->stats.misses++;
    struct flight *f = find_flight(s, k);
    if (f != NULL && f->state == FLIGHT_HELD) {
        m->stats.rejected++;
        m->source->stats.rejected++;
        (void)strncpy(s->refusal, f->error, sizeof(s->refusal) - 1);
        *now = (struct load_result){.status = LOAD_FAILED, .error = strview_str(s->refusal)};
        return LOAD_AT_ONCE;
    }
    if (plan.deadline_ms <= now_ms) {
        m->stats.rejected++;
        m->source->stats.rejected++;
        return refuse(m->source, m, LOAD_ERROR_TIMEOUT, now_ms - arrived_ms,
                      "the command's time was up before this load", now);
    }
    struct refusal why = start_or_join(f, &plan, w);
    if (why.detail != NULL) {
        return refuse(m->source, m, why.code, now_ms - arrived_ms, why.detail, now);
    }
    return LOAD_WAITS;
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
    struct refusal why = start(&plan, w);
    return why.detail != NULL ? refuse(m->source, m, why.code, 0, why.detail, now) : LOAD_WAITS;
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
    struct refusal why = start(&plan, w);
    return why.detail != NULL ? refuse(src, NULL, why.code, 0, why.detail, now) : LOAD_WAITS;
}

/* ---- invalidation ---------------------------------------------------------------------------- */

static void void_key(struct sources *s, const struct store_key *k)
{
    struct flight *f = flight_table_find(&s->flights, k);
    if (f != NULL && f->state != FLIGHT_QUEUED) {
        flight_void(f);
    }
}

void sources_void_key(struct sources *s, unsigned db, struct strview key)
{
    if (s->flights.count == 0) {
        return;
    }
    struct store_key k = store_key_init(s->store, db, key);
    void_key(s, &k);
}

void sources_void_db(struct sources *s, unsigned db)
{
    assert(db <= STORE_DATABASES);
    for (unsigned i = 0; i < STORE_DATABASES; i++) {
        s->db_voids[i] += db == i || db == STORE_DATABASES;
    }
}

bool sources_invalidate_key(struct sources *s, struct strview key)
{
    bool was_cached = false;
    bool is_mapped = sources_match(s, key) != NULL;
    for (unsigned db = 0; db < STORE_DATABASES; db++) {
        struct store_key k = store_key_init(s->store, db, key);
        struct entry_view e;
        struct aux aux;
        void_key(s, &k);
        if (!store_peek(s->store, &k, &e) || (e.aux == NULL && !is_mapped)) {
            continue; /* an ordinary key is nobody's copy */
        }
        struct source_map *m = e.aux != NULL ? entry_live_map(s, &e, &aux) : NULL;
        if (m != NULL) {
            m->stats.invalidated++;
        }
        was_cached = was_cached || m != NULL || e.aux == NULL;
        (void)store_remove(s->store, &k); /* peeked: it is there */
    }
    return was_cached;
}

void sources_invalidate_map(struct sources *s, struct source_map *m)
{
    (void)s;
    m->epoch++;
    m->stats.invalidated++;
}

void sources_invalidate_all(struct sources *s)
{
    for (size_t i = 0; i < s->maps_count; i++) {
        sources_invalidate_map(s, s->maps[i]);
    }
}
