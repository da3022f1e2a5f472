/* Ghosts: what is remembered, for how long, and what is given up first. */
#include "src/store/ghost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static uint64_t hash_of(uint64_t n)
{
    n = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    n = (n ^ n >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return n ^ n >> 29;
}

static void ghost__is_found_once(void **state)
{
    (void)state;
    struct ghost g = {0};
    enum ghost_origin origin;
    uint64_t age;
    assert_false(ghost_take(&g, 1, &origin, &age)); /* without memory there are none */
    ghost_add(&g, 1, GHOST_FROM_SMALL);
    assert_true(ghost_fit(&g, 1000));
    ghost_add(&g, hash_of(1), GHOST_FROM_SMALL);
    ghost_add(&g, hash_of(2), GHOST_FROM_MAIN);
    assert_true(ghost_take(&g, hash_of(1), &origin, &age));
    assert_int_equal(origin, GHOST_FROM_SMALL);
    assert_int_equal(age, 1);
    assert_false(ghost_take(&g, hash_of(1), &origin, &age));
    assert_true(ghost_take(&g, hash_of(2), &origin, &age));
    assert_int_equal(origin, GHOST_FROM_MAIN);
    ghost_fini(&g);
}

static void ghost__the_latest_cacheful_is_remembered(void **state)
{
    (void)state;
    struct ghost g = {0};
    const uint64_t n = 20000;
    assert_true(ghost_fit(&g, n));
    for (uint64_t i = 0; i < 5 * n; i++) {
        ghost_add(&g, hash_of(i), GHOST_FROM_SMALL);
    }
    uint64_t found = 0, age_sum = 0;
    for (uint64_t i = 5 * n - n / 2; i < 5 * n; i++) {
        enum ghost_origin origin;
        uint64_t age;
        if (ghost_take(&g, hash_of(i), &origin, &age)) {
            found++;
            age_sum += age;
        }
    }
    assert_true(found > n / 2 * 95 / 100);
    assert_true(age_sum / found > n / 5 && age_sum / found < n / 3); /* n / 4 on average */
    ghost_fini(&g);
}

static void ghost__strangers_are_rarely_taken_for_one(void **state)
{
    (void)state;
    struct ghost g = {0};
    const uint64_t n = 20000;
    assert_true(ghost_fit(&g, n));
    for (uint64_t i = 0; i < 2 * n; i++) {
        ghost_add(&g, hash_of(i), GHOST_FROM_SMALL);
    }
    unsigned wrong = 0;
    for (uint64_t i = 0; i < n; i++) {
        enum ghost_origin origin;
        uint64_t age;
        wrong += ghost_take(&g, hash_of(1000000 + i), &origin, &age);
    }
    assert_true(wrong < n / 500);
    ghost_fini(&g);
}

static void ghost__follows_the_number_of_keys(void **state)
{
    (void)state;
    struct ghost g = {0};
    assert_true(ghost_fit(&g, 10000));
    size_t bytes = g.bytes;
    assert_int_equal(bytes, ghost_bytes_for(10000));
    assert_true(bytes < 10000 * 6);
    assert_true(ghost_fit(&g, 10500)); /* a little more does not cost the memory of them */
    assert_int_equal(g.bytes, bytes);
    assert_true(ghost_fit(&g, 20000));
    assert_true(g.bytes > bytes * 3 / 2);
    ghost_forget(&g);
    assert_int_equal(g.bytes, 0);
    assert_true(ghost_memory(&g) > bytes);
    while (ghost_work(&g, 4096)) {
    }
    assert_int_equal(ghost_memory(&g), 0);
    assert_true(ghost_fit(&g, 1000));
    assert_true(g.bytes < bytes);
    ghost_fini(&g);
}

static unsigned work(struct ghost *g)
{
    unsigned slices = 0;
    while (ghost_work(g, GHOST_AT_ONCE)) {
        slices++;
    }
    return slices;
}

static void ghost__many_come_and_go_in_slices(void **state)
{
    (void)state;
    struct ghost g = {0};
    const size_t keys = 1000000;
    assert_false(ghost_fit(&g, keys));
    ghost_add(&g, hash_of(1), GHOST_FROM_SMALL); /* not remembered: the memory is not ready */
    assert_true(work(&g) > 10);
    assert_true(ghost_fit(&g, keys));
    enum ghost_origin origin;
    uint64_t age;
    assert_false(ghost_take(&g, hash_of(1), &origin, &age));
    ghost_add(&g, hash_of(2), GHOST_FROM_SMALL);
    assert_true(ghost_take(&g, hash_of(2), &origin, &age));
    size_t bytes = g.bytes;
    assert_false(ghost_fit(&g, 10 * keys)); /* never the memory of both */
    assert_int_equal(ghost_memory(&g), bytes);
    assert_true(work(&g) > 10);
    assert_int_equal(ghost_memory(&g), 0);
    ghost_fini(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ghost__is_found_once),
        cmocka_unit_test(ghost__the_latest_cacheful_is_remembered),
        cmocka_unit_test(ghost__strangers_are_rarely_taken_for_one),
        cmocka_unit_test(ghost__follows_the_number_of_keys),
        cmocka_unit_test(ghost__many_come_and_go_in_slices),
    };
    return cmocka_run_group_tests_name("store/ghost", tests, NULL, NULL);
}
