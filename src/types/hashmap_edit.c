/*
 * Changing a hash.
 *
 * A packed hash is changed where it lies: the entry is resized, what is behind the change is moved,
 * the field is written. When a field is too long for it, or there are too many, the hash becomes a
 * table and the entry its owner.
 *
 * A change that makes a packed hash smaller must not fail, though giving the bytes back may when
 * the store is full: then they stay behind the last field as slack. Slack is also what a new hash
 * begins with when several fields are to come, or the log would keep a corpse of each size.
 */
#include <string.h>

#include "packed.h"
#include "types_private.h"

/* Fields that are taken out of a table in one go, some ten microseconds. */
#define PURGE_MAX 64

static int64_t cut_expiry(int64_t at_ms)
{
    return at_ms == STORE_NO_EXPIRY || at_ms < HASHMAP_EXPIRY_MAX_MS ? at_ms
                                                                     : HASHMAP_EXPIRY_MAX_MS;
}

/* ---- packed: bytes ---- */

/* The hash's bytes to write to; it is there and keeps its length. */
static char *writable(struct hashmap_edit *e)
{
    char *bytes = NULL;
    const enum store_result r = store_resize(e->types->store, e->key, e->hash.len, &bytes);
    assert(r == STORE_OK);
    (void)r;
    e->hash.data = bytes;
    return bytes;
}

/* Makes `now` bytes at `at` into `then` bytes, moving what is behind; the caller fills them in. On
 * failure nothing has changed; a change to fewer bytes does not fail. */
static enum store_result splice(struct hashmap_edit *e, size_t at, size_t now, size_t then,
                                char **out)
{
    const size_t behind = e->hash.len - at - now;
    char *bytes;
    if (then > now) {
        const size_t len = e->hash.len + (then - now);
        const enum store_result r = store_resize(e->types->store, e->key, len, &bytes);
        if (r != STORE_OK) {
            return r;
        }
        memmove(bytes + at + then, bytes + at + now, behind);
        e->hash = strview_of(bytes, len);
    } else {
        bytes = writable(e);
        memmove(bytes + at + then, bytes + at + now, behind);
        const size_t len = e->hash.len - (now - then);
        if (then < now && store_resize(e->types->store, e->key, len, &bytes) == STORE_OK) {
            e->hash = strview_of(bytes, len);
        }
    }
    *out = bytes + at;
    return STORE_OK;
}

/* A key that is not there yet gets an empty hash. */
static enum store_result make_empty(struct hashmap_edit *e, size_t slack)
{
    char *bytes;
    const size_t len = PACKED_HEAD_BYTES + slack;
    const struct store_write w = {.type = ENTRY_HASH};
    const enum store_result r = store_set_uninit(e->types->store, e->key, len, &w, &bytes);
    if (r == STORE_OK) {
        bytes[0] = 0;
        packed_write_count(bytes, 0);
        e->hash = strview_of(bytes, len);
        e->is_new = true;
        e->is_present = true;
    }
    return r;
}

/* Notes that a field's time is over then. */
static void note_due(struct hashmap_edit *e, int64_t at_ms)
{
    if (at_ms != STORE_NO_EXPIRY) {
        e->types->sweep.is_wanted = true;
        if (hashmap_is_packed(e->hash) && at_ms < hashmap_due_ms(e->hash)) {
            packed_write_expiry(writable(e) + PACKED_HEAD_BYTES, at_ms);
        }
    }
}

/* ---- packed: fields ---- */

static enum store_result packed_set(struct hashmap_edit *e, const struct packed_field *place,
                                    const struct hashmap_field *field)
{
    const bool has_expiries = packed_has_expiries(e->hash);
    const size_t size = packed_field_bytes(has_expiries, field->name.len, field->value.len);
    const bool is_new = place->size == 0;
    char *at;
    if (is_new && size <= e->hash.len - place->at) { /* nothing but slack is behind */
        at = writable(e) + place->at;
    } else {
        const enum store_result r = splice(e, place->at, place->size, size, &at);
        if (r != STORE_OK) {
            return r;
        }
    }
    (void)packed_write(at, has_expiries, field);
    if (is_new) {
        packed_write_count(at - place->at, packed_count(e->hash) + 1);
    }
    return STORE_OK;
}

static void packed_remove(struct hashmap_edit *e, const struct packed_field *place)
{
    char *at;
    const enum store_result r = splice(e, place->at, place->size, 0, &at);
    assert(r == STORE_OK);
    (void)r;
    packed_write_count(at - place->at, packed_count(e->hash) - 1);
}

