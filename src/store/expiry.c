/*
 * Proactive expiry: a heap of segments by the moment a sweep pays, and a hand that sweeps others
 * ahead of that moment while its allowance lasts.
 *
 * Entries written with equal time to live share segments and expire in the order of writing, so
 * nearly all sweeps find all entries of their segment dead. Where lives are mixed, a sweep at the
 * eighth part of the span finds about an eighth of the entries, which bounds the work per expired
 * entry; the allowance (PACE_PART of the time) is spent on finding them earlier.
 */
#include "expiry.h"

#include "store_private.h"

#include <errno.h>
#include <sys/mman.h>

#define SPAN_PART      8
#define PACE_PART      10                 /* a tenth of the time may go into sweeps ahead of time */
#define PACE_CREDIT_NS (20 * 1000 * 1000) /* that is saved up at most */
#define VISIT_NS       8                  /* what looking at one entry costs, about */
#define EXPEL_CREDIT   8                  /* visits that one expired entry is worth */
#define HAND_SEGMENTS  1024               /* looked at per step */

int due_heap_init(struct due_heap *h, uint32_t segments)
{
    size_t bytes = (size_t)segments * sizeof(struct due);
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED) {
        return -ENOMEM;
    }
    *h = (struct due_heap){.items = p, .reserved_bytes = bytes};
    return 0;
}

void due_heap_fini(struct due_heap *h)
{
    if (h->items != NULL) {
        (void)munmap(h->items, h->reserved_bytes);
    }
    *h = (struct due_heap){0};
}

static void heap_place(struct store *s, uint32_t at, struct due item)
{
    s->due.items[at] = item;
    segment_at(&s->segs, item.seg)->due_pos = at + 1;
}

static void heap_up(struct store *s, uint32_t at, struct due item)
{
    while (at > 0 && s->due.items[(at - 1) / 2].due_ms > item.due_ms) {
        heap_place(s, at, s->due.items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_place(s, at, item);
}

static void heap_down(struct store *s, uint32_t at, struct due item)
{
    struct due_heap *h = &s->due;
    for (uint32_t child = 2 * at + 1; child < h->count; child = 2 * at + 1) {
        if (child + 1 < h->count && h->items[child + 1].due_ms < h->items[child].due_ms) {
            child++;
        }
        if (h->items[child].due_ms >= item.due_ms) {
            break;
        }
        heap_place(s, at, h->items[child]);
        at = child;
    }
    heap_place(s, at, item);
}

static int64_t due_of(const struct segment *seg)
{
    return seg->expiry_lo_ms + (seg->expiry_hi_ms - seg->expiry_lo_ms) / SPAN_PART;
}

void expiry_forget(struct store *s, uint32_t id)
{
    struct segment *seg = segment_at(&s->segs, id);
    if (seg->due_pos == 0) {
        return;
    }
    uint32_t at = seg->due_pos - 1;
    struct due last = s->due.items[--s->due.count];
    seg->due_pos = 0;
    if (last.seg != id) {
        heap_up(s, at, last);
        heap_down(s, segment_at(&s->segs, last.seg)->due_pos - 1, last);
    }
}

void expiry_requeue(struct store *s, uint32_t id)
{
    struct segment *seg = segment_at(&s->segs, id);
    expiry_forget(s, id);
    if (seg->expiry_lo_ms == STORE_NO_EXPIRY || seg->is_swept != 0) {
        return;
    }
    heap_up(s, s->due.count++, (struct due){.due_ms = due_of(seg), .seg = id});
    s->due.touched = s->due.count > s->due.touched ? s->due.count : s->due.touched;
}

void expiry_note(struct store *s, uint32_t id, int64_t expires_at_ms)
{
    struct segment *seg = segment_at(&s->segs, id);
    if (expires_at_ms == STORE_NO_EXPIRY) {
        return;
    }
    if (expires_at_ms > ENTRY_EXPIRY_MAX_MS) {
        expires_at_ms = ENTRY_EXPIRY_MAX_MS; /* what the entry itself holds */
    }
    if (expires_at_ms > seg->expiry_hi_ms) {
        seg->expiry_hi_ms = expires_at_ms; /* makes it due later; found out when it comes up */
    }
    if (expires_at_ms < seg->expiry_lo_ms) {
        seg->expiry_lo_ms = expires_at_ms;
        expiry_requeue(s, id);
    }
}

void expiry_charge(struct store *s, uint32_t visited, uint32_t expelled)
{
    int64_t vain = (int64_t)visited - (int64_t)expelled * EXPEL_CREDIT;
    s->pace.credit_ns -= vain > 0 ? vain * VISIT_NS : 0;
}

static void pace_top_up(struct store *s)
{
    struct expiry_pace *p = &s->pace;
    int64_t elapsed_us = s->clock->mono_us - p->updated_us;
    p->updated_us = s->clock->mono_us;
    if (elapsed_us > 0) {
        p->credit_ns += elapsed_us < PACE_CREDIT_NS ? elapsed_us * (1000 / PACE_PART)
                                                    : PACE_CREDIT_NS;
        p->credit_ns = p->credit_ns < PACE_CREDIT_NS ? p->credit_ns : PACE_CREDIT_NS;
    }
}

/* The next segment of which an entry has expired; SEGMENT_NONE when the hand met none. */
static uint32_t hand_search(struct store *s)
{
    for (unsigned i = 0; i < HAND_SEGMENTS && i < s->segs.high; i++) {
        uint32_t id = s->pace.hand < s->segs.high ? s->pace.hand : 0;
        s->pace.hand = id + 1;
        const struct segment *seg = segment_at(&s->segs, id);
        if ((seg->state == SEGMENT_OPEN || seg->state == SEGMENT_SEALED) &&
            seg->expiry_lo_ms <= s->clock->mono_ms && seg->due_pos != 0) {
            return id;
        }
    }
    return SEGMENT_NONE;
}

bool expiry_step(struct store *s)
{
    if (s->sweep.seg != SEGMENT_NONE) {
        (void)reclaim_step(s, &s->sweep);
        return true;
    }
    uint32_t id = SEGMENT_NONE;
    if (s->due.count > 0 && s->due.items[0].due_ms <= s->clock->mono_ms) {
        id = s->due.items[0].seg;
        if (due_of(segment_at(&s->segs, id)) > s->clock->mono_ms) {
            expiry_requeue(s, id); /* later entries have come in since */
            return true;
        }
    } else {
        pace_top_up(s);
        id = s->pace.credit_ns > 0 ? hand_search(s) : SEGMENT_NONE;
    }
    if (id == SEGMENT_NONE) {
        return false;
    }
    reclaim_begin(s, &s->sweep, id, CURSOR_SWEEP);
    (void)reclaim_step(s, &s->sweep);
    return true;
}
