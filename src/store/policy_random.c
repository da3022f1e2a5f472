/* random: any sealed segment leaves with all that is in it. */
#include "store_private.h"

#define TRIES 64

static uint32_t random_victim(struct store *s)
{
    for (unsigned i = 0; i < TRIES && s->segs.high > 1; i++) {
        uint32_t id = 1 + (uint32_t)rng_below(&s->rng, s->segs.high - 1);
        const struct segment *seg = segment_at(&s->segs, id);
        if (seg->state == SEGMENT_SEALED && (seg->ttl_class > 0 || !s->volatile_only)) {
            id = policy_claim(s, id);
            return id != SEGMENT_NONE ? id : policy_oldest_of_all(s);
        }
    }
    return policy_oldest_of_all(s);
}

static enum verdict random_judge(struct store *s, struct candidate *c)
{
    (void)s;
    (void)c;
    return VERDICT_DROP;
}

const struct policy policy_random = {
    .summary = "drops entries at random",
    .shows_idle = true,
    .freq_max = 3,
    .victim = random_victim,
    .judge = random_judge,
};
