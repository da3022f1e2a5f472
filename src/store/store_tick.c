/*
 * Upkeep in slices: proactive expiry, what flushes left behind, reclaiming, giving pages back,
 * shrinking indexes.
 *
 * Each task does a step of ten to some hundred microseconds (the longest: two tables of an index
 * become one) and says whether there is more; the budget is looked at after each.
 */
#include "store_private.h"

#define FREE_SEGMENTS_KEPT 2
/* Without pressure: compact when this part of the segments' bytes is dead. */
#define COMPACT_DEAD_PART 8
/* Ghosts are forgotten when no more than this part of the keys is left that they were made for. */
#define GHOSTS_PART      8
#define GHOST_WORK_BYTES (64 * 1024)
#define DRAIN_SLOTS      256
#define SPARSE_PART      5 /* of SPARSE_PARTS of the slots: an index with less is shrunk */
#define SPARSE_PARTS     8
#define SHRINK_BUCKETS   64

static void free_outside_of(struct store *s, uint32_t id)
{
    struct segment *seg = segment_at(&s->segs, id);
    unsigned char *data = segment_data(&s->segs, id);
    for (uint32_t at = 0; at < seg->used && seg->large_units > 0; at += entry_size(data + at)) {
        unsigned char *e = data + at;
        if (!entry_is_dead(e)) {
            struct entry_parts parts;
            entry_parse(e, &parts);
            store_large_count(s, id, entry_outside(&parts), -1);
            store_free_outside(s, &parts);
        }
    }
}

bool store_empty_condemned(struct store *s)
{
    uint32_t id = s->condemned.head;
    while (id != SEGMENT_NONE && segment_at(&s->segs, id)->pins > 0) {
        id = segment_at(&s->segs, id)->links[LINK_QUEUE].next;
    }
    if (id == SEGMENT_NONE) {
        return false;
    }
    free_outside_of(s, id);
    segment_list_remove(&s->segs, &s->condemned, LINK_QUEUE, id);
    segments_give(&s->segs, id);
    return true;
}

#define DRAIN_BATCH 32

struct drain {
    struct store *s;
    unsigned count;
    uint64_t refs[DRAIN_BATCH];
};

static void drain_batch(struct drain *d)
{
    for (unsigned i = 0; i < d->count; i++) {
        store_kill(d->s, entry_at(&d->s->segs, d->refs[i]));
    }
    d->count = 0;
}

static void drain_slot(void *ctx, uint64_t slot)
{
    struct drain *d = ctx;
    d->refs[d->count++] = slot_ref(slot);
    PREFETCH(entry_at(&d->s->segs, slot_ref(slot)));
    if (d->count == DRAIN_BATCH) {
        drain_batch(d);
    }
}

static bool step_drain(struct store *s)
{
    for (unsigned i = 0; i < SPACES; i++) {
        struct space *sp = &s->spaces[i];
        if (sp->state != SPACE_DRAINING) {
            continue;
        }
        struct drain d = {.s = s};
        bool more = index_drain(sp->ix, DRAIN_SLOTS, drain_slot, &d);
        drain_batch(&d);
        if (!more) {
            index_destroy(sp->ix);
            *sp = (struct space){.state = SPACE_FREE};
        }
        return true;
    }
    if (s->discarded_count == 0) {
        return false;
    }
    struct index *ix = s->discarded[s->discarded_count - 1];
    if (!index_drain(ix, DRAIN_SLOTS, NULL, NULL)) {
        index_destroy(ix);
        s->discarded_count--;
    }
    return true;
}

/* Sparse enough that shrinking gives back a good part. A steady stream of inserts and removals does
 * not come here: making tables smaller only to grow them again would cost more than the stream. */
static bool is_sparse(const struct index *ix)
{
    return index_count(ix) < index_slots(ix) / SPARSE_PARTS * SPARSE_PART;
}

static bool step_shrink(struct store *s)
{
    bool more = false;
    for (unsigned i = 0; i < SPACES; i++) {
        struct space *sp = &s->spaces[i];
        if (sp->state == SPACE_ACTIVE && sp->ix != NULL && is_sparse(sp->ix)) {
            more = index_shrink(sp->ix, SHRINK_BUCKETS) || more;
        }
    }
    return more;
}

static bool step_reclaim(struct store *s)
{
    if (s->is_pressed) {
        store_press(s);
        return s->is_pressed;
    }
    size_t in_use = s->segs.resident_bytes - s->segs.free_bytes;
    size_t dead = in_use - size_min(in_use, s->live_bytes);
    bool is_wasteful = dead > in_use / COMPACT_DEAD_PART &&
                       dead > (size_t)s->segs.segment_bytes * 4;
    return (is_wasteful || s->reclaim.seg != SEGMENT_NONE) && reclaim_compact(s);
}

static bool step_ghosts(struct store *s)
{
    if (s->count < s->adaptive.ghost.keys / GHOSTS_PART) {
        ghost_forget(&s->adaptive.ghost); /* of a cache that is no more */
    }
    return ghost_work(&s->adaptive.ghost, GHOST_WORK_BYTES);
}

/* Pages of free segments beyond a few; under a limit a little more stays, for it will be used again
 * soon. */
static bool step_release(struct store *s)
{
    bool is_over = s->limit > 0 && store_used_memory(s) + s->other_memory > s->limit;
    if (s->segs.free_resident.count <= (is_over ? 0 : FREE_SEGMENTS_KEPT)) {
        return false;
    }
    return segments_release_one(&s->segs) > 0;
}

void store_set_active_expiry(struct store *s, bool is_active)
{
    s->is_expiry_held = !is_active;
}

static bool step_expiry(struct store *s)
{
    return !s->is_expiry_held && expiry_step(s);
}

bool store_tick(struct store *s, int64_t budget_us)
{
    static bool (*const tasks[])(struct store *) = {
        step_expiry, store_empty_condemned, step_drain,   store_drain_objects,
        step_ghosts, step_reclaim,          step_release, step_shrink};
    int64_t deadline_us = clock_now_us() + budget_us;
    store_ask_others(s);
    store_update_pressure(s);
    for (size_t task = 0; task < ARRAY_LEN(tasks);) {
        if (!tasks[task](s)) {
            task++; /* to find that there is nothing to do costs nothing */
        } else if (clock_now_us() >= deadline_us) {
            return true;
        }
    }
    return false;
}
