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
#include "write.h"

#define SCRATCH_KEEP_BYTES (64 * 1024)

struct shape map_shape(const struct source_map *m, bool is_bulk)
{
    const struct map_options *o = &m->options;
    return (struct shape){
        .as = (enum shape_as)o->as,
        .null = (enum shape_null)o->null,
        .rows = (enum shape_rows)o->rows,
        .bytes = (enum shape_bytes)o->bytes,
        .utf8 = (enum shape_utf8)o->invalid_utf8,
        .ttl_column = o->ttl_column,
        .expires_column = o->expires_column,
        .canon = o->canon,
        .bulk = is_bulk || (o->as != SHAPE_STRING && o->as != SHAPE_RAW) ? o->bulk : "",
        .tags = o->tags,
        .max_rows = (unsigned)o->max_rows,
        .wall_ms = m->source->owner->clock->wall_ms,
    };
}

/* The parameter that the option `canon` is about: the one of the same name, else the only one. */
static struct strview canon_param(const struct flight *f)
{
    struct strview values[PATTERN_PARAMS_MAX];
    const struct pattern *p = &f->map->pattern;
    if (!pattern_match(p, flight_key(f), SIZE_MAX, values)) {
        return strview_of("", 0);
    }
    unsigned i = 0;
    while (i < p->params_count &&
           !strview_eq(p->params[i].name, strview_str(f->map->options.canon))) {
        i++;
    }
    return p->params_count > 0 ? values[i < p->params_count ? i : 0] : strview_of("", 0);
}

/* ttl x (1 - U[0, jitter]) */
static int64_t draw_life(struct sources *s, int64_t ttl_ms, int64_t jitter)
{
    uint64_t random = rng_below(&s->rng, (uint64_t)jitter + 1);
    double share = (double)random / SETTING_PERCENT_UNITS;
    return ttl_ms - (int64_t)((double)ttl_ms * share);
}

