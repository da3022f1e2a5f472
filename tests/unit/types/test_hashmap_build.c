/* Hashes made apart from keys: nobody sees anything of them until they are put under one. */
#include "tarn/types/hashmap_build.h"

#include "tests/unit/types/types_fixture.h"

static struct hashmap_field field_of(const char *name, const char *value, int64_t expires_at_ms)
{
    return (struct hashmap_field){
        .name = strview_str(name), .value = strview_str(value), .expires_at_ms = expires_at_ms};
}

static void add_many(struct hashmap_build *b, int count)
{
    char name[32];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "field:%d", i);
        const struct hashmap_field field = field_of(name, "value", STORE_NO_EXPIRY);
        assert_int_equal(hashmap_build_add(b, &field), HASHMAP_BUILD_OK);
    }
}

/* Puts `count` fields under a key. */
static void assert_builds(struct fixture *f, int count, bool is_packed)
{
    const struct store_key k = fixture_key(f, "k");
    struct hashmap_build b;
    struct strview hash;
    hashmap_build_init(&b, f->t, false);
    add_many(&b, count);
    const struct hashmap_field again = field_of("field:0", "other", STORE_NO_EXPIRY);
    assert_int_equal(hashmap_build_add(&b, &again), HASHMAP_BUILD_DUPLICATE);
    assert_int_equal(hashmap_build_count(&b), count);
    assert_int_equal(hashmap_build_put(&b, &k, STORE_NO_EXPIRY), STORE_OK);
    hashmap_build_fini(&b);
    assert_true(fixture_open(f, &k, &hash));
    assert_int_equal(hashmap_count(hash), count);
    assert_int_equal(hashmap_is_packed(hash), is_packed);
}

static void hashmap_build__packs_small_ones(void **state)
{
    assert_builds(*state, 1, true);
    assert_builds(*state, 255, true);
    assert_builds(*state, 257, false);
    assert_builds(*state, 5000, false);
    assert_builds(*state, 2, true);
}

static void hashmap_build__nothing_is_left_of_one_that_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct hashmap_build b;
    const size_t before = store_used_memory(f->s);
    hashmap_build_init(&b, f->t, false);
    add_many(&b, 1000);
    hashmap_build_fini(&b);
    hashmap_build_fini(&b);
    assert_int_equal(store_count(f->s, 0), 0);
    assert_int_equal(store_used_memory(f->s), before);
}

static void hashmap_build__leaves_out_what_is_over(void **state)
{
    struct fixture *f = *state;
    const struct store_key k = fixture_key(f, "k");
    const int64_t now_ms = f->clock.mono_ms;
    const struct hashmap_field over = field_of("over", "1", now_ms),
                               soon = field_of("soon", "2", now_ms + 1),
                               ever = field_of("ever", "3", STORE_NO_EXPIRY);
    struct hashmap_build b;
    struct strview hash;
    hashmap_build_init(&b, f->t, true);
    assert_int_equal(hashmap_build_add(&b, &over), HASHMAP_BUILD_OK);
    assert_int_equal(hashmap_build_count(&b), 0);
    assert_int_equal(hashmap_build_add(&b, &ever), HASHMAP_BUILD_OK);
    assert_int_equal(hashmap_build_add(&b, &soon), HASHMAP_BUILD_OK);
    assert_int_equal(hashmap_build_put(&b, &k, STORE_NO_EXPIRY), STORE_OK);
    hashmap_build_fini(&b);
    assert_true(fixture_open(f, &k, &hash));
    assert_int_equal(hashmap_count(hash), 2);
    assert_true(hashmap_due_ms(hash) == now_ms + 1);
    fixture_wait(f, 1);
    while (types_tick(f->t, 1000)) {
    }
    assert_true(fixture_open(f, &k, &hash));
    assert_int_equal(hashmap_count(hash), 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(hashmap_build__packs_small_ones),
        CASE(hashmap_build__nothing_is_left_of_one_that_is_given_up),
        CASE(hashmap_build__leaves_out_what_is_over),
    };
#undef CASE
    return cmocka_run_group_tests_name("hashmap_build", tests, NULL, NULL);
}
