/*
 * Ages, lives and windows.
 *
 *     query sent ──────────── life ────────────┬── stale-ttl ──┬─ ...
 *                        ^                     ├── stale-error-ttl ──────────┐
 *                        refresh-ahead         ends                          the store drops it
 *
 * Up to refresh-ahead a hit is a hit. From there on it also starts a load in the background. Within
 * stale-ttl the old value is still answered at once, with such a load; within stale-error-ttl only
 * when the load fails or is slow. The windows are those of the present settings: raising them does
 * not bring back what the store has dropped.
 *
 * An entry from before a step of its map's epoch ended with that step. It is not served any more,
 * but it may still save a reader when the database is down: it was not this row that changed, or
 * nobody knows.
 */
#include "freshness.h"

#include <assert.h>

#include "refresh.h"

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

struct freshness freshness_of(const struct sources *s, const struct entry_view *e)
{
    const struct aux aux = aux_decode(e->aux);
    struct freshness f = {.sent_ms = aux.sent_ms, .ends_ms = aux.sent_ms + aux.life_ms};
    if (UNLIKELY(aux.map >= s->maps_count)) {
        return f;
    }
    struct source_map *m = s->maps[aux.map];
    const bool is_negative = e->type == ENTRY_NEGATIVE;
    f.map = m;
    f.is_current = aux.epoch == m->epoch;
    f.has_windows = !is_negative && (aux.flags & AUX_NO_STALE) == 0;
    if (LIKELY((aux.flags & AUX_OWN_TTL) == 0)) {
        const int64_t ttl_ms = is_negative ? m->options.negative_ttl_ms : m->options.ttl_ms;
        f.ends_ms = min_ms(f.ends_ms, aux.sent_ms + ttl_ms);
    }
    if (UNLIKELY(!f.is_current)) {
        f.ends_ms = min_ms(f.ends_ms, m->epoch_at_ms);
        if (m->is_gone || (int32_t)(aux.epoch - m->first_epoch) < 0) { /* no map's any more */
            return (struct freshness){.sent_ms = aux.sent_ms, .ends_ms = f.ends_ms};
        }
    }
    if (UNLIKELY(f.sent_ms <= m->soft_at_ms)) {
        f.ends_ms = min_ms(f.ends_ms, m->soft_at_ms);
    }
    if (UNLIKELY(m->blind_at_ms != INT64_MAX)) {
        const int64_t since_ms = f.sent_ms > m->blind_at_ms ? f.sent_ms : m->blind_at_ms;
        f.ends_ms = min_ms(f.ends_ms, since_ms + m->source->options.gap_ttl_ms);
    }
    return f;
}

bool freshness_can_serve(const struct freshness *f, int64_t now_ms)
{
    if (f->map == NULL || !f->is_current) {
        return false;
    }
    return now_ms < f->ends_ms ||
           (f->has_windows && now_ms - f->ends_ms < f->map->options.stale_ttl_ms);
}

bool freshness_can_save(const struct freshness *f, int64_t now_ms)
{
    if (freshness_can_serve(f, now_ms)) {
        return true;
    }
    return f->map != NULL && f->has_windows &&
           now_ms - f->ends_ms < f->map->options.stale_error_ttl_ms;
}

int64_t map_window_ms(const struct source_map *m)
{
    const struct map_options *o = &m->options;
    return o->stale_ttl_ms > o->stale_error_ttl_ms ? o->stale_ttl_ms : o->stale_error_ttl_ms;
}

bool old_value_find(struct sources *s, const struct source_map *m, const struct store_key *k,
                    struct load_result *out)
{
    struct entry_view e;
    if (map_window_ms(m) == 0 || !store_peek(s->store, k, &e) || e.aux == NULL ||
        e.type == ENTRY_NEGATIVE) {
        return false;
    }
    const struct freshness f = freshness_of(s, &e);
    if (f.map != m || !freshness_can_save(&f, s->clock->mono_ms)) {
        return false;
    }
    *out = (struct load_result){.status = LOAD_FOUND,
                                .type = e.type,
                                .value = e.value,
                                .sent_ms = f.sent_ms,
                                .is_stale = true};
    return true;
}

/* ---- for the layers above -------------------------------------------------------------------- */

static enum source_freshness judge(const struct freshness *f, const struct entry_view *e,
                                   int64_t now_ms)
{
    if (!freshness_can_serve(f, now_ms)) {
        return SOURCE_GONE;
    }
    if (e->type == ENTRY_NEGATIVE) {
        return SOURCE_ABSENT;
    }
    return now_ms < f->ends_ms ? SOURCE_FRESH : SOURCE_STALE;
}

enum source_freshness sources_peek(struct sources *s, const struct entry_view *e)
{
    assert(e->aux != NULL);
    const struct freshness f = freshness_of(s, e);
    return judge(&f, e, s->clock->mono_ms);
}

/* Old enough that a hit reloads it? */
static bool is_ageing(const struct freshness *f, int64_t now_ms)
{
    const int64_t share = f->map->options.refresh_ahead;
    const int64_t age_ms = now_ms - f->sent_ms;
    const int64_t life_ms = f->ends_ms - f->sent_ms;
    /* Both are below 2^40, a share is at most 10^6: no overflow. */
    return share > 0 && age_ms * SETTING_PERCENT_UNITS >= life_ms * share;
}

enum source_freshness sources_judge(struct sources *s, const struct store_key *k,
                                    const struct entry_view *e, bool may_load)
{
    assert(e->aux != NULL);
    const struct freshness f = freshness_of(s, e);
    const int64_t now_ms = s->clock->mono_ms;
    const enum source_freshness freshness = judge(&f, e, now_ms);
    if (freshness == SOURCE_GONE) {
        return freshness;
    }
    struct map_stats *stats = &f.map->stats;
    stats->hits += freshness == SOURCE_FRESH;
    stats->stale_hits += freshness == SOURCE_STALE;
    stats->negative_hits += freshness == SOURCE_ABSENT;
    if (may_load && (freshness == SOURCE_STALE ||
                     (freshness == SOURCE_FRESH && UNLIKELY(is_ageing(&f, now_ms))))) {
        refresh_start(f.map, k, f.sent_ms);
    }
    return freshness;
}

int64_t sources_expires_at(struct sources *s, const struct entry_view *e)
{
    assert(e->aux != NULL);
    const struct freshness f = freshness_of(s, e);
    return f.ends_ms > s->clock->mono_ms ? f.ends_ms : s->clock->mono_ms;
}

int64_t sources_sent_at(const struct entry_view *e)
{
    assert(e->aux != NULL);
    return aux_decode(e->aux).sent_ms;
}

void sources_shorten(struct sources *s, const struct store_key *k, int64_t expires_at_ms)
{
    struct entry_view e;
    if (!store_peek(s->store, k, &e) || e.aux == NULL) {
        return;
    }
    struct aux aux = aux_decode(e.aux);
    if (expires_at_ms < aux.sent_ms + aux.life_ms) {
        unsigned char bytes[STORE_AUX_BYTES];
        aux.life_ms = expires_at_ms > aux.sent_ms ? expires_at_ms - aux.sent_ms : 0;
        aux_encode(bytes, &aux);
        (void)store_set_aux(s->store, k, bytes); /* it has some */
    }
}
