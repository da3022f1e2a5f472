/*
 * Ghosts: fingerprints of keys that were evicted, so that a policy sees which of its decisions it
 * has to regret. Private to the store.
 *
 * Buckets of 16 cells in one cache line, any number of buckets:
 *
 *      31       30 ........... 16   15 ........... 0
 *     +--------+------------------+-----------------+
 *     | origin | fingerprint      | epoch           |     0: empty
 *     +--------+------------------+-----------------+
 *
 * The epoch is the number of evictions of the same origin at that time, in units, modulo 2^16. A
 * full bucket gives up the cell that is nearest to being forgotten anyway.
 */
#ifndef TARN_STORE_GHOST_H
#define TARN_STORE_GHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Evictions from the main queue are remembered for a part of the time of those from the small one.
 */
#define GHOST_MAIN_PART 4

enum ghost_origin { GHOST_FROM_MAIN, GHOST_FROM_SMALL, GHOST_ORIGINS };

struct ghost {
    uint32_t *cells; /* owned; NULL while there is none */
    size_t buckets;
    size_t bytes;
    size_t keys;                      /* cached keys it was sized for */
    uint64_t unit;                    /* evictions per epoch */
    uint32_t epoch[GHOST_ORIGINS];    /* modulo 2^16; counted, because dividing for each cell and
                                         ghost took a tenth of a SET under eviction */
    uint64_t in_epoch[GHOST_ORIGINS]; /* evictions in it so far */
    size_t ready; /* bytes whose pages are there; nothing is remembered before all are */
    void *waste;  /* owned: cells that are forgotten and go back to the system in slices */
    size_t waste_bytes;
};

void ghost_fini(struct ghost *g);

/* Forgets all, at once; the memory goes with ghost_work(). */
void ghost_forget(struct ghost *g);
/* Upkeep of about so many bytes: gives forgotten cells back, touches the pages of fresh ones. True
 * when there is more. */
bool ghost_work(struct ghost *g, size_t bytes);

/* Bytes it holds. */
static inline size_t ghost_memory(const struct ghost *g)
{
    return g->bytes + g->waste_bytes;
}

/* What ghost_fit() will take for a number of cached keys. */
size_t ghost_bytes_for(size_t keys);

/* Makes it fit a number of cached keys; forgets everything when its size has to change. False: no
 * memory, or ghost_work() is to be done first: more than GHOST_AT_ONCE bytes are not given back or
 * touched in one call. */
#define GHOST_AT_ONCE (256u * 1024)
bool ghost_fit(struct ghost *g, size_t keys);

/* Asks for the memory that ghost_add() and ghost_take() will look at. */
void ghost_prefetch(const struct ghost *g, uint64_t hash);

void ghost_add(struct ghost *g, uint64_t hash, enum ghost_origin origin);

/* Finds and removes a ghost. *age: evictions of that origin since. */
bool ghost_take(struct ghost *g, uint64_t hash, enum ghost_origin *origin, uint64_t *age);

#endif
