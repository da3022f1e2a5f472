/*
 * Log-linear histogram of times: every power of two is cut into 128 equal buckets, so that a value
 * is known to within 0.8 % from nanoseconds to an hour, at a fixed size and without an allocation.
 * Adding a value touches two cache lines.
 */
#ifndef TARN_BASE_HISTOGRAM_H
#define TARN_BASE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_CUTS_BITS 7
#define HISTOGRAM_CUTS      (1 << HISTOGRAM_CUTS_BITS)
/* Larger values are counted as this one (73 minutes in nanoseconds); `max` stays exact. */
#define HISTOGRAM_VALUE_MAX ((UINT64_C(1) << 42) - 1)
#define HISTOGRAM_BUCKETS   ((42 - HISTOGRAM_CUTS_BITS + 1) * HISTOGRAM_CUTS)

struct histogram {
    uint64_t count;
    uint64_t sum; /* exact, for the mean */
    uint64_t max; /* exact */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* A zeroed histogram is an empty one. */
void histogram_add(struct histogram *h, uint64_t value);

/* Adds all that `other` holds. */
void histogram_merge(struct histogram *h, const struct histogram *other);

/* The value that `fraction` (0..1) of all values do not exceed: the upper end of its bucket, and
 * never above the largest value seen. 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, double fraction);

double histogram_mean(const struct histogram *h);

/* Forgets all values. */
void histogram_reset(struct histogram *h);

#endif
