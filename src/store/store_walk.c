/*
 * Databases as a whole: counting, SCAN, RANDOMKEY, FLUSHDB, SWAPDB.
 *
 * A flush is a change of names. One database: its space is set aside and drained in slices, entry
 * by entry, while the database goes on with an empty one. When nothing else is in the store (or all
 * databases are meant) the segments are condemned whole instead and no entry has to be visited.
 */
#include "store_private.h"

/* A space this small is emptied at once. */
#define FLUSH_AT_ONCE 256
#define RANDOM_TRIES  128

size_t store_count(const struct store *s, unsigned db)
{
    const struct space *sp = &s->spaces[s->db_space[db]];
    return sp->ix != NULL ? index_count(sp->ix) - sp->count_negative : 0;
}

size_t store_count_volatile(const struct store *s, unsigned db)
{
    return s->spaces[s->db_space[db]].count_volatile;
}

/* ---- scan ---- */

struct scan {
    struct store *s;
    store_visit_fn fn;
    void *ctx;
};

/* A live entry that a walk may show. */
static bool is_visible(const struct store *s, const unsigned char *e)
{
    return (e[0] & ENTRY_TYPE_MASK) != ENTRY_NEGATIVE && entry_expiry(e) > s->clock->mono_ms;
}

static void scan_slot(void *ctx, uint64_t slot)
{
    struct scan *scan = ctx;
    unsigned char *e = entry_at(&scan->s->segs, slot_ref(slot));
    if (is_visible(scan->s, e)) {
        struct entry_view view;
        entry_view_fill(e, &view);
        scan->fn(scan->ctx, &view);
    }
}

uint64_t store_scan(struct store *s, unsigned db, uint64_t cursor, size_t count, store_visit_fn fn,
                    void *ctx)
{
    const struct space *sp = space_of_db(s, db);
    if (sp->ix == NULL) {
        return 0;
    }
    struct scan scan = {.s = s, .fn = fn, .ctx = ctx};
    return index_scan(sp->ix, cursor, count, scan_slot, &scan);
}

static void keep_visible(void *ctx, const struct entry_view *e)
{
    struct entry_view *out = ctx;
    *out = *e;
}

bool store_random(struct store *s, unsigned db, struct entry_view *out)
{
    const struct space *sp = space_of_db(s, db);
    if (store_count(s, db) == 0) {
        return false;
    }
    for (unsigned i = 0; i < RANDOM_TRIES; i++) {
        uint64_t slot = index_random(sp->ix, rng_next(&s->rng));
        unsigned char *e = entry_at(&s->segs, slot_ref(slot));
        if (slot != 0 && is_visible(s, e)) {
            entry_view_fill(e, out);
            return true;
        }
    }
    /* Nearly all are expired or negative: the first visible one will do. */
    *out = (struct entry_view){.key = {.data = NULL}};
    uint64_t cursor = 0;
    do {
        cursor = store_scan(s, db, cursor, RANDOM_TRIES, keep_visible, out);
    } while (cursor != 0 && out->expires_at_ms == 0);
    return out->expires_at_ms != 0;
}

/* ---- flush and swap ---- */

static void drain_now(struct store *s, struct space *sp)
{
    while (sp->ix != NULL && index_count(sp->ix) > 0) {
        uint64_t ref = slot_ref(index_random(sp->ix, 0));
        uint64_t hash = store_hash_of_ref(s, ref);
        index_remove(sp->ix, hash, store_slot_of_ref(sp, hash, ref));
        store_kill(s, entry_at(&s->segs, ref));
    }
}

static void discard_index(struct store *s, struct index *ix)
{
    if (s->discarded_count == DISCARDED_MAX) { /* flushed again and again without a tick */
        struct index *last = s->discarded[--s->discarded_count];
        while (index_drain(last, SIZE_MAX, NULL, NULL)) {
        }
        index_destroy(last);
    }
    s->discarded[s->discarded_count++] = ix;
}

static void condemn(struct store *s, uint32_t id)
{
    struct segment *seg = segment_at(&s->segs, id);
    store_unlink_segment(s, id);
    seg->state = SEGMENT_CONDEMNED;
    s->live_bytes -= seg->live;
    seg->live = 0;
    segment_list_push_back(&s->segs, &s->condemned, LINK_QUEUE, id);
}

static void flush_all(struct store *s)
{
    s->slot_moves++;
    s->sweep.seg = SEGMENT_NONE;
    s->reclaim.seg = SEGMENT_NONE;
    for (uint32_t id = 1; id < s->segs.high; id++) {
        struct segment *seg = segment_at(&s->segs, id);
        seg->is_swept = 0;
        if (seg->state != SEGMENT_FREE && seg->state != SEGMENT_CONDEMNED) {
            condemn(s, id);
        }
    }
    memset(s->heads, 0, sizeof(s->heads));
    s->negative_bytes = 0;
    s->count = 0;
    for (unsigned i = 0; i < SPACES; i++) {
        struct space *sp = &s->spaces[i];
        if (sp->ix != NULL) {
            discard_index(s, sp->ix);
        }
        *sp = (struct space){.state = sp->state == SPACE_ACTIVE ? SPACE_ACTIVE : SPACE_FREE};
    }
}

void store_flush(struct store *s, unsigned db)
{
    if (db == STORE_DATABASES) {
        flush_all(s);
        return;
    }
    struct space *sp = space_of_db(s, db);
    size_t count = sp->ix != NULL ? index_count(sp->ix) : 0;
    unsigned fresh = 0;
    while (fresh < SPACES && s->spaces[fresh].state != SPACE_FREE) {
        fresh++;
    }
    if (count <= FLUSH_AT_ONCE || fresh == SPACES) {
        drain_now(s, sp);
    } else if (count == s->count) {
        flush_all(s);
    } else {
        sp->state = SPACE_DRAINING;
        s->spaces[fresh] = (struct space){.state = SPACE_ACTIVE};
        s->db_space[db] = (uint8_t)fresh;
        s->slot_moves++;
    }
}

void store_swap(struct store *s, unsigned a, unsigned b)
{
    uint8_t space = s->db_space[a];
    s->slot_moves++;
    s->db_space[a] = s->db_space[b];
    s->db_space[b] = space;
}
