/*
 * The checksum of Redis's dumps: CRC-64 by Jones's polynomial, bits reversed, beginning with 0.
 */
#ifndef TARN_BASE_CRC64_H
#define TARN_BASE_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what `crc` is the checksum of (0: of nothing) with these bytes behind it. */
uint64_t crc64(uint64_t crc, const void *data, size_t len);

#endif
