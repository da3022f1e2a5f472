/*
 * Which missing keys have been asked for often enough to be worth storing (option `admit`): a small
 * table of counters by hash. It may forget a key when another takes its place, so a key is at worst
 * stored a few misses later; it never stores one earlier but by a collision of 32-bit tags.
 */
#ifndef TARN_SOURCE_ADMISSION_H
#define TARN_SOURCE_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct admission {
    uint64_t *slots; /* owned; NULL until the first use */
};

void admission_fini(struct admission *a);

/* Counts a miss of the key with this hash. True: it was its n-th within a minute, or a later one,
 * or there is no memory to know. */
bool admission_count(struct admission *a, uint64_t hash, int64_t now_ms, int64_t n);

size_t admission_memory(const struct admission *a);

#endif
