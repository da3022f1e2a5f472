/*
 * Something changed: what has to be forgotten. A load whose query was sent before the event may
 * answer those who waited for it, and nothing else; entries of the key are removed, those of a map
 * are all over with one step of its epoch.
 *
 * With min-reload-interval a key that was loaded a moment ago is not loaded again at once: what is
 * known (or under way) stays good until the interval is over, and not a moment longer. DEL does not
 * go through here: a client that removes a key means it.
 */
#include <assert.h>

#include "fence.h"
#include "flight.h"
#include "freshness.h"
#include "write.h"

/* ---- invalidation ---------------------------------------------------------------------------- */

static void void_key(struct sources *s, const struct store_key *k)
{
    fence_key(s, k->hash);
    struct flight *f = flight_table_find(&s->flights, k);
    if (f != NULL && f->state != FLIGHT_QUEUED) {
        flight_void(f);
    }
}

void sources_void_key(struct sources *s, unsigned db, struct strview key)
{
    if (UNLIKELY(!list_is_empty(&s->writes))) {
        write_void_key(s, key);
    }
    if (s->flights.count == 0 && s->fences == NULL) {
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

/* Lets a value that is younger than min-reload-interval live until it is that old. False: it is
 * not. */
static bool defer(struct sources *s, const struct store_key *k, const struct entry_view *e,
                  const struct source_map *m)
{
    struct aux aux = aux_decode(e->aux);
    unsigned char bytes[STORE_AUX_BYTES];
    const int64_t interval_ms = m->options.min_reload_ms;
    if (s->clock->mono_ms - aux.sent_ms >= interval_ms) {
        return false;
    }
    aux.life_ms = aux.life_ms < interval_ms ? aux.life_ms : interval_ms;
    aux.flags |= AUX_NO_STALE;
    aux_encode(bytes, &aux);
    return store_set_aux(s->store, k, bytes);
}

/* A load in the air that may still fill, for the rest of the interval. */
static bool defer_flight(struct sources *s, const struct store_key *k)
{
    struct flight *f = flight_table_find(&s->flights, k);
    if (f == NULL || f->state != FLIGHT_SENT || f->map->options.min_reload_ms == 0) {
        return false;
    }
    f->is_late = true;
    return true;
}

/* Its life ends now, but it stays. */
static void soften(struct sources *s, const struct store_key *k)
{
    sources_shorten(s, k, s->clock->mono_ms);
}

static bool invalidate_entry(struct sources *s, const struct store_key *k, bool is_mapped,
                             bool is_soft)
{
    struct entry_view e;
    if (!store_peek(s->store, k, &e) || (e.aux == NULL && !is_mapped)) {
        return false; /* an ordinary key is nobody's copy */
    }
    if (e.aux == NULL) {
        (void)store_remove(s->store, k); /* peeked: it is there */
        return true;
    }
    const struct freshness f = freshness_of(s, &e);
    const bool was_good = freshness_can_serve(&f, s->clock->mono_ms);
    if (was_good) {
        f.map->stats.invalidated++;
    }
    if (is_soft && e.type != ENTRY_NEGATIVE) {
        soften(s, k);
    } else if (!was_good || !defer(s, k, &e, f.map)) {
        (void)store_remove(s->store, k);
    }
    return was_good;
}

void sources_forget_key(struct sources *s, struct strview key)
{
    unsigned databases = 0;
    struct store_key k = store_key_init(s->store, 0, key);
    for (unsigned db = 0; db < STORE_DATABASES; db++) {
        k.db = db;
        void_key(s, &k);
        databases |= (unsigned)store_remove(s->store, &k) << db;
    }
    if (s->observer.key_invalidated != NULL) {
        s->observer.key_invalidated(s->observer.ctx, key, databases);
    }
}

bool sources_invalidate_key(struct sources *s, struct strview key, bool is_soft)
{
    if (UNLIKELY(!list_is_empty(&s->writes))) {
        write_void_key(s, key);
    }
    unsigned databases = 0;
    const bool is_mapped = sources_match(s, key) != NULL;
    struct store_key k = store_key_init(s->store, 0, key); /* the hash is the same in all */
    for (unsigned db = 0; db < STORE_DATABASES; db++) {
        k.db = db;
        if (is_soft || !defer_flight(s, &k)) {
            void_key(s, &k);
        }
        databases |= (unsigned)invalidate_entry(s, &k, is_mapped, is_soft) << db;
    }
    if (s->observer.key_invalidated != NULL) {
        s->observer.key_invalidated(s->observer.ctx, key, databases);
    }
    return databases != 0;
}

void sources_invalidate_map(struct sources *s, struct source_map *m)
{
    m->epoch++;
    m->epoch_at_ms = s->clock->mono_ms;
    m->stats.invalidated++;
}

void sources_soften_map(struct sources *s, struct source_map *m)
{
    m->soft_at_ms = s->clock->mono_ms;
    m->stats.invalidated++;
}
