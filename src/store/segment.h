/*
 * The arena: one reservation of address space, cut into equal segments. Private to the store.
 *
 *      base
 *       | segment 0 (never used) | segment 1 | segment 2 | ...             | frontier     |
 * reserved only ...
 *       +------------------------+-----------+-----------+-----------------+--------------+
 *
 * A reference is (address - base) / ENTRY_ALIGN, 40 bits; 0 lies in segment 0 and is never handed
 * out.
 *
 * What is known of a segment lies in a side table, one cache line each, so that choosing and
 * counting touch no data.
 *
 * Memory is counted by what is resident: a fresh segment costs the pages that were written, a freed
 * one costs what it held until its pages are given back. segments_extend() must be called before
 * bytes beyond `resident` are written.
 */
#ifndef TARN_STORE_SEGMENT_H
#define TARN_STORE_SEGMENT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"
#include "entry.h"

#define SEGMENT_NONE      0u
#define SEGMENT_BYTES_MIN (16u * 1024)
#define SEGMENT_BYTES_MAX (8u * 1024 * 1024)

enum segment_state {
    SEGMENT_FREE,      /* in the pool, with or without pages */
    SEGMENT_OPEN,      /* a head: entries are appended */
    SEGMENT_SEALED,    /* in its queue */
    SEGMENT_EMPTYING,  /* the reclaimer's victim: in no list */
    SEGMENT_CONDEMNED, /* flushed: only large blocks are left to free */
};

enum segment_queue {
    QUEUE_MAIN,
    QUEUE_SMALL,
    QUEUE_FIRST, /* emptied before the others, and no use saves what is there */
    QUEUE_COUNT,
};

/* A segment is in at most one list of each kind. */
enum segment_link { LINK_QUEUE, LINK_GARBAGE, LINK_COUNT };

struct segment {
    uint32_t used;     /* bytes appended */
    uint32_t live;     /* of these, bytes of live entries */
    uint32_t resident; /* bytes that cost memory; >= used */
    uint32_t seq;      /* order of opening; compared with segment_is_older() */
    struct {
        uint32_t prev, next;
    } links[LINK_COUNT];
    int64_t expiry_lo_ms; /* no live entry expires earlier; STORE_NO_EXPIRY: none expires */
    int64_t expiry_hi_ms; /* none that expires does so later; 0: none expires */
    uint32_t due_pos;     /* place in the heap of due segments plus 1, 0: not there */
    uint16_t pins;
    uint8_t state;     /* enum segment_state */
    uint8_t queue;     /* enum segment_queue */
    uint8_t ttl_class; /* 0: entries without expiry */
    uint8_t garbage;   /* which garbage list, 0: none */
    uint8_t is_swept;  /* the expiry cursor stands in it: may not be freed or reset under it */
    uint8_t unused;
    uint32_t
        large_units; /* what blocks of live entries cost, in LARGE_UNIT each; see large_units() */
};
static_assert(sizeof(struct segment) == 64, "one cache line per segment");

struct segment_list {
    uint32_t head, tail;
    uint32_t count;
};

struct segments {
    unsigned char *base;
    struct segment *table;
    size_t arena_bytes, table_bytes;
    uint32_t segment_bytes;
    unsigned shift;                    /* log2 of segment_bytes */
    uint32_t count;                    /* that the arena has room for, number 0 included */
    uint32_t frontier;                 /* numbers below are mapped read-write */
    uint32_t high;                     /* numbers at or above were never used */
    uint32_t free_bare;                /* segments below `high` that hold no pages */
    uint32_t low_bare;                 /* no bare segment lies below this number */
    uint32_t used;                     /* segments that are not free */
    struct segment_list free_resident; /* free, with pages; LINK_QUEUE */
    size_t resident_bytes;             /* sum over all segments */
    size_t free_bytes;                 /* of these, in free segments */
};

/* 0 or -errno. arena_bytes is cut down to what the system grants. */
int segments_init(struct segments *sg, uint32_t segment_bytes, size_t arena_bytes,
                  bool huge_pages) WARN_UNUSED;
void segments_fini(struct segments *sg);

/* A free segment, zeroed but for `resident`: with pages when there is one, else the lowest.
 * SEGMENT_NONE when the arena is full. */
uint32_t segments_take(struct segments *sg) WARN_UNUSED;
/* Back to the pool, with its pages. */
void segments_give(struct segments *sg, uint32_t id);

/* Gives the pages of one free segment back to the system; the bytes that came back, 0 when there
 * was none. */
size_t segments_release_one(struct segments *sg);
/* Gives back the pages beyond `used` of a segment that will not be appended to any more. */
void segments_trim(struct segments *sg, uint32_t id);

/* Bytes that segments_extend(id, end) will add to resident_bytes. */
size_t segments_extension(const struct segments *sg, uint32_t id, size_t end);
void segments_extend(struct segments *sg, uint32_t id, size_t end);

void segment_list_push_back(struct segments *sg, struct segment_list *l, enum segment_link kind,
                            uint32_t id);
void segment_list_push_front(struct segments *sg, struct segment_list *l, enum segment_link kind,
                             uint32_t id);
void segment_list_remove(struct segments *sg, struct segment_list *l, enum segment_link kind,
                         uint32_t id);

static inline struct segment *segment_at(const struct segments *sg, uint32_t id)
{
    return &sg->table[id];
}

static inline unsigned char *segment_data(const struct segments *sg, uint32_t id)
{
    return sg->base + ((size_t)id << sg->shift);
}

static inline unsigned char *entry_at(const struct segments *sg, uint64_t ref)
{
    return sg->base + ref * ENTRY_ALIGN;
}

static inline uint64_t ref_of(const struct segments *sg, const unsigned char *e)
{
    return (uint64_t)(e - sg->base) / ENTRY_ALIGN;
}

static inline uint32_t segment_of(const struct segments *sg, uint64_t ref)
{
    return (uint32_t)(ref * ENTRY_ALIGN >> sg->shift);
}

/* The segment that holds the byte at `p`, SEGMENT_NONE when it lies outside the arena. */
static inline uint32_t segment_of_pointer(const struct segments *sg, const void *p)
{
    uintptr_t at = (uintptr_t)p, base = (uintptr_t)sg->base;
    return at >= base && at - base < sg->arena_bytes ? (uint32_t)((at - base) >> sg->shift)
                                                     : SEGMENT_NONE;
}

/* Orders of opening wrap around; they are never 2^31 apart. */
static inline bool segment_is_older(const struct segment *a, const struct segment *b)
{
    return (int32_t)(a->seq - b->seq) < 0;
}

#endif
