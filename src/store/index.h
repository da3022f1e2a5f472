/*
 * The index of one database: hash -> slots. Private to the store.
 *
 * A slot is 64 bits: the entry's reference (40 bits, units of 8 bytes from the arena's base, never 0) and 24 bits that
 * belong to the eviction policy. The index compares no keys: it proposes slots whose tag agrees, the store looks at the
 * entry. Seven slots, their tags and a meta byte make a bucket of one cache line.
 *
 *      0        1 ..... 7   8 ............................ 63
 *     +------+-------------+---------------------------------+
 *     | meta | tag x 7     | slot x 7 (policy:24 | ref:40)   |
 *     +------+-------------+---------------------------------+
 *
 * Slot pointers are valid until the next insert, remove, grow or shrink on the same index.
 */
#ifndef TARN_STORE_INDEX_H
#define TARN_STORE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"

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

/* What the index needs of its owner: the hash of an entry when a table is rebuilt, asked for in batches with
 * `prefetch` called well before `hash_of`. */
struct index_owner {
    void *ctx;
    uint64_t (*hash_of)(void *ctx, uint64_t ref);
    void (*prefetch)(void *ctx, uint64_t ref);
};

struct index; /* defined by index.c's layout below the API in this header, so that look-ups are inline */

/* The owner struct is copied. `memory` counts bytes of all indexes of the store and is updated in place. */
int index_create(struct index **out, const struct index_owner *owner, size_t *memory) WARN_UNUSED;
void index_destroy(struct index *ix);

/* Looking up: for (p = index_first(ix, hash, &probe); p; p = index_next(&probe)) compare the entry at slot_ref(*p). */
struct index_probe;
static inline uint64_t *index_first(const struct index *ix, uint64_t hash, struct index_probe *probe);
static inline uint64_t *index_next(struct index_probe *probe);
static inline void index_prefetch(const struct index *ix, uint64_t hash);

/* Adds a slot; the caller knows that the key is absent. Returns the slot's place, NULL when memory could not be had
 * (nothing changed). May split a table: bounded work. */
uint64_t *index_insert(struct index *ix, uint64_t hash, uint64_t slot) WARN_UNUSED;

/* Takes away the slot at `p`, which was found under `hash`. */
void index_remove(struct index *ix, uint64_t hash, uint64_t *p);

size_t index_count(const struct index *ix);     /* slots in use */
size_t index_slots(const struct index *ix);     /* slots there are */
size_t index_memory(const struct index *ix);    /* bytes */

/* Memory one more insert might need at worst, for the limit's arithmetic before it happens. */
size_t index_growth_bytes(const struct index *ix);

/* Gives memory back after deletions: merges sparse tables, within a budget of buckets; true when more is to do. */
bool index_shrink(struct index *ix, size_t budget_buckets);

/* SCAN: calls fn for every slot whose hash lies in the next stretch after `cursor` (at least one bucket, at least
 * `count` slots' worth of buckets) and returns the next cursor, 0 at the end. A slot present throughout a whole walk is
 * shown at least once, however the index grows and shrinks meanwhile. fn may not change the index. */
typedef void (*index_visit_fn)(void *ctx, uint64_t slot);
uint64_t index_scan(const struct index *ix, uint64_t cursor, size_t count, index_visit_fn fn, void *ctx);

/* The first occupied slot at or after a random position; 0 when empty. */
uint64_t index_random(const struct index *ix, uint64_t random);

/* Frees everything in slices: removes up to `budget` slots, showing each to fn (which may be NULL) before it goes; true
 * when more is left. The index may only be destroyed afterwards. */
bool index_drain(struct index *ix, size_t budget, index_visit_fn fn, void *ctx);

/* Aborts when an invariant is broken: counts, tags, probe bounds, every slot found under its own hash. */
void index_check(const struct index *ix);

#endif
