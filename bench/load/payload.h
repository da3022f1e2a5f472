/*
 * The values: what a key holds follows from the key alone, so every reply can be checked without
 * remembering what was written. A value is a slice of one block of noise.
 */
#ifndef BENCH_LOAD_PAYLOAD_H
#define BENCH_LOAD_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/strview.h"

#define PAYLOAD_BYTES_MAX ((size_t)64 << 20)

struct payload {
    char *noise; /* owned */
    size_t min, max;
};

/* Values of min..max bytes, evenly spread over the keys. False without memory. */
bool payload_init(struct payload *p, size_t min, size_t max);
void payload_fini(struct payload *p);

/* The value of a key, valid as long as the payload. */
struct strview payload_of(const struct payload *p, uint64_t key);

#endif
