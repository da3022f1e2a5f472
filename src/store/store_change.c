/*
 * Changes of a live entry that keep part of it: length, expiry, aux, key.
 *
 * What fits is done in place; everything else writes a new entry from the old one's bytes, which
 * are borrowed meanwhile. An object changes hands instead: its old entry disowns it first, so that
 * whatever happens to that entry while the new one is written does not touch the object.
 */
#include "write.h"

static struct put put_from(const struct entry_parts *old, unsigned char *aux_copy)
{
    struct put p = {
        .shape = {.key_len = old->key_len,
                  .value_len = old->value_len,
                  .expires_at_ms = old->expires_at_ms,
                  .type = (enum entry_type)(old->flags & ENTRY_TYPE_MASK),
                  .is_reloadable = (old->flags & ENTRY_IS_RELOADABLE) != 0},
        .value = old->value,
    };
    if (old->aux != NULL) {
        memcpy(aux_copy, old->aux, STORE_AUX_BYTES);
        p.shape.aux = aux_copy;
    }
    return p;
}

static bool find_parts(struct store *s, const struct store_key *k, struct entry_parts *out)
{
    uint64_t *slot = store_lookup_live(s, k);
    if (slot == NULL) {
        return false;
    }
    entry_parse(entry_at(&s->segs, slot_ref(*slot)), out);
    return true;
}

/* The new entry takes the old one's block over instead of copying the value. */
static void give_block(struct put *p, struct large *block)
{
    if (block != NULL) {
        p->block = block;
        p->value = NULL;
    }
}

/* The block has a new owner: the death of the old one, which is borrowed, does not free it. */
static void keep_block(struct store *s, const struct large *block)
{
    for (unsigned i = 0; i < BORROWED_MAX; i++) {
        if (s->borrowed[i].held == block) {
            s->borrowed[i].held = NULL;
        }
    }
}

/* ---- objects ---- */

/* Takes the object out of the entry's hands and counts; NULL when it has none. */
static struct store_object *take_object(struct store *s, struct entry_parts *e, struct put *p)
{
    struct store_object *object = e->object;
    if (object != NULL) {
        const uint32_t id = segment_of(&s->segs, ref_of(&s->segs, e->head));
        store_large_count(s, id, entry_outside(e), -1);
        entry_disown(e->head);
        e->object = NULL;
        store_large_count(s, id, entry_outside(e), 1);
        p->shape.owns_object = true;
    }
    return object;
}

/* The new entry could not be written: the old one, if it is still there, has its object back. */
static void return_object(struct store *s, const struct store_key *k, struct store_object *object)
{
    struct entry_parts e;
    if (!find_parts(s, k, &e)) {
        store_drop_object(s, object);
        return;
    }
    const uint32_t id = segment_of(&s->segs, ref_of(&s->segs, e.head));
    store_large_count(s, id, entry_outside(&e), -1);
    entry_own(e.head);
    e.object = object;
    store_large_count(s, id, entry_outside(&e), 1);
}

void store_object_resized(struct store *s, const struct store_key *k, size_t bytes)
{
    struct entry_parts e;
    if (!find_parts(s, k, &e) || e.object == NULL || e.object->bytes == bytes) {
        return;
    }
    const uint32_t id = segment_of(&s->segs, ref_of(&s->segs, e.head));
    store_large_count(s, id, entry_outside(&e), -1);
    e.object->bytes = bytes;
    store_large_count(s, id, entry_outside(&e), 1);
    append_seal_if_full(s, id, e.object->bytes);
    store_update_pressure(s);
}

/* ---- length ---- */

