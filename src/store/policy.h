/*
 * What an eviction policy decides, and nothing else: which queue a new entry goes to, how far the
 * use counter of a slot counts, which segment is emptied next, and what becomes of each live entry
 * there. It is not asked about entries that are marked to leave first: they have a queue of their
 * own, which is emptied before any other. Private to the store.
 *
 * The 24 policy bits of a slot mean the same under every policy, so that a switch at run time
 * re-reads them sensibly:
 *
 *      bits 8..23: time of the latest use, seconds, modulo 2^16 (OBJECT IDLETIME)
 *      bits 0..7:  use counter (OBJECT FREQ); a hit adds one up to the policy's `freq_max`, the
 * reclaimer takes it down
 *
 * A policy that counts to 3 reads a higher counter as 3. A policy is one file with one `const
 * struct policy` and rows in policies.def.
 */
#ifndef TARN_STORE_POLICY_H
#define TARN_STORE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segment.h"

struct store;

#define POLICY_FREQ_BITS 8
#define POLICY_FREQ_MASK 0xffu
#define POLICY_TIME_MASK 0xffffu

static inline uint32_t policy_bits_make(uint32_t time_s, uint32_t freq)
{
    return (time_s & POLICY_TIME_MASK) << POLICY_FREQ_BITS | freq;
}

static inline uint32_t policy_freq(uint32_t bits)
{
    return bits & POLICY_FREQ_MASK;
}

static inline uint32_t policy_time(uint32_t bits)
{
    return bits >> POLICY_FREQ_BITS;
}

/* The bits after a use. */
static inline uint32_t policy_touch(uint32_t bits, uint32_t time_s, uint32_t freq_max)
{
    uint32_t freq = policy_freq(bits);
    return policy_bits_make(time_s, freq < freq_max ? freq + 1 : freq);
}

/* An entry before the policy: one that is to be inserted, or a live one in a segment that is
 * emptied. */
struct candidate {
    uint64_t hash;
    size_t bytes;             /* with its large block */
    uint32_t freq;            /* judge: in and out */
    enum segment_queue queue; /* judge: in and out */
};

enum verdict { VERDICT_DROP, VERDICT_KEEP };

struct policy {
    const char *summary;
    uint32_t freq_max;
    bool never_evicts;
    bool has_ghosts; /* remembers what was evicted */
    bool shows_idle; /* OBJECT IDLETIME means something to people under this policy */
    bool shows_freq; /* OBJECT FREQ does */
    /* Queue of an entry whose key is absent. NULL: the main queue. */
    enum segment_queue (*place)(struct store *s, const struct candidate *c);
    /* The segment to empty next, SEGMENT_NONE when there is none. */
    uint32_t (*victim)(struct store *s);
    enum verdict (*judge)(struct store *s, struct candidate *c);
    /* Told of every entry it dropped. May be NULL. */
    void (*evicted)(struct store *s, const struct candidate *c);
};

struct policy_row {
    const char *name;
    const struct policy *policy;
    bool volatile_only; /* entries without expiry are always kept */
};

extern const struct policy_row policy_rows[];
size_t policy_row_count(void);

extern const struct policy policy_none, policy_fifo, policy_lru, policy_lfu, policy_random,
    policy_ttl, policy_adaptive;

/* The evictable segment of the queue that was opened first; a head that is older than all sealed
 * ones is sealed and taken. SEGMENT_NONE: nothing there. */
uint32_t policy_oldest(struct store *s, enum segment_queue queue);
/* The same over both queues. */
uint32_t policy_oldest_of_all(struct store *s);
/* A certain segment, sealed if need be; SEGMENT_NONE when it may not be emptied now. */
uint32_t policy_claim(struct store *s, uint32_t id);

#endif
