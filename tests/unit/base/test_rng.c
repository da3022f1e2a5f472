/* Random numbers: repeatable by seed, even, within their bound. */
#include "tarn/base/hash.h"

#include "tarn/base/compiler.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void rng__repeats_by_seed(void **state)
{
    struct rng a;
    struct rng b;
    struct rng c;
    rng_init_seed(&a, 5);
    rng_init_seed(&b, 5);
    rng_init_seed(&c, 6);
    int same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = rng_next(&a);
        assert_true(x == rng_next(&b));
        same += x == rng_next(&c);
    }
    assert_int_equal(same, 0);
}

/* The first outputs of the reference implementation for the state 1, 2, 3, 4. */
static void rng__is_xoshiro256starstar(void **state)
{
    struct rng r = {.s = {1, 2, 3, 4}};
    static const uint64_t expected[] = {
        UINT64_C(11520),
        UINT64_C(0),
        UINT64_C(1509978240),
        UINT64_C(1215971899390074240),
        UINT64_C(1216172134540287360),
        UINT64_C(607988272756665600),
    };
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_true(rng_next(&r) == expected[i]);
    }
}

static void rng__zero_seed_is_a_seed_like_others(void **state)
{
    struct rng r;
    rng_init_seed(&r, 0);
    assert_true((r.s[0] | r.s[1] | r.s[2] | r.s[3]) != 0);
    assert_true(rng_next(&r) != rng_next(&r));
}

static void rng__below_stays_below(void **state)
{
    static const uint64_t bounds[] = {1,         2, 3, 7, 100, UINT32_MAX, (UINT64_C(1) << 63) + 1,
                                      UINT64_MAX};
    struct rng r;
    rng_init_seed(&r, 9);
    for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
        uint64_t seen_max = 0;
        for (int k = 0; k < 1000; k++) {
            uint64_t x = rng_below(&r, bounds[i]);
            assert_true(x < bounds[i]);
            seen_max = x > seen_max ? x : seen_max;
        }
        assert_true(seen_max >= bounds[i] / 2);
    }
}

static void rng__below_is_even(void **state)
{
    enum { BINS = 6, DRAWS = 60000 };
    unsigned bins[BINS] = {0};
    struct rng r;
    rng_init_seed(&r, 10);
    for (int i = 0; i < DRAWS; i++) {
        bins[rng_below(&r, BINS)]++;
    }
    for (int i = 0; i < BINS; i++) {
        assert_in_range(bins[i], DRAWS / BINS - 500, DRAWS / BINS + 500);
    }
}

static void rng__random_bytes_fill_all_they_should(void **state)
{
    unsigned char out[1024] = {0};
    random_bytes(out, 0);
    assert_int_equal(out[0], 0);
    random_bytes(out + 1, sizeof(out) - 2);
    assert_int_equal(out[0], 0);
    assert_int_equal(out[sizeof(out) - 1], 0);
    unsigned set = 0;
    for (size_t i = 0; i < sizeof(out); i++) {
        set += out[i] != 0;
    }
    assert_true(set > 900);
    struct rng a;
    struct rng b;
    rng_init_random(&a);
    rng_init_random(&b);
    assert_memory_not_equal(&a, &b, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rng__repeats_by_seed),
        cmocka_unit_test(rng__is_xoshiro256starstar),
        cmocka_unit_test(rng__zero_seed_is_a_seed_like_others),
        cmocka_unit_test(rng__below_stays_below),
        cmocka_unit_test(rng__below_is_even),
        cmocka_unit_test(rng__random_bytes_fill_all_they_should),
    };
    return cmocka_run_group_tests_name("base/rng", tests, NULL, NULL);
}
