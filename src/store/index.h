/*
 * The index of one database: hash -> slots. Private to the store.
 *
 * A slot is 64 bits: the entry's reference (40 bits, units of 8 bytes from the arena's base, never
 * 0) and 24 bits that belong to the eviction policy. The index compares no keys: it proposes slots
 * whose tag agrees, the store looks at the entry. Seven slots, their tags and a meta byte make a
 * bucket of one cache line (head is one little number, so the picture holds on either byte order):
 *
 *      bit 0    8 ......... 63   word 1 ....................... 7
 *     +------+-----------------+---------------------------------+
 *     | meta | tag x 7         | slot x 7 (policy:24 | ref:40)   |
 *     +------+-----------------+---------------------------------+
 *
 * Everything is kept in hash order. The hash space is cut into 92 regions of unequal width, so that
 * they do not all fill up at the same time; a region has a small directory of tables (extendible
 * hashing), a table is a row of buckets in hash order. Look-up: hash -> region (arithmetic), region
 * -> directory (load), table (load), bucket (the one load that misses the cache).
 *
 * Slot pointers are valid until the next insert, remove or shrink on the same index. Their memory
 * stays a slot's until index_owner::moves changes: see index_slot_holds().
 */
#ifndef TARN_STORE_INDEX_H
#define TARN_STORE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"
#include "tarn/base/list.h"

#define SLOT_REF_BITS    40
#define SLOT_POLICY_BITS 24
#define SLOT_REF_MASK    ((UINT64_C(1) << SLOT_REF_BITS) - 1)

static inline uint64_t slot_ref(uint64_t slot)
{
    return slot & SLOT_REF_MASK;
}

static inline uint32_t slot_policy(uint64_t slot)
{
    return (uint32_t)(slot >> SLOT_REF_BITS);
}

static inline uint64_t slot_make(uint64_t ref, uint32_t policy)
{
    return (uint64_t)policy << SLOT_REF_BITS | ref;
}

/* What the index needs of its owner: the hash of an entry when a table is rebuilt, asked for in
 * batches with `prefetch` called well before `hash_of`. `may_allocate` (NULL: always) is asked
 * before memory is taken; false fails the call as if the system had none. */
struct index_owner {
    void *ctx;
    uint64_t (*hash_of)(void *ctx, uint64_t ref);
    void (*prefetch)(void *ctx, uint64_t ref);
    bool (*may_allocate)(void *ctx, size_t bytes);
    bool huge_pages; /* the system is asked for them */
    uint64_t *moves; /* counted up whenever slots change their places; NULL: nobody asks */
};

struct index; /* laid out below the calls, so that look-ups are inline */
struct index_probe;

/* The owner struct is copied. `memory` counts bytes of all indexes of the store and is updated in
 * place. 0 or -ENOMEM. */
int index_create(struct index **out, const struct index_owner *owner, size_t *memory) WARN_UNUSED;
void index_destroy(struct index *ix);

/* Looking up: for (p = index_first(ix, hash, &probe); p; p = index_next(&probe)) compare the entry
 * at slot_ref(*p). */
static inline uint64_t *index_first(const struct index *ix, uint64_t hash,
                                    struct index_probe *probe);
static inline uint64_t *index_next(struct index_probe *probe);

/* For keys in batches: first index_prefetch() for all, which gives the home bucket, then
 * index_prefetched() for all, which gives the first candidate in it (NULL: none) for the owner to
 * prefetch its entry, then the look-ups. Nothing waits for memory that was not asked for before.
 * Between the first two calls index_owner::moves must not change. Where there is no candidate the
 * slot may still be displaced: the next bucket was asked for, so index_first() can be. */
static inline struct index_bucket *index_prefetch(const struct index *ix, uint64_t hash);
static inline uint64_t *index_prefetched(struct index_bucket *home, uint64_t hash);
static inline bool index_may_be_displaced(const struct index_bucket *home);

/* Is the place that index_prefetched() gave still a candidate for this hash? To be asked only while
 * index_owner::moves is what it was then. */
static inline bool index_slot_holds(const uint64_t *slot, uint64_t hash);

/* Adds a slot; the caller knows that the key is absent. Returns the slot's place; NULL when memory
 * could not be had, or when more than INDEX_SAME_HASH_MAX slots crowd on one hash (nothing
 * changed). May rebuild one table: bounded work. */
uint64_t *index_insert(struct index *ix, uint64_t hash, uint64_t slot) WARN_UNUSED;

