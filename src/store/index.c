/*
 * The index of one database: life, insert and remove, giving memory back.
 *
 * What a table is and how it changes is in index_table.c, walks are in index_scan.c, the check of
 * all invariants in index_check.c. This file finds the table and keeps the counts.
 *
 * Invariants, while no call is under way: every slot is in the table that its hash leads to, within
 * the reach its home bucket states; equal directory entries are equal but for the count, which is
 * in the first; `count` is the sum of the tables' counts and `slots` of their sizes; `memory` is
 * what is held from the system.
 */
#include "index.h"

#include "index_pages.h"
#include "index_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Rebuilds one insert may need: each makes room unless hashes are out of the ordinary. */
#define GROW_TRIES 4

/* A rebuild moves up to two thousand slots, which takes some hundred microseconds. Each insert pays
 * for so many of them (growing takes four on average); until all are paid for, tables that reach
 * their limit wait, as long as there are places within reach. So a turn with a thousand inserts
 * seldom has several rebuilds: of 225 000 turns 22 took more than 2 ms without this, none with it. */
#define MOVES_PAID 16

/* A pass of shrinking is worth while after one removal for so many slots. */
#define REMOVED_SHARE 32

static_assert(sizeof(struct index_bucket) == 64, "a bucket is a cache line");
static_assert(sizeof(struct index_table) == 16, "four directory entries to a cache line");
static_assert(INDEX_REGIONS == 8 * 8 + 8 * 7 / 2, "8 + s regions in segment s");

int index_create(struct index **out, const struct index_owner *owner, size_t *memory)
{
    struct index *ix = NULL;
    size_t bytes = (sizeof(*ix) + 63) / 64 * 64;

    if (owner->may_allocate == NULL || owner->may_allocate(owner->ctx, bytes)) {
        ix = aligned_alloc(64, bytes);
    }
    if (ix == NULL) {
        return -ENOMEM;
    }
    *ix = (struct index){
        .owner = *owner,
        .memory_total = memory,
        .memory = bytes,
    };
    index_pages_init(&ix->pages);
    *memory += bytes;
    for (unsigned i = 0; i < INDEX_REGIONS; i++) {
        struct index_region *r = &ix->region[i];

        r->first = (struct index_table){.buckets = &ix->empty, .buckets_count = 1};
        r->dir = &r->first;
        r->deepest = 1;
    }
    *out = ix;
    return 0;
}

void index_destroy(struct index *ix)
{
    if (ix == NULL) {
        return;
    }
    for (unsigned i = 0; i < INDEX_REGIONS; i++) {
        struct index_region *r = &ix->region[i];

        for (size_t at = 0; at < (size_t)1 << r->depth; at += region_entries_of(r, at)) {
            index_free_table(ix, r, at);
        }
        if (r->depth != 0) {
            index_bytes_free(ix, r->dir);
        }
    }
    *ix->memory_total -= ix->memory;
    free(ix);
}

/* Is it time to make the table larger, rather than to look for a place in it? */
static bool should_grow(const struct index *ix, const struct index_table *t)
{
    return t->step == 0 || (t->count >= table_limit(t->step) && ix->move_debt == 0);
}

uint64_t *index_insert(struct index *ix, uint64_t hash, uint64_t slot)
{
    uint64_t fraction;
    struct index_region *r = &ix->region[index_locate(hash, &fraction)];
    struct index_table *t = NULL;
    uint64_t *p = NULL;

    assert(slot_ref(slot) != 0);
    ix->move_debt -= (uint32_t)size_min(ix->move_debt, MOVES_PAID);
    for (unsigned i = 0; p == NULL && i < GROW_TRIES; i++) {
        size_t at = (size_t)(region_table(r, fraction) - r->dir);

        t = &r->dir[region_first_entry(r, at)];
        if (!should_grow(ix, t)) {
            p = table_place(t, fraction, hash_tag(hash), slot);
        }
        if (p == NULL && !index_grow(ix, r, fraction)) {
            break;
        }
    }
    if (p == NULL) {
        /* No way to grow, but there may still be a place. */
        t = &r->dir[region_first_entry(r, (size_t)(region_table(r, fraction) - r->dir))];
        p = t->step == 0 ? NULL : table_place(t, fraction, hash_tag(hash), slot);
    }
    if (p != NULL) {
        t->count++;
        ix->count++;
    }
    return p;
}

void index_remove(struct index *ix, uint64_t hash, uint64_t *p)
{
    uint64_t fraction;
    struct index_region *r = &ix->region[index_locate(hash, &fraction)];
    size_t at = region_first_entry(r, (size_t)(region_table(r, fraction) - r->dir));

    table_take(&r->dir[at], fraction, p);
    r->dir[at].count--;
    ix->count--;
    ix->removed++;
}

size_t index_count(const struct index *ix)
{
    return ix->count;
}

size_t index_slots(const struct index *ix)
{
    return ix->slots;
}

size_t index_memory(const struct index *ix)
{
    return ix->memory;
}

size_t index_growth_bytes(const struct index *ix)
{
    return 2 * index_pages_worst(table_buckets(TABLE_STEP_MAX)) +
           (sizeof(struct index_table) << (ix->depth_max + 1));
}

bool index_walk_next(struct index *ix, size_t at)
{
    const struct index_region *r = &ix->region[ix->walk_region];

    at = region_first_entry(r, at);
    at += region_entries_of(r, at);
    if (at <= region_mask(r)) {
        ix->walk_at = (uint32_t)at;
        return false;
    }
    ix->walk_at = 0;
    ix->walk_region = ix->walk_region + 1 == INDEX_REGIONS ? 0 : (uint8_t)(ix->walk_region + 1);
    return ix->walk_region == 0;
}

bool index_shrink(struct index *ix, size_t budget_buckets)
{
    if (!ix->is_shrinking) {
        if (ix->removed <= ix->count / REMOVED_SHARE) {
            return false;
        }
        ix->is_shrinking = true;
        ix->shrink_found_some = false;
        ix->removed = 0;
        ix->walk_region = 0;
        ix->walk_at = 0;
    }
    for (size_t spent = 0; spent < budget_buckets;) {
        struct index_region *r = &ix->region[ix->walk_region];
        size_t at = region_first_entry(r, ix->walk_at & region_mask(r));

        spent += index_shrink_table(ix, r, at);
        if (index_walk_next(ix, at & region_mask(r))) {
            /* What has become smaller may now merge: another pass, until one finds nothing. */
            ix->is_shrinking = ix->shrink_found_some;
            ix->shrink_found_some = false;
            if (!ix->is_shrinking) {
                return false;
            }
        }
    }
    return true;
}
