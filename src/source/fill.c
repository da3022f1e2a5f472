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
#include "load_error.h"

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

/* Writes the entry. False: it could not be stored. */
static bool store_entry(struct flight *f, const struct shaped *shaped)
{
    struct sources *s = f->source->owner;
    const struct map_options *o = &f->map->options;
    bool is_found = shaped->status == SHAPE_FOUND;
    int64_t life_ms = o->negative_ttl_ms;
    if (is_found) {
        life_ms = draw_life(s, shaped->has_ttl ? shaped->ttl_ms : o->ttl_ms, o->jitter);
    }
    int64_t expires_at_ms = f->sent_ms + life_ms;
    if (life_ms <= 0 || expires_at_ms <= s->clock->mono_ms ||
        (is_found && shaped->value.len > (size_t)o->max_value)) {
        return false;
    }
    unsigned char aux[STORE_AUX_BYTES];
    aux_encode(aux, &(struct aux){.map = (uint16_t)f->map->index,
                                  .flags = is_found && shaped->has_ttl ? AUX_OWN_TTL : 0,
                                  .epoch = f->epoch,
                                  .sent_ms = f->sent_ms});
    struct store_key key = {.key = flight_key(f), .hash = f->hash, .db = f->db};
    struct store_write write = {.expires_at_ms = expires_at_ms,
                                .aux = aux,
                                .type = is_found ? ENTRY_STRING : ENTRY_NEGATIVE,
                                .is_reloadable = true};
    struct strview value = is_found ? shaped->value : strview_of("", 0);
    struct entry_view old;
    const bool was_there = s->fill_fn != NULL && store_peek(s->store, &key, &old);
    if (store_set(s->store, &key, value, &write) != STORE_OK) {
        return false;
    }
    if (s->fill_fn != NULL) {
        s->fill_fn(s->fill_ctx, key.key, was_there);
    }
    return true;
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
    if (f->purpose == FLIGHT_PING) {
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
