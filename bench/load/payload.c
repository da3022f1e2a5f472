/* Noise is printable, so that a value can be looked at; slices start at one of 64 Ki places. */
#include "payload.h"

#include "tarn/base/compiler.h"
#include "tarn/base/hash.h"

#include <assert.h>
#include <stdlib.h>

#define STARTS ((size_t)1 << 16)
#define MIX_A  UINT64_C(0x9e3779b97f4a7c15)
#define MIX_B  UINT64_C(0xd6e8feb86659fd93)

bool payload_init(struct payload *p, size_t min, size_t max)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert(min <= max && max <= PAYLOAD_BYTES_MAX);
    size_t len = STARTS + max;
    struct rng rng;
    *p = (struct payload){.noise = malloc(len), .min = min, .max = max};
    if (p->noise == NULL) {
        return false;
    }
    rng_init_seed(&rng, 1);
    for (size_t i = 0; i < len; i++) {
        p->noise[i] = letters[rng_next(&rng) >> 58];
    }
    return true;
}

void payload_fini(struct payload *p)
{
    free(p->noise);
    *p = (struct payload){.noise = NULL};
}

struct strview payload_of(const struct payload *p, uint64_t key)
{
    uint64_t mixed = mul_fold_u64(key ^ MIX_A, MIX_B);
    size_t spread = p->max - p->min + 1;
    return strview_of(p->noise + mixed % STARTS, p->min + (size_t)(mixed >> 16) % spread);
}
