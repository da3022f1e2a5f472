/*
 * Memory of the index's tables. Sizes are counted in buckets: fewer than a page's, or whole pages
 * up to PAGES_RUN_MAX of them.
 */
#ifndef TARN_STORE_INDEX_PAGES_H
#define TARN_STORE_INDEX_PAGES_H

#include "index.h"

#define PAGE_BUCKETS 64

void index_pages_init(struct index_pages *pages);

/* Zeroed buckets on a cache line (page) boundary; NULL when memory could not be had. */
struct index_bucket *index_pages_alloc(struct index *ix, size_t buckets) WARN_UNUSED;
void index_pages_free(struct index *ix, struct index_bucket *buckets, size_t count);

/* What an allocation of `buckets` may take from the system at worst. */
size_t index_pages_worst(size_t buckets);

/* Other memory of the index, counted and refusable in the same way. */
void *index_bytes_alloc(struct index *ix, size_t bytes) WARN_UNUSED;
void index_bytes_free(struct index *ix, void *p);

#endif
