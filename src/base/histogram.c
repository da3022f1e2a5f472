/*
 * Buckets of the log-linear histogram.
 *
 * The first 128 buckets hold one value each. From there on a value's bucket is made of its highest
 * bit and the seven bits below it:
 *
 *     bucket = shift * 128 + (value >> shift)    with shift so that value >> shift is 128..255
 *
 * which continues the first row without a gap.
 */
#include "tarn/base/histogram.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

static size_t bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_CUTS) {
        return (size_t)value;
    }
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_CUTS_BITS;
    return (size_t)shift * HISTOGRAM_CUTS + (size_t)(value >> shift);
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_end(size_t bucket)
{
    if (bucket < (size_t)2 * HISTOGRAM_CUTS) {
        return bucket;
    }
    size_t shift = bucket / HISTOGRAM_CUTS - 1;
    return (((uint64_t)(bucket - shift * HISTOGRAM_CUTS) + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    h->count++;
    h->sum += value;
    h->max = value > h->max ? value : h->max;
    h->buckets[bucket_of(value < HISTOGRAM_VALUE_MAX ? value : HISTOGRAM_VALUE_MAX)]++;
}

void histogram_merge(struct histogram *h, const struct histogram *other)
{
    h->count += other->count;
    h->sum += other->sum;
    h->max = other->max > h->max ? other->max : h->max;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        h->buckets[i] += other->buckets[i];
    }
}

uint64_t histogram_quantile(const struct histogram *h, double fraction)
{
    assert(fraction >= 0 && fraction <= 1);
    uint64_t wanted = (uint64_t)ceil(fraction * (double)h->count);
    uint64_t seen = 0;
    wanted = wanted > 0 ? wanted : 1;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= wanted) {
            uint64_t end = bucket_end(i);
            return end < h->max ? end : h->max;
        }
    }
    return h->max;
}

double histogram_mean(const struct histogram *h)
{
    return h->count == 0 ? 0 : (double)h->sum / (double)h->count;
}

void histogram_reset(struct histogram *h)
{
    memset(h, 0, sizeof(*h));
}
