/* ttl: the segment whose entries expire first leaves with all that is in it. */
#include "store_private.h"

static uint32_t ttl_victim(struct store *s)
{
    uint32_t id = s->due.count > 0 ? policy_claim(s, s->due.items[0].seg) : SEGMENT_NONE;
    return id != SEGMENT_NONE ? id : policy_oldest_of_all(s);
}

static enum verdict ttl_judge(struct store *s, struct candidate *c)
{
    (void)s;
    (void)c;
    return VERDICT_DROP;
}

const struct policy policy_ttl = {
    .summary = "drops what expires first",
    .shows_idle = true,
    .freq_max = 3,
    .victim = ttl_victim,
    .judge = ttl_judge,
};
