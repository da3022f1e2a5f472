/*
 * Memory for the fields of tables: chunks of 64 KiB out of one reserved stretch of addresses.
 * Private to the types layer.
 *
 * In a heap, millions of small blocks that go at once leave holes, cost a walk each, and their
 * pages stay with the process. A chunk's pages go back to the system with the chunk, in one call;
 * and while it is filled, only the pages that were touched count.
 */
#ifndef TARN_TYPES_CHUNK_H
#define TARN_TYPES_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"

#define CHUNK_BYTES      (64u * 1024)
#define CHUNK_PAGE_BYTES 4096u

/* At the start of every chunk in use. Chunks of a table are linked in the order of their filling.
 */
struct chunk {
    struct chunk *older, *newer;
    uint32_t used; /* bytes from the start of the chunk on */
    uint32_t live; /* of these, in nodes that are not dead */
};

#define CHUNK_HEAD_BYTES 32u
#define CHUNK_ROOM       (CHUNK_BYTES - CHUNK_HEAD_BYTES)

struct chunks {
    char *base;         /* aligned to CHUNK_BYTES; NULL until the first chunk is wanted */
    uint32_t count;     /* chunks that were reserved */
    uint32_t high;      /* from this one on none was ever used */
    uint32_t *free_ids; /* a stack of those given back */
    uint32_t free_count, free_cap;
};

void chunks_fini(struct chunks *c);

/* An empty chunk, not linked; NULL: no memory. */
struct chunk *chunk_take(struct chunks *c) WARN_UNUSED;
void chunk_give(struct chunks *c, struct chunk *ch);

/* The chunk that a place in it belongs to. */
static inline struct chunk *chunk_of(const void *p)
{
    return (struct chunk *)((uintptr_t)p & ~(uintptr_t)(CHUNK_BYTES - 1));
}

/* What a chunk with so many bytes in use costs. */
static inline size_t chunk_cost(uint32_t used)
{
    return ((size_t)used + CHUNK_PAGE_BYTES - 1) & ~(size_t)(CHUNK_PAGE_BYTES - 1);
}

#endif
