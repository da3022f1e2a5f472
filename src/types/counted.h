/*
 * Memory from malloc, counted with what the allocator takes for it: the usable size and the word in
 * front of a block. Private to the types layer.
 */
#ifndef TARN_TYPES_COUNTED_H
#define TARN_TYPES_COUNTED_H

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>

#define COUNTED_WORD_BYTES sizeof(size_t)

static inline size_t counted_bytes(void *p)
{
    return p != NULL ? malloc_usable_size(p) + COUNTED_WORD_BYTES : 0;
}

/* As realloc(); *total follows. NULL: no memory, the block stays. */
static inline void *counted_resize(size_t *total, void *p, size_t n)
{
    const size_t before = counted_bytes(p);
    void *fresh = realloc(p, n);
    if (fresh != NULL) {
        *total += counted_bytes(fresh) - before;
    }
    return fresh;
}

static inline void counted_free(size_t *total, void *p)
{
    *total -= counted_bytes(p);
    free(p);
}

#endif
