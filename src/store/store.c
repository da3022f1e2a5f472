/*
 * The store: its life, and how an entry dies.
 *
 * Invariants (store_check() walks them):
 *  - an entry is marked dead exactly when no slot refers to it; the one exception are entries of
 * condemned segments;
 *  - `live` of a segment is the sum of the sizes of its live entries; the same for the totals in
 * struct store;
 *  - every sealed segment is in the queue list of its queue and kind, every open one is a head.
 *
 * Looking up is store_find.c's affair, writing store_write.c's, room for it append.c's and
 * store_tick.c's.
 */
#include "tarn/store/store.h"

#include "store_private.h"

#include <errno.h>
#include <stdlib.h>

/* ---- life ---- */

#define SEGMENTS_WANTED       256
#define SEGMENT_BYTES_LIMITED (1024 * 1024) /* largest one chosen under a limit */
#define SEGMENT_BYTES_DEFAULT \
    (256 * 1024) /* without a limit, which may come later and be small \
                  */
#define ARENA_BYTES_MIN (INT64_C(1) << 36)

static uint32_t choose_segment_bytes(const struct store_options *o)
{
    if (o->segment_bytes > 0) {
        return (uint32_t)o->segment_bytes;
    }
    if (o->maxmemory <= 0) {
        return SEGMENT_BYTES_DEFAULT;
    }
    uint32_t bytes = SEGMENT_BYTES_LIMITED;
    while (bytes > SEGMENT_BYTES_MIN && (int64_t)bytes > o->maxmemory / SEGMENTS_WANTED) {
        bytes /= 2;
    }
    return bytes;
}

/* Twice the machine's memory, and at least enough that a later limit is not cut by it. */
static size_t choose_arena_bytes(const struct store_options *o)
{
    if (o->arena_bytes > 0) {
        return (size_t)o->arena_bytes;
    }
    int64_t bytes = (int64_t)option_memory_total() * 2;
    bytes = bytes > o->maxmemory * 2 ? bytes : o->maxmemory * 2;
    return (size_t)(bytes > ARENA_BYTES_MIN ? bytes : ARENA_BYTES_MIN);
}

static int check_options(const struct store_options *o, struct errtext *err)
{
    int64_t n = o->segment_bytes;
    if (n != 0 && (n < SEGMENT_BYTES_MIN || n > SEGMENT_BYTES_MAX || (n & (n - 1)) != 0)) {
        errtext_set(err, "store-segment-bytes must be a power of two from %u to %u, or 0",
                    SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        return -EINVAL;
    }
    if (o->maxmemory_policy < 0 || (size_t)o->maxmemory_policy >= policy_row_count()) {
        errtext_set(err, "no such eviction policy: %d", o->maxmemory_policy);
        return -EINVAL;
    }
    return 0;
}

int store_create(struct store **out, const struct store_options *options, const struct clock *clock,
                 struct errtext *err)
{
    int rc = check_options(options, err);
    if (rc != 0) {
        return rc;
    }
    struct store *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        errtext_set(err, "no memory for the store");
        return -ENOMEM;
    }
    s->options = options;
    s->clock = clock;
    if (options->hash_seed == 0) {
        hash_key_init_random(&s->hash_key);
        rng_init_random(&s->rng);
    } else {
        hash_key_init_seed(&s->hash_key, (uint64_t)options->hash_seed);
        rng_init_seed(&s->rng, (uint64_t)options->hash_seed);
    }
    for (unsigned db = 0; db < STORE_DATABASES; db++) {
        s->db_space[db] = (uint8_t)db;
        s->spaces[db].state = SPACE_ACTIVE;
    }
    rc = segments_init(&s->segs, choose_segment_bytes(options), choose_arena_bytes(options),
                       options->huge_pages);
    if (rc == 0) {
        rc = due_heap_init(&s->due, s->segs.count);
    }
    if (rc == 0) {
        rc = store_apply_options(s, err);
    } else {
        errtext_set(err, "cannot reserve address space for the store");
    }
    if (rc != 0) {
        store_destroy(s);
        return rc;
    }
    *out = s;
    return 0;
}

static void destroy_index(struct index *ix)
{
    if (ix != NULL) {
        while (index_drain(ix, SIZE_MAX, NULL, NULL)) {
        }
        index_destroy(ix);
    }
}

