/*
 * Random numbers: xoshiro256** (Blackman and Vigna, public domain) for everything that only has to
 * look random, getrandom(2) for everything that must not be guessed.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "tarn/base/compiler.h"
#include "tarn/base/hash.h"

void random_bytes(void *out, size_t len)
{
    unsigned char *p = out;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno != EINTR) {
            abort(); /* without a secret the index could be attacked: do not start */
        }
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

void rng_init_random(struct rng *r)
{
    do {
        random_bytes(r->s, sizeof(r->s));
    } while ((r->s[0] | r->s[1] | r->s[2] | r->s[3]) ==
             0); /* the one state that stays where it is */
}

/* Spreads a small seed over the whole state (splitmix64). */
void rng_init_seed(struct rng *r, uint64_t seed)
{
    for (size_t i = 0; i < ARRAY_LEN(r->s); i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        r->s[i] = z ^ (z >> 31);
    }
}

static uint64_t rotate_left(uint64_t x, unsigned n)
{
    return (x << n) | (x >> (64 - n));
}

uint64_t rng_next(struct rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* The upper half of a product is the number; products whose lower half falls into the short first
 * stripe are drawn again, which makes all numbers equally likely (Lemire). The division is rare. */
uint64_t rng_below(struct rng *r, uint64_t n)
{
    assert(n > 0);
    uint64_t x = rng_next(r);
    if (UNLIKELY(x * n < n)) {
        uint64_t stripe = (0 - n) % n;
        while (x * n < stripe) {
            x = rng_next(r);
        }
    }
    return mul_high_u64(x, n);
}
