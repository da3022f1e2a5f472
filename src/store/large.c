/*
 * Large blocks: malloc with an account of what it really costs.
 *
 * Above the allocator's mmap threshold (store_tune_allocator() fixes it) a block is pages of its
 * own, which go back to the system when it is freed; below, it is part of the heap.
 */
#include "large.h"

#include <malloc.h>
#include <stdlib.h>

#include "tarn/store/store.h"

/* glibc keeps up to two words in front of a block; blocks of their own pages are rounded to pages.
 */
#define MALLOC_HEADER_BYTES  16u
#define PAGE_BYTES           4096u
#define MMAP_THRESHOLD_BYTES (64 * 1024)

void store_tune_allocator(void)
{
    /* Setting the threshold by hand also ends glibc's habit of raising it to the largest block
     * freed so far, after which large values would fragment the heap. */
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, 2 * MMAP_THRESHOLD_BYTES);
}

static struct large *account(struct large *l)
{
    if (l != NULL) {
        l->bytes = malloc_usable_size(l) + MALLOC_HEADER_BYTES;
    }
    return l;
}

struct large *large_create(size_t len)
{
    return account(malloc(sizeof(struct large) + len));
}

struct large *large_resize(struct large *l, size_t len)
{
    return account(realloc(l, sizeof(struct large) + len));
}

void large_destroy(struct large *l)
{
    free(l);
}

size_t large_cost(size_t len)
{
    size_t n = len + sizeof(struct large) + MALLOC_HEADER_BYTES;
    return n < MMAP_THRESHOLD_BYTES ? n : (n + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
}

size_t large_capacity(const struct large *l)
{
    return l->bytes - MALLOC_HEADER_BYTES - sizeof(struct large);
}
