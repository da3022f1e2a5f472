/*
 * Memory of the index's tables. Sizes are counted in buckets: fewer than a page's, or whole pages.
 */
#ifndef TARN_STORE_INDEX_PAGES_H
#define TARN_STORE_INDEX_PAGES_H

#include "index.h"

/* Zeroed buckets, aligned to their size; NULL when memory could not be had. */
struct index_bucket *index_pages_alloc(struct index *ix, size_t buckets) WARN_UNUSED;
void index_pages_free(struct index *ix, struct index_bucket *buckets, size_t count);

/* Other memory of the index, counted and refusable in the same way. */
void *index_bytes_alloc(struct index *ix, size_t bytes) WARN_UNUSED;
void index_bytes_free(struct index *ix, void *p, size_t bytes);

#endif
