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

#endif
