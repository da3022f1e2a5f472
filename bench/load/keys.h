/*
 * Which keys are asked for. A key is a number below `count`; its text is "key:" and twelve digits,
 * so that every key has 16 bytes.
 */
#ifndef BENCH_LOAD_KEYS_H
#define BENCH_LOAD_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "tarn/base/hash.h"

#define KEY_BYTES 16
#define KEYS_MAX  UINT64_C(500000000000) /* half of what twelve digits hold: the rest are misses */

enum key_distribution { KEYS_UNIFORM, KEYS_ZIPF, KEYS_SEQUENTIAL };

/* Ranks 0..n-1 where rank r is drawn in proportion to 1 / (r + 1)^exponent. */
struct zipf {
    double n;
    double exponent;
    double integral_first, integral_last; /* of the density, over the first rank and over all */
    double shortcut;
};

/* n > 0, exponent > 0. */
void zipf_init(struct zipf *z, uint64_t n, double exponent);
uint64_t zipf_draw(const struct zipf *z, struct rng *rng);

/* Shared by all connections of a run. */
struct key_space {
    enum key_distribution distribution;
    uint64_t count;
    uint64_t sequence; /* the next key in sequence: each is given to one connection only */
    struct zipf zipf;
};

void key_space_init(struct key_space *s, enum key_distribution d, uint64_t count, double exponent);

/* The next key. `rng` is the caller's own, so that each connection has a stream of its own: equal
 * streams would keep keys cached that nobody else asked for. */
uint64_t key_space_next(struct key_space *s, struct rng *rng);

/* Where the popularity rank r of a Zipf distribution lies: a permutation of 0..count-1, so that
 * popular keys are not the ones that were written next to each other. */
uint64_t key_of_rank(uint64_t rank, uint64_t count);

/* Writes KEY_BYTES characters. */
void key_format(char *out, uint64_t key);

/* Uniform in [0, 1). */
double rng_fraction(struct rng *rng);

#endif
