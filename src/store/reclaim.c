/*
 * The reclaimer's walk over a segment; the errands are in reclaim.h.
 *
 * A step takes a batch of live entries: it reads their headers and keys in order, hashes the keys
 * and prefetches their buckets, and only then decides. A walk may lie idle between steps while the
 * store is used: no entry before the offset is live in a segment that is being emptied, and entries
 * behind it keep their places, so the offset stays at a boundary.
 *
 * Survivors are copied to the head of their queue and class as they are; only their slot changes.
 */
#include "reclaim.h"

#include "store_private.h"

#define BATCH_ENTRIES 32
/* What is emptied was not touched for long. (SET under eviction: 3 % less CPU.) */
#define READ_AHEAD_BYTES 1024
/* Entries looked at in one step, dead ones and (in a sweep) those that stay included. */
#define BATCH_VISITS 256
/* What those entries own outside, about: giving a block back takes longer the larger it is. */
#define BATCH_OUTSIDE_BYTES (128 * 1024)

struct batch_item {
    unsigned char *e;
    uint64_t hash;
    size_t bytes; /* with what it owns outside */
};

void reclaim_begin(struct store *s, struct cursor *c, uint32_t id, enum cursor_mode mode)
{
    struct segment *seg = segment_at(&s->segs, id);
    assert(c->seg == SEGMENT_NONE && seg->is_swept == 0);
    if (mode == CURSOR_SWEEP) {
        expiry_forget(s, id);
        seg->is_swept = 1;
        seg->expiry_lo_ms = STORE_NO_EXPIRY; /* the walk finds the true bounds */
        seg->expiry_hi_ms = 0;
    } else {
        assert(seg->state == SEGMENT_SEALED);
        store_unlink_segment(s, id);
        seg->state = SEGMENT_EMPTYING;
    }
    *c = (struct cursor){.seg = id, .mode = mode};
}

static void put_back(struct store *s, uint32_t id)
{
    store_queue_push(s, id, true);
    store_note_garbage(s, id);
    expiry_requeue(s, id);
}

static void finish(struct store *s, struct cursor *c)
{
    uint32_t id = c->seg;
    struct segment *seg = segment_at(&s->segs, id);
    c->seg = SEGMENT_NONE;
    seg->is_swept = 0;
    if (c->mode == CURSOR_SWEEP) {
        expiry_charge(s, c->visited, c->expelled);
        expiry_requeue(s, id);
    } else if (seg->live > 0) {
        put_back(s, id);
    }
    if (seg->live == 0) {
        store_settle(s, id);
    }
    store_update_pressure(s);
}

/* Copies a live entry to a head of `queue`. False: no memory for it. */
static bool relocate(struct store *s, unsigned char *e, uint64_t *slot, enum segment_queue queue,
                     uint32_t freq)
{
    struct entry_parts parts;
    entry_parse(e, &parts);
    unsigned ttl_class = ttl_class_of(s, parts.expires_at_ms);
    if (ttl_class == 0 && (parts.flags & ENTRY_IS_RELOADABLE) != 0) {
        ttl_class = TTL_CLASSES - 1;
    }
    unsigned char *copy = append_entry(s, queue, ttl_class, parts.size, APPEND_FOR_RECLAIMER, NULL);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, e, parts.size);
    uint32_t from_id = segment_of(&s->segs, ref_of(&s->segs, e));
    uint32_t to_id = segment_of(&s->segs, ref_of(&s->segs, copy));
    struct segment *from = segment_at(&s->segs, from_id);
    *slot = slot_make(ref_of(&s->segs, copy),
                      policy_bits_make(policy_time(slot_policy(*slot)), freq));
    s->kept_ref = ref_of(&s->segs, e) == s->kept_ref ? ref_of(&s->segs, copy) : s->kept_ref;
    expiry_note(s, to_id, parts.expires_at_ms);
    const size_t outside = entry_outside(&parts);
    if (outside > 0) {
        store_large_count(s, from_id, outside, -1);
        store_large_count(s, to_id, outside, 1);
    }
    entry_mark_dead(e);
    from->live -= parts.size;
    s->live_bytes -= parts.size;
    s->counters.bytes_copied += parts.size;
    if (outside > 0) {
        append_seal_if_full(s, to_id, outside);
    }
    return true;
}

