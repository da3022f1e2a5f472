/* The histogram of load times. */
#include "src/source/latency.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void latency__is_zero_when_empty(void **state)
{
    (void)state;
    struct latency l = {0};
    assert_int_equal(latency_quantile(&l, 50), 0);
}

static void latency__quantiles_are_near(void **state)
{
    (void)state;
    struct latency l = {0};
    for (int64_t us = 1; us <= 100000; us++) {
        latency_add(&l, us);
    }
    assert_in_range(latency_quantile(&l, 50), 50000 * 7 / 8, 50000 * 9 / 8);
    assert_in_range(latency_quantile(&l, 99), 99000 * 7 / 8, 99000 * 9 / 8);
}

static void latency__takes_any_number(void **state)
{
    (void)state;
    for (int power = 0; power < 63; power++) {
        struct latency l = {0};
        int64_t us = INT64_C(1) << power;
        latency_add(&l, us);
        int64_t got = latency_quantile(&l, 99);
        assert_true(got >= us);
        assert_true(got - us <= us / 8);
    }
    struct latency l = {0};
    latency_add(&l, INT64_MAX);
    latency_add(&l, -5);
    assert_int_equal(latency_quantile(&l, 0), 0);
    assert_int_equal(l.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latency__is_zero_when_empty),
        cmocka_unit_test(latency__quantiles_are_near),
        cmocka_unit_test(latency__takes_any_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
