/*
 * The fill: what a result becomes in the store. The entry's age counts from the moment the query
 * was sent, whatever the database took to answer; jitter only ever shortens a life; a result that
 * may not be stored is still answered.
 *
 * Counted per map, exactly one per load that succeeded: fills (entry written), negatives (absent
 * row remembered), voided (an event came after the query), nofill (all other answers that were not
 * stored).
 */
#include "fill.h"

#include <assert.h>

#include "flight.h"
#include "freshness.h"
#include "load_error.h"
#include "probe.h"

#define SCRATCH_KEEP_BYTES (64 * 1024)

struct shape map_shape(const struct source_map *m)
{
    const struct map_options *o = &m->options;
    return (struct shape){
        .as = (enum shape_as)o->as,
        .null = (enum shape_null)o->null,
        .rows = (enum shape_rows)o->rows,
        .bytes = (enum shape_bytes)o->bytes,
        .utf8 = (enum shape_utf8)o->invalid_utf8,
        .ttl_column = o->ttl_column,
    };
}

/* ttl x (1 - U[0, jitter]) */
static int64_t draw_life(struct sources *s, int64_t ttl_ms, int64_t jitter)
{
    uint64_t random = rng_below(&s->rng, (uint64_t)jitter + 1);
    double share = (double)random / SETTING_PERCENT_UNITS;
    return ttl_ms - (int64_t)((double)ttl_ms * share);
}

/* What is to be written, decided. */
struct fill_plan {
    struct store_key key;
    struct strview value;
    enum entry_type type;
    struct aux aux;
    int64_t kept_until_ms; /* the store keeps it through the windows beyond its life */
    bool is_stored;
};

/* Keys at random must not push the rows out. */
static bool may_remember_absence(const struct source_map *m)
{
    const double part = (double)m->options.negative_share / SETTING_PERCENT_UNITS;
    return store_negative_fits(m->source->owner->store, part);
}

static struct fill_plan plan_fill(struct flight *f, const struct shaped *shaped)
{
    struct sources *s = f->source->owner;
    const struct map_options *o = &f->map->options;
    const bool is_found = shaped->status == SHAPE_FOUND;
    int64_t life_ms = o->negative_ttl_ms;
    if (is_found) {
        life_ms = draw_life(s, shaped->has_ttl ? shaped->ttl_ms : o->ttl_ms, o->jitter);
    }
    if (f->is_late && life_ms > o->min_reload_ms) {
        life_ms = o->min_reload_ms;
    }
    unsigned flags = f->is_late ? AUX_NO_STALE : 0;
    flags |= is_found && shaped->has_ttl ? AUX_OWN_TTL : 0;
    life_ms = life_ms > 0 ? life_ms : 0;
    const bool has_windows = is_found && !f->is_late;
    const int64_t kept_until_ms = f->sent_ms + life_ms + (has_windows ? map_window_ms(f->map) : 0);
    return (struct fill_plan){.key = {.key = flight_key(f), .hash = f->hash, .db = f->db},
                              .value = is_found ? shaped->value : strview_of("", 0),
                              .type = is_found ? ENTRY_STRING : ENTRY_NEGATIVE,
                              .aux = {.map = f->map->index,
                                      .flags = flags,
                                      .epoch = f->epoch,
                                      .sent_ms = f->sent_ms,
                                      .life_ms = life_ms},
                              .kept_until_ms = kept_until_ms,
                              .is_stored = life_ms > 0 && kept_until_ms > s->clock->mono_ms &&
                                           (is_found ? shaped->value.len <= (size_t)o->max_value
                                                     : may_remember_absence(f->map))};
}

/* The same bytes again: only the age changes, and nobody need hear of it. */
static bool renew(struct flight *f, const struct fill_plan *p, const struct entry_view *old)
{
    struct store *store = f->source->owner->store;
    unsigned char aux[STORE_AUX_BYTES];
    if (old->aux == NULL || old->type != p->type || !strview_eq(old->value, p->value)) {
        return false;
    }
    aux_encode(aux, &p->aux);
    return store_set_aux(store, &p->key, aux) &&
           store_set_expiry(store, &p->key, p->kept_until_ms) == STORE_OK;
}

