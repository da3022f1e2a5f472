/*
 * Large blocks: pages of their own, or malloc for the small ones that only stores with a small
 * limit have.
 *
 * In a heap, blocks of many sizes that come and go leave holes which nothing fits; memory would
 * grow to twice what is counted. Pages of their own go back to the system with the block. The
 * system limits how many separate mappings a process may have; when it refuses, malloc serves.
 */
#include "large.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES    4096u
#define MAP_BYTES_MIN (16u * 1024)
/* glibc keeps up to two words in front of a block. */
#define MALLOC_HEADER_BYTES 16u

static size_t map_bytes(size_t len)
{
    return (len + sizeof(struct large) + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
}

static bool wants_map(size_t len)
{
    return len + sizeof(struct large) >= MAP_BYTES_MIN;
}

static struct large *create_heap(size_t len)
{
    struct large *l = malloc(sizeof(struct large) + len);
    if (l != NULL) {
        *l = (struct large){.bytes = malloc_usable_size(l) + MALLOC_HEADER_BYTES};
    }
    return l;
}

struct large *large_create(size_t len)
{
    if (!wants_map(len)) {
        return create_heap(len);
    }
    size_t bytes = map_bytes(len);
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return create_heap(len);
    }
    struct large *l = p;
    *l = (struct large){.bytes = bytes, .is_mapped = true};
    return l;
}

static struct large *resize_mapped(struct large *l, size_t len)
{
    size_t bytes = map_bytes(len);
    void *p = bytes == l->bytes ? l : mremap(l, l->bytes, bytes, MREMAP_MAYMOVE);
    if (p == MAP_FAILED) {
        return NULL;
    }
    l = p;
    l->bytes = bytes;
    return l;
}

struct large *large_resize(struct large *l, size_t len)
{
    if (l->is_mapped && wants_map(len)) {
        return resize_mapped(l, len);
    }
    struct large *fresh = large_create(len);
    if (fresh != NULL) {
        memcpy(fresh->data, l->data, size_min(len, large_capacity(l)));
        large_destroy(l);
    }
    return fresh;
}

void large_destroy(struct large *l)
{
    if (l != NULL && l->is_mapped) {
        (void)munmap(l, l->bytes);
    } else {
        free(l);
    }
}

size_t large_cost(size_t len)
{
    return wants_map(len) ? map_bytes(len) : len + sizeof(struct large) + MALLOC_HEADER_BYTES;
}

size_t large_capacity(const struct large *l)
{
    return l->bytes - sizeof(struct large) - (l->is_mapped ? 0 : MALLOC_HEADER_BYTES);
}