/* Frees what live entries own outside, which only they know of. */
static void destroy_outside(struct store *s)
{
    for (uint32_t id = 1; id < s->segs.high && s->large_bytes > 0; id++) {
        struct segment *seg = segment_at(&s->segs, id);
        unsigned char *data = segment_data(&s->segs, id);
        for (uint32_t at = 0; at < seg->used && seg->large_units > 0; at += entry_size(data + at)) {
            unsigned char *e = data + at;
            if (!entry_is_dead(e)) {
                struct entry_parts parts;
                entry_parse(e, &parts);
                seg->large_units -= large_units(entry_outside(&parts));
                store_free_outside(s, &parts);
            }
        }
    }
}

void store_destroy(struct store *s)
{
    if (s == NULL) {
        return;
    }
    if (s->segs.base != NULL) {
        destroy_outside(s);
        while (store_drain_objects(s)) {
        }
    }
    for (unsigned i = 0; i < SPACES; i++) {
        destroy_index(s->spaces[i].ix);
    }
    for (unsigned i = 0; i < s->discarded_count; i++) {
        destroy_index(s->discarded[i]);
    }
    ghost_fini(&s->adaptive.ghost);
    due_heap_fini(&s->due);
    segments_fini(&s->segs);
    free(s);
}

int store_apply_options(struct store *s, struct errtext *err)
{
    int rc = check_options(s->options, err);
    if (rc != 0) {
        return rc;
    }
    const struct policy_row *row = &policy_rows[s->options->maxmemory_policy];
    s->limit = s->options->maxmemory > 0 ? (size_t)s->options->maxmemory : 0;
    if (s->policy != row->policy || s->volatile_only != row->volatile_only) {
        s->policy = row->policy;
        s->volatile_only = row->volatile_only;
        if (!s->policy->has_ghosts) {
            ghost_forget(&s->adaptive.ghost);
        }
    }
    store_ask_others(s);
    store_update_pressure(s);
    return 0;
}

void store_set_other_memory(struct store *s, store_memory_fn fn, void *ctx)
{
    s->other_fn = fn;
    s->other_ctx = ctx;
}

void store_set_event(struct store *s, store_event_fn fn, void *ctx)
{
    s->event_fn = fn;
    s->event_ctx = ctx;
}

void store_set_object_owner(struct store *s, const struct store_object_owner *owner)
{
    s->object_owner = owner;
}

/* ---- death ---- */

void store_note_garbage(struct store *s, uint32_t id)
{
    struct segment *seg = segment_at(&s->segs, id);
    if (seg->state != SEGMENT_SEALED) {
        return;
    }
    /* Room that was never used is waste like dead bytes. */
    unsigned level = (unsigned)((uint64_t)(seg->resident - seg->live) * (GARBAGE_LEVELS - 1) >>
                                s->segs.shift);
    if (level == seg->garbage) {
        return;
    }
    if (seg->garbage != 0) {
        segment_list_remove(&s->segs, &s->garbage[seg->garbage], LINK_GARBAGE, id);
    }
    seg->garbage = (uint8_t)level;
    if (level != 0) {
        segment_list_push_back(&s->segs, &s->garbage[level], LINK_GARBAGE, id);
    }
}

void store_queue_push(struct store *s, uint32_t id, bool at_front)
{
    struct segment *seg = segment_at(&s->segs, id);
    struct queue *q = &s->queues[seg->queue][seg->ttl_class > 0];
    seg->state = SEGMENT_SEALED;
    q->resident_bytes += seg->resident;
    if (at_front) {
        segment_list_push_front(&s->segs, &q->sealed, LINK_QUEUE, id);
    } else {
        segment_list_push_back(&s->segs, &q->sealed, LINK_QUEUE, id);
    }
}

void store_unlink_segment(struct store *s, uint32_t id)
{
    struct segment *seg = segment_at(&s->segs, id);
    if (seg->state == SEGMENT_SEALED) {
        struct queue *q = &s->queues[seg->queue][seg->ttl_class > 0];
        segment_list_remove(&s->segs, &q->sealed, LINK_QUEUE, id);
        q->resident_bytes -= seg->resident;
    }
    if (seg->garbage != 0) {
        segment_list_remove(&s->segs, &s->garbage[seg->garbage], LINK_GARBAGE, id);
        seg->garbage = 0;
    }
    expiry_forget(s, id);
}

