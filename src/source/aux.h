/*
 * What this layer keeps with each entry it wrote: STORE_AUX_BYTES, little endian.
 *
 *      0             2            6             11            16
 *     +-------------+------------+-------------+-------------+
 *     | flags, map  | epoch      | sent at, ms | life, ms    |
 *     +-------------+------------+-------------+-------------+
 *
 *  - flags: 4 bits, enum aux_flag; map: 12 bits, its index in order of configuration;
 *  - epoch: the map's when the query was sent; a later one means the entry was invalidated;
 *  - sent at: when the query was sent, monotonic: the age of the value counts from there;
 *  - life: from then on the value is good for so long. The store keeps the entry longer, through
 *    the windows in which an old value may be used.
 */
#ifndef TARN_SOURCE_AUX_H
#define TARN_SOURCE_AUX_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "tarn/store/store.h"

enum aux_flag {
    AUX_OWN_TTL = 1 << 0,  /* the row brought its own ttl: a lowered `ttl` does not touch it */
    AUX_NO_STALE = 1 << 1, /* changed in the database: not to be used beyond its life */
};

#define AUX_FLAG_BITS 4
#define AUX_MAP_BITS  12
#define AUX_TIME_BITS 40 /* 34 years of milliseconds */
#define AUX_TIME_MAX  ((INT64_C(1) << AUX_TIME_BITS) - 1)

static_assert(STORE_AUX_BYTES == 16, "two words hold it");
static_assert(AUX_FLAG_BITS + AUX_MAP_BITS + 32 + 2 * AUX_TIME_BITS == 128, "all bits are used");

struct aux {
    unsigned map, flags;
    uint32_t epoch;
    int64_t sent_ms, life_ms;
};

static inline void aux_encode(unsigned char out[STORE_AUX_BYTES], const struct aux *a)
{
    assert(a->sent_ms >= 0 && a->sent_ms <= AUX_TIME_MAX);
    assert(a->life_ms >= 0 && a->life_ms <= AUX_TIME_MAX);
    assert(a->map < 1u << AUX_MAP_BITS && a->flags < 1u << AUX_FLAG_BITS);
    const uint64_t words[2] = {a->flags | a->map << AUX_FLAG_BITS | (uint64_t)a->epoch << 16 |
                                   (uint64_t)a->sent_ms << 48,
                               (uint64_t)a->sent_ms >> 16 | (uint64_t)a->life_ms << 24};
    memcpy(out, words, STORE_AUX_BYTES);
}

static inline struct aux aux_decode(const unsigned char in[STORE_AUX_BYTES])
{
    uint64_t words[2];
    memcpy(words, in, STORE_AUX_BYTES);
    return (struct aux){
        .flags = (unsigned)words[0] & ((1u << AUX_FLAG_BITS) - 1),
        .map = (unsigned)(words[0] >> AUX_FLAG_BITS) & ((1u << AUX_MAP_BITS) - 1),
        .epoch = (uint32_t)(words[0] >> 16),
        .sent_ms = (int64_t)(words[0] >> 48 | (words[1] & 0xffffff) << 16),
        .life_ms = (int64_t)(words[1] >> 24),
    };
}

#endif
