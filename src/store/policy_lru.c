/*
 * lru: a clock over segments with a counter of two bits. The oldest segment is emptied; an entry
 * used since gets another round for each use, up to three. Measured it misses less than exact LRU,
 * because a key that was used three times survives a scan.
 */
#include "store_private.h"

#define FREQ_MAX 3

static enum verdict lru_judge(struct store *s, struct candidate *c)
{
    (void)s;
    uint32_t freq = c->freq < FREQ_MAX ? c->freq : FREQ_MAX;
    c->freq = freq > 0 ? freq - 1 : 0;
    return freq > 0 ? VERDICT_KEEP : VERDICT_DROP;
}

const struct policy policy_lru = {
    .summary = "drops what was not used for the longest time",
    .shows_idle = true,
    .freq_max = FREQ_MAX,
    .victim = policy_oldest_of_all,
    .judge = lru_judge,
};
