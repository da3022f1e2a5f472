/*
 * Time as the server sees it: read once per loop turn, kept in a struct, handed down by pointer.
 * Tests fill the struct themselves; nothing below net calls the operating system for time.
 *
 * Deadlines and TTLs live on `mono_ms`, which no change of the wall clock moves and which goes on
 * while the machine is suspended (CLOCK_BOOTTIME). Absolute times from clients (EXAT, PXAT,
 * EXPIREAT) are turned into mono_ms when the command runs.
 */
#ifndef TARN_BASE_CLOCK_H
#define TARN_BASE_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t mono_ms; /* > 0, never goes back */
    int64_t wall_ms; /* Unix time */
    int64_t mono_us; /* the same moment as mono_ms, finer */
};

/* Reads the operating system's clocks (vDSO, about 40 ns). */
void clock_update(struct clock *c);

/* Microseconds on the monotonic clock, read now: for measuring how long something took. */
int64_t clock_now_us(void);

/* Nanoseconds of a clock that only moves forward; its zero means nothing. */
uint64_t clock_now_ns(void);

/* Unix milliseconds -> the monotonic time at which they will be reached, and back. */
static inline int64_t clock_mono_from_wall(const struct clock *c, int64_t wall_ms)
{
    return wall_ms - c->wall_ms + c->mono_ms;
}

static inline int64_t clock_wall_from_mono(const struct clock *c, int64_t mono_ms)
{
    return mono_ms - c->mono_ms + c->wall_ms;
}

#endif