/* A row that the database itself forgets sooner than the map does takes its life from there. */
static void limit_life(const struct source_map *m, const struct driver_result *r, struct shaped *s)
{
    const int64_t life_ms = s->has_ttl ? s->ttl_ms : m->options.ttl_ms;
    if (r->has_life && r->life_ms < life_ms) {
        s->has_ttl = true;
        s->ttl_ms = r->life_ms;
    }
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
    if (is_found && shaped->has_end) {
        const int64_t ends_ms = s->clock->mono_ms - f->sent_ms + shaped->ends_in_ms;
        life_ms = shaped->ends_in_ms <= 0 ? 0 : life_ms < ends_ms ? life_ms : ends_ms;
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
                              .type = !is_found         ? ENTRY_NEGATIVE
                                      : shaped->is_hash ? ENTRY_HASH
                                                        : ENTRY_STRING,
                              .aux = {.map = f->map->index,
                                      .flags = flags,
                                      .epoch = f->epoch,
                                      .sent_ms = f->sent_ms,
                                      .life_ms = life_ms},
                              .kept_until_ms = kept_until_ms,
                              .is_stored = life_ms > 0 && kept_until_ms > s->clock->mono_ms &&
                                           !shaped->is_foreign &&
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
        const struct store_write write = {.expires_at_ms = p.kept_until_ms,
                                          .aux = aux,
                                          .type = p.type,
                                          .is_reloadable = true,
                                          .leaves_first = f->map->options.priority == PRIORITY_LOW};
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

/* The rows that a value was made of. */
struct made_of {
    const struct shape *shape;
    const struct rows *rows;
    unsigned first, count;
};

struct tagging {
    struct flight *f;
    bool is_void, has_failed;
};

static void check_tag(void *ctx, struct strview tag)
{
    struct tagging *t = ctx;
    t->is_void = t->is_void || tags_is_void(t->f->source->owner, tag, t->f->tag_seq);
}

static void add_tag(void *ctx, struct strview tag)
{
    struct tagging *t = ctx;
    const struct store_key k = {.key = flight_key(t->f), .hash = t->f->hash, .db = t->f->db};
    t->has_failed = t->has_failed || !tags_add(t->f->source->owner, tag, &k);
}

static void walk_tags(const struct made_of *of, shape_tag_fn fn, struct tagging *t)
{
    for (unsigned i = 0; of->shape->tags[0] != '\0' && i < of->count; i++) {
        shape_tags(of->shape, of->rows, of->first + i, fn, t);
    }
}

static bool has_void_tag(struct flight *f, const struct made_of *of)
{
    struct tagging t = {.f = f};
    walk_tags(of, check_tag, &t);
    return t.is_void;
}

/* Stores the value under its tags. A value that cannot be found by its tags may not stay. */
static bool store_tagged(struct flight *f, const struct shaped *shaped, const struct made_of *of)
{
    struct tagging t = {.f = f};
    if (!store_entry(f, shaped)) {
        return false;
    }
    if (shaped->status == SHAPE_FOUND) {
        walk_tags(of, add_tag, &t);
    }
    if (t.has_failed) {
        const struct store_key k = {.key = flight_key(f), .hash = f->hash, .db = f->db};
        (void)store_remove(f->source->owner->store, &k); /* it is there */
    }
    return !t.has_failed;
}

static void fill(struct flight *f, const struct shaped *shaped, const struct made_of *of)
{
    struct map_stats *stats = &f->map->stats;
    if (flight_is_stale(f) || has_void_tag(f, of)) {
        stats->voided++;
    } else if (f->purpose != FLIGHT_READ || !store_tagged(f, shaped, of)) {
        stats->nofill++;
    } else if (shaped->status == SHAPE_FOUND) {
        stats->fills++;
    } else {
        stats->negatives++;
    }
}

/* Shapes the rows, stores, answers. `own`: what was answered to this flight alone; NULL: the rows
 * are part of a bulk's answer. */
static void fill_from_rows(struct flight *f, const struct rows *rows, unsigned first,
                           unsigned count, const struct driver_result *own)
{
    struct sources *s = f->source->owner;
    struct buf scratch =
        s->scratch; /* ours until the answers are out: a callback may end another flight */
    s->scratch = (struct buf){0};
    struct shape shape = map_shape(f->map, own == NULL);
    shape.param = canon_param(f);
    struct shaped shaped = shape_rows(&shape, rows, first, count, &scratch);
    if (own != NULL) {
        limit_life(f->map, own, &shaped);
    }
    if (shaped.status == SHAPE_MISFIT) {
        flight_fail(f, LOAD_ERROR_REFUSED, shaped.problem);
    } else {
        const struct made_of of = {&shape, rows, first, count};
        fill(f, &shaped, &of);
        struct load_result result = {.status = LOAD_ABSENT};
        if (shaped.status == SHAPE_FOUND) {
            result.status = LOAD_FOUND;
            result.type = shaped.is_hash ? ENTRY_HASH : ENTRY_STRING;
            result.value = shaped.value;
            result.sent_ms = f->sent_ms;
        }
        if (f->is_warm) {
            warm_note(s, result.status);
        }
        flight_finish(f, &result);
    }
    buf_clear(&scratch);
    buf_shrink(&scratch, SCRATCH_KEEP_BYTES);
    buf_fini(&s->scratch);
    s->scratch = scratch;
}

void fill_from_write(struct flight *f, const struct rows *rows)
{
    struct buf scratch;
    buf_init(&scratch);
    struct shape shape = map_shape(f->map, false);
    shape.param = canon_param(f);
    const struct shaped shaped = shape_rows(&shape, rows, 0, rows->count, &scratch);
    const struct made_of of = {&shape, rows, 0, rows->count};
    if (shaped.status == SHAPE_FOUND && !has_void_tag(f, &of)) {
        (void)store_tagged(f, &shaped, &of); /* else the next reader loads it */
    }
    buf_fini(&scratch);
}

/* The statement is one; are its columns what the map needs? */
static void end_check(struct flight *f, const struct rows *rows)
{
    const bool is_bulk = f->statement_id == f->map->bulk_statement_id;
    const struct shape shape = map_shape(f->map, is_bulk);
    const char *problem = shape_check(&shape, rows);
    if (problem != NULL) {
        flight_fail(f, LOAD_ERROR_REFUSED, problem);
        return;
    }
    f->map->stats.nofill++;
    flight_finish(f, &(struct load_result){.status = LOAD_ABSENT});
}

void fill_from_result(struct flight *f, const struct driver_result *r)
{
    assert(f->state == FLIGHT_SENT);
    if (f->purpose == FLIGHT_WRITE) {
        write_done(f, r);
        return;
    }
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
    if (f->purpose == FLIGHT_CHECK) {
        end_check(f, r->rows);
        return;
    }
    if (f->purpose == FLIGHT_WARM) {
        f->map->stats.nofill++;
        warm_take_rows(f->source->owner, r->rows);
        flight_finish(f, &(struct load_result){.status = LOAD_ABSENT});
        return;
    }
    fill_from_rows(f, r->rows, 0, r->rows->count, r);
}

void fill_from_bulk(struct flight *f, const struct rows *rows, unsigned first, unsigned count)
{
    assert(f->state == FLIGHT_SENT);
    if (rows->has_more && count == 0) {
        flight_fail(f, LOAD_ERROR_REFUSED, "the bulk query has more rows than keys");
    } else {
        fill_from_rows(f, rows, first, count, NULL);
    }
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
    if (r->status == DRIVER_OK && !s->check_is_write) {
        struct shape shape = map_shape(s->check_map, s->check_is_bulk);
        const char *problem = shape_check(&shape, r->rows);
        if (problem != NULL) {
            s->check_status = DRIVER_ERROR;
            errtext_set(&s->check_text, "%s", problem);
        }
    }
    s->check_map = NULL;
    return true;
}
