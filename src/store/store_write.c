/*
 * Writing an entry: in place when the old one leaves room, else at a head of the log.
 *
 * Order matters, because getting memory may run the reclaimer, which moves and evicts entries, the
 * one being replaced included: first everything that is needed is got (large block, index growth,
 * room in the log), then the slot is looked up again, then the slot is switched to the new entry
 * and the old one dies. So a failure leaves the old entry as it was.
 *
 * A value or key that lies inside the store is kept in place meanwhile: its segment is pinned, its
 * large block is not freed before the write ends (borrow()).
 */

#include "write.h"

/* A header and a slot, about. */
#define PRESS_HEAD_BYTES 24

static bool on_index_allocates(void *ctx, size_t bytes)
{
    store_trade_pages(ctx, bytes);
    return true;
}

static const struct index_owner *owner_of(struct store *s, struct index_owner *owner)
{
    *owner = (struct index_owner){
        .ctx = s,
        .hash_of = store_hash_of_ref,
        .prefetch = store_prefetch_ref,
        .may_allocate = on_index_allocates,
        .huge_pages = s->options->huge_pages,
        .moves = &s->slot_moves,
    };
    return owner;
}

/* ---- borrowed bytes ---- */

static void borrow_one(struct store *s, struct borrowed *b, struct strview view)
{
    *b = (struct borrowed){.view = view};
    if (view.len == 0) {
        return;
    }
    uint32_t id = segment_of_pointer(&s->segs, view.data);
    if (id != SEGMENT_NONE) {
        b->pinned = id;
        segment_at(&s->segs, id)->pins++;
    }
}

void borrow(struct store *s, struct strview a, struct strview b)
{
    borrow_one(s, &s->borrowed[0], a);
    borrow_one(s, &s->borrowed[1], b);
}

void borrow_end(struct store *s)
{
    for (unsigned i = 0; i < BORROWED_MAX; i++) {
        struct borrowed *b = &s->borrowed[i];
        struct borrowed ended = *b;
        *b = (struct borrowed){0};
        if (ended.pinned != SEGMENT_NONE) {
            segment_at(&s->segs, ended.pinned)->pins--;
            store_settle(s, ended.pinned);
        }
        if (ended.held != NULL) {
            store_large_destroy(s, ended.held);
        }
    }
}

/* ---- in place ---- */

void write_count(struct store *s, unsigned char *e, int sign)
{
    struct space *sp = &s->spaces[e[1] & ENTRY_SPACE_MASK];
    if ((e[0] & ENTRY_TYPE_MASK) == ENTRY_NEGATIVE) {
        sp->count_negative += (size_t)sign;
        s->negative_bytes += (size_t)sign * entry_size(e);
    } else if (entry_expiry(e) != STORE_NO_EXPIRY) {
        sp->count_volatile += (size_t)sign;
    }
}

uint32_t write_room(const struct store *s, unsigned char *e, uint32_t size)
{
    uint32_t id = segment_of(&s->segs, ref_of(&s->segs, e));
    const struct segment *seg = segment_at(&s->segs, id);
    unsigned char *end = segment_data(&s->segs, id) + seg->used;
    if (seg->pins > 0) {
        return 0;
    }
    if (seg->is_swept != 0) {
        return size; /* the sweep may stand at the filler behind */
    }
    unsigned char *next = e + size;
    while (next < end && entry_is_filler(next)) {
        next += filler_size(next);
    }
    uint32_t room = (uint32_t)(next - e);
    return next == end && seg->state == SEGMENT_OPEN ? room + seg->resident - seg->used : room;
}

void write_resized(struct store *s, unsigned char *e, uint32_t old_size, uint32_t new_size,
                   uint32_t room)
{
    uint32_t id = segment_of(&s->segs, ref_of(&s->segs, e));
    struct segment *seg = segment_at(&s->segs, id);
    uint32_t at = (uint32_t)(e - segment_data(&s->segs, id));
    if (at + room > seg->used) { /* it was the last of its head */
        seg->used = at + new_size;
    } else if (new_size < room) {
        filler_write(e + new_size, room - new_size);
    }
    seg->live += new_size - old_size;
    s->live_bytes += (size_t)new_size - old_size;
    store_note_garbage(s, id);
}

