/*
 * Tables of the index: where a slot goes within a table, and how tables change their size.
 *
 * The hash's position bits, scaled by the number of buckets, give the home bucket; buckets are so
 * in hash order at any size. A slot that finds its home full goes to the next bucket with room, at
 * most BUCKET_REACH_MAX further on. The home remembers how many of its slots lie elsewhere and how
 * far at most, so that a look-up for an absent key mostly ends in the first line; when the last of
 * them goes, the reach is zero again, so the bounds do not wear out under a steady stream of
 * inserts and removals.
 *
 * Tables grow in steps of at most a half to three, four and five pages, then split in two of three.
 * As regions differ in width, at any moment some tables have just grown and others are about to, so
 * the average load is the same at every size of the index. The old table stays as it is until the
 * new one is complete: a rebuild that fails changes nothing. The slots do not hold the hash, so a
 * rebuild asks the owner for it, MOVE_AHEAD entries behind the prefetch.
 *
 * Hashes that do not spread (only a broken hash function makes them) find their end where growing
 * would not help: a table less than half full that has no place within reach does not grow, and the
 * directory of a region is not doubled beyond what the number of slots explains. The insert is then
 * refused.
 */
#include "index_table.h"

#include "index_pages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define META_REACH UINT64_C(0x0f)
#define META_ONE   UINT64_C(0x10)
#define META_COUNT UINT64_C(0xf0)

/* Entries prefetched ahead of the one whose hash is asked for. A power of two. */
#define MOVE_AHEAD 32

#define SLACK_SHARE 16

/* A directory may have one entry per this many slots of the index. */
#define SLOTS_PER_ENTRY_MIN 8

static const uint16_t step_buckets[] = {
    0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 320,
};

static_assert(ARRAY_LEN(step_buckets) == TABLE_STEP_MAX + 1, "one row per step");

unsigned table_buckets(unsigned step)
{
    return step_buckets[step];
}

unsigned table_limit(unsigned step)
{
    unsigned slots = step_buckets[step] * BUCKET_SLOTS;

    return slots - slots / 8;
}

static unsigned table_slots(const struct index_table *t)
{
    return step_buckets[t->step] * BUCKET_SLOTS;
}

/* ---- slots in a table ---------------------------------------------------------------------------
 */

static uint64_t *bucket_put(struct index_bucket *b, uint64_t tag, uint64_t slot)
{
    uint64_t free_bytes = zero_bytes(b->head) & ~UINT64_C(0xff);
    unsigned byte;

    if (free_bytes == 0) {
        return NULL;
    }
    byte = ctz64(free_bytes) / 8;
    b->head |= tag << (8 * byte);
    b->slot[byte - 1] = slot;
    return &b->slot[byte - 1];
}

static void bucket_count_displaced(struct index_bucket *home, unsigned distance)
{
    if ((home->head & META_REACH) < distance) {
        home->head = (home->head & ~META_REACH) | distance;
    }
    if ((home->head & META_COUNT) != META_COUNT) {
        home->head += META_ONE;
    }
}

static void bucket_uncount_displaced(struct index_bucket *home)
{
    assert((home->head & META_COUNT) != 0);
    if ((home->head & META_COUNT) != META_COUNT) {
        home->head -= META_ONE;
        if ((home->head & META_COUNT) == 0) {
            home->head &= ~META_REACH;
        }
    }
}

uint64_t *table_place(struct index_table *t, uint64_t fraction, uint64_t tag, uint64_t slot)
{
    unsigned home = table_home(t, fraction);
    unsigned reach = (unsigned)size_min(BUCKET_REACH_MAX, t->buckets_count - 1u);
    unsigned at = home;

    assert(t->step != 0);
    for (unsigned distance = 0; distance <= reach; distance++) {
        uint64_t *p = bucket_put(&t->buckets[at], tag, slot);

        if (p != NULL) {
            if (distance != 0) {
                bucket_count_displaced(&t->buckets[home], distance);
            }
            return p;
        }
        at = at + 1 == t->buckets_count ? 0 : at + 1;
    }
    return NULL;
}

void table_take(struct index_table *t, uint64_t fraction, uint64_t *p)
{
    size_t word = (size_t)(p - (uint64_t *)(void *)t->buckets);
    size_t words = sizeof(struct index_bucket) / sizeof(uint64_t);
    unsigned home = table_home(t, fraction);
    struct index_bucket *b = &t->buckets[word / words];

    assert(word / words < t->buckets_count);
    assert(word % words != 0);
    b->head &= ~(UINT64_C(0xff) << (8 * (word % words)));
    *p = 0;
    if (b != &t->buckets[home]) {
        bucket_uncount_displaced(&t->buckets[home]);
    }
}

/* ---- memory of tables and directories -----------------------------------------------------------
 */

