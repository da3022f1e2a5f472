/*
 * Memory of buffers between two uses, for replies and large requests of all connections. The one
 * given back last is taken first: it is still in the cache. Those that nobody took for a while are
 * freed, so an idle server keeps none.
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
        buf_fini(b);
    }
}

/* Frees the one that was unused for longest, if it was not needed since the last call. */
static inline void spares_trim(struct spares *s)
{
    if (s->low > 0) {
        s->bytes -= s->bufs[0].cap;
        buf_fini(&s->bufs[0]);
        s->count--;
        memmove(&s->bufs[0], &s->bufs[1], s->count * sizeof(s->bufs[0]));
    }
    s->low = s->count;
}

static inline void spares_fini(struct spares *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        buf_fini(&s->bufs[i]);
    }
    s->count = 0;
}

#endif