static unsigned class_of_shape(const struct store *s, const struct entry_shape *shape)
{
    /* What a source can bring back may be evicted by policies that spare entries without expiry. */
    if (shape->expires_at_ms == STORE_NO_EXPIRY && shape->is_reloadable) {
        return TTL_CLASSES - 1;
    }
    return ttl_class_of(s, shape->expires_at_ms);
}

/* Entries stay among those that expire at about the same time. */
static bool fits_class(const struct store *s, unsigned char *e, unsigned ttl_class)
{
    unsigned have = segment_at(&s->segs, segment_of(&s->segs, ref_of(&s->segs, e)))->ttl_class;
    return ttl_class == 0 || have == 0 ? ttl_class == have
                                       : have <= ttl_class + 1 && ttl_class <= have + 1;
}

/* The same for a large value that needs as many pages. (A SET of 128 KiB took 137 us, now 56:
 * fresh pages are neither mapped nor faulted in.) */
static bool overwrite_large(const struct put *p, unsigned char *e)
{
    const size_t value_len = p->shape.value_len;
    struct entry_parts old;
    entry_parse(e, &old);
    if (p->block != NULL || old.large->pins > 0 || !old.large->is_mapped ||
        large_cost(value_len) != old.large->bytes ||
        varint_bytes(value_len) != varint_bytes(old.value_len)) {
        return false;
    }
    entry_write_value_len(e, value_len);
    memmove(old.large->data, p->value, value_len);
    return true;
}

/* Writes the value over that of a small entry, when it is about as long: nothing but the value and
 * its length changes. False: another way. */
static bool overwrite_small(const struct store *s, unsigned char *e, struct strview value)
{
    size_t key_len, value_len;
    const unsigned char *after = varint_read(varint_read(e + 2, &key_len), &value_len);
    size_t fixed = (size_t)(after - e) + key_len;
    if (entry_rounded(fixed + value_len) != entry_rounded(fixed + value.len) ||
        varint_bytes(value_len) != varint_bytes(value.len) ||
        segment_at(&s->segs, segment_of(&s->segs, ref_of(&s->segs, e)))->pins > 0) {
        return false;
    }
    (void)varint_write(e + 2 + varint_bytes(key_len), value.len);
    memmove(e + fixed, value.data, value.len); /* it may be this value, or a part of it */
    return true;
}

static bool overwrite(struct store *s, const struct put *p, unsigned char *e)
{
    const struct entry_shape *shape = &p->shape;
    unsigned flags = (unsigned)shape->type;
    flags |= shape->is_reloadable ? ENTRY_IS_RELOADABLE : 0;
    flags |= shape->is_large ? ENTRY_IS_LARGE : 0;
    bool is_plain = shape->expires_at_ms == STORE_NO_EXPIRY && shape->aux == NULL &&
                    !shape->is_key_large && !shape->owns_object && p->value != NULL;
    if (!is_plain || e[0] != flags || e[1] != shape->space) {
        return false;
    }
    return shape->is_large ? overwrite_large(p, e)
                           : overwrite_small(s, e, strview_of(p->value, shape->value_len));
}

/* Replaces a small entry by a small one in its place. False: it does not fit. */
static bool replace_in_place(struct store *s, const struct store_key *k, const struct put *p,
                             unsigned char *e, char **value_out)
{
    const struct entry_shape *shape = &p->shape;
    if (shape->is_large || (e[0] & ENTRY_IS_LARGE) != 0 || shape->owns_object ||
        (e[1] & ENTRY_OWNS_OBJECT) != 0 || !fits_class(s, e, class_of_shape(s, shape))) {
        return false;
    }
    uint32_t old_size = entry_size(e);
    uint32_t new_size = (uint32_t)entry_shape_size(shape);
    uint32_t room = write_room(s, e, old_size);
    if (new_size > room) {
        return false;
    }
    write_count(s, e, -1);
    memory_unpoison(e, new_size); /* it may grow into the unused part of a head */
    char *key = (char *)entry_write_head(e, shape);
    char *value = key + shape->key_len;
    if (shape->key_len > 0) {
        memcpy(key, k->key.data, shape->key_len);
    }
    if (p->value != NULL && shape->value_len > 0) {
        memcpy(value, p->value, shape->value_len);
    }
    write_resized(s, e, old_size, new_size, room);
    write_count(s, e, 1);
    expiry_note(s, segment_of(&s->segs, ref_of(&s->segs, e)), shape->expires_at_ms);
    *value_out = value;
    return true;
}

