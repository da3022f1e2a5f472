/*
 * How long to wait before a database is tried again: doubling, with some randomness, and longer
 * where it refuses the user, so that no account gets locked.
 */
#ifndef TARN_SOURCE_BACKOFF_H
#define TARN_SOURCE_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "tarn/base/hash.h"

#define BACKOFF_MIN_MS      100
#define BACKOFF_MAX_MS      250
#define BACKOFF_AUTH_MIN_MS 2000
#define BACKOFF_AUTH_MAX_MS 30000

/* Zeroed: the next wait is the shortest. */
struct backoff {
    int64_t ms;
};

static inline int64_t backoff_next(struct backoff *b, bool is_auth, struct rng *rng)
{
    const int64_t min_ms = is_auth ? BACKOFF_AUTH_MIN_MS : BACKOFF_MIN_MS;
    const int64_t max_ms = is_auth ? BACKOFF_AUTH_MAX_MS : BACKOFF_MAX_MS;
    b->ms = b->ms < min_ms ? min_ms : b->ms * 2;
    b->ms = b->ms > max_ms ? max_ms : b->ms;
    return b->ms + (int64_t)rng_below(rng, (uint64_t)b->ms / 5 + 1);
}

#endif
