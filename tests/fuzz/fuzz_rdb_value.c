/*
 * What RESTORE is given, behind its checksum: whatever is read can be put under a key, and written
 * and read again it is the same value.
 */
#include <stdint.h>
#include <stdlib.h>

#include "tarn/types/rdb_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool is_same_hash(const struct types *t, struct strview a, struct strview b)
{
    struct hashmap_iter it;
    struct hashmap_field field, other;
    for (hashmap_begin(&it, t, a); hashmap_next(&it, &field);) {
        if (!hashmap_find(t, b, field.name, &other) || !strview_eq(field.value, other.value) ||
            field.expires_at_ms != other.expires_at_ms) {
            return false;
        }
    }
    return hashmap_count(a) == hashmap_count(b);
}

/* Written, read, and put under another key: the same? */
static void check_round(struct store *s, struct types *t, const struct store_key *key)
{
    const struct store_key again = store_key_init(s, 1, key->key);
    struct entry_view e, copy;
    struct rdb_value v;
    struct buf out;
    buf_init(&out);
    require(store_peek(s, key, &e));
    require(rdb_value_write(t, e.type, e.value, &out));
    require(rdb_value_read(t, buf_view(&out), &v) == RDB_OK);
    require(rdb_value_put(t, &v, &again, STORE_NO_EXPIRY) == STORE_OK);
    rdb_value_fini(&v);
    require(store_peek(s, key, &e) && store_peek(s, &again, &copy) && e.type == copy.type);
    require(e.type == ENTRY_STRING ? strview_eq(e.value, copy.value)
                                   : is_same_hash(t, e.value, copy.value));
    buf_fini(&out);
}

/* One store for all inputs, because making one takes longer than reading most of them. */
static void make_store(struct store **s, struct types **t)
{
    static const struct clock clock = {
        .mono_ms = 1000000, .wall_ms = INT64_C(1700000000000), .mono_us = 1000000000};
    static const struct store_options store_options = {.arena_bytes = 1 << 28, .hash_seed = 7};
    static const struct types_options options = {.hash_max_listpack_entries = 128,
                                                 .hash_max_listpack_value = 64};
    struct errtext err;
    require(store_create(s, &store_options, &clock, &err) == 0);
    require(types_create(t, *s, &clock, &options) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct store *s;
    static struct types *t;
    struct rdb_value v;
    if (s == NULL) {
        make_store(&s, &t);
    }
    if (rdb_value_read_body(t, strview_of(data, size), &v) == RDB_OK) {
        const struct store_key key = store_key_init(s, 0, strview_str("k"));
        if (!v.is_over && rdb_value_put(t, &v, &key, STORE_NO_EXPIRY) == STORE_OK) {
            check_round(s, t, &key);
            store_check(s);
        }
        rdb_value_fini(&v);
        store_flush(s, STORE_DATABASES);
        while (store_tick(s, 1000)) {
        }
    }
    return 0;
}
