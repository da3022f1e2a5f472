/*
 * The slow half of the spare buffers: giving memory back.
 */
#include "spares.h"

#include <malloc.h>
#include <string.h>

#define FREED_MIN (256u * 1024) /* less is not worth a walk through the heap */

static void drop_oldest(struct spares *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        s->bytes -= s->bufs[i].cap;
        s->freed += s->bufs[i].cap;
        buf_fini(&s->bufs[i]);
    }
    s->count -= n;
    memmove(&s->bufs[0], &s->bufs[n], s->count * sizeof(s->bufs[0]));
}

void spares_trim(struct spares *s)
{
    if (s->low > 0) {
        drop_oldest(s, (s->low + 1) / 2);
    } else if (s->freed >= FREED_MIN && s->freed == s->freed_before) {
        (void)malloc_trim(0);
        s->freed = 0;
    }
    s->freed_before = s->freed;
    s->low = s->count;
}

void spares_fini(struct spares *s)
{
    drop_oldest(s, s->count);
}
