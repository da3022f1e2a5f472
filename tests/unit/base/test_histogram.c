/* The histogram: exact where it says so, within its error elsewhere. */
#include "tarn/base/histogram.h"

#include "tarn/base/compiler.h"
#include "tarn/base/hash.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#define ERROR_MAX (1.0 / HISTOGRAM_CUTS)

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct histogram));
    return *state == NULL;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void histogram__empty_has_no_latency(void **state)
{
    struct histogram *h = *state;
    assert_true(histogram_quantile(h, 0.5) == 0);
    assert_true(histogram_quantile(h, 1) == 0);
    assert_true(histogram_mean(h) == 0);
}

static void histogram__one_value_is_every_quantile(void **state)
{
    struct histogram *h = *state;
    histogram_add(h, 123456789);
    assert_true(histogram_quantile(h, 0) == 123456789);
    assert_true(histogram_quantile(h, 0.5) == 123456789);
    assert_true(histogram_quantile(h, 1) == 123456789);
    assert_true(histogram_mean(h) == 123456789);
}

static void histogram__small_values_are_exact(void **state)
{
    struct histogram *h = *state;
    for (uint64_t v = 0; v < UINT64_C(2) * HISTOGRAM_CUTS; v++) {
        histogram_add(h, v);
    }
    for (uint64_t v = 0; v < UINT64_C(2) * HISTOGRAM_CUTS; v++) {
        double fraction = (double)(v + 1) / (2 * HISTOGRAM_CUTS);
        assert_true(histogram_quantile(h, fraction) == v);
    }
}

/* Around every power of two, where one row of buckets goes over into the next. */
static void histogram__values_are_known_within_the_error(void **state)
{
    struct histogram *h = *state;
    for (unsigned bit = 8; bit < 42; bit++) {
        for (int64_t d = -1; d <= 1; d++) {
            uint64_t v = (UINT64_C(1) << bit) + (uint64_t)d;
            if (v > HISTOGRAM_VALUE_MAX) {
                continue;
            }
            *h = (struct histogram){.count = 0};
            histogram_add(h, v);
            histogram_add(h,
                          HISTOGRAM_VALUE_MAX); /* so that `max` does not hide the bucket's end */
            uint64_t q = histogram_quantile(h, 0.5);
            assert_true(q >= v);
            assert_true((double)(q - v) <= (double)v * ERROR_MAX);
        }
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void histogram__quantiles_agree_with_sorting(void **state)
{
    enum { VALUES = 20000 };
    static const double fractions[] = {0.01, 0.5, 0.9, 0.99, 0.999, 0.9999};
    struct histogram *h = *state;
    uint64_t *values = calloc(VALUES, sizeof(values[0]));
    struct rng rng;
    rng_init_seed(&rng, 7);
    assert_non_null(values);
    for (size_t i = 0; i < VALUES; i++) {
        values[i] = rng_next(&rng) >> (24 + rng_below(&rng, 30));
        histogram_add(h, values[i]);
    }
    qsort(values, VALUES, sizeof(values[0]), compare);
    for (size_t i = 0; i < ARRAY_LEN(fractions); i++) {
        double exact = (double)values[(size_t)(fractions[i] * VALUES) - 1];
        double q = (double)histogram_quantile(h, fractions[i]);
        assert_true(q >= exact && q <= exact * (1 + ERROR_MAX) + 1);
    }
    assert_true(histogram_quantile(h, 1) == values[VALUES - 1]);
    free(values);
}

static void histogram__largest_value_is_exact_beyond_the_last_bucket(void **state)
{
    struct histogram *h = *state;
    histogram_add(h, 5);
    histogram_add(h, UINT64_MAX / 4);
    assert_true(h->max == UINT64_MAX / 4);
    assert_true(histogram_quantile(h, 1) == HISTOGRAM_VALUE_MAX);
    assert_true(h->count == 2);
}

static void histogram__merging_is_adding_all(void **state)
{
    struct histogram *all = *state;
    struct histogram *part = calloc(2, sizeof(part[0]));
    assert_non_null(part);
    for (uint64_t v = 1; v < 100000; v += 7) {
        histogram_add(all, v * v);
        histogram_add(&part[v % 2], v * v);
    }
    histogram_merge(&part[0], &part[1]);
    assert_memory_equal(all, &part[0], sizeof(*all));
    free(part);
}

static void histogram__reset_forgets_everything(void **state)
{
    struct histogram *h = *state;
    histogram_add(h, 77);
    histogram_reset(h);
    assert_true(h->count == 0 && h->sum == 0 && h->max == 0);
    assert_true(histogram_quantile(h, 1) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(histogram__empty_has_no_latency, setup, teardown),
        cmocka_unit_test_setup_teardown(histogram__one_value_is_every_quantile, setup, teardown),
        cmocka_unit_test_setup_teardown(histogram__small_values_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(histogram__values_are_known_within_the_error, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(histogram__quantiles_agree_with_sorting, setup, teardown),
        cmocka_unit_test_setup_teardown(histogram__largest_value_is_exact_beyond_the_last_bucket,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(histogram__merging_is_adding_all, setup, teardown),
        cmocka_unit_test_setup_teardown(histogram__reset_forgets_everything, setup, teardown),
    };
    return cmocka_run_group_tests_name("base/histogram", tests, NULL, NULL);
}