/* ---- at the head of the log ---- */

static bool space_prepare(struct store *s, struct space *sp)
{
    struct index_owner owner;
    return sp->ix != NULL || index_create(&sp->ix, owner_of(s, &owner), &s->index_memory) == 0;
}

/* Everything that can fail, before anything changes. *moved: the slot has to be looked up again. */
static unsigned char *acquire(struct store *s, const struct store_key *k, struct put *p,
                              enum segment_queue queue, bool *moved)
{
    const struct entry_shape *shape = &p->shape;
    struct space *sp = space_of_db(s, k->db);
    size_t outside = (shape->is_key_large ? shape->key_len : 0) +
                     (shape->is_large ? shape->value_len : 0);
    size_t block_bytes = p->block == NULL && shape->is_large ? large_cost(outside) : 0;
    if (!space_prepare(s, sp)) {
        return NULL;
    }
    size_t size = entry_shape_size(shape);
    size_t growth = index_growth_bytes(sp->ix) + block_bytes + (p->is_rewrite ? size : 0);
    if (!store_reserve(s, growth, moved) && !p->is_rewrite) {
        return NULL;
    }
    store_trade_pages(s, block_bytes); /* index and segments do so when they really grow */
    struct large *made = NULL;
    if (block_bytes > 0 && (made = large_create(outside)) == NULL) {
        return NULL;
    }
    enum append_for who = p->is_rewrite ? APPEND_RESERVED : APPEND_FOR_CALLER;
    unsigned char *e = append_entry(s, queue, class_of_shape(s, shape), (uint32_t)size, who, moved);
    if (e == NULL) {
        large_destroy(made);
        return NULL;
    }
    p->block = made != NULL ? made : p->block;
    return e;
}

static char *fill_entry(unsigned char *e, const struct store_key *k, const struct put *p)
{
    const struct entry_shape *shape = &p->shape;
    unsigned char *at = entry_write_head(e, shape);
    char *key = shape->is_key_large ? p->block->data : (char *)at;
    char *value = key + shape->key_len;
    if (shape->is_large) {
        at += shape->is_key_large ? 0 : shape->key_len;
        memcpy(at, &p->block, sizeof(p->block));
        value = p->block->data + (shape->is_key_large ? shape->key_len : 0);
    }
    if (shape->key_len > 0) {
        memmove(key, k->key.data, shape->key_len); /* a block taken over holds it already */
    }
    if (p->value != NULL && shape->value_len > 0) {
        memmove(value, p->value, shape->value_len);
    }
    return value;
}

/* The entry was written but cannot be found: what it took becomes a filler. */
static void abandon(struct store *s, unsigned char *e, uint32_t size)
{
    uint32_t id = segment_of(&s->segs, ref_of(&s->segs, e));
    filler_write(e, size);
    segment_at(&s->segs, id)->live -= size;
    s->live_bytes -= size;
    if (segment_at(&s->segs, id)->live == 0) {
        store_settle(s, id);
    }
}

/* Points a slot at the new entry: the old one's, or a fresh one. */
static bool publish(struct store *s, const struct store_key *k, uint64_t *slot, unsigned char *e)
{
    struct space *sp = space_of_db(s, k->db);
    uint32_t now_s = store_time_s(s);
    if (slot == NULL) {
        s->count++;
        if (index_insert(sp->ix, k->hash,
                         slot_make(ref_of(&s->segs, e), policy_bits_make(now_s, 0))) == NULL) {
            s->count--;
            return false;
        }
        return true;
    }
    unsigned char *old = entry_at(&s->segs, slot_ref(*slot));
    uint32_t bits = policy_touch(slot_policy(*slot), now_s, s->policy->freq_max);
    *slot = slot_make(ref_of(&s->segs, e), bits);
    s->count++; /* store_kill() takes the old one off */
    store_kill(s, old);
    return true;
}

