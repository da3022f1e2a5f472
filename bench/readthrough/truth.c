#include "truth.h"

#include <stdlib.h>

bool truth_init(struct truth *t, uint64_t count)
{
    *t = (struct truth){.facts = calloc(count, sizeof(*t->facts))};
    return t->facts != NULL;
}

void truth_fini(struct truth *t)
{
    free(t->facts);
    *t = (struct truth){0};
}

void truth_commit(struct truth *t, uint64_t key, uint64_t version, uint64_t now_us)
{
    _Atomic uint64_t *at = &t->facts[key].committed;
    uint64_t word = version << TRUTH_TIME_BITS | now_us;
    uint64_t known = atomic_load(at);
    while (known >> TRUTH_TIME_BITS < version && !atomic_compare_exchange_weak(at, &known, word)) {
    }
}

struct committed truth_read(const struct truth *t, uint64_t key)
{
    uint64_t word = atomic_load(&t->facts[key].committed);
    return (struct committed){
        .version = word >> TRUTH_TIME_BITS,
        .at_us = word & ((UINT64_C(1) << TRUTH_TIME_BITS) - 1),
    };
}

void truth_raise(_Atomic uint64_t *word, uint64_t value)
{
    uint64_t known = atomic_load(word);
    while (known < value && !atomic_compare_exchange_weak(word, &known, value)) {
    }
}

bool truth_is_cached(const struct truth *t, uint64_t key, uint64_t since_us)
{
    const struct fact *f = &t->facts[key];
    uint64_t loaded_us = atomic_load(&f->loaded_us);
    return loaded_us > since_us && atomic_load(&f->touched_us) < loaded_us;
}
