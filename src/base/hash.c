/*
 * The keyed hash.
 *
 * XXH3 with a secret of our own: with a seed alone the library keys short inputs by its published
 * secret, so the secret is passed. For 1..8 bytes XXH3 is one xor with the secret and then a fixed,
 * invertible mixing, so the difference between two keys could be steered through it without knowing
 * the secret. A last multiplication by secret bits (`seed`, folded from both halves) takes that
 * away; it costs a nanosecond.
 *
 * The library is compiled in: the calls are short and most of their price would be the call.
 */
#include "tarn/base/hash.h"

#include <string.h>

#include "tarn/base/compiler.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(HASH_SECRET_BYTES >= XXH3_SECRET_SIZE_MIN, "XXH3 asks for this much secret");

void hash_key_init_random(struct hash_key *k)
{
    random_bytes(k->secret, sizeof(k->secret));
    random_bytes(&k->seed, sizeof(k->seed));
}

void hash_key_init_seed(struct hash_key *k, uint64_t seed)
{
    struct rng rng;
    rng_init_seed(&rng, seed);
    for (size_t i = 0; i < sizeof(k->secret); i += sizeof(uint64_t)) {
        uint64_t word = rng_next(&rng);
        memcpy(k->secret + i, &word, sizeof(word));
    }
    k->seed = rng_next(&rng);
}

uint64_t hash_bytes(const struct hash_key *k, struct strview v)
{
    uint64_t h = XXH3_64bits_withSecret(v.data, v.len, k->secret, sizeof(k->secret));
    return mul_fold_u64(h, k->seed | 1);
}
