/*
 * What is known of every key: the latest version whose COMMIT returned to its writer, and when;
 * what the cache has been told; since when the cache must have a value. Threads share it without a
 * lock: a version and its time are one word, and a word only ever grows.
 */
#ifndef BENCH_READTHROUGH_TRUTH_H
#define BENCH_READTHROUGH_TRUTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Microseconds since the start, twelve days of them; 24 bits of version above. */
#define TRUTH_TIME_BITS 40

struct fact {
    _Atomic uint64_t committed;  /* version and time */
    _Atomic uint64_t told;       /* the version the cache was last told of by a client */
    _Atomic uint64_t touched_us; /* when the latest write began or ended, whatever came of it */
    _Atomic uint64_t loaded_us;  /* began the latest read whose value the cache must have kept */
};

struct truth {
    struct fact *facts; /* owned */
};

/* False when memory is short. */
bool truth_init(struct truth *t, uint64_t count);
void truth_fini(struct truth *t);

void truth_commit(struct truth *t, uint64_t key, uint64_t version, uint64_t now_us);

struct committed {
    uint64_t version; /* 0: nothing was written since the start */
    uint64_t at_us;
};
struct committed truth_read(const struct truth *t, uint64_t key);

/* Stores the larger one. */
void truth_raise(_Atomic uint64_t *word, uint64_t value);

/* Must the cache, empty at `since_us`, have had a value of this key ever since it was read? */
bool truth_is_cached(const struct truth *t, uint64_t key, uint64_t since_us);

#endif
