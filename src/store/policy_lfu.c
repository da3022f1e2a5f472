/*
 * lfu: a clock over segments with a counter of eight bits that is halved at every pass, so that
 * what was used a hundred times long ago leaves after seven rounds without use.
 */
#include "store_private.h"

static enum verdict lfu_judge(struct store *s, struct candidate *c)
{
    (void)s;
    uint32_t freq = c->freq;
    c->freq = freq >> 1;
    return freq > 0 ? VERDICT_KEEP : VERDICT_DROP;
}

const struct policy policy_lfu = {
    .summary = "drops what is used least often",
    .shows_freq = true,
    .freq_max = POLICY_FREQ_MASK,
    .victim = policy_oldest_of_all,
    .judge = lfu_judge,
};