static bool may_evict(const struct store *s, const unsigned char *e)
{
    if (s->policy->never_evicts || s->limit == 0) { /* changed in the middle of a walk */
        return false;
    }
    return !s->volatile_only || entry_expiry(e) != STORE_NO_EXPIRY ||
           (e[0] & ENTRY_IS_RELOADABLE) != 0;
}

static void evict(struct store *s, const struct candidate *c, const struct batch_item *item,
                  uint64_t *slot)
{
    s->counters.bytes_evicted += c->bytes;
    if (s->policy->evicted != NULL && c->queue != QUEUE_FIRST) {
        s->policy->evicted(s, c);
    }
    store_expel(s, item->hash, slot, STORE_EVENT_EVICTED);
}

/* Decides over one live entry of a segment that is emptied. False: it could not be moved. */
static bool handle_item(struct store *s, struct cursor *c, const struct batch_item *item)
{
    const struct space *sp = &s->spaces[item->e[1] & ENTRY_SPACE_MASK];
    uint64_t *slot = store_slot_of_ref(sp, item->hash, ref_of(&s->segs, item->e));
    assert(slot != NULL);
    if (sp->state == SPACE_DRAINING || entry_expiry(item->e) <= s->clock->mono_ms) {
        store_expel(s, item->hash, slot, STORE_EVENT_EXPIRED);
        c->expelled++;
        return true;
    }
    enum segment_queue queue = (enum segment_queue)segment_at(&s->segs, c->seg)->queue;
    uint32_t freq = policy_freq(slot_policy(*slot));
    if (c->mode == CURSOR_COMPACT || !may_evict(s, item->e)) {
        return relocate(s, item->e, slot, queue, freq);
    }
    if (ref_of(&s->segs, item->e) == s->kept_ref) { /* out of the way, or it would be next again */
        return relocate(s, item->e, slot, queue == QUEUE_FIRST ? QUEUE_MAIN : queue, freq);
    }
    struct candidate cand = {
        .hash = item->hash, .bytes = item->bytes, .freq = freq, .queue = queue};
    if (c->is_forced || queue == QUEUE_FIRST || s->policy->judge(s, &cand) == VERDICT_DROP ||
        !relocate(s, item->e, slot, cand.queue, cand.freq)) {
        cand.queue = queue;
        evict(s, &cand, item, slot);
        c->expelled++;
    }
    return true;
}

static void sweep_item(struct store *s, struct cursor *c, const struct batch_item *item)
{
    const struct space *sp = &s->spaces[item->e[1] & ENTRY_SPACE_MASK];
    uint64_t *slot = store_slot_of_ref(sp, item->hash, ref_of(&s->segs, item->e));
    assert(slot != NULL);
    s->expire_lag_ms = s->clock->mono_ms - entry_expiry(item->e);
    store_expel(s, item->hash, slot, STORE_EVENT_EXPIRED);
    c->expelled++;
}

static size_t owned_bytes(unsigned char *e)
{
    if ((e[0] & ENTRY_IS_LARGE) == 0 && (e[1] & ENTRY_OWNS_OBJECT) == 0) {
        return 0;
    }
    struct entry_parts parts;
    entry_parse(e, &parts);
    return entry_outside(&parts);
}

