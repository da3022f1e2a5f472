/*
 * Open heads: where the next entry of a queue and a class of remaining time to live is written.
 *
 * Entries that expire at about the same time lie together, so that whole segments die at once: a
 * class is a power of two of the seconds that remain. A class gets a head of its own when it is
 * first needed; while memory is short and many classes have heads, a new class shares the head of
 * its nearest neighbour, so that open segments stay a small part of all.
 */
#include "append.h"

#include "store_private.h"

/* One open head in so many segments, at least HEADS_MIN. */
#define HEADS_PART 24
#define HEADS_MIN  4

unsigned ttl_class_of(const struct store *s, int64_t expires_at_ms)
{
    if (expires_at_ms == STORE_NO_EXPIRY) {
        return 0;
    }
    int64_t left_s = (expires_at_ms - s->clock->mono_ms) / 1000;
    unsigned c = 1;
    while (left_s > 0 && c < TTL_CLASSES - 1) {
        left_s >>= 1;
        c++;
    }
    return c;
}

void append_seal(struct store *s, uint32_t id)
{
    struct segment *seg = segment_at(&s->segs, id);
    for (unsigned c = 0; c < TTL_CLASSES; c++) {
        if (s->heads[seg->queue][c] == id) {
            s->heads[seg->queue][c] = SEGMENT_NONE;
        }
    }
    segments_trim(&s->segs, id);
    store_queue_push(s, id, false);
    if (seg->live == 0) {
        store_settle(s, id);
    } else {
        store_note_garbage(s, id);
    }
}

void append_seal_if_full(struct store *s, uint32_t id, size_t block_bytes)
{
    const struct segment *seg = segment_at(&s->segs, id);
    uint64_t outside = (uint64_t)seg->large_units * LARGE_UNIT;
    if (seg->state == SEGMENT_OPEN && seg->used + outside + block_bytes > s->segs.segment_bytes) {
        append_seal(s, id);
    }
}

/* A head to share when one more would be too many: the nearest class that has one. */
static unsigned class_to_share(const struct store *s, enum segment_queue queue, unsigned ttl_class)
{
    unsigned heads = 0, nearest = ttl_class;
    for (unsigned c = 1; c < TTL_CLASSES; c++) {
        if (s->heads[queue][c] != SEGMENT_NONE) {
            heads++;
            unsigned distance = c > ttl_class ? c - ttl_class : ttl_class - c;
            unsigned best = nearest > ttl_class ? nearest - ttl_class : ttl_class - nearest;
            nearest = nearest == ttl_class || distance < best ? c : nearest;
        }
    }
    unsigned allowed = s->segs.used / HEADS_PART;
    allowed = allowed > HEADS_MIN ? allowed : HEADS_MIN;
    return heads >= allowed ? nearest : ttl_class;
}

static uint32_t open_head(struct store *s, enum segment_queue queue, unsigned ttl_class)
{
    uint32_t id = segments_take(&s->segs);
    if (id != SEGMENT_NONE) {
        struct segment *seg = segment_at(&s->segs, id);
        seg->queue = (uint8_t)queue;
        seg->ttl_class = (uint8_t)ttl_class;
        seg->seq = s->seq++;
        s->heads[queue][ttl_class] = id;
        store_update_pressure(s);
    }
    return id;
}

/* Memory that writing `size` bytes to the head would newly commit: a free segment with pages counts
 * as a whole. */
static size_t bytes_needed(const struct store *s, uint32_t head, uint32_t size)
{
    if (head != SEGMENT_NONE) {
        return segments_extension(&s->segs, head, segment_at(&s->segs, head)->used + size);
    }
    uint32_t free_id = s->segs.free_resident.head;
    return free_id != SEGMENT_NONE ? segment_at(&s->segs, free_id)->resident : size;
}

/* The head to write to, with room for `size` and its pages counted. SEGMENT_NONE: not allowed. */
static uint32_t prepare_head(struct store *s, enum segment_queue queue, unsigned ttl_class,
                             uint32_t size, enum append_for who, bool *moved)
{
    bool is_reserved = who != APPEND_FOR_CALLER;
    for (;;) {
        unsigned c = ttl_class;
        if (c > 0 && s->heads[queue][c] == SEGMENT_NONE) {
            c = class_to_share(s, queue, c);
        }
        uint32_t id = s->heads[queue][c];
        if (id != SEGMENT_NONE && segment_at(&s->segs, id)->used + size > s->segs.segment_bytes) {
            append_seal(s, id);
            continue;
        }
        if (!is_reserved) {
            bool reclaimed = false;
            if (!store_reserve(s, bytes_needed(s, id, size), &reclaimed)) {
                return SEGMENT_NONE;
            }
            is_reserved = true;
            if (reclaimed) {
                *moved = true;
                continue; /* heads may have been sealed, opened or emptied */
            }
        }
        if (id == SEGMENT_NONE && (id = open_head(s, queue, c)) == SEGMENT_NONE) {
            return SEGMENT_NONE;
        }
        size_t end = segment_at(&s->segs, id)->used + size;
        store_trade_pages(s, segments_extension(&s->segs, id, end));
        segments_extend(&s->segs, id, end);
        return id;
    }
}

unsigned char *append_entry(struct store *s, enum segment_queue queue, unsigned ttl_class,
                            uint32_t size, enum append_for who, bool *moved)
{
    uint32_t id = s->heads[queue][ttl_class];
    if (UNLIKELY(id == SEGMENT_NONE ||
                 segment_at(&s->segs, id)->used + size > segment_at(&s->segs, id)->resident)) {
        id = prepare_head(s, queue, ttl_class, size, who, moved);
        if (id == SEGMENT_NONE) {
            return NULL;
        }
    }
    struct segment *seg = segment_at(&s->segs, id);
    unsigned char *e = segment_data(&s->segs, id) + seg->used;
    seg->used += size;
    seg->live += size;
    s->live_bytes += size;
    memory_unpoison(e, size);
    return e;
}
