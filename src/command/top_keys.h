/*
 * The heaviest of a stream of keys, in a bounded space. Private to the command layer.
 *
 * Space-Saving (Metwally, Agrawal, El Abbadi 2005): a fixed number of keys with their weights; one
 * that is not among them takes the place of the lightest and goes on from its weight, which is
 * noted as its error. A key that has more than 1/n of the whole weight is among the n, and its
 * weight less its error is certain.
 */
#ifndef TARN_COMMAND_TOP_KEYS_H
#define TARN_COMMAND_TOP_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"
#include "tarn/base/strview.h"

#define TOP_KEYS_MAX     1024
#define TOP_KEYS_KEY_MAX 1024 /* longer keys are not followed */
#define TOP_KEYS_BUCKETS 1024

struct top_key {
    uint64_t weight, error;
    uint64_t hash;
    char *name; /* owned */
    size_t len;
    unsigned next;    /* in its bucket: index + 1, 0 ends */
    unsigned heap_at; /* its place in `heap` */
};

struct top_keys {
    struct top_key *keys; /* owned, `cap` of them */
    unsigned *heap;       /* owned; indexes of keys, the lightest first */
    unsigned count, cap;
    unsigned buckets[TOP_KEYS_BUCKETS]; /* index + 1, 0: empty */
    size_t bytes;                       /* of names */
};

/* 1 <= cap <= TOP_KEYS_MAX. False without memory, with nothing held. */
bool top_keys_init(struct top_keys *t, unsigned cap) WARN_UNUSED;
/* Accepts a zeroed one. */
void top_keys_fini(struct top_keys *t);

/* `hash` is the same for the same key, and spreads. Without memory the weight is lost. */
void top_keys_add(struct top_keys *t, struct strview key, uint64_t hash, uint64_t weight);

static inline uint64_t top_key_certain(const struct top_key *k)
{
    return k->weight - k->error;
}

/* Fills `out` with up to `max` keys by their certain weight, the heaviest first;
 * returns their number. They are borrowed until the next call. */
unsigned top_keys_list(const struct top_keys *t, const struct top_key **out, unsigned max);

size_t top_keys_memory(const struct top_keys *t);

#endif