/* Rewrites the hash in the form in which fields have expiries. */
static enum store_result packed_add_expiries(struct hashmap_edit *e)
{
    const size_t old_len = e->hash.len;
    const unsigned count = packed_count(e->hash);
    const size_t more = PACKED_EXPIRY_BYTES * (1 + (size_t)count);
    char *bytes;
    const enum store_result r = store_resize(e->types->store, e->key, old_len + more, &bytes);
    if (r != STORE_OK) {
        return r;
    }
    /* The fields go to the end, and from there one by one to their places. */
    memmove(bytes + PACKED_HEAD_BYTES + more, bytes + PACKED_HEAD_BYTES,
            old_len - PACKED_HEAD_BYTES);
    bytes[0] = (char)(bytes[0] | PACKED_HAS_EXPIRIES);
    packed_write_expiry(bytes + PACKED_HEAD_BYTES, STORE_NO_EXPIRY);
    const unsigned char *from = (const unsigned char *)bytes + PACKED_HEAD_BYTES + more;
    char *to = bytes + PACKED_HEAD_BYTES + PACKED_EXPIRY_BYTES;
    for (unsigned i = 0; i < count; i++) {
        struct hashmap_field field;
        const unsigned char *next = packed_read(from, false, &field);
        packed_write_expiry(to, STORE_NO_EXPIRY);
        memmove(to + PACKED_EXPIRY_BYTES, from, (size_t)(next - from));
        to += PACKED_EXPIRY_BYTES + (next - from);
        from = next;
    }
    e->hash = strview_of(bytes, old_len + more);
    return STORE_OK;
}

/* ---- becoming a table ---- */

/* Would the hash still be one to pack with this field? */
static bool fits_packed(const struct hashmap_edit *e, struct strview name, struct strview value,
                        bool is_new)
{
    const size_t count = (e->is_present ? packed_count(e->hash) : 0) + (is_new ? 1 : 0);
    return count <= PACKED_COUNT_MAX && name.len + value.len + e->hash.len <= PACKED_BYTES_MAX;
}

static enum store_result become_table(struct hashmap_edit *e)
{
    static const char no_fields[PACKED_HEAD_BYTES];
    const struct strview hash = e->is_present ? e->hash : strview_of(no_fields, sizeof(no_fields));
    struct field_table *table = hashmap_make_table(e->types, hash);
    if (table == NULL) {
        return STORE_FULL;
    }
    const struct store_write w = {.keep_expiry = e->is_present};
    const enum store_result r = hashmap_store_table(e->types, e->key, table, &w);
    if (r != STORE_OK) {
        hashmap_free_table(table);
        return r;
    }
    struct entry_view view;
    const bool is_there = store_peek(e->types->store, e->key, &view);
    assert(is_there);
    (void)is_there;
    e->hash = view.value;
    e->is_new = e->is_new || !e->is_present;
    e->is_present = true;
    return STORE_OK;
}

/* ---- the calls ---- */

static enum store_result set_in_table(struct hashmap_edit *e, const struct hashmap_field *field)
{
    return field_table_set(hashmap_table(e->hash), field, NULL) ? STORE_OK : STORE_FULL;
}

/* The field as it is now; *place is for a packed hash. */
static bool find_any(const struct hashmap_edit *e, struct strview name, struct packed_field *place)
{
    *place = (struct packed_field){.at = PACKED_HEAD_BYTES};
    if (!e->is_present) {
        return false;
    }
    return hashmap_is_packed(e->hash)
               ? packed_find(e->hash, name, place)
               : field_table_find(hashmap_table(e->hash), name, &place->field);
}

enum store_result hashmap_set(struct hashmap_edit *e, struct strview name, struct strview value,
                              bool keep_expiry, bool *is_new_out)
{
    struct packed_field place;
    const bool is_there = find_any(e, name, &place);
    const struct hashmap_field field = {
        .name = name,
        .value = value,
        .expires_at_ms = is_there && keep_expiry ? place.field.expires_at_ms : STORE_NO_EXPIRY,
    };
    *is_new_out = !is_there;
    e->is_changed = true;
    if (e->is_present && !hashmap_is_packed(e->hash)) {
        return set_in_table(e, &field);
    }
    enum store_result r = STORE_OK;
    if (!fits_packed(e, name, value, !is_there)) {
        r = become_table(e);
        return r == STORE_OK ? set_in_table(e, &field) : r;
    }
    if (!e->is_present) {
        r = make_empty(e, 0);
    }
    return r == STORE_OK ? packed_set(e, &place, &field) : r;
}

enum store_result hashmap_expect(struct hashmap_edit *e, const struct strview *pairs, size_t count)
{
    size_t bytes = 0;
    if (e->is_present || count < 2 || count > PACKED_COUNT_MAX) {
        return STORE_OK;
    }
    for (size_t i = 0; i < count; i++) {
        bytes += packed_field_bytes(false, pairs[2 * i].len, pairs[2 * i + 1].len);
        if (bytes > PACKED_BYTES_MAX) {
            return STORE_OK;
        }
    }
    e->has_slack = true;
    return make_empty(e, bytes);
}