/* Takes away the slot at `p`, which was found under `hash`. */
void index_remove(struct index *ix, uint64_t hash, uint64_t *p);

size_t index_count(const struct index *ix);  /* slots in use */
size_t index_slots(const struct index *ix);  /* slots there are */
size_t index_memory(const struct index *ix); /* bytes */

/* Memory one more insert might need at worst, for the limit's arithmetic before it happens. */
size_t index_growth_bytes(const struct index *ix);

/* Gives memory back after deletions: makes sparse tables smaller and merges them, within about a
 * budget of buckets (it may overshoot by one table); true when more may be to do. */
bool index_shrink(struct index *ix, size_t budget_buckets);

/* SCAN: calls fn for every slot whose hash lies in the next stretch after `cursor` (at least one
 * bucket, at least `count` slots' worth of buckets) and returns the next cursor, 0 at the end. A
 * slot present throughout a whole walk is shown at least once, however the index grows and shrinks
 * meanwhile. Any number is a harmless cursor; those returned are below 2^53. fn may not change the
 * index. */
typedef void (*index_visit_fn)(void *ctx, uint64_t slot);
uint64_t index_scan(const struct index *ix, uint64_t cursor, size_t count, index_visit_fn fn,
                    void *ctx);

/* The first occupied slot at or after a random position; 0 when empty. */
uint64_t index_random(const struct index *ix, uint64_t random);

/* Frees everything in slices: removes up to `budget` slots (but at least a bucket of them), showing
 * each to fn (which may be NULL) before it goes; true when more is left. The index may only be
 * destroyed afterwards. */
bool index_drain(struct index *ix, size_t budget, index_visit_fn fn, void *ctx);

/* Aborts when an invariant is broken: counts, tags, probe bounds, every slot found under its own
 * hash. */
void index_check(const struct index *ix);

/* ---- layout, for the inline look-ups ----------------------------------------------------------
 */

#define BUCKET_SLOTS 7

/* A slot lies in its home bucket or in one of the next BUCKET_REACH_MAX of the same table, with
 * wrap. */
#define BUCKET_REACH_MAX    15
#define INDEX_SAME_HASH_MAX (BUCKET_SLOTS * (1 + BUCKET_REACH_MAX))

/* The hash space is cut into 8 equal segments, segment s into 8 + s regions: widths spread evenly
 * over a factor of two. */
#define INDEX_SEGMENT_BITS  3
#define INDEX_REGIONS       92
#define INDEX_FRACTION_BITS 46

/* Low half of meta: how many buckets after this one a slot whose home is here may lie. High half:
 * how many such slots there are; 15 means 15 or more, for ever. The reach is 0 when the number is
 * 0. */
struct index_bucket {
    uint64_t head;
    uint64_t slot[BUCKET_SLOTS];
};

/* A table, or one of several equal directory entries of it, of which the first has the count.
 * `step` is the row of its size in the table of sizes; 0: it has no memory and `buckets` is the one
 * empty bucket of the index. */
struct index_table {
    struct index_bucket *buckets; /* owned */
    uint16_t buckets_count;
    uint16_t count;
    uint8_t depth; /* bits of the fraction that all its slots share; <= the region's */
    uint8_t step;
};

/* `dir` has 1 << depth entries; it is `first` while depth is 0, else owned. */
struct index_region {
    struct index_table *dir;
    uint8_t depth;
    uint32_t deepest; /* tables of the region's depth */
    struct index_table first;
};

/* Pages of the tables; index_pages.c. */
#define PAGES_RUN_MAX 5
struct index_pages {
    struct list by_run[PAGES_RUN_MAX + 1]; /* struct chunk::link, by the longest free run */
    size_t in_use, dirty;                  /* pages */
    size_t chunks;
};

struct index {
    struct index_region region[INDEX_REGIONS];
    struct index_bucket empty; /* always zero */
    struct index_owner owner;
    struct index_pages pages;
    size_t *memory_total; /* borrowed for life */
    size_t memory, count, slots;
    size_t removed;         /* slots since the last pass of shrinking began */
    uint32_t walk_at;       /* where shrinking or draining goes on: directory entry */
    uint16_t walk_bucket;   /* draining: bucket of that table */
    uint8_t walk_region;    /* and region */
    uint8_t depth_max;      /* of any region; may be too high */
    uint32_t move_debt;     /* slots that growing moved and later inserts have not paid for */
    bool is_shrinking;      /* a pass is under way */
    bool shrink_found_some; /* in the present pass */
};

