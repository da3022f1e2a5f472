/*
 * Memory of buffers between two uses, for replies and large requests of all connections. The one
 * given back last is taken first: it is still in the cache. Those that nobody took for a while are
 * freed, so an idle server keeps none; and since one small block that lives on keeps everything below
 * it in the heap, the heap is told to give back its holes.
 */
#ifndef TARN_NET_SPARES_H
#define TARN_NET_SPARES_H

#include <assert.h>
#include <stddef.h>

#include "tarn/base/buf.h"
#include "tarn/base/compiler.h"

#define SPARES_MAX       128
#define SPARES_BYTES_MAX (4 * 1024 * 1024) /* all together */
#define SPARE_BYTES_MAX  (1024 * 1024)     /* one of them */
#define SPARE_BYTES_MIN  (4 * 1024)

struct spares {
    unsigned count;
    unsigned low; /* the smallest count since the last trim: so many were never taken */
    size_t bytes;
    size_t freed, freed_before;  /* bytes that may still lie in the heap; those of the last call */
    struct buf bufs[SPARES_MAX]; /* empty, with memory */
};

/* Gives memory to a buffer that has none: a spare one or new. */
static inline void spares_take(struct spares *s, struct buf *b)
{
    if (b->cap > 0) {
        return;
    }
    if (UNLIKELY(s->count == 0)) {
        (void)buf_reserve(b, SPARE_BYTES_MIN); /* a failure stays in the buffer */
    } else {
        *b = s->bufs[--s->count];
        s->bytes -= b->cap;
        if (s->count < s->low) {
            s->low = s->count;
        }
    }
}

/* Takes the memory of an empty buffer, which has none afterwards. */
static inline void spares_give(struct spares *s, struct buf *b)
{
    assert(buf_len(b) == 0);
    if (b->cap == 0) {
        return;
    }
    if (LIKELY(s->count < SPARES_MAX && b->cap >= SPARE_BYTES_MIN && b->cap <= SPARE_BYTES_MAX &&
               s->bytes + b->cap <= SPARES_BYTES_MAX)) {
        buf_clear(b);
        s->bytes += b->cap;
        s->bufs[s->count++] = *b;
        buf_init(b);
    } else {
        s->freed += b->cap;
        buf_fini(b);
    }
}

/* For a tick: frees half of those that nobody took since the last call. Once nothing more is freed,
 * what has become free in the heap meanwhile goes back to the system. */
void spares_trim(struct spares *s);
void spares_fini(struct spares *s);

#endif
