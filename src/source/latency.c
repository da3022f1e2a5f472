/*
 * Buckets: 0..3 count exactly these microseconds, then each power of two is split into four.
 */
#include "latency.h"

static unsigned bucket_of(uint64_t us)
{
    if (us < 4) {
        return (unsigned)us;
    }
    unsigned power = 63;
    while ((us >> power) == 0) {
        power--;
    }
    return (power - 1) * 4 + (unsigned)(us >> (power - 2) & 3);
}

/* The middle of a bucket. */
static int64_t bucket_value(unsigned bucket)
{
    if (bucket < 4) {
        return bucket;
    }
    unsigned power = bucket / 4 + 1;
    uint64_t width = UINT64_C(1) << (power - 2);
    uint64_t low = (4 + (uint64_t)(bucket % 4)) * width;
    return (int64_t)(low + width / 2);
}

void latency_add(struct latency *l, int64_t us)
{
    l->count++;
    l->buckets[bucket_of(us > 0 ? (uint64_t)us : 0)]++;
}

int64_t latency_quantile(const struct latency *l, unsigned percent)
{
    uint64_t rank = l->count / 100 * percent + l->count % 100 * percent / 100;
    uint64_t seen = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS && l->count > 0; i++) {
        seen += l->buckets[i];
        if (seen > rank || seen == l->count) {
            return bucket_value(i);
        }
    }
    return 0;
}

uint64_t latency_count(const struct latency *l, uint64_t us)
{
    uint64_t count = 0;
    const unsigned end = us == UINT64_MAX ? LATENCY_BUCKETS : bucket_of(us + 1);
    for (unsigned i = 0; i < end; i++) {
        count += l->buckets[i];
    }
    return count;
}
