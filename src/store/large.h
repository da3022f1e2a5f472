/*
 * Blocks for values (and keys) too large for a segment, owned by the small entry in the log that
 * points at them. Private to the store.
 *
 * Every block counts with what it really costs, so that the memory limit sees what the process
 * holds.
 */
#ifndef TARN_STORE_LARGE_H
#define TARN_STORE_LARGE_H

#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"

struct large {
    size_t bytes;       /* what this block costs */
    uint32_t pins;      /* replies that are sent from it */
    uint16_t is_mapped; /* pages of its own; else from malloc */
    uint16_t is_orphan; /* its entry is gone; the last pin frees it */
    char data[];        /* [key] value */
};

/* NULL when memory could not be had. */
struct large *large_create(size_t len) WARN_UNUSED;
/* Keeps the common prefix; NULL when memory could not be had, the block then stays as it is. */
struct large *large_resize(struct large *l, size_t len) WARN_UNUSED;
/* Accepts NULL. */
void large_destroy(struct large *l);

/* What a block for `len` bytes will cost. */
size_t large_cost(size_t len);
/* Bytes of data that fit without a new allocation. */
size_t large_capacity(const struct large *l);

/* Costs as a segment adds them up. */
#define LARGE_UNIT 256

static inline uint32_t large_units(size_t bytes)
{
    return bytes > 0 ? (uint32_t)(bytes / LARGE_UNIT) + 1 : 0;
}

#endif
