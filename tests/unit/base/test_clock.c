/* The clocks: above zero, never backwards, and the way between wall and monotonic time. */
#include "tarn/base/clock.h"

#include <time.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void clock__is_above_zero_and_never_goes_back(void **state)
{
    struct clock before;
    clock_update(&before);
    assert_true(before.mono_ms > 0);
    for (int i = 0; i < 10000; i++) {
        struct clock now;
        clock_update(&now);
        assert_true(now.mono_ms >= before.mono_ms);
        assert_true(now.mono_us >= before.mono_us);
        assert_true(now.mono_ms == now.mono_us / 1000);
        before = now;
    }
    assert_true(clock_now_us() >= before.mono_us);
}

static void clock__wall_time_is_unix_time(void **state)
{
    struct clock c;
    int64_t before = (int64_t)time(NULL);
    clock_update(&c);
    int64_t after = (int64_t)time(NULL);
    /* time() may lag by a tick of the kernel's coarse clock. */
    assert_true(c.wall_ms / 1000 >= before);
    assert_true(c.wall_ms / 1000 <= after + 1);
}

static void clock__converts_deadlines_both_ways(void **state)
{
    struct clock c = {.mono_ms = 5000, .wall_ms = INT64_C(1700000000000), .mono_us = 5000000};
    assert_true(clock_mono_from_wall(&c, c.wall_ms) == 5000);
    assert_true(clock_mono_from_wall(&c, c.wall_ms + 250) == 5250);
    assert_true(clock_mono_from_wall(&c, 0) < 0); /* long ago */
    assert_true(clock_wall_from_mono(&c, 5250) == c.wall_ms + 250);
    for (int64_t t = -3; t <= 3; t++) {
        assert_true(clock_wall_from_mono(&c, clock_mono_from_wall(&c, t)) == t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock__is_above_zero_and_never_goes_back),
        cmocka_unit_test(clock__wall_time_is_unix_time),
        cmocka_unit_test(clock__converts_deadlines_both_ways),
    };
    return cmocka_run_group_tests_name("base/clock", tests, NULL, NULL);
}
