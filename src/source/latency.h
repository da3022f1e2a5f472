/*
 * A histogram of durations: four buckets per power of two, so a quantile is right within an eighth.
 */
#ifndef TARN_SOURCE_LATENCY_H
#define TARN_SOURCE_LATENCY_H

#include <stdint.h>

#define LATENCY_BUCKETS 256

struct latency {
    uint64_t count;
    uint64_t buckets[LATENCY_BUCKETS];
};

void latency_add(struct latency *l, int64_t us);

/* The duration that `percent` of all did not exceed; 0 when there is none. */
int64_t latency_quantile(const struct latency *l, unsigned percent);

/* How many were not longer than `us`, to the precision of the buckets; UINT64_MAX: all. */
uint64_t latency_count(const struct latency *l, uint64_t us);

#endif
