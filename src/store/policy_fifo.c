/* fifo: the oldest segment leaves with all that is in it. Nothing is copied; what is used often
 * leaves like the rest. */
#include "store_private.h"

static enum verdict fifo_judge(struct store *s, struct candidate *c)
{
    (void)s;
    (void)c;
    return VERDICT_DROP;
}

const struct policy policy_fifo = {
    .summary = "drops the oldest entries, whatever their use",
    .shows_idle = true,
    .freq_max = 3,
    .victim = policy_oldest_of_all,
    .judge = fifo_judge,
};
