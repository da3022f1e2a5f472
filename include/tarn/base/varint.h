/*
 * Lengths in as few bytes as they need: 7 bits per byte, low bits first, the high bit says "more".
 * For memory of our own only: readers trust what they read.
 */
#ifndef TARN_BASE_VARINT_H
#define TARN_BASE_VARINT_H

#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"

/* Of lengths below 2^35. */
#define VARINT_BYTES_MAX 5

static inline size_t varint_bytes(size_t n)
{
    return n < (1u << 7) ? 1 : n < (1u << 14) ? 2 : n < (1u << 21) ? 3 : n < (1u << 28) ? 4 : 5;
}

/* Returns the place behind the number. */
static inline const unsigned char *varint_read(const unsigned char *p, size_t *out)
{
    size_t n = *p & 0x7f;
    unsigned shift = 7;
    while (UNLIKELY(*p++ & 0x80)) {
        n |= (size_t)(*p & 0x7f) << shift;
        shift += 7;
    }
    *out = n;
    return p;
}

/* Writes varint_bytes(n) bytes; returns the place behind them. */
static inline unsigned char *varint_write(unsigned char *p, size_t n)
{
    while (n >= 0x80) {
        *p++ = (unsigned char)(n | 0x80);
        n >>= 7;
    }
    *p++ = (unsigned char)n;
    return p;
}

#endif