/* In the entry's own place, when the lengths need as many bytes as before and there is room. */
static bool resize_in_place(struct store *s, struct entry_parts *e, size_t len, char **out)
{
    if (e->large != NULL || varint_bytes(len) != varint_bytes(e->value_len)) {
        return false;
    }
    /* An entry that lost its expiry still has the room for one. */
    size_t fixed = (size_t)(e->value - (char *)e->head);
    size_t size = (fixed + len + ENTRY_ALIGN - 1) & ~(size_t)(ENTRY_ALIGN - 1);
    uint32_t room = write_room(s, e->head, e->size);
    if (size > room) {
        return false;
    }
    write_count(s, e->head, -1);
    memory_unpoison(e->head, size);
    entry_write_value_len(e->head, len);
    if (len > e->value_len) {
        memset(e->value + e->value_len, 0, len - e->value_len);
    }
    write_resized(s, e->head, e->size, (uint32_t)size, room);
    write_count(s, e->head, 1);
    *out = e->value;
    return true;
}

static enum store_result resize_by_copy(struct store *s, const struct store_key *k,
                                        const struct entry_parts *old, size_t len, char **out)
{
    unsigned char aux[STORE_AUX_BYTES];
    struct put p = put_from(old, aux);
    p.shape.value_len = len;
    p.value = NULL;
    borrow(s, k->key, strview_of(old->value, old->value_len));
    enum store_result r = write_entry(s, k, &p, out);
    if (r == STORE_OK) {
        size_t common = size_min(len, old->value_len);
        memmove(*out, old->value, common);
        memset(*out + common, 0, len - common);
    }
    borrow_end(s);
    return r;
}

/* The block grows or shrinks where it is, if the allocator can; the entry stays. */
static enum store_result resize_large(struct store *s, const struct store_key *k,
                                      struct entry_parts *old, size_t len, char **out)
{
    size_t key_len = (old->head[1] & ENTRY_KEY_IS_LARGE) != 0 ? old->key_len : 0;
    size_t now = old->large->bytes, then = large_cost(key_len + len);
    bool moved = false;
    s->kept_ref = ref_of(&s->segs, old->head);
    bool has_room = then <= now || store_reserve(s, then - now, &moved);
    s->kept_ref = 0;
    if (!has_room || (moved && !find_parts(s, k, old))) {
        return STORE_FULL;
    }
    store_trade_pages(s, then > now ? then - now : 0);
    uint32_t id = segment_of(&s->segs, ref_of(&s->segs, old->head));
    store_large_count(s, id, old->large->bytes, -1);
    struct large *l = large_resize(old->large, key_len + len);
    store_large_count(s, id, (l != NULL ? l : old->large)->bytes, 1);
    if (l == NULL) {
        return STORE_FULL;
    }
    entry_write_large(old->head, l);
    entry_write_value_len(old->head, len);
    *out = l->data + key_len;
    if (len > old->value_len) {
        memset(*out + old->value_len, 0, len - old->value_len);
    }
    return STORE_OK;
}

/* A reply is being sent from it: the bytes may not change. */
static bool is_pinned(const struct store *s, const struct entry_parts *e)
{
    if (e->large != NULL) {
        return e->large->pins > 0;
    }
    return segment_at(&s->segs, segment_of(&s->segs, ref_of(&s->segs, e->head)))->pins > 0;
}

enum store_result store_resize(struct store *s, const struct store_key *k, size_t len, char **out)
{
    if (len > STORE_VALUE_MAX) {
        return STORE_TOO_BIG;
    }
    struct entry_parts e;
    if (!find_parts(s, k, &e)) {
        return STORE_NOT_FOUND;
    }
    assert(e.object == NULL);
    if (len == e.value_len && !is_pinned(s, &e)) {
        *out = e.value;
        return STORE_OK;
    }
    if (resize_in_place(s, &e, len, out)) {
        return STORE_OK;
    }
    bool stays_large = e.large != NULL && e.large->pins == 0 &&
                       ((e.head[1] & ENTRY_KEY_IS_LARGE) != 0 || write_is_large(s, len));
    if (stays_large && varint_bytes(len) == varint_bytes(e.value_len)) {
        return resize_large(s, k, &e, len, out);
    }
    return resize_by_copy(s, k, &e, len, out);
}

