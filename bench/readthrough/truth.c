#include "truth.h"

#include <stdlib.h>

bool truth_init(struct truth *t, uint64_t count)
{
    *t = (struct truth){.words = calloc(count, sizeof(*t->words)), .count = count};
    return t->words != NULL;
}

void truth_fini(struct truth *t)
{
    free(t->words);
    *t = (struct truth){.count = 0};
}

void truth_commit(struct truth *t, uint64_t key, uint64_t version, uint64_t now_us)
{
    uint64_t word = version << TRUTH_TIME_BITS | now_us;
    uint64_t known = atomic_load(&t->words[key]);
    while (known >> TRUTH_TIME_BITS < version &&
           !atomic_compare_exchange_weak(&t->words[key], &known, word)) {
    }
}

struct committed truth_read(const struct truth *t, uint64_t key)
{
    uint64_t word = atomic_load(&t->words[key]);
    return (struct committed){
        .version = word >> TRUTH_TIME_BITS,
        .at_us = word & ((UINT64_C(1) << TRUTH_TIME_BITS) - 1),
    };
}
