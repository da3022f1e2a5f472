/*
 * The two clocks of the operating system, read together.
 *
 * The monotonic time is CLOCK_BOOTTIME, which counts while the machine sleeps: a key that should
 * live ten minutes is gone after a night in suspend. A constant is added so that a machine (or a
 * time namespace) that has just started still gives a time above zero; zero is free to mean "never"
 * elsewhere.
 *
 * The two are a whole number of milliseconds apart, the same at every reading while nobody sets or
 * slews the clock. Rounding each by itself would make them a millisecond more or less apart from
 * one reading to the next, and a Unix time that a client sets would be another one when it asks.
 * The distance is rounded up: a key never has more time left than there is until the Unix time it
 * got.
 */
#include "tarn/base/clock.h"

#include <stdlib.h>
#include <time.h>

/* One second more than the system says. */
#define MONO_BASE_US INT64_C(1000000)

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    if (clock_gettime(id, &t) != 0) {
        abort(); /* no clock, no cache: only a broken sandbox does this */
    }
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void clock_update(struct clock *c)
{
    int64_t mono_us = clock_now_us();
    int64_t apart_us = read_us(CLOCK_REALTIME) - mono_us;
    *c = (struct clock){
        .mono_ms = mono_us / 1000,
        .wall_ms = mono_us / 1000 + (apart_us + 999) / 1000,
        .mono_us = mono_us,
    };
}

int64_t clock_now_us(void)
{
    return MONO_BASE_US + read_us(CLOCK_BOOTTIME);
}

uint64_t clock_now_ns(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0) {
        abort();
    }
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}
