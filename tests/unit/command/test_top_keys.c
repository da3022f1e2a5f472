/* The heaviest of a stream of keys: what is certain, and what the bounds are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fault_alloc.h"
#include "src/command/top_keys.h"
#include "tarn/base/hash.h"

static struct hash_key secret;

static int setup(void **state)
{
    hash_key_init_seed(&secret, 7);
    return 0;
}

static void add(struct top_keys *t, const char *key, uint64_t weight)
{
    top_keys_add(t, strview_str(key), hash_bytes(&secret, strview_str(key)), weight);
}

static void assert_key(const struct top_key *k, const char *name, uint64_t certain)
{
    assert_true(strview_eq(strview_of(k->name, k->len), strview_str(name)));
    assert_int_equal(top_key_certain(k), certain);
}

static void top_keys__few_keys_are_exact(void **state)
{
    struct top_keys t;
    const struct top_key *list[10];
    assert_true(top_keys_init(&t, 3));
    assert_int_equal(top_keys_list(&t, list, 10), 0);
    add(&t, "a", 5);
    add(&t, "b", 7);
    add(&t, "", 1);
    add(&t, "a", 9);
    assert_int_equal(top_keys_list(&t, list, 10), 3);
    assert_key(list[0], "a", 14);
    assert_key(list[1], "b", 7);
    assert_key(list[2], "", 1);
    assert_int_equal(top_keys_list(&t, list, 1), 1);
    assert_key(list[0], "a", 14);
    top_keys_fini(&t);
}

static void top_keys__the_lightest_makes_room(void **state)
{
    struct top_keys t;
    const struct top_key *list[10];
    assert_true(top_keys_init(&t, 2));
    add(&t, "a", 10);
    add(&t, "b", 3);
    add(&t, "c", 4); /* in the place of b, whose 3 it may not have had */
    assert_int_equal(top_keys_list(&t, list, 10), 2);
    assert_key(list[0], "a", 10);
    assert_key(list[1], "c", 4);
    assert_int_equal(list[1]->error, 3);
    add(&t, "b", 5);
    assert_int_equal(top_keys_list(&t, list, 10), 2);
    assert_key(list[1], "b", 5);
    top_keys_fini(&t);
}

static void top_keys__what_is_nothing_or_too_long_is_passed_over(void **state)
{
    struct top_keys t;
    char name[TOP_KEYS_KEY_MAX + 1];
    const struct top_key *list[10];
    memset(name, 'x', sizeof(name));
    assert_true(top_keys_init(&t, 2));
    add(&t, "a", 0);
    top_keys_add(&t, strview_of(name, sizeof(name)), 1, 100);
    assert_int_equal(top_keys_list(&t, list, 10), 0);
    top_keys_add(&t, strview_of(name, sizeof(name) - 1), 1, 100);
    assert_int_equal(top_keys_list(&t, list, 10), 1);
    assert_int_equal(t.bytes, TOP_KEYS_KEY_MAX);
    top_keys_fini(&t);
}

/* Ten keys take half of the stream, two thousand the other half: the ten are found, and no key is
 * said to weigh more than it does. */
static void top_keys__heavy_keys_are_found_among_many(void **state)
{
    static uint64_t truth[2010];
    struct top_keys t;
    struct rng rng;
    const struct top_key *list[64];
    rng_init_seed(&rng, 3);
    assert_true(top_keys_init(&t, 100));
    for (int i = 0; i < 200000; i++) {
        char name[32];
        const bool is_hot = rng_below(&rng, 2) == 0;
        const unsigned key = (unsigned)(is_hot ? rng_below(&rng, 10) : 10 + rng_below(&rng, 2000));
        const uint64_t weight = 1 + rng_below(&rng, 100);
        snprintf(name, sizeof(name), "key:%u", key);
        add(&t, name, weight);
        truth[key] += weight;
    }
    const unsigned count = top_keys_list(&t, list, 64);
    assert_int_equal(count, 64);
    for (unsigned i = 0; i < count; i++) {
        char name[32] = "";
        unsigned key;
        memcpy(name, list[i]->name, list[i]->len);
        assert_int_equal(sscanf(name, "key:%u", &key), 1);
        assert_true(top_key_certain(list[i]) <= truth[key]);
        assert_true(list[i]->weight >= truth[key]);
        assert_true((i < 10) == (key < 10));
    }
    top_keys_fini(&t);
}

static void top_keys__without_memory(void **state)
{
    struct top_keys t;
    for (size_t good = 0; good < 2; good++) {
        fault_alloc_arm(good, 1);
        assert_false(top_keys_init(&t, 10));
        assert_true(fault_alloc_disarm());
    }
    assert_true(top_keys_init(&t, 10));
    fault_alloc_arm(0, 1);
    add(&t, "a", 1);
    assert_true(fault_alloc_disarm());
    assert_int_equal(t.count, 0);
    top_keys_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(top_keys__few_keys_are_exact),
        cmocka_unit_test(top_keys__the_lightest_makes_room),
        cmocka_unit_test(top_keys__what_is_nothing_or_too_long_is_passed_over),
        cmocka_unit_test(top_keys__heavy_keys_are_found_among_many),
        cmocka_unit_test(top_keys__without_memory),
    };
    return cmocka_run_group_tests_name("command/top_keys", tests, setup, NULL);
}
