/*
 * What the database is known to have committed: per key the latest version whose COMMIT returned to
 * its writer, and when. Threads share it without a lock: a version and its time are one word, and a
 * word only ever grows.
 */
#ifndef BENCH_READTHROUGH_TRUTH_H
#define BENCH_READTHROUGH_TRUTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Microseconds since the start, twelve days of them; 24 bits of version above. */
#define TRUTH_TIME_BITS 40

struct truth {
    _Atomic uint64_t *words; /* owned */
    uint64_t count;
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

#endif