/* A table without slots. False when memory could not be had. */
static bool table_init(struct index *ix, struct index_table *t, unsigned step, unsigned depth)
{
    struct index_bucket *buckets = &ix->empty;

    if (step != 0) {
        buckets = index_pages_alloc(ix, step_buckets[step]);
        if (buckets == NULL) {
            return false;
        }
        ix->slots += (size_t)step_buckets[step] * BUCKET_SLOTS;
    }
    *t = (struct index_table){
        .buckets = buckets,
        .buckets_count = step == 0 ? 1 : step_buckets[step],
        .depth = (uint8_t)depth,
        .step = (uint8_t)step,
    };
    return true;
}

static void table_fini(struct index *ix, struct index_table *t)
{
    if (t->step != 0) {
        if (ix->owner.moves != NULL) {
            ++*ix->owner.moves;
        }
        ix->slots -= table_slots(t);
        index_pages_free(ix, t->buckets, t->buckets_count);
    }
}

/* Writes `t` to the directory entries of its table, `entries` from `at` on. */
static void region_set_table(struct index_region *r, size_t at, size_t entries,
                             const struct index_table *t)
{
    for (size_t i = 0; i < entries; i++) {
        r->dir[at + i] = *t;
        r->dir[at + i].count = i == 0 ? t->count : 0;
    }
}

static size_t dir_bytes(unsigned depth)
{
    return depth == 0 ? 0 : sizeof(struct index_table) << depth;
}

static bool region_double(struct index *ix, struct index_region *r)
{
    size_t entries = (size_t)1 << r->depth;
    struct index_table *dir;

    if (((size_t)INDEX_REGIONS * SLOTS_PER_ENTRY_MIN) << (r->depth + 1) > ix->count) {
        return false;
    }
    dir = index_bytes_alloc(ix, dir_bytes(r->depth + 1u));
    if (dir == NULL) {
        return false;
    }
    for (size_t i = 0; i < entries; i++) {
        dir[2 * i] = dir[2 * i + 1] = r->dir[i];
        dir[2 * i + 1].count = 0;
    }
    if (r->depth != 0) {
        index_bytes_free(ix, r->dir);
    }
    r->dir = dir;
    r->depth++;
    r->deepest = 0;
    ix->depth_max = (uint8_t)size_max(ix->depth_max, r->depth);
    return true;
}

/* Halves the directory while no table needs the last bit. Without memory it stays as it is. */
static void region_halve(struct index *ix, struct index_region *r)
{
    while (r->depth != 0 && r->deepest == 0) {
        size_t entries = (size_t)1 << (r->depth - 1);
        struct index_table *dir = &r->first;

        if (r->depth > 1) {
            dir = index_bytes_alloc(ix, dir_bytes(r->depth - 1u));
            if (dir == NULL) {
                return;
            }
        }
        for (size_t i = 0; i < entries; i++) {
            dir[i] = r->dir[2 * i];
            r->deepest += dir[i].depth == r->depth - 1;
        }
        index_bytes_free(ix, r->dir);
        r->dir = dir;
        r->depth--;
    }
}

/* ---- rebuilding ---------------------------------------------------------------------------------
 */

/* Slots on their way from one table to another (or to one of two, by the bit in which they differ).
 */
struct move {
    struct index *ix;
    struct index_table *to;
    bool is_split;
    unsigned waiting; /* of pending, which is a ring */
    unsigned next;
    uint64_t pending[MOVE_AHEAD];
};

static bool move_one(struct move *m, uint64_t slot)
{
    const struct index_owner *owner = &m->ix->owner;
    uint64_t hash = owner->hash_of(owner->ctx, slot_ref(slot));
    uint64_t fraction;
    struct index_table *to = m->to;

    (void)index_locate(hash, &fraction);
    if (m->is_split) {
        to += fraction << (to->depth - 1) >> 63;
    }
    if (table_place(to, fraction, hash_tag(hash), slot) == NULL) {
        return false;
    }
    to->count++;
    return true;
}

static bool move_push(struct move *m, uint64_t slot)
{
    uint64_t *place = &m->pending[m->next];
    uint64_t oldest = *place;

    m->ix->owner.prefetch(m->ix->owner.ctx, slot_ref(slot));
    *place = slot;
    m->next = (m->next + 1) % MOVE_AHEAD;
    if (m->waiting < MOVE_AHEAD) {
        m->waiting++;
        return true;
    }
    return move_one(m, oldest);
}

static bool move_rest(struct move *m)
{
    for (; m->waiting > 0; m->waiting--) {
        if (!move_one(m, m->pending[(m->next + MOVE_AHEAD - m->waiting) % MOVE_AHEAD])) {
            return false;
        }
    }
    return true;
}

static bool move_table(struct move *m, const struct index_table *from)
{
    if (from->count == 0) {
        return true;
    }
    for (size_t b = 0; b < from->buckets_count; b++) {
        for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
            uint64_t slot = from->buckets[b].slot[i];

            if (slot != 0 && !move_push(m, slot)) {
                return false;
            }
        }
    }
    return true;
}