/* Writes the entry. False: it could not be stored; what was there before is gone, because something
 * newer is known. */
static bool store_entry(struct flight *f, const struct shaped *shaped)
{
    struct sources *s = f->source->owner;
    const struct fill_plan p = plan_fill(f, shaped);
    struct entry_view old;
    const bool was_there = store_peek(s->store, &p.key, &old);
    bool is_stored = p.is_stored && (was_there || f->is_admitted);
    if (is_stored && was_there && renew(f, &p, &old)) {
        return true;
    }
    if (is_stored) {
        unsigned char aux[STORE_AUX_BYTES];
        const struct store_write write = {
            .expires_at_ms = p.kept_until_ms, .aux = aux, .type = p.type, .is_reloadable = true};
        aux_encode(aux, &p.aux);
        is_stored = store_set(s->store, &p.key, p.value, &write) == STORE_OK;
    }
    if (!is_stored && was_there) {
        (void)store_remove(s->store, &p.key); /* it is there */
    }
    if (s->observer.filled != NULL && (is_stored || was_there)) {
        s->observer.filled(s->observer.ctx, &p.key, was_there);
    }
    return is_stored;
}

static void fill(struct flight *f, const struct shaped *shaped)
{
    struct map_stats *stats = &f->map->stats;
    if (flight_is_stale(f)) {
        stats->voided++;
    } else if (f->purpose != FLIGHT_READ || !store_entry(f, shaped)) {
        stats->nofill++;
    } else if (shaped->status == SHAPE_FOUND) {
        stats->fills++;
    } else {
        stats->negatives++;
    }
}

void fill_from_result(struct flight *f, const struct driver_result *r)
{
    struct sources *s = f->source->owner;
    assert(f->state == FLIGHT_SENT);
    if (r->status != DRIVER_OK) {
        flight_fail(f, load_error_from_status(r->status), r->detail);
        return;
    }
    if (f->purpose == FLIGHT_PROBE) {
        source_probed(f->source, false);
    }
    if (f->purpose == FLIGHT_PING || f->purpose == FLIGHT_PROBE) {
        struct load_result pong = {.status = LOAD_FOUND, .value = strview_str("PONG")};
        flight_finish(f, &pong);
        return;
    }
    struct buf scratch =
        s->scratch; /* ours until the answers are out: a callback may end another flight */
    s->scratch = (struct buf){0};
    struct shape shape = map_shape(f->map);
    struct shaped shaped = shape_rows(&shape, r->rows, &scratch);
    if (shaped.status == SHAPE_MISFIT) {
        flight_fail(f, LOAD_ERROR_REFUSED, shaped.problem);
    } else {
        fill(f, &shaped);
        struct load_result result = {.status = LOAD_ABSENT, .type = ENTRY_STRING};
        if (shaped.status == SHAPE_FOUND) {
            result.status = LOAD_FOUND;
            result.value = shaped.value;
            result.sent_ms = f->sent_ms;
        }
        flight_finish(f, &result);
    }
    buf_clear(&scratch);
    buf_shrink(&scratch, SCRATCH_KEEP_BYTES);
    buf_fini(&s->scratch);
    s->scratch = scratch;
}

bool fill_check(struct source *src, const struct driver_result *r)
{
    struct sources *s = src->owner;
    if (r->id != 0) {
        return false;
    }
    if (s->check_map == NULL) {
        return true; /* came too late: the source counts as out of reach at start */
    }
    s->check_status = r->status;
    errtext_set(&s->check_text, "%s", r->detail != NULL ? r->detail : "");
    if (r->status == DRIVER_OK) {
        struct shape shape = map_shape(s->check_map);
        const char *problem = shape_check(&shape, r->rows);
        if (problem != NULL) {
            s->check_status = DRIVER_ERROR;
            errtext_set(&s->check_text, "%s", problem);
        }
    }
    s->check_map = NULL;
    return true;
}
