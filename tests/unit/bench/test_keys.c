/* The key generators: each distribution has its shape, and connections have their own streams. */
#include "keys.h"

#include "tarn/base/compiler.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#define DRAWS 400000

/* A count this far from its expectation (in standard deviations) is no chance. */
#define SIGMAS 5.0

static void assert_likely(uint64_t seen, double probability)
{
    double expected = probability * DRAWS;
    double sigma = sqrt(expected * (1 - probability));
    assert_true(fabs((double)seen - expected) <= SIGMAS * sigma + 1);
}

static void keys__uniform_is_even(void **state)
{
    enum { COUNT = 64 };
    uint64_t seen[COUNT] = {0};
    struct key_space s;
    struct rng rng;
    key_space_init(&s, KEYS_UNIFORM, COUNT, 0);
    rng_init_seed(&rng, 3);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t key = key_space_next(&s, &rng);
        assert_true(key < COUNT);
        seen[key]++;
    }
    for (size_t k = 0; k < COUNT; k++) {
        assert_likely(seen[k], 1.0 / COUNT);
    }
}

/* Every rank is drawn as often as the formula says, for exponents on either side of 1 and 1. */
static void keys__zipf_ranks_follow_the_formula(void **state)
{
    enum { COUNT = 50 };
    static const double exponents[] = {0.5, 0.99, 1.0, 1.3, 2.5};
    for (size_t e = 0; e < ARRAY_LEN(exponents); e++) {
        uint64_t seen[COUNT] = {0};
        double sum = 0;
        struct zipf z;
        struct rng rng;
        zipf_init(&z, COUNT, exponents[e]);
        rng_init_seed(&rng, 11 + e);
        for (int i = 0; i < DRAWS; i++) {
            uint64_t rank = zipf_draw(&z, &rng);
            assert_true(rank < COUNT);
            seen[rank]++;
        }
        for (size_t r = 0; r < COUNT; r++) {
            sum += pow((double)(r + 1), -exponents[e]);
        }
        for (size_t r = 0; r < COUNT; r++) {
            assert_likely(seen[r], pow((double)(r + 1), -exponents[e]) / sum);
        }
    }
}

static void keys__zipf_of_many_stays_in_range(void **state)
{
    struct zipf z;
    struct rng rng;
    uint64_t largest = 0;
    zipf_init(&z, KEYS_MAX, 0.99);
    rng_init_seed(&rng, 5);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t rank = zipf_draw(&z, &rng);
        assert_true(rank < KEYS_MAX);
        largest = rank > largest ? rank : largest;
    }
    assert_true(largest > KEYS_MAX / 10);
}

static void keys__zipf_of_one_key_is_that_key(void **state)
{
    struct zipf z;
    struct rng rng;
    zipf_init(&z, 1, 0.99);
    rng_init_seed(&rng, 5);
    for (int i = 0; i < 100; i++) {
        assert_true(zipf_draw(&z, &rng) == 0);
    }
}

static void keys__ranks_are_permuted(void **state)
{
    static const uint64_t counts[] = {1, 2, 10, 4096, 99991, 100000};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        unsigned char *seen = calloc(counts[i], 1);
        assert_non_null(seen);
        for (uint64_t r = 0; r < counts[i]; r++) {
            uint64_t key = key_of_rank(r, counts[i]);
            assert_true(key < counts[i] && !seen[key]);
            seen[key] = 1;
        }
        free(seen);
    }
}

static void keys__sequential_gives_each_key_once_per_round(void **state)
{
    enum { COUNT = 1000 };
    struct key_space s;
    struct rng rng;
    key_space_init(&s, KEYS_SEQUENTIAL, COUNT, 0);
    rng_init_seed(&rng, 1);
    for (uint64_t i = 0; i < UINT64_C(3) * COUNT; i++) {
        assert_true(key_space_next(&s, &rng) == i % COUNT);
    }
}

static void keys__streams_of_different_seeds_are_distinct(void **state)
{
    struct key_space s;
    struct rng a;
    struct rng b;
    int same = 0;
    key_space_init(&s, KEYS_UNIFORM, 1000000, 0);
    rng_init_seed(&a, 1);
    rng_init_seed(&b, 2);
    for (int i = 0; i < 1000; i++) {
        same += key_space_next(&s, &a) == key_space_next(&s, &b);
    }
    assert_true(same < 5);
}

static void keys__text_has_a_fixed_length(void **state)
{
    char text[KEY_BYTES];
    key_format(text, 0);
    assert_memory_equal(text, "key:000000000000", KEY_BYTES);
    key_format(text, 123456789);
    assert_memory_equal(text, "key:000123456789", KEY_BYTES);
    key_format(text, 2 * KEYS_MAX - 1);
    assert_memory_equal(text, "key:999999999999", KEY_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys__uniform_is_even),
        cmocka_unit_test(keys__zipf_ranks_follow_the_formula),
        cmocka_unit_test(keys__zipf_of_many_stays_in_range),
        cmocka_unit_test(keys__zipf_of_one_key_is_that_key),
        cmocka_unit_test(keys__ranks_are_permuted),
        cmocka_unit_test(keys__sequential_gives_each_key_once_per_round),
        cmocka_unit_test(keys__streams_of_different_seeds_are_distinct),
        cmocka_unit_test(keys__text_has_a_fixed_length),
    };
    return cmocka_run_group_tests_name("bench/keys", tests, NULL, NULL);
}
