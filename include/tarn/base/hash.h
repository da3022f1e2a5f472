/*
 * The keyed hash of the index: XXH3 (libxxhash) over a secret drawn at start, so that no client can
 * choose keys that collide. The secret never leaves the process.
 */
#ifndef TARN_BASE_HASH_H
#define TARN_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "tarn/base/strview.h"

#define HASH_SECRET_BYTES 192

struct hash_key {
    unsigned char secret[HASH_SECRET_BYTES];
    uint64_t seed;
};

/* Fills the key from the operating system's random source; aborts when there is none. */
void hash_key_init_random(struct hash_key *k);

/* A fixed key derived from `seed`: for tests and benches that must repeat. */
void hash_key_init_seed(struct hash_key *k, uint64_t seed);

uint64_t hash_bytes(const struct hash_key *k, struct strview v);

/* xoshiro256** seeded from the operating system or by hand: for sampling, jitter and RANDOMKEY; not
 * for secrets. */
struct rng {
    uint64_t s[4];
};
void rng_init_random(struct rng *r);
void rng_init_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);

/* Uniform in [0, n); n > 0. */
uint64_t rng_below(struct rng *r, uint64_t n);

/* Fills from getrandom(2): run ids, secrets. */
void random_bytes(void *out, size_t len);

#endif
