/*
 * Walks over the index: SCAN, a random slot, draining.
 *
 * Buckets are in hash order in a table, tables in a region, regions in the index, so a cursor is
 * simply a position in hash space: 7 bits of region and 46 of fraction. Everything before it has
 * been shown, whatever the tables looked like at the time, and the stretch shown next ends where a
 * bucket ends. A slot is shown with its home bucket, though it may lie in a later one: the reach of
 * the home says how far to look, and the hash, asked from the owner, to which home a slot belongs.
 */
#include "index.h"

#include "index_table.h"

#define FRACTION_SHIFT (64 - INDEX_FRACTION_BITS)

/* A call of SCAN ends when it has shown as many slots as asked for, or has met this many buckets
 * for each of them: a sparse index costs no more than a full one. */
#define SCAN_BUCKETS_PER_SLOT 10
#define SCAN_COUNT_MAX        (SIZE_MAX / SCAN_BUCKETS_PER_SLOT - 1)

/* The first cursor fraction (46 bits, within the table's part) whose home is bucket `b`. */
static uint64_t bucket_start(const struct index_table *t, unsigned b)
{
    unsigned bits = INDEX_FRACTION_BITS - t->depth;
    uint64_t scaled = (uint64_t)b << bits;

    return (scaled + t->buckets_count - 1) / t->buckets_count;
}

static void bucket_prefetch_entries(const struct index *ix, const struct index_bucket *b)
{
    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        if (b->slot[i] != 0) {
            ix->owner.prefetch(ix->owner.ctx, slot_ref(b->slot[i]));
        }
    }
}

/* Shows the slots whose home is bucket `home`; returns how many. */
static size_t scan_home(const struct index *ix, const struct index_table *t, unsigned home,
                        index_visit_fn fn, void *ctx)
{
    unsigned reach = (unsigned)(t->buckets[home].head & 15);
    unsigned at = home;
    size_t shown = 0;

    bucket_prefetch_entries(ix, &t->buckets[(home + 1) % t->buckets_count]);
    for (unsigned distance = 0; distance <= reach; distance++) {
        const struct index_bucket *b = &t->buckets[at];

        for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
            uint64_t fraction;

            if (b->slot[i] == 0) {
                continue;
            }
            (void)index_locate(ix->owner.hash_of(ix->owner.ctx, slot_ref(b->slot[i])), &fraction);
            if (table_home(t, fraction) == home) {
                fn(ctx, b->slot[i]);
                shown++;
            }
        }
        at = at + 1 == t->buckets_count ? 0 : at + 1;
    }
    return shown;
}

uint64_t index_scan(const struct index *ix, uint64_t cursor, size_t count, index_visit_fn fn,
                    void *ctx)
{
    uint64_t region = cursor >> INDEX_FRACTION_BITS;
    uint64_t fraction = cursor << FRACTION_SHIFT;
    size_t shown = 0;

    count = count > 0 ? count : 1;
    size_t buckets_left = count < SCAN_COUNT_MAX ? count * SCAN_BUCKETS_PER_SLOT : SIZE_MAX;

    while (region < INDEX_REGIONS && shown < count && buckets_left > 0) {
        const struct index_region *r = &ix->region[region];
        const struct index_table *t = region_table(r, fraction);
        uint64_t part = (UINT64_C(1) << INDEX_FRACTION_BITS) >> t->depth;
        uint64_t start = (fraction >> FRACTION_SHIFT) & ~(part - 1);
        unsigned b = table_home(t, fraction);

        for (; b < t->buckets_count && shown < count && buckets_left > 0; b++, buckets_left--) {
            shown += scan_home(ix, t, b, fn, ctx);
        }
        fraction = (start + bucket_start(t, b)) << FRACTION_SHIFT;
        region += fraction == 0 && b == t->buckets_count;
    }
    return region < INDEX_REGIONS ? region << INDEX_FRACTION_BITS | fraction >> FRACTION_SHIFT : 0;
}

uint64_t index_random(const struct index *ix, uint64_t random)
{
    uint64_t fraction;
    unsigned region = index_locate(random, &fraction);
    const struct index_region *r = &ix->region[region];
    size_t at = (size_t)(region_table(r, fraction) - r->dir);
    unsigned b = table_home(&r->dir[at], fraction);
    unsigned i = (unsigned)(random % BUCKET_SLOTS);

    if (ix->count == 0) {
        return 0;
    }
    for (;;) {
        const struct index_table *t = &r->dir[region_first_entry(r, at)];

        for (; t->count != 0 && b < t->buckets_count; b++) {
            for (; i < BUCKET_SLOTS; i++) {
                if (t->buckets[b].slot[i] != 0) {
                    return t->buckets[b].slot[i];
                }
            }
            i = 0;
        }
        b = i = 0;
        at = region_first_entry(r, at) + region_entries_of(r, at);
        if (at == (size_t)1 << r->depth) {
            at = 0;
            region = region + 1 == INDEX_REGIONS ? 0 : region + 1;
            r = &ix->region[region];
        }
    }
}

/* Empties one bucket. */
static void drain_bucket(struct index *ix, struct index_table *t, struct index_bucket *b,
                         index_visit_fn fn, void *ctx)
{
    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        if (b->slot[i] == 0) {
            continue;
        }
        if (fn != NULL) {
            fn(ctx, b->slot[i]);
        }
        b->slot[i] = 0;
        t->count--;
        ix->count--;
    }
    b->head = 0;
}

bool index_drain(struct index *ix, size_t budget, index_visit_fn fn, void *ctx)
{
    for (size_t spent = 0; ix->slots != 0; spent += BUCKET_SLOTS) {
        struct index_region *r = &ix->region[ix->walk_region];
        size_t at = region_first_entry(r, ix->walk_at & region_mask(r));
        struct index_table *t = &r->dir[at];

        if (spent != 0 && spent + BUCKET_SLOTS > budget) {
            return true;
        }
        if (t->count != 0 && ix->walk_bucket < t->buckets_count) {
            drain_bucket(ix, t, &t->buckets[ix->walk_bucket], fn, ctx);
            ix->walk_bucket++;
            continue;
        }
        ix->walk_bucket = 0;
        index_free_table(ix, r, at);
        (void)index_walk_next(ix, at);
    }
    return false;
}