/* Reads on from the offset; returns how many entries need a decision. */
static unsigned collect(struct store *s, struct cursor *c, struct batch_item items[BATCH_ENTRIES])
{
    struct segment *seg = segment_at(&s->segs, c->seg);
    unsigned char *data = segment_data(&s->segs, c->seg);
    unsigned n = 0;
    const uint32_t from = c->offset;
    size_t outside = 0;
    for (unsigned visits = 0; c->offset < seg->used && n < BATCH_ENTRIES && visits < BATCH_VISITS &&
                              outside < BATCH_OUTSIDE_BYTES;
         visits++) {
        unsigned char *e = data + c->offset;
        PREFETCH(e + READ_AHEAD_BYTES);
        PREFETCH(e + READ_AHEAD_BYTES + CACHE_LINE);
        const uint32_t size = entry_size(e);
        c->offset += size;
        c->visited++;
        if (entry_is_dead(e)) {
            continue;
        }
        if (c->mode == CURSOR_SWEEP) {
            int64_t expires_at_ms = entry_expiry(e);
            if (expires_at_ms > s->clock->mono_ms) {
                expiry_note(s, c->seg, expires_at_ms);
                continue;
            }
        }
        const size_t owned = owned_bytes(e);
        struct batch_item *item = &items[n++];
        *item = (struct batch_item){
            .e = e, .hash = hash_bytes(&s->hash_key, entry_key(e)), .bytes = size + owned};
        const struct index *ix = s->spaces[e[1] & ENTRY_SPACE_MASK].ix;
        (void)index_prefetch(ix, item->hash);
        if (c->mode == CURSOR_EVICT) {
            ghost_prefetch(&s->adaptive.ghost, item->hash);
        }
        outside += owned;
    }
    s->walked_bytes += c->offset - from + outside;
    return n;
}

bool reclaim_step(struct store *s, struct cursor *c)
{
    struct batch_item items[BATCH_ENTRIES];
    uint32_t id = c->seg;
    unsigned n = collect(s, c, items);
    for (unsigned i = 0; i < n; i++) {
        if (c->mode == CURSOR_SWEEP) {
            sweep_item(s, c, &items[i]);
        } else if (!handle_item(s, c, &items[i])) {
            finish(s, c);
            return false;
        }
    }
    if (c->offset >= segment_at(&s->segs, id)->used) {
        finish(s, c);
        return false;
    }
    return true;
}

/* ---- choosing ---- */

static bool begin_compaction(struct store *s, unsigned level_min)
{
    for (unsigned level = GARBAGE_LEVELS - 1; level >= level_min; level--) {
        uint32_t id = s->garbage[level].head;
        while (id != SEGMENT_NONE) {
            const struct segment *seg = segment_at(&s->segs, id);
            if (seg->is_swept == 0 && seg->pins == 0) {
                reclaim_begin(s, &s->reclaim, id, CURSOR_COMPACT);
                return true;
            }
            id = seg->links[LINK_GARBAGE].next;
        }
    }
    return false;
}

static uint32_t choose_victim(struct store *s)
{
    if (s->policy->victim == NULL) {
        return SEGMENT_NONE;
    }
    const uint32_t id = policy_oldest(s, QUEUE_FIRST);
    return id != SEGMENT_NONE ? id : s->policy->victim(s);
}

bool reclaim_some(struct store *s, bool is_forced)
{
    if (store_empty_condemned(s) || store_drain_objects(s)) {
        return true;
    }
    if (s->reclaim.seg == SEGMENT_NONE && !begin_compaction(s, GARBAGE_LEVEL_MIN)) {
        const uint32_t id = choose_victim(s);
        if (id != SEGMENT_NONE) {
            reclaim_begin(s, &s->reclaim, id, CURSOR_EVICT);
        } else if (store_headroom(s) < 0 && begin_compaction(s, GARBAGE_LEVEL_SHORT)) {
            s->reclaim.is_short = true;
        } else {
            return false;
        }
    }
    s->reclaim.is_forced = is_forced;
    (void)reclaim_step(s, &s->reclaim);
    return true;
}

bool reclaim_compact(struct store *s)
{
    if (s->reclaim.seg == SEGMENT_NONE && !begin_compaction(s, GARBAGE_LEVEL_MIN)) {
        return false;
    }
    (void)reclaim_step(s, &s->reclaim);
    return true;
}
