/* Values to and from the form of DUMP; every cut of a payload is refused, and no key is touched. */
#include "tarn/types/rdb_value.h"

#include "tests/unit/types/types_fixture.h"

static struct strview dump(struct fixture *f, const char *key, struct buf *out)
{
    const struct store_key k = fixture_key(f, key);
    struct entry_view e;
    assert_true(store_peek(f->s, &k, &e));
    buf_clear(out);
    assert_true(rdb_value_write(f->t, e.type, e.value, out));
    return buf_view(out);
}

static enum rdb_result restore(struct fixture *f, const char *key, struct strview payload)
{
    const struct store_key k = fixture_key(f, key);
    struct rdb_value v;
    const enum rdb_result r = rdb_value_read(f->t, payload, &v);
    if (r == RDB_OK) {
        assert_int_equal(rdb_value_put(f->t, &v, &k, STORE_NO_EXPIRY), STORE_OK);
        rdb_value_fini(&v);
    }
    return r;
}

static void set_string(struct fixture *f, const char *key, struct strview value)
{
    const struct store_key k = fixture_key(f, key);
    const struct store_write w = {0};
    assert_int_equal(store_set(f->s, &k, value, &w), STORE_OK);
}

static void assert_field(struct fixture *f, const char *key, const char *name, const char *value)
{
    const struct store_key k = fixture_key(f, key);
    struct strview hash;
    struct hashmap_field field;
    assert_true(fixture_open(f, &k, &hash));
    assert_true(hashmap_find(f->t, hash, strview_str(name), &field));
    assert_true(strview_eq(field.value, strview_str(value)));
}

static void rdb_value__string_as_redis_writes_it(void **state)
{
    struct fixture *f = *state;
    struct buf out = {0};
    /* DUMP of redis-server 7.0 for "bar", and for 200. */
    static const char bar[] = "\x00\x03"
                              "bar\x0a\x00\xe2\xa4\x9a\x18\xaa\xd9\x1c\x06";
    set_string(f, "s", strview_str("bar"));
    const struct strview got = dump(f, "s", &out);
    assert_int_equal(got.len, sizeof(bar) - 1);
    assert_memory_equal(got.data, bar, 7);
    set_string(f, "s", strview_str("200"));
    assert_memory_equal(dump(f, "s", &out).data, "\x00\xc1\xc8\x00\x0a\x00", 6);
    buf_fini(&out);
}

static void rdb_value__long_strings_are_packed(void **state)
{
    struct fixture *f = *state;
    struct buf out = {0};
    struct entry_view e;
    char text[10000];
    memset(text, 'x', sizeof(text));
    set_string(f, "s", strview_of(text, sizeof(text)));
    assert_true(dump(f, "s", &out).len < 300);
    assert_int_equal(restore(f, "copy", buf_view(&out)), RDB_OK);
    const struct store_key k = fixture_key(f, "copy");
    assert_true(store_peek(f->s, &k, &e));
    assert_true(strview_eq(e.value, strview_of(text, sizeof(text))));
    buf_fini(&out);
}

static void rdb_value__hash_with_expiries_comes_back(void **state)
{
    struct fixture *f = *state;
    struct buf out = {0};
    struct strview hash;
    struct hashmap_field field;
    fixture_set(f, "h", "a", "1");
    fixture_set(f, "h", "b", "two");
    fixture_set(f, "h", "c", "3");
    fixture_expire(f, "h", "a", 1000);
    fixture_expire(f, "h", "c", 5000);
    fixture_wait(f, 2000); /* nobody has taken `a` out yet */
    assert_int_equal(restore(f, "copy", dump(f, "h", &out)), RDB_OK);
    const struct store_key k = fixture_key(f, "copy");
    assert_true(fixture_open(f, &k, &hash));
    assert_int_equal(hashmap_count(hash), 2);
    assert_true(hashmap_find(f->t, hash, strview_str("c"), &field));
    assert_true(field.expires_at_ms == f->clock.mono_ms + 3000);
    assert_true(types_has_expiries(f->t));
    fixture_wait(f, 3000);
    assert_field(f, "copy", "b", "two");
    assert_false(hashmap_find(f->t, hash, strview_str("c"), &field));
    buf_fini(&out);
}

