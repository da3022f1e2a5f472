/*
 * Making hashes apart from keys, and tables out of packed hashes.
 *
 * A hash is packed into a buffer, in the form it will have in its entry, until it is too large for
 * that; then it goes on as a table, and the entry becomes its owner at the end. Looking for a
 * duplicate in the buffer takes as long as the buffer is, which PACKED_BYTES_MAX keeps short.
 */
#include "tarn/types/hashmap_build.h"

#include "packed.h"
#include "types_private.h"

void hashmap_free_table(struct field_table *table)
{
    size_t bytes;
    while (!field_table_free_some(table, &bytes)) {
    }
}

struct field_table *hashmap_make_table(struct types *t, struct strview hash)
{
    struct field_table *table = field_table_create(t->store, &t->chunks);
    struct hashmap_iter it;
    struct hashmap_field field;
    hashmap_begin(&it, t, hash);
    while (table != NULL && hashmap_next(&it, &field)) {
        if (!field_table_set(table, &field, NULL)) {
            hashmap_free_table(table);
            return NULL;
        }
    }
    return table;
}

enum store_result hashmap_store_table(struct types *t, const struct store_key *key,
                                      struct field_table *table, const struct store_write *write)
{
    char value[PACKED_TABLE_BYTES] = {PACKED_IS_TABLE};
    struct store_write w = *write;
    w.type = ENTRY_HASH;
    w.owns_object = true;
    memcpy(value + 1, &table, sizeof(table));
    table->object.bytes = table->bytes;
    return store_set(t->store, key, strview_of(value, sizeof(value)), &w);
}

enum store_result hashmap_copy(struct types *t, struct strview hash, const struct store_key *to,
                               int64_t expires_at_ms)
{
    assert(!hashmap_is_packed(hash));
    struct field_table *table = hashmap_make_table(t, hash);
    if (table == NULL) {
        return STORE_FULL;
    }
    const struct store_write w = {.expires_at_ms = expires_at_ms};
    const enum store_result r = hashmap_store_table(t, to, table, &w);
    if (r != STORE_OK) {
        hashmap_free_table(table);
    }
    return r;
}

/* ---- step by step ---- */

void hashmap_build_init(struct hashmap_build *b, struct types *t, bool has_expiries)
{
    *b = (struct hashmap_build){
        .types = t, .due_ms = STORE_NO_EXPIRY, .has_expiries = has_expiries};
    buf_init(&b->packed);
}

void hashmap_build_fini(struct hashmap_build *b)
{
    buf_fini(&b->packed);
    if (b->table != NULL) {
        hashmap_free_table(b->table);
        b->table = NULL;
    }
}

size_t hashmap_build_count(const struct hashmap_build *b)
{
    if (b->table != NULL) {
        return b->table->count;
    }
    return buf_len(&b->packed) > 0 ? packed_count(buf_view(&b->packed)) : 0;
}

/* The head of a packed hash without fields. */
static bool write_head(struct hashmap_build *b)
{
    char head[PACKED_HEAD_BYTES + PACKED_EXPIRY_BYTES];
    head[0] = b->has_expiries ? PACKED_HAS_EXPIRIES : 0;
    packed_write_count(head, 0);
    packed_write_expiry(head + PACKED_HEAD_BYTES, STORE_NO_EXPIRY);
    return buf_append(&b->packed, head, packed_head_bytes(b->has_expiries));
}

static enum hashmap_build_result add_packed(struct hashmap_build *b,
                                            const struct hashmap_field *field)
{
    struct packed_field place;
    const size_t size = packed_field_bytes(b->has_expiries, field->name.len, field->value.len);
    if (packed_find(buf_view(&b->packed), field->name, &place)) {
        return HASHMAP_BUILD_DUPLICATE;
    }
    if (!buf_reserve(&b->packed, size)) {
        return HASHMAP_BUILD_NO_MEMORY;
    }
    (void)packed_write(buf_tail(&b->packed), b->has_expiries, field);
    buf_commit(&b->packed, size);
    char *head = b->packed.data + b->packed.head;
    packed_write_count(head, packed_count(buf_view(&b->packed)) + 1);
    return HASHMAP_BUILD_OK;
}

static bool still_packs(const struct hashmap_build *b, const struct hashmap_field *field)
{
    return packed_count(buf_view(&b->packed)) < PACKED_COUNT_MAX &&
           field->name.len + field->value.len + buf_len(&b->packed) <= PACKED_BYTES_MAX;
}

enum hashmap_build_result hashmap_build_add(struct hashmap_build *b,
                                            const struct hashmap_field *field)
{
    struct hashmap_field added = *field;
    bool is_new;
    if (!b->has_expiries) {
        added.expires_at_ms = STORE_NO_EXPIRY;
    }
    if (added.expires_at_ms <= b->types->clock->mono_ms) {
        return HASHMAP_BUILD_OK;
    }
    if (buf_len(&b->packed) == 0 && b->table == NULL && !write_head(b)) {
        return HASHMAP_BUILD_NO_MEMORY;
    }
    b->due_ms = added.expires_at_ms < b->due_ms ? added.expires_at_ms : b->due_ms;
    if (b->table == NULL && still_packs(b, &added)) {
        return add_packed(b, &added);
    }
    if (b->table == NULL) {
        b->table = hashmap_make_table(b->types, buf_view(&b->packed));
        if (b->table == NULL) {
            return HASHMAP_BUILD_NO_MEMORY;
        }
        buf_fini(&b->packed);
    }
    if (!field_table_set(b->table, &added, &is_new)) {
        return HASHMAP_BUILD_NO_MEMORY;
    }
    return is_new ? HASHMAP_BUILD_OK : HASHMAP_BUILD_DUPLICATE;
}

enum store_result hashmap_build_put(struct hashmap_build *b, const struct store_key *key,
                                    int64_t expires_at_ms)
{
    struct types *t = b->types;
    const struct store_write w = {.expires_at_ms = expires_at_ms, .type = ENTRY_HASH};
    enum store_result r;
    assert(hashmap_build_count(b) > 0);
    if (b->table != NULL) {
        r = hashmap_store_table(t, key, b->table, &w);
        b->table = r == STORE_OK ? NULL : b->table;
    } else {
        if (b->has_expiries) {
            packed_write_expiry(b->packed.data + b->packed.head + PACKED_HEAD_BYTES, b->due_ms);
        }
        r = store_set(t->store, key, buf_view(&b->packed), &w);
    }
    if (r == STORE_OK && b->due_ms != STORE_NO_EXPIRY) {
        t->sweep.is_wanted = true;
    }
    return r;
}