static enum segment_queue choose_queue(struct store *s, const struct store_key *k,
                                       const uint64_t *slot, const struct entry_shape *shape)
{
    if (shape->leaves_first) {
        return QUEUE_FIRST;
    }
    if (slot != NULL) {
        return (enum segment_queue)segment_at(&s->segs, segment_of(&s->segs, slot_ref(*slot)))
            ->queue;
    }
    if (s->policy->place == NULL) {
        return QUEUE_MAIN;
    }
    struct candidate c = {.hash = k->hash, .bytes = entry_shape_size(shape)};
    c.bytes += shape->is_large ? shape->value_len : 0;
    return s->policy->place(s, &c);
}

static enum store_result append_new(struct store *s, const struct store_key *k, struct put *p,
                                    uint64_t *slot, char **value_out)
{
    bool moved = false;
    struct large *given = p->block;
    enum segment_queue queue = choose_queue(s, k, slot, &p->shape);
    unsigned char *e = acquire(s, k, p, queue, &moved);
    if (e == NULL) {
        return STORE_FULL;
    }
    if (moved) {
        slot = store_lookup(s, space_of_db(s, k->db), k);
    }
    *value_out = fill_entry(e, k, p);
    if (!publish(s, k, slot, e)) {
        abandon(s, e, (uint32_t)entry_shape_size(&p->shape));
        if (given == NULL) {
            large_destroy(p->block);
        }
        p->block = given;
        return STORE_FULL;
    }
    uint32_t id = segment_of(&s->segs, ref_of(&s->segs, e));
    write_count(s, e, 1);
    expiry_note(s, id, p->shape.expires_at_ms);
    if (p->shape.is_large || p->shape.owns_object) {
        struct entry_parts parts;
        entry_parse(e, &parts);
        size_t outside = entry_outside(&parts);
        store_large_count(s, id, outside, 1);
        append_seal_if_full(s, id, outside);
    }
    return STORE_OK;
}

enum store_result write_entry(struct store *s, const struct store_key *k, struct put *p,
                              char **value_out)
{
    struct entry_shape *shape = &p->shape;
    char *ignored = NULL;
    value_out = value_out != NULL ? value_out : &ignored;
    if (k->key.len > STORE_KEY_MAX || shape->value_len > STORE_VALUE_MAX) {
        return STORE_TOO_BIG;
    }
    if (UNLIKELY(s->is_pressed)) {
        store_press_for(s, k->key.len + shape->value_len + PRESS_HEAD_BYTES);
    }
    shape->key_len = k->key.len;
    shape->is_key_large = write_is_large(s, k->key.len);
    shape->is_large = shape->is_key_large || write_is_large(s, shape->value_len);
    shape->space = s->db_space[k->db];
    uint64_t *slot = p->is_absent ? NULL : store_lookup_live(s, k);
    if (slot != NULL) {
        unsigned char *old = entry_at(&s->segs, slot_ref(*slot));
        if (p->keep_expiry) {
            shape->expires_at_ms = entry_expiry(old);
        }
        if (overwrite(s, p, old) || replace_in_place(s, k, p, old, value_out)) {
            store_touch(s, slot);
            return STORE_OK;
        }
    }
    s->kept_ref = slot != NULL ? slot_ref(*slot) : 0;
    enum store_result r = append_new(s, k, p, slot, value_out);
    s->kept_ref = 0;
    return r;
}

/* ---- the calls ---- */

static struct put put_of(const struct store_write *w, size_t value_len, const char *value,
                         unsigned char *aux_copy)
{
    struct put p = {
        .shape = {.value_len = value_len,
                  .expires_at_ms = w->expires_at_ms > 0 ? w->expires_at_ms : STORE_NO_EXPIRY,
                  .type = w->type,
                  .is_reloadable = w->is_reloadable,
                  .leaves_first = w->leaves_first,
                  .owns_object = w->owns_object},
        .value = value,
        .keep_expiry = w->keep_expiry,
    };
    if (w->aux != NULL) { /* it may lie in the store as well */
        memcpy(aux_copy, w->aux, STORE_AUX_BYTES);
        p.shape.aux = aux_copy;
    }
    return p;
}

