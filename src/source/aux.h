/*
 * What this layer keeps with each entry it wrote: STORE_AUX_BYTES, little endian.
 *
 *      0     2       4            8                  14    16
 *     +-----+-------+------------+-------------------+-----+
 *     | map | flags | epoch      | sent at, ms        | 0   |
 *     +-----+-------+------------+-------------------+-----+
 *
 *  - map: index of the map in order of configuration;
 *  - flags: AUX_OWN_TTL: the row brought its own ttl, a lowered `ttl` of the map does not touch it;
 *  - epoch: the map's when the query was sent; a later one means the entry was invalidated;
 *  - sent at: when the query was sent, monotonic: the age of the value counts from there.
 */
#ifndef TARN_SOURCE_AUX_H
#define TARN_SOURCE_AUX_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "tarn/store/store.h"

#define AUX_OWN_TTL (1u << 0)

#define AUX_MAP_AT   0
#define AUX_FLAGS_AT 2
#define AUX_EPOCH_AT 4
#define AUX_SENT_AT  8
#define AUX_END_AT   14

#define AUX_SENT_MAX_MS ((INT64_C(1) << 48) - 1)

static_assert(AUX_END_AT <= STORE_AUX_BYTES, "the store keeps this many bytes for us");
static_assert(AUX_SENT_AT + 6 == AUX_END_AT, "the time of the query has 48 bits: 8900 years");

struct aux {
    uint16_t map;
    uint16_t flags;
    uint32_t epoch;
    int64_t sent_ms;
};

static inline void aux_put(unsigned char *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        at[i] = (unsigned char)(value >> (8 * i));
    }
}

static inline uint64_t aux_get(const unsigned char *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

static inline void aux_encode(unsigned char out[STORE_AUX_BYTES], const struct aux *a)
{
    assert(a->sent_ms >= 0 && a->sent_ms <= AUX_SENT_MAX_MS);
    memset(out, 0, STORE_AUX_BYTES);
    aux_put(out + AUX_MAP_AT, a->map, 2);
    aux_put(out + AUX_FLAGS_AT, a->flags, 2);
    aux_put(out + AUX_EPOCH_AT, a->epoch, 4);
    aux_put(out + AUX_SENT_AT, (uint64_t)a->sent_ms, 6);
}

static inline struct aux aux_decode(const unsigned char in[STORE_AUX_BYTES])
{
    return (struct aux){
        .map = (uint16_t)aux_get(in + AUX_MAP_AT, 2),
        .flags = (uint16_t)aux_get(in + AUX_FLAGS_AT, 2),
        .epoch = (uint32_t)aux_get(in + AUX_EPOCH_AT, 4),
        .sent_ms = (int64_t)aux_get(in + AUX_SENT_AT, 6),
    };
}

#endif
