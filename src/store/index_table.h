/*
 * Tables of the index: placing and taking slots, sizes, rebuilding. Shared by the index's own
 * files.
 */
#ifndef TARN_STORE_INDEX_TABLE_H
#define TARN_STORE_INDEX_TABLE_H

#include "index.h"

/* Steps of size, 1 to TABLE_STEP_MAX; a table of TABLE_STEP_MAX splits into two of
 * TABLE_STEP_SPLIT. */
#define TABLE_STEP_MAX   17
#define TABLE_STEP_SPLIT 15

unsigned table_buckets(unsigned step);

/* Slots a table of this step holds before it grows. */
unsigned table_limit(unsigned step);

/* The last directory entry: all ones, so it masks a number into the directory. */
static inline size_t region_mask(const struct index_region *r)
{
    return ((size_t)1 << r->depth) - 1;
}

/* How many directory entries the table at `at` has. */
static inline size_t region_entries_of(const struct index_region *r, size_t at)
{
    return (size_t)1 << (r->depth - r->dir[at].depth);
}

/* The first directory entry of the table that entry `at` belongs to: the one that has the count. */
static inline size_t region_first_entry(const struct index_region *r, size_t at)
{
    return at & ~(region_entries_of(r, at) - 1);
}

/* Puts a slot in the first free place within reach of its home; NULL when there is none. Does not
 * count. The table has memory. */
uint64_t *table_place(struct index_table *t, uint64_t fraction, uint64_t tag, uint64_t slot);

/* Frees the place `p`, which belongs to `fraction`. Does not count. */
void table_take(struct index_table *t, uint64_t fraction, uint64_t *p);

/* Makes more room where `fraction` lies: a larger table or two instead of one. False when memory
 * could not be had or the hashes do not spread; nothing has changed then. */
bool index_grow(struct index *ix, struct index_region *r, uint64_t fraction) WARN_UNUSED;

/* Makes the table at directory entry `at` smaller, or one with its neighbour, if it is sparse
 * enough for that not to be undone soon. Returns the buckets walked, 0 when nothing was to do. */
size_t index_shrink_table(struct index *ix, struct index_region *r, size_t at);

/* Gives the table's memory back and leaves it empty; its slots must be gone or of no interest. */
void index_free_table(struct index *ix, struct index_region *r, size_t at);

/* Moves the index's walk to the table after the one at entry `at` of the present region; true when
 * it starts anew. */
bool index_walk_next(struct index *ix, size_t at);

#endif
