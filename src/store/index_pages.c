/*
 * Memory of the index's tables.
 */
#include "index_pages.h"

#include <stdlib.h>
#include <string.h>

static bool may_allocate(struct index *ix, size_t bytes)
{
    return ix->owner.may_allocate == NULL || ix->owner.may_allocate(ix->owner.ctx, bytes);
}

static void account(struct index *ix, size_t plus, size_t minus)
{
    ix->memory += plus - minus;
    *ix->memory_total += plus - minus;
}

struct index_bucket *index_pages_alloc(struct index *ix, size_t buckets)
{
    size_t bytes = buckets * sizeof(struct index_bucket);
    struct index_bucket *b = NULL;

    if (may_allocate(ix, bytes)) {
        b = aligned_alloc(sizeof(struct index_bucket), bytes);
    }
    if (b != NULL) {
        memset(b, 0, bytes);
        account(ix, bytes, 0);
    }
    return b;
}

void index_pages_free(struct index *ix, struct index_bucket *buckets, size_t count)
{
    account(ix, 0, count * sizeof(struct index_bucket));
    free(buckets);
}

void *index_bytes_alloc(struct index *ix, size_t bytes)
{
    void *p = may_allocate(ix, bytes) ? malloc(bytes) : NULL;

    if (p != NULL) {
        account(ix, bytes, 0);
    }
    return p;
}

void index_bytes_free(struct index *ix, void *p, size_t bytes)
{
    account(ix, 0, bytes);
    free(p);
}