/* ---- expiry and aux ---- */

enum store_result store_set_expiry(struct store *s, const struct store_key *k,
                                   int64_t expires_at_ms)
{
    struct entry_parts e;
    if (!find_parts(s, k, &e)) {
        return STORE_NOT_FOUND;
    }
    if (expires_at_ms <= 0) {
        expires_at_ms = STORE_NO_EXPIRY;
    }
    if (expires_at_ms == e.expires_at_ms) {
        return STORE_OK;
    }
    uint32_t id = segment_of(&s->segs, ref_of(&s->segs, e.head));
    unsigned have = segment_at(&s->segs, id)->ttl_class, want = ttl_class_of(s, expires_at_ms);
    bool is_near = want == 0 || (have <= want + 1 && want <= have + 1);
    if ((e.flags & ENTRY_HAS_EXPIRY) != 0 && is_near) {
        write_count(s, e.head, -1);
        entry_write_expiry(e.head, expires_at_ms);
        write_count(s, e.head, 1);
        expiry_note(s, id, expires_at_ms);
        return STORE_OK;
    }
    unsigned char aux[STORE_AUX_BYTES];
    struct put p = put_from(&e, aux);
    p.shape.expires_at_ms = expires_at_ms;
    p.is_rewrite = true;
    struct store_object *object = take_object(s, &e, &p);
    borrow(s, k->key, strview_of(e.value, e.value_len));
    give_block(&p, e.large);
    enum store_result r = write_entry(s, k, &p, NULL);
    keep_block(s, r == STORE_OK ? e.large : NULL);
    borrow_end(s);
    if (r != STORE_OK && object != NULL) {
        return_object(s, k, object);
    }
    return r;
}

bool store_set_aux(struct store *s, const struct store_key *k,
                   const unsigned char aux[STORE_AUX_BYTES])
{
    struct entry_parts e;
    if (!find_parts(s, k, &e) || e.aux == NULL) {
        return false;
    }
    memmove(e.head + (e.aux - e.head), aux, STORE_AUX_BYTES);
    return true;
}

/* ---- another key ---- */

static bool is_same_key(const struct store_key *a, const struct store_key *b)
{
    return a->db == b->db && strview_eq(a->key, b->key);
}

enum store_result store_copy(struct store *s, const struct store_key *from,
                             const struct store_key *to)
{
    struct entry_parts e;
    if (!find_parts(s, from, &e)) {
        return STORE_NOT_FOUND;
    }
    if (is_same_key(from, to)) {
        return STORE_OK;
    }
    assert(e.object == NULL);
    unsigned char aux[STORE_AUX_BYTES];
    struct put p = put_from(&e, aux);
    borrow(s, to->key, strview_of(e.value, e.value_len));
    enum store_result r = write_entry(s, to, &p, NULL);
    borrow_end(s);
    return r;
}

enum store_result store_rename(struct store *s, const struct store_key *from,
                               const struct store_key *to)
{
    struct entry_parts e;
    if (!find_parts(s, from, &e)) {
        return STORE_NOT_FOUND;
    }
    if (is_same_key(from, to)) {
        return STORE_OK;
    }
    unsigned char aux[STORE_AUX_BYTES];
    struct put p = put_from(&e, aux);
    struct store_object *object = take_object(s, &e, &p);
    borrow(s, to->key, strview_of(e.value, e.value_len));
    bool is_key_outside = (e.head[1] & ENTRY_KEY_IS_LARGE) != 0 || write_is_large(s, to->key.len);
    struct large *block = is_key_outside ? NULL : e.large;
    give_block(&p, block);
    enum store_result r = write_entry(s, to, &p, NULL);
    if (r == STORE_OK) {
        (void)store_remove(s, from);
        keep_block(s, block);
    }
    borrow_end(s);
    if (r != STORE_OK && object != NULL) {
        return_object(s, from, object);
    }
    return r;
}
