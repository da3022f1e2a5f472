/*
 * Reading a hash, packed or a table. Fields that are over are passed by wherever they are met.
 */
#include "tarn/types/hashmap.h"

#include "packed.h"
#include "types_private.h"

/* Empty buckets that one call of HSCAN passes for each field it was asked for. */
#define SCAN_BUCKETS_PART 10
/* Tries to meet a field that is not over. */
#define RANDOM_TRIES 64

static bool is_over(const struct hashmap_field *field, int64_t now_ms)
{
    return field->expires_at_ms <= now_ms;
}

bool hashmap_is_packed(struct strview hash)
{
    return (hash.data[0] & PACKED_IS_TABLE) == 0;
}

const char *hashmap_encoding_name(const struct types *t, struct strview hash)
{
    const size_t len_max = (size_t)t->options->hash_max_listpack_value;
    struct hashmap_iter it;
    struct hashmap_field field;
    if (!hashmap_is_packed(hash) ||
        packed_count(hash) > (size_t)t->options->hash_max_listpack_entries) {
        return "hashtable";
    }
    for (hashmap_begin(&it, t, hash); hashmap_next(&it, &field);) {
        if (field.name.len > len_max || field.value.len > len_max) {
            return "hashtable";
        }
    }
    return "listpack";
}

size_t hashmap_count(struct strview hash)
{
    return hashmap_is_packed(hash) ? packed_count(hash) : hashmap_table(hash)->count;
}

int64_t hashmap_due_ms(struct strview hash)
{
    if (!hashmap_is_packed(hash)) {
        return field_table_due_ms(hashmap_table(hash));
    }
    return packed_has_expiries(hash)
               ? packed_read_expiry((const unsigned char *)hash.data + PACKED_HEAD_BYTES)
               : STORE_NO_EXPIRY;
}

bool hashmap_is_live(const struct types *t, struct strview hash)
{
    struct hashmap_iter it;
    struct hashmap_field field;
    if (LIKELY(hashmap_due_ms(hash) > t->clock->mono_ms)) {
        return true;
    }
    if (!hashmap_is_packed(hash)) {
        const struct field_table *table = hashmap_table(hash);
        if (table->due_count < table->count) {
            return true; /* some never expire */
        }
        if (table->latest_due_ms <= t->clock->mono_ms) {
            return false;
        }
    }
    hashmap_begin(&it, t, hash);
    return hashmap_next(&it, &field);
}

bool hashmap_find(const struct types *t, struct strview hash, struct strview name,
                  struct hashmap_field *out)
{
    if (!hashmap_is_packed(hash)) {
        return field_table_find(hashmap_table(hash), name, out) && !is_over(out, t->clock->mono_ms);
    }
    struct packed_field found;
    if (!packed_find(hash, name, &found) || is_over(&found.field, t->clock->mono_ms)) {
        return false;
    }
    *out = found.field;
    return true;
}

/* ---- walks ---- */

void hashmap_begin(struct hashmap_iter *it, const struct types *t, struct strview hash)
{
    *it = (struct hashmap_iter){.now_ms = t->clock->mono_ms};
    if (hashmap_is_packed(hash)) {
        it->has_expiries = packed_has_expiries(hash);
        it->at = (const unsigned char *)hash.data + packed_head_bytes(it->has_expiries);
        it->left = packed_count(hash);
    } else {
        it->table = hashmap_table(hash);
    }
}

static bool next_of_table(struct hashmap_iter *it, struct hashmap_field *out)
{
    while (it->node == NULL && it->bucket < it->table->buckets) {
        it->node = field_table_chain(it->table, it->bucket++);
    }
    if (it->node == NULL) {
        return false;
    }
    it->node = field_node_read(it->table, it->node, out);
    return true;
}

static bool next_of_packed(struct hashmap_iter *it, struct hashmap_field *out)
{
    if (it->left == 0) {
        return false;
    }
    it->left--;
    it->at = packed_read(it->at, it->has_expiries, out);
    return true;
}

bool hashmap_next(struct hashmap_iter *it, struct hashmap_field *out)
{
    while (it->table != NULL ? next_of_table(it, out) : next_of_packed(it, out)) {
        if (!is_over(out, it->now_ms)) {
            return true;
        }
    }
    return false;
}

static size_t scan_bucket(const struct types *t, const struct field_table *table, size_t bucket,
                          hashmap_visit_fn fn, void *ctx)
{
    size_t visited = 0;
    const struct field_node *n = field_table_chain(table, bucket);
    while (n != NULL) {
        struct hashmap_field field;
        n = field_node_read(table, n, &field);
        if (!is_over(&field, t->clock->mono_ms)) {
            fn(ctx, &field);
            visited++;
        }
    }
    return visited;
}

uint64_t hashmap_scan(const struct types *t, struct strview hash, uint64_t cursor, size_t count,
                      hashmap_visit_fn fn, void *ctx)
{
    if (hashmap_is_packed(hash)) {
        struct hashmap_iter it;
        struct hashmap_field field;
        for (hashmap_begin(&it, t, hash); hashmap_next(&it, &field);) {
            fn(ctx, &field);
        }
        return 0;
    }
    const struct field_table *table = hashmap_table(hash);
    size_t visited = 0, buckets = 0;
    do {
        visited += scan_bucket(t, table, field_table_bucket_of(table, cursor), fn, ctx);
        cursor = field_table_next_cursor(table, cursor);
        buckets++;
    } while (cursor != 0 && visited < count && buckets / SCAN_BUCKETS_PART < count);
    return cursor;
}

/* ---- random ---- */

/* The n-th field that is not over. */
static bool pick(const struct types *t, struct strview hash, uint64_t n, struct hashmap_field *out)
{
    struct hashmap_iter it;
    hashmap_begin(&it, t, hash);
    while (hashmap_next(&it, out)) {
        if (n-- == 0) {
            return true;
        }
    }
    return false;
}

bool hashmap_random(const struct types *t, struct strview hash, struct rng *rng,
                    struct hashmap_field *out)
{
    const size_t count = hashmap_count(hash);
    if (count == 0) {
        return false;
    }
    if (hashmap_is_packed(hash)) {
        /* The hash was purged: its fields are as many as it says. */
        return pick(t, hash, rng_below(rng, count), out);
    }
    for (unsigned tries = 0; tries < RANDOM_TRIES; tries++) {
        field_table_random(hashmap_table(hash), rng, out);
        if (!is_over(out, t->clock->mono_ms)) {
            return true;
        }
    }
    return pick(t, hash, 0, out); /* nearly all are over: the first one that is not */
}