static void rdb_value__large_hash_comes_back(void **state)
{
    struct fixture *f = *state;
    struct buf out = {0};
    char name[32];
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "field:%d", i);
        fixture_set(f, "h", name, name + 6);
    }
    fixture_expire(f, "h", "field:7", 1000);
    assert_int_equal(restore(f, "copy", dump(f, "h", &out)), RDB_OK);
    assert_field(f, "copy", "field:2999", "2999");
    fixture_wait(f, 1000);
    const struct store_key k = fixture_key(f, "copy");
    struct hashmap_edit e = fixture_edit(f, &k);
    assert_int_equal(hashmap_count(e.hash), 2999);
    hashmap_end(&e);
    buf_fini(&out);
}

static void rdb_value__cut_payloads_are_refused(void **state)
{
    struct fixture *f = *state;
    struct buf out = {0};
    struct rdb_value v;
    fixture_set(f, "h", "a", "1");
    fixture_set(f, "h", "name", "a longer value, but not one that packs");
    fixture_expire(f, "h", "a", 1000);
    const struct strview all = dump(f, "h", &out);
    for (size_t len = 0; len < all.len; len++) {
        assert_int_equal(rdb_value_read(f->t, strview_of(all.data, len), &v), RDB_BAD_FOOTER);
    }
    for (size_t len = 0; len < all.len - 10; len++) {
        /* On the heap, so that a sanitizer sees the end. */
        char *part = malloc(len + 1);
        assert_non_null(part);
        memcpy(part, all.data, len);
        assert_int_equal(rdb_value_read_body(f->t, strview_of(part, len), &v), RDB_BAD_DATA);
        free(part);
    }
    buf_fini(&out);
}

static void assert_bad(struct fixture *f, const char *body, size_t len)
{
    struct rdb_value v;
    assert_int_equal(rdb_value_read_body(f->t, strview_of(body, len), &v), RDB_BAD_DATA);
}

#define ASSERT_BAD(f, body) assert_bad((f), (body), sizeof(body) - 1)

static void rdb_value__what_redis_cannot_have_written(void **state)
{
    struct fixture *f = *state;
    ASSERT_BAD(f, "");
    ASSERT_BAD(f, "\x02\x01\x01"
                  "a");        /* a set */
    ASSERT_BAD(f, "\x04\x00"); /* a hash without fields */
    ASSERT_BAD(f, "\x04\x02\x01"
                  "a\x01"
                  "b\x01"
                  "a\x01"
                  "c"); /* a field twice */
    ASSERT_BAD(f, "\x00\x01"
                  "ab");                                                       /* bytes left over */
    ASSERT_BAD(f, "\x00\xc4\x00");                                             /* no such form */
    ASSERT_BAD(f, "\x00\xc3\x02\x81\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00"); /* packs too well */
    ASSERT_BAD(f, "\x00\xc3\x02\x00\x00"
                  "a");                                    /* packed nothing */
    ASSERT_BAD(f, "\x10\x07\x07\x00\x00\x00\x00\x00\xff"); /* an empty listpack */
    ASSERT_BAD(f, "\x10\x0d\x0d\x00\x00\x00\x03\x00\x81"
                  "a\x02\x81"
                  "b\x02\xff"); /* that counts wrong */
    ASSERT_BAD(f, "\x10\x0d\x0d\x00\x00\x00\x02\x00\x81"
                  "a\x03\x81"
                  "b\x02\xff"); /* whose way back is wrong */
    ASSERT_BAD(f, "\x10\x0a\x0a\x00\x00\x00\x01\x00\x81"
                  "a\x02\xff"); /* a name without a value */
    ASSERT_BAD(f, "\x0d\x10\x10\x00\x00\x00\x0c\x00\x00\x00\x02\x00\x00\xf1\x03\xf1\xff");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(rdb_value__string_as_redis_writes_it),
        CASE(rdb_value__long_strings_are_packed),
        CASE(rdb_value__hash_with_expiries_comes_back),
        CASE(rdb_value__large_hash_comes_back),
        CASE(rdb_value__cut_payloads_are_refused),
        CASE(rdb_value__what_redis_cannot_have_written),
    };
#undef CASE
    return cmocka_run_group_tests_name("rdb_value", tests, NULL, NULL);
}