/* Names that came twice have left room. */
static void give_slack_back(struct hashmap_edit *e)
{
    struct hashmap_iter it;
    struct hashmap_field field;
    hashmap_begin(&it, e->types, e->hash);
    while (hashmap_next(&it, &field)) {
    }
    const size_t used = (size_t)(it.at - (const unsigned char *)e->hash.data);
    char *bytes;
    if (used < e->hash.len && store_resize(e->types->store, e->key, used, &bytes) == STORE_OK) {
        e->hash = strview_of(bytes, used);
    }
}

bool hashmap_remove(struct hashmap_edit *e, struct strview name)
{
    struct packed_field place;
    if (!find_any(e, name, &place)) {
        return false;
    }
    e->is_changed = true;
    if (hashmap_is_packed(e->hash)) {
        packed_remove(e, &place);
    } else {
        (void)field_table_remove(hashmap_table(e->hash), name);
    }
    return true;
}

enum store_result hashmap_set_expiry(struct hashmap_edit *e, struct strview name,
                                     int64_t expires_at_ms)
{
    struct packed_field place;
    const int64_t at_ms = cut_expiry(expires_at_ms);
    if (!find_any(e, name, &place)) {
        return STORE_NOT_FOUND;
    }
    e->is_changed = true;
    if (!hashmap_is_packed(e->hash)) {
        if (!field_table_set_expiry(hashmap_table(e->hash), name, at_ms)) {
            return STORE_FULL;
        }
    } else if (place.field.expires_at_ms != at_ms) {
        if (!packed_has_expiries(e->hash)) {
            const enum store_result r = packed_add_expiries(e);
            if (r != STORE_OK) {
                return r;
            }
            (void)packed_find(e->hash, name, &place);
        }
        packed_write_expiry(writable(e) + place.at, at_ms);
    }
    note_due(e, at_ms);
    return STORE_OK;
}

/* ---- fields that are over ---- */

static size_t purge_packed(struct hashmap_edit *e, int64_t now_ms)
{
    char *bytes = writable(e);
    const unsigned count = packed_count(e->hash);
    const unsigned char *from = (const unsigned char *)bytes + packed_head_bytes(true);
    char *to = bytes + packed_head_bytes(true);
    unsigned left = 0;
    int64_t due_ms = STORE_NO_EXPIRY;
    for (unsigned i = 0; i < count; i++) {
        struct hashmap_field field;
        const unsigned char *next = packed_read(from, true, &field);
        const size_t size = (size_t)(next - from);
        if (field.expires_at_ms > now_ms) {
            memmove(to, from, size);
            to += size;
            due_ms = field.expires_at_ms < due_ms ? field.expires_at_ms : due_ms;
            left++;
        }
        from = next;
    }
    packed_write_count(bytes, left);
    packed_write_expiry(bytes + PACKED_HEAD_BYTES, due_ms);
    const size_t len = (size_t)(to - bytes);
    if (store_resize(e->types->store, e->key, len, &bytes) == STORE_OK) {
        e->hash = strview_of(bytes, len);
    }
    return count - left;
}

void hashmap_purge(struct hashmap_edit *e)
{
    const int64_t now_ms = e->types->clock->mono_ms;
    if (!e->is_present || LIKELY(hashmap_due_ms(e->hash) > now_ms)) {
        return;
    }
    e->has_expired = true;
    if (!hashmap_is_live(e->types, e->hash)) { /* all at once, however many */
        e->types->counters.expired_subkeys += hashmap_count(e->hash);
        (void)store_remove(e->types->store, e->key);
        e->is_present = false;
        return;
    }
    e->types->counters.expired_subkeys += hashmap_is_packed(e->hash)
                                              ? purge_packed(e, now_ms)
                                              : field_table_purge(hashmap_table(e->hash), now_ms,
                                                                  PURGE_MAX);
}

static void settle(struct hashmap_edit *e)
{
    if (hashmap_is_packed(e->hash) && e->has_slack) {
        give_slack_back(e);
    } else if (!hashmap_is_packed(e->hash)) {
        store_object_resized(e->types->store, e->key, hashmap_table(e->hash)->bytes);
    }
    if (hashmap_count(e->hash) == 0) {
        (void)store_remove(e->types->store, e->key);
        e->is_present = false;
    }
}

void hashmap_end(struct hashmap_edit *e)
{
    const struct types *t = e->types;
    if (e->is_present) {
        settle(e);
    }
    if (UNLIKELY(e->has_expired) && t->expired_fn != NULL) {
        t->expired_fn(t->expired_ctx, e->key, !e->is_present && !e->is_changed);
    }
}