void store_settle(struct store *s, uint32_t id)
{
    struct segment *seg = segment_at(&s->segs, id);
    if (seg->live > 0 || seg->pins > 0 || seg->is_swept != 0 || s->reclaim.seg == id) {
        return;
    }
    if (seg->state == SEGMENT_OPEN) {
        memory_poison(segment_data(&s->segs, id), seg->used);
        seg->used = 0;
        seg->expiry_lo_ms = STORE_NO_EXPIRY;
        seg->expiry_hi_ms = 0;
        expiry_forget(s, id);
    } else if (seg->state != SEGMENT_CONDEMNED) {
        store_unlink_segment(s, id);
        segments_give(&s->segs, id);
    }
}

void store_large_count(struct store *s, uint32_t id, size_t bytes, int sign)
{
    struct segment *seg = segment_at(&s->segs, id);
    seg->large_units += (uint32_t)sign * large_units(bytes);
    s->large_bytes += (size_t)sign * bytes;
    s->queues[seg->queue][seg->ttl_class > 0].large_bytes += (size_t)sign * bytes;
}

void store_large_destroy(struct store *s, struct large *l)
{
    for (unsigned i = 0; i < BORROWED_MAX; i++) {
        struct borrowed *b = &s->borrowed[i];
        uintptr_t at = (uintptr_t)b->view.data;
        if (b->view.len > 0 && at >= (uintptr_t)l->data && at < (uintptr_t)l + l->bytes) {
            /* At most one block per view, and the other view then finds it in the same place. */
            b->held = l;
            return;
        }
    }
    if (l->pins > 0) {
        l->is_orphan = true;
        s->orphan_bytes += l->bytes;
        return;
    }
    large_destroy(l);
}

void store_drop_object(struct store *s, struct store_object *object)
{
    s->dropped_bytes += object->bytes;
    s->object_owner->drop(s->object_owner->ctx, object);
}

bool store_drain_objects(struct store *s)
{
    if (LIKELY(s->dropped_bytes == 0)) {
        return false;
    }
    const size_t freed = s->object_owner->drain(s->object_owner->ctx);
    assert(freed > 0 && freed <= s->dropped_bytes);
    s->dropped_bytes -= freed;
    return true;
}

void store_free_outside(struct store *s, const struct entry_parts *e)
{
    if (e->object != NULL) {
        store_drop_object(s, e->object);
    }
    if (e->large != NULL) {
        store_large_destroy(s, e->large);
    }
}

static void kill_parsed(struct store *s, unsigned char *e, const struct entry_parts *parts)
{
    uint32_t id = segment_of(&s->segs, ref_of(&s->segs, e));
    struct segment *seg = segment_at(&s->segs, id);
    struct space *sp = &s->spaces[parts->space];
    if ((parts->flags & ENTRY_TYPE_MASK) == ENTRY_NEGATIVE) {
        sp->count_negative--;
        s->negative_bytes -= parts->size;
    } else if (parts->expires_at_ms != STORE_NO_EXPIRY) {
        sp->count_volatile--;
    }
    if (parts->large != NULL || parts->object != NULL) {
        store_large_count(s, id, entry_outside(parts), -1);
        store_free_outside(s, parts);
    }
    entry_mark_dead(e);
    s->count--;
    seg->live -= parts->size;
    s->live_bytes -= parts->size;
    if (seg->live == 0) {
        store_settle(s, id);
    } else {
        store_note_garbage(s, id);
    }
}

void store_kill(struct store *s, unsigned char *e)
{
    struct entry_parts parts;
    entry_parse(e, &parts);
    kill_parsed(s, e, &parts);
}

void store_expel(struct store *s, uint64_t hash, uint64_t *slot, enum store_event event)
{
    unsigned char *e = entry_at(&s->segs, slot_ref(*slot));
    struct entry_parts parts;
    entry_parse(e, &parts);
    unsigned db = 0;
    while (db < STORE_DATABASES && s->db_space[db] != parts.space) {
        db++;
    }
    /* A negative entry and what a flush has taken away leave without a word. */
    if (db < STORE_DATABASES && (parts.flags & ENTRY_TYPE_MASK) != ENTRY_NEGATIVE) {
        if (event == STORE_EVENT_EXPIRED) {
            s->counters.expired_keys++;
        } else {
            s->counters.evicted_keys++;
        }
        if (s->event_fn != NULL) {
            s->event_fn(s->event_ctx, event, db, strview_of(parts.key, parts.key_len));
        }
    }
    index_remove(s->spaces[parts.space].ix, hash, slot);
    kill_parsed(s, e, &parts);
}