static bool is_plain_write(const struct store_write *w)
{
    const bool expires = w->expires_at_ms > 0 && w->expires_at_ms != STORE_NO_EXPIRY;
    return !expires && w->aux == NULL && w->type == ENTRY_STRING && !w->is_reloadable &&
           !w->leaves_first && !w->owns_object;
}

/* The common SET: the key is there with a plain value, and gets another of about the same length.
 * (Saves 130 of 400 instructions.) */
static bool set_over(struct store *s, const struct store_key *k, struct strview value,
                     bool *is_absent)
{
    uint64_t *slot = store_lookup_live(s, k);
    *is_absent = slot == NULL;
    if (slot == NULL || write_is_large(s, value.len)) {
        return false;
    }
    unsigned char *e = entry_at(&s->segs, slot_ref(*slot));
    if (e[0] != ENTRY_STRING || e[1] != s->db_space[k->db] || !overwrite_small(s, e, value)) {
        return false;
    }
    store_touch(s, slot);
    return true;
}

enum store_result store_set(struct store *s, const struct store_key *k, struct strview value,
                            const struct store_write *w)
{
    bool is_absent = false;
    if (is_plain_write(w) && value.len > 0 && !s->is_pressed && set_over(s, k, value, &is_absent)) {
        return STORE_OK;
    }
    unsigned char aux[STORE_AUX_BYTES];
    struct put p = put_of(w, value.len, value.len > 0 ? value.data : "", aux);
    p.is_absent = is_absent;
    borrow(s, k->key, value);
    enum store_result r = write_entry(s, k, &p, NULL);
    borrow_end(s);
    return r;
}

enum store_result store_set_uninit(struct store *s, const struct store_key *k, size_t len,
                                   const struct store_write *w, char **out)
{
    unsigned char aux[STORE_AUX_BYTES];
    struct put p = put_of(w, len, NULL, aux);
    borrow(s, k->key, (struct strview){0});
    enum store_result r = write_entry(s, k, &p, out);
    borrow_end(s);
    return r;
}

/* ---- pins ---- */

#define PINS_MAX (UINT16_MAX - BORROWED_MAX)

bool store_pin(struct store *s, const struct entry_view *v, struct store_pin *out)
{
    uint32_t id = segment_of_pointer(&s->segs, v->value.data);
    *out = (struct store_pin){.segment = id};
    if (id != SEGMENT_NONE) {
        struct segment *seg = segment_at(&s->segs, id);
        if (seg->pins >= PINS_MAX) {
            return false;
        }
        seg->pins++;
        return true;
    }
    /* A block holds the key too when that is large. */
    bool is_key_inside = segment_of_pointer(&s->segs, v->key.data) == SEGMENT_NONE;
    const char *data = is_key_inside ? v->key.data : v->value.data;
    struct large *l = container_of((char *)(uintptr_t)data, struct large, data);
    l->pins++;
    out->block = l;
    return true;
}

void store_unpin(struct store *s, struct store_pin *pin)
{
    if (pin->segment != SEGMENT_NONE) {
        segment_at(&s->segs, pin->segment)->pins--;
        store_settle(s, pin->segment);
    } else if (pin->block != NULL && --pin->block->pins == 0 && pin->block->is_orphan) {
        s->orphan_bytes -= pin->block->bytes;
        large_destroy(pin->block);
    }
    *pin = (struct store_pin){0};
}

bool store_remove(struct store *s, const struct store_key *k)
{
    uint64_t *slot = store_lookup_live(s, k);
    if (slot == NULL) {
        return false;
    }
    unsigned char *e = entry_at(&s->segs, slot_ref(*slot));
    index_remove(space_of_db(s, k->db)->ix, k->hash, slot);
    store_kill(s, e);
    return true;
}
