/*
 * Every invariant of store, segments and indexes, walked. A broken one is printed and the process
 * aborts.
 */

#include "write.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK(cond)                                                                 \
    do {                                                                            \
        if (!(cond)) {                                                              \
            fprintf(stderr, "store_check: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                                \
        }                                                                           \
    } while (0)

/* Sums over all segments, to compare with the running totals. */
struct sums {
    size_t resident, free_bytes, live, large, negative;
    size_t queue_large[QUEUE_COUNT][2], queue_resident[QUEUE_COUNT][2];
    size_t entries[SPACES], count_volatile[SPACES], count_negative[SPACES];
    uint32_t used, free_resident, free_bare, due;
    uint32_t queued[QUEUE_COUNT][2], garbage[GARBAGE_LEVELS], condemned;
};

/* What a walk over one segment found. */
struct segment_sums {
    uint32_t live, large;
    int64_t lo_ms, hi_ms;
};

static void check_outside(const struct store *s, const struct segment *seg,
                          const struct entry_parts *e, struct sums *sums)
{
    CHECK(e->large == NULL || write_is_large(s, e->key_len) || write_is_large(s, e->value_len));
    CHECK(e->large == NULL || large_capacity(e->large) >= e->value_len);
    CHECK(e->object == NULL || s->object_owner != NULL);
    sums->large += entry_outside(e);
    sums->queue_large[seg->queue][seg->ttl_class > 0] += entry_outside(e);
}

static void check_entry(const struct store *s, uint32_t id, unsigned char *at, struct sums *sums,
                        struct segment_sums *found)
{
    const struct segment *seg = segment_at(&s->segs, id);
    struct entry_parts e;
    entry_parse(at, &e);
    CHECK(e.size == entry_size(at));
    const struct space *sp = &s->spaces[e.space];
    CHECK(sp->state != SPACE_FREE);
    uint64_t hash = hash_bytes(&s->hash_key, entry_key(at));
    CHECK(store_slot_of_ref(sp, hash, ref_of(&s->segs, at)) != NULL);
    CHECK(strview_eq(entry_key(at), strview_of(e.key, e.key_len)));
    sums->entries[e.space]++;
    if ((e.flags & ENTRY_TYPE_MASK) == ENTRY_NEGATIVE) {
        sums->count_negative[e.space]++;
        sums->negative += e.size;
    } else if (e.expires_at_ms != STORE_NO_EXPIRY) {
        sums->count_volatile[e.space]++;
    }
    found->live += e.size;
    if (e.large != NULL || e.object != NULL) {
        found->large += large_units(entry_outside(&e));
        check_outside(s, seg, &e, sums);
    }
    if (e.expires_at_ms != STORE_NO_EXPIRY) {
        found->lo_ms = e.expires_at_ms < found->lo_ms ? e.expires_at_ms : found->lo_ms;
        found->hi_ms = e.expires_at_ms > found->hi_ms ? e.expires_at_ms : found->hi_ms;
    }
}

static void check_contents(const struct store *s, uint32_t id, struct sums *sums)
{
    const struct segment *seg = segment_at(&s->segs, id);
    unsigned char *data = segment_data(&s->segs, id);
    struct segment_sums found = {.lo_ms = STORE_NO_EXPIRY};
    uint32_t at = 0;
    while (at < seg->used) {
        uint32_t size = entry_size(data + at);
        CHECK(size >= ENTRY_ALIGN && size % ENTRY_ALIGN == 0 && size <= seg->used - at);
        if (!entry_is_dead(data + at)) {
            check_entry(s, id, data + at, sums, &found);
        }
        at += size;
    }
    CHECK(at == seg->used);
    CHECK(found.live == seg->live && found.large == seg->large_units);
    sums->live += found.live;
    if (seg->is_swept == 0) {
        CHECK(found.lo_ms >= seg->expiry_lo_ms);
        CHECK(found.hi_ms <= seg->expiry_hi_ms);
        CHECK(found.lo_ms == STORE_NO_EXPIRY || seg->state == SEGMENT_EMPTYING ||
              seg->due_pos != 0);
    }
}

static bool is_head(const struct store *s, uint32_t id)
{
    for (unsigned q = 0; q < QUEUE_COUNT; q++) {
        for (unsigned c = 0; c < TTL_CLASSES; c++) {
            if (s->heads[q][c] == id) {
                return q == segment_at(&s->segs, id)->queue &&
                       c == segment_at(&s->segs, id)->ttl_class;
            }
        }
    }
    return false;
}

static void check_in_use(const struct store *s, uint32_t id, struct sums *sums)
{
    const struct segment *seg = segment_at(&s->segs, id);
    CHECK(seg->used <= seg->resident && seg->live <= seg->used);
    CHECK((seg->is_swept != 0) == (s->sweep.seg == id));
    sums->used++;
    sums->garbage[seg->garbage]++;
    if (seg->due_pos != 0) {
        CHECK(s->due.items[seg->due_pos - 1].seg == id);
        sums->due++;
    }
    switch ((enum segment_state)seg->state) {
    case SEGMENT_OPEN:
        CHECK(is_head(s, id));
        break;
    case SEGMENT_SEALED:
        CHECK(seg->live > 0 || seg->pins > 0 || seg->is_swept != 0);
        sums->queued[seg->queue][seg->ttl_class > 0]++;
        sums->queue_resident[seg->queue][seg->ttl_class > 0] += seg->resident;
        break;
    case SEGMENT_EMPTYING:
        CHECK(s->reclaim.seg == id || seg->pins > 0);
        break;
    case SEGMENT_CONDEMNED:
        CHECK(seg->live == 0);
        sums->condemned++;
        return;
    case SEGMENT_FREE:
        break;
    }
    check_contents(s, id, sums);
}

static void check_segments(const struct store *s, struct sums *sums)
{
    const struct segments *sg = &s->segs;
    CHECK(segment_at(sg, 0)->state == SEGMENT_FREE);
    for (uint32_t id = 1; id < sg->high; id++) {
        const struct segment *seg = segment_at(sg, id);
        CHECK(seg->resident <= sg->segment_bytes);
        sums->resident += seg->resident;
        if (seg->state == SEGMENT_FREE) {
            sums->free_bytes += seg->resident;
            sums->free_resident += seg->resident > 0;
            sums->free_bare += seg->resident == 0;
            CHECK(seg->resident > 0 || id >= sg->low_bare);
            CHECK(seg->due_pos == 0 && seg->garbage == 0);
        } else {
            check_in_use(s, id, sums);
        }
    }
    CHECK(sums->resident == sg->resident_bytes && sums->free_bytes == sg->free_bytes);
    CHECK(sums->free_resident == sg->free_resident.count && sums->free_bare == sg->free_bare);
    CHECK(sums->used == sg->used);
    CHECK(sums->condemned == s->condemned.count);
    CHECK(sums->due == s->due.count);
}

static void check_lists(const struct store *s, const struct sums *sums)
{
    for (unsigned q = 0; q < QUEUE_COUNT; q++) {
        for (unsigned v = 0; v < 2; v++) {
            CHECK(sums->queued[q][v] == s->queues[q][v].sealed.count);
            CHECK(sums->queue_resident[q][v] == s->queues[q][v].resident_bytes);
            CHECK(s->condemned.count > 0 || sums->queue_large[q][v] == s->queues[q][v].large_bytes);
        }
    }
    for (unsigned level = 1; level < GARBAGE_LEVELS; level++) {
        CHECK(sums->garbage[level] == s->garbage[level].count);
    }
    for (uint32_t i = 1; i < s->due.count; i++) {
        CHECK(s->due.items[(i - 1) / 2].due_ms <= s->due.items[i].due_ms);
    }
}

static void check_spaces(const struct store *s, const struct sums *sums)
{
    size_t count = 0, index_bytes = 0;
    for (unsigned i = 0; i < SPACES; i++) {
        const struct space *sp = &s->spaces[i];
        CHECK(sp->state != SPACE_FREE || sp->ix == NULL);
        size_t entries = sp->ix != NULL ? index_count(sp->ix) : 0;
        CHECK(sums->entries[i] == entries);
        CHECK(sums->count_negative[i] == sp->count_negative &&
              sums->count_volatile[i] == sp->count_volatile);
        count += entries;
        if (sp->ix != NULL) {
            index_check(sp->ix);
            index_bytes += index_memory(sp->ix);
        }
    }
    for (unsigned i = 0; i < s->discarded_count; i++) {
        index_bytes += index_memory(s->discarded[i]);
    }
    for (unsigned db = 0; db < STORE_DATABASES; db++) {
        CHECK(s->spaces[s->db_space[db]].state == SPACE_ACTIVE);
    }
    CHECK(count == s->count);
    CHECK(index_bytes == s->index_memory);
}

void store_check(struct store *s)
{
    struct sums sums = {0};
    check_segments(s, &sums);
    CHECK(sums.live == s->live_bytes);
    CHECK(s->condemned.count > 0 || sums.large == s->large_bytes);
    CHECK(sums.negative == s->negative_bytes);
    check_lists(s, &sums);
    check_spaces(s, &sums);
}