struct index_probe {
    const struct index_table *table;
    struct index_bucket *bucket;
    uint64_t match; /* top bit set in the byte of every tag that agrees */
    uint64_t pattern;
    unsigned left; /* buckets to look at after this one */
};

/* Where a hash lies: in which region, and how far into it as a 0.46 fixed-point fraction in the
 * high bits. Both rise with the hash. */
static inline unsigned index_locate(uint64_t hash, uint64_t *fraction)
{
    unsigned segment = (unsigned)(hash >> (64 - INDEX_SEGMENT_BITS));
    uint64_t rest = hash << INDEX_SEGMENT_BITS;
    uint64_t regions = 8 + segment;

    *fraction = rest * regions >> (64 - INDEX_FRACTION_BITS) << (64 - INDEX_FRACTION_BITS);
    return segment * (15 + segment) / 2 + (unsigned)mul_high_u64(rest, regions);
}

static inline struct index_table *region_table(const struct index_region *r, uint64_t fraction)
{
    return &r->dir[fraction >> 1 >> (63 - r->depth)];
}

static inline unsigned table_home(const struct index_table *t, uint64_t fraction)
{
    return (unsigned)mul_high_u64(fraction << t->depth, t->buckets_count);
}

/* Never 0, which marks a free place. Independent of the bits that make the position. */
static inline uint64_t hash_tag(uint64_t hash)
{
    uint64_t tag = hash & 0xff;

    return tag + (tag == 0);
}

/* The top bit of every zero byte of x, exactly. */
static inline uint64_t zero_bytes(uint64_t x)
{
    const uint64_t low7 = UINT64_C(0x7f7f7f7f7f7f7f7f);

    return ~(((x & low7) + low7) | x | low7);
}

static inline uint64_t bucket_match(const struct index_bucket *b, uint64_t pattern)
{
    return zero_bytes(b->head ^ pattern) & ~UINT64_C(0xff);
}

static inline uint64_t *index_next(struct index_probe *probe)
{
    unsigned byte;

    while (probe->match == 0) {
        if (LIKELY(probe->left == 0)) {
            return NULL;
        }
        probe->left--;
        probe->bucket++;
        if (probe->bucket == probe->table->buckets + probe->table->buckets_count) {
            probe->bucket = probe->table->buckets;
        }
        probe->match = bucket_match(probe->bucket, probe->pattern);
    }
    byte = ctz64(probe->match) / 8;
    probe->match &= probe->match - 1;
    return &probe->bucket->slot[byte - 1];
}

static inline uint64_t *index_first(const struct index *ix, uint64_t hash,
                                    struct index_probe *probe)
{
    uint64_t fraction;
    const struct index_region *r = &ix->region[index_locate(hash, &fraction)];
    const struct index_table *t = region_table(r, fraction);
    struct index_bucket *b = &t->buckets[table_home(t, fraction)];
    uint64_t pattern = hash_tag(hash) * UINT64_C(0x0101010101010101);

    *probe = (struct index_probe){
        .table = t,
        .bucket = b,
        .match = bucket_match(b, pattern),
        .pattern = pattern,
        .left = (unsigned)(b->head & 15),
    };
    return index_next(probe);
}

static inline struct index_bucket *index_home(const struct index *ix, uint64_t hash)
{
    uint64_t fraction;
    const struct index_region *r = &ix->region[index_locate(hash, &fraction)];
    const struct index_table *t = region_table(r, fraction);

    return &t->buckets[table_home(t, fraction)];
}

static inline struct index_bucket *index_prefetch(const struct index *ix, uint64_t hash)
{
    struct index_bucket *home = index_home(ix, hash);

    PREFETCH(home);
    return home;
}

static inline bool index_may_be_displaced(const struct index_bucket *home)
{
    return (home->head & 15) != 0;
}

static inline uint64_t *index_prefetched(struct index_bucket *home, uint64_t hash)
{
    uint64_t match = bucket_match(home, hash_tag(hash) * UINT64_C(0x0101010101010101));

    if (match != 0) {
        return &home->slot[ctz64(match) / 8 - 1];
    }
    if (index_may_be_displaced(home)) {
        PREFETCH(home + 1); /* where it wraps, the hint is lost */
    }
    return NULL;
}

static inline bool index_slot_holds(const uint64_t *slot, uint64_t hash)
{
    const uintptr_t in_bucket = (uintptr_t)slot % sizeof(struct index_bucket);
    const struct index_bucket *b = (const void *)((const char *)slot - in_bucket);

    return (b->head >> in_bucket & 0xff) == hash_tag(hash);
}

#endif