/* Replaces the table at `at` by one of another step. */
static bool region_resize(struct index *ix, struct index_region *r, size_t at, unsigned step)
{
    struct index_table old = r->dir[at];
    struct index_table t;
    struct move m = {.ix = ix, .to = &t};

    if (!table_init(ix, &t, step, old.depth)) {
        return false;
    }
    if (!move_table(&m, &old) || !move_rest(&m)) {
        table_fini(ix, &t);
        return false;
    }
    assert(t.count == old.count);
    region_set_table(r, at, region_entries_of(r, at), &t);
    table_fini(ix, &old);
    return true;
}

/* Replaces the table at `at` by two of the given step. */
static bool region_split(struct index *ix, struct index_region *r, size_t at, unsigned step)
{
    struct index_table old = r->dir[at];
    size_t half = region_entries_of(r, at) / 2;
    struct index_table pair[2];
    struct move m = {.ix = ix, .to = pair, .is_split = true};

    if (!table_init(ix, &pair[0], step, old.depth + 1u)) {
        return false;
    }
    if (!table_init(ix, &pair[1], step, old.depth + 1u)) {
        goto err_first;
    }
    if (!move_table(&m, &old) || !move_rest(&m)) {
        goto err_second;
    }
    assert(pair[0].count + pair[1].count == old.count);
    region_set_table(r, at, half, &pair[0]);
    region_set_table(r, at + half, half, &pair[1]);
    r->deepest += old.depth + 1 == r->depth ? 2 : 0;
    table_fini(ix, &old);
    return true;

err_second:
    table_fini(ix, &pair[1]);
err_first:
    table_fini(ix, &pair[0]);
    return false;
}

bool index_grow(struct index *ix, struct index_region *r, uint64_t fraction)
{
    size_t at = region_first_entry(r, (size_t)(region_table(r, fraction) - r->dir));
    const struct index_table *t = &r->dir[at];

    if (t->count < table_limit(t->step) && t->count < table_slots(t) / 2) {
        return false;
    }
    ix->move_debt += t->count;
    if (t->step < TABLE_STEP_MAX) {
        return region_resize(ix, r, at, t->step + 1u);
    }
    if (t->depth == r->depth) {
        if (!region_double(ix, r)) {
            return false;
        }
        at *= 2;
    }
    return region_split(ix, r, at, TABLE_STEP_SPLIT) || region_split(ix, r, at, TABLE_STEP_MAX);
}

/* ---- shrinking ----------------------------------------------------------------------------------
 */

/* Tables are made smaller when that leaves room for so many more slots, so that the ups and downs
 * of a constant size do not rebuild them all the time. */
static size_t with_slack(size_t count)
{
    return count == 0 ? 0 : count + count / SLACK_SHARE + 1;
}

static unsigned step_for(size_t count)
{
    unsigned step = 0;

    while (step < TABLE_STEP_MAX && table_limit(step) < with_slack(count)) {
        step++;
    }
    return step;
}

/* Makes one table of the pair whose first entry is `at`. */
static bool region_merge(struct index *ix, struct index_region *r, size_t at, unsigned step)
{
    size_t entries = region_entries_of(r, at);
    struct index_table old[2] = {r->dir[at], r->dir[at + entries]};
    struct index_table t;
    struct move m = {.ix = ix, .to = &t};

    if (!table_init(ix, &t, step, old[0].depth - 1u)) {
        return false;
    }
    if (!move_table(&m, &old[0]) || !move_table(&m, &old[1]) || !move_rest(&m)) {
        table_fini(ix, &t);
        return false;
    }
    assert(t.count == old[0].count + old[1].count);
    region_set_table(r, at, 2 * entries, &t);
    r->deepest -= old[0].depth == r->depth ? 2 : 0;
    table_fini(ix, &old[0]);
    table_fini(ix, &old[1]);
    region_halve(ix, r);
    return true;
}

size_t index_shrink_table(struct index *ix, struct index_region *r, size_t at)
{
    struct index_table t = r->dir[at];
    size_t entries = region_entries_of(r, at);
    const struct index_table *other = &r->dir[at ^ entries];
    unsigned step = step_for(t.count);

    if (t.depth != 0 && other->depth == t.depth) {
        size_t both = (size_t)t.count + other->count;
        size_t walked = (size_t)t.buckets_count + other->buckets_count;

        if (with_slack(both) <= table_limit(TABLE_STEP_MAX)) {
            ix->shrink_found_some |= region_merge(ix, r, at & ~entries, step_for(both));
            return walked;
        }
    }
    if (step < t.step) {
        ix->shrink_found_some |= region_resize(ix, r, at, step);
        return t.buckets_count;
    }
    return 1;
}

void index_free_table(struct index *ix, struct index_region *r, size_t at)
{
    struct index_table old = r->dir[at];
    struct index_table t;

    if (table_init(ix, &t, 0, old.depth)) {
        region_set_table(r, at, region_entries_of(r, at), &t);
    }
    table_fini(ix, &old);
}
