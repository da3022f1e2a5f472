/*
 * The arena and its pool of segments; see segment.h for the picture.
 *
 * The reservation is PROT_NONE and costs nothing; it is made usable in steps as the frontier moves
 * up and never taken back. Pages of freed segments go back with MADV_DONTNEED, after which they
 * read as zero and cost nothing. Lowest numbers are used first, so that the table stays dense and
 * the upper arena untouched.
 *
 * Sanitizers know nothing of this memory; segments poison what is free, so that a stale reference
 * is found out.
 */
#include "segment.h"

#include <errno.h>
#include <sys/mman.h>

#define PAGE_BYTES         4096u
#define FRONTIER_BYTES     (8u * 1024 * 1024) /* step by which the arena is made usable */
#define EXTEND_BYTES       (16u * 1024) /* step by which a fresh segment's pages are counted */
#define ARENA_SEGMENTS_MIN 8u

static void *reserve(size_t bytes, int protection)
{
    void *p = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

int segments_init(struct segments *sg, uint32_t segment_bytes, size_t arena_bytes, bool huge_pages)
{
    assert(segment_bytes >= SEGMENT_BYTES_MIN && segment_bytes <= SEGMENT_BYTES_MAX);
    assert((segment_bytes & (segment_bytes - 1)) == 0);
    unsigned shift = 0;
    while ((1u << shift) < segment_bytes) {
        shift++;
    }
    size_t bytes_max = (size_t)ENTRY_ALIGN << 40; /* what a reference can reach */
    arena_bytes = size_min(arena_bytes, size_min(bytes_max, (size_t)UINT32_MAX << shift));
    unsigned char *base = NULL;
    while (arena_bytes >= ARENA_SEGMENTS_MIN * (size_t)segment_bytes &&
           (base = reserve(arena_bytes, PROT_NONE)) == NULL) {
        arena_bytes /= 2;
    }
    if (base == NULL) {
        return -ENOMEM;
    }
    uint32_t count = (uint32_t)(arena_bytes >> shift);
    size_t table_bytes = count * sizeof(struct segment);
    struct segment *table = reserve(table_bytes, PROT_READ | PROT_WRITE);
    if (table == NULL) {
        (void)munmap(base, arena_bytes);
        return -ENOMEM;
    }
    /* Unless they are wanted: a huge page could cost 2 MiB where a few KiB are counted. */
    (void)madvise(base, arena_bytes, huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    *sg = (struct segments){
        .base = base,
        .table = table,
        .arena_bytes = arena_bytes,
        .table_bytes = table_bytes,
        .segment_bytes = segment_bytes,
        .shift = shift,
        .count = count,
        .frontier = 1,
        .high = 1,
        .low_bare = 1,
    };
    return 0;
}

void segments_fini(struct segments *sg)
{
    if (sg->base != NULL) {
        memory_unpoison(sg->base, (size_t)sg->frontier << sg->shift);
        (void)munmap(sg->base, sg->arena_bytes);
        (void)munmap(sg->table, sg->table_bytes);
    }
    *sg = (struct segments){0};
}

/* Makes segment `id` usable. */
static bool frontier_reach(struct segments *sg, uint32_t id)
{
    if (id < sg->frontier) {
        return true;
    }
    uint32_t step = FRONTIER_BYTES >> sg->shift;
    step = step > 0 ? step : 1;
    step = step < sg->count - sg->frontier ? step : sg->count - sg->frontier;
    unsigned char *from = segment_data(sg, sg->frontier);
    if (mprotect(from, (size_t)step << sg->shift, PROT_READ | PROT_WRITE) != 0) {
        return false;
    }
    memory_poison(from, (size_t)step << sg->shift); /* what lies behind cannot be read at all */
    sg->frontier += step;
    return id < sg->frontier;
}

static uint32_t take_bare(struct segments *sg)
{
    if (sg->free_bare > 0) {
        while (sg->table[sg->low_bare].state != SEGMENT_FREE ||
               sg->table[sg->low_bare].resident > 0) {
            sg->low_bare++;
        }
        sg->free_bare--;
        return sg->low_bare++;
    }
    if (sg->high >= sg->count || !frontier_reach(sg, sg->high)) {
        return SEGMENT_NONE;
    }
    return sg->high++;
}

uint32_t segments_take(struct segments *sg)
{
    uint32_t id = sg->free_resident.head;
    if (id != SEGMENT_NONE) {
        segment_list_remove(sg, &sg->free_resident, LINK_QUEUE, id);
        sg->free_bytes -= segment_at(sg, id)->resident;
    } else {
        id = take_bare(sg);
    }
    if (id == SEGMENT_NONE) {
        return SEGMENT_NONE;
    }
    struct segment *seg = segment_at(sg, id);
    *seg = (struct segment){
        .resident = seg->resident,
        .state = SEGMENT_OPEN,
        .expiry_lo_ms = STORE_NO_EXPIRY,
    };
    sg->used++;
    return id;
}

static void give_bare(struct segments *sg, uint32_t id)
{
    sg->free_bare++;
    sg->low_bare = id < sg->low_bare ? id : sg->low_bare;
}

void segments_give(struct segments *sg, uint32_t id)
{
    struct segment *seg = segment_at(sg, id);
    assert(seg->state != SEGMENT_FREE && seg->pins == 0 && seg->due_pos == 0 && seg->garbage == 0);
    seg->state = SEGMENT_FREE;
    memory_poison(segment_data(sg, id), sg->segment_bytes);
    sg->used--;
    if (seg->resident == 0) {
        give_bare(sg, id);
    } else {
        sg->free_bytes += seg->resident;
        segment_list_push_front(sg, &sg->free_resident, LINK_QUEUE, id);
    }
}

static void pages_drop(struct segments *sg, uint32_t id, uint32_t from, uint32_t to)
{
    (void)madvise(segment_data(sg, id) + from, to - from, MADV_DONTNEED);
    sg->resident_bytes -= to - from;
    segment_at(sg, id)->resident = from;
}

size_t segments_release_one(struct segments *sg)
{
    uint32_t id = sg->free_resident.tail;
    if (id == SEGMENT_NONE) {
        return 0;
    }
    size_t bytes = segment_at(sg, id)->resident;
    segment_list_remove(sg, &sg->free_resident, LINK_QUEUE, id);
    sg->free_bytes -= bytes;
    pages_drop(sg, id, 0, (uint32_t)bytes);
    give_bare(sg, id);
    return bytes;
}

void segments_trim(struct segments *sg, uint32_t id)
{
    struct segment *seg = segment_at(sg, id);
    uint32_t keep = (seg->used + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    if (keep < seg->resident) {
        pages_drop(sg, id, keep, seg->resident);
    }
}

static size_t resident_after(const struct segments *sg, const struct segment *seg, size_t end)
{
    size_t resident = (end + EXTEND_BYTES - 1) & ~(size_t)(EXTEND_BYTES - 1);
    return size_min(size_max(resident, seg->resident), sg->segment_bytes);
}

size_t segments_extension(const struct segments *sg, uint32_t id, size_t end)
{
    const struct segment *seg = segment_at(sg, id);
    return resident_after(sg, seg, end) - seg->resident;
}

void segments_extend(struct segments *sg, uint32_t id, size_t end)
{
    struct segment *seg = segment_at(sg, id);
    size_t resident = resident_after(sg, seg, end);
    sg->resident_bytes += resident - seg->resident;
    seg->resident = (uint32_t)resident;
}

void segment_list_push_back(struct segments *sg, struct segment_list *l, enum segment_link kind,
                            uint32_t id)
{
    struct segment *seg = segment_at(sg, id);
    seg->links[kind].prev = l->tail;
    seg->links[kind].next = SEGMENT_NONE;
    if (l->tail != SEGMENT_NONE) {
        segment_at(sg, l->tail)->links[kind].next = id;
    } else {
        l->head = id;
    }
    l->tail = id;
    l->count++;
}

void segment_list_push_front(struct segments *sg, struct segment_list *l, enum segment_link kind,
                             uint32_t id)
{
    struct segment *seg = segment_at(sg, id);
    seg->links[kind].prev = SEGMENT_NONE;
    seg->links[kind].next = l->head;
    if (l->head != SEGMENT_NONE) {
        segment_at(sg, l->head)->links[kind].prev = id;
    } else {
        l->tail = id;
    }
    l->head = id;
    l->count++;
}

void segment_list_remove(struct segments *sg, struct segment_list *l, enum segment_link kind,
                         uint32_t id)
{
    struct segment *seg = segment_at(sg, id);
    uint32_t prev = seg->links[kind].prev, next = seg->links[kind].next;
    if (prev != SEGMENT_NONE) {
        segment_at(sg, prev)->links[kind].next = next;
    } else {
        l->head = next;
    }
    if (next != SEGMENT_NONE) {
        segment_at(sg, next)->links[kind].prev = prev;
    } else {
        l->tail = prev;
    }
    l->count--;
}
