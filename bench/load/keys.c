/*
 * Zipf numbers are drawn by rejection-inversion (Hörmann and Derflinger, 1996): invert the integral
 * of the density x^-e, round to a rank, and keep it when the point drawn lies under that rank's
 * step. It needs no table, whatever the number of keys, and hardly ever draws twice.
 */
#include "keys.h"

#include "tarn/base/compiler.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* A prime above KEYS_MAX, hence without a common factor with any number of keys. */
#define RANK_STEP UINT64_C(5700357409201400909)

double rng_fraction(struct rng *rng)
{
    return (double)(rng_next(rng) >> 11) * 0x1p-53;
}

static double density(const struct zipf *z, double x)
{
    return exp(-z->exponent * log(x));
}

/* The integral of the density from 1 to x; (x^(1-e) - 1) / (1 - e), which tends to log x. */
static double integral(const struct zipf *z, double x)
{
    double rest = 1 - z->exponent;
    return fabs(rest) < 1e-9 ? log(x) : expm1(rest * log(x)) / rest;
}

static double integral_inverse(const struct zipf *z, double y)
{
    double rest = 1 - z->exponent;
    return fabs(rest) < 1e-9 ? exp(y) : exp(log1p(fmax(y * rest, -1)) / rest);
}

void zipf_init(struct zipf *z, uint64_t n, double exponent)
{
    assert(n > 0 && exponent > 0);
    *z = (struct zipf){.n = (double)n, .exponent = exponent};
    z->integral_first = integral(z, 1.5) - 1;
    z->integral_last = integral(z, z->n + 0.5);
    z->shortcut = 2 - integral_inverse(z, integral(z, 2.5) - density(z, 2));
}

uint64_t zipf_draw(const struct zipf *z, struct rng *rng)
{
    for (;;) {
        double y = z->integral_last + rng_fraction(rng) * (z->integral_first - z->integral_last);
        double x = integral_inverse(z, y);
        double rank = fmin(fmax(floor(x + 0.5), 1), z->n);
        if (rank - x <= z->shortcut || y >= integral(z, rank + 0.5) - density(z, rank)) {
            return (uint64_t)rank - 1;
        }
    }
}

void key_space_init(struct key_space *s, enum key_distribution d, uint64_t count, double exponent)
{
    assert(count > 0 && count <= KEYS_MAX);
    *s = (struct key_space){.distribution = d, .count = count};
    if (d == KEYS_ZIPF) {
        zipf_init(&s->zipf, count, exponent);
    }
}

uint64_t key_of_rank(uint64_t rank, uint64_t count)
{
    return (uint64_t)((uint128)rank * RANK_STEP % count);
}

uint64_t key_space_next(struct key_space *s, struct rng *rng)
{
    switch (s->distribution) {
    case KEYS_ZIPF:
        return key_of_rank(zipf_draw(&s->zipf, rng), s->count);
    case KEYS_SEQUENTIAL:
        s->sequence = s->sequence + 1 < s->count ? s->sequence + 1 : 0;
        return s->sequence == 0 ? s->count - 1 : s->sequence - 1;
    case KEYS_UNIFORM:
        break;
    }
    return rng_below(rng, s->count);
}

void key_format(char *out, uint64_t key)
{
    memcpy(out, "key:", 4);
    for (int i = KEY_BYTES - 1; i >= 4; i--) {
        out[i] = (char)('0' + key % 10);
        key /= 10;
    }
}
