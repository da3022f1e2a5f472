/*
 * The table of eviction policies, and what several of them need: finding the oldest segment.
 */
#include "policy.h"

#include "store_private.h"

#define POLICY(name, rules, volatile_only) {name, &(rules), volatile_only},
const struct policy_row policy_rows[] = {
#include "policies.def"
};
#undef POLICY

#define POLICY(name, rules, volatile_only) name,
const char *const store_policy_names[] = {
#include "policies.def"
    NULL,
};
#undef POLICY

size_t policy_row_count(void)
{
    return ARRAY_LEN(policy_rows);
}

static bool is_available(const struct store *s, uint32_t id)
{
    const struct segment *seg = segment_at(&s->segs, id);
    return seg->pins == 0 && seg->is_swept == 0;
}

static uint32_t older(const struct store *s, uint32_t a, uint32_t b)
{
    if (a == SEGMENT_NONE || b == SEGMENT_NONE) {
        return a == SEGMENT_NONE ? b : a;
    }
    return segment_is_older(segment_at(&s->segs, a), segment_at(&s->segs, b)) ? a : b;
}

/* Lists are in order of sealing, which is nearly that of opening. */
static uint32_t first_sealed(const struct store *s, enum segment_queue queue, unsigned is_volatile)
{
    uint32_t id = s->queues[queue][is_volatile].sealed.head;
    while (id != SEGMENT_NONE && !is_available(s, id)) {
        id = segment_at(&s->segs, id)->links[LINK_QUEUE].next;
    }
    return id;
}

static uint32_t first_open(const struct store *s, enum segment_queue queue)
{
    uint32_t best = SEGMENT_NONE;
    for (unsigned c = s->volatile_only ? 1 : 0; c < TTL_CLASSES; c++) {
        uint32_t id = s->heads[queue][c];
        if (id != SEGMENT_NONE && segment_at(&s->segs, id)->live > 0 && is_available(s, id)) {
            best = older(s, best, id);
        }
    }
    return best;
}

static uint32_t oldest_seen(const struct store *s, enum segment_queue queue)
{
    uint32_t id = first_sealed(s, queue, 1);
    if (!s->volatile_only) {
        id = older(s, id, first_sealed(s, queue, 0));
    }
    return older(s, id, first_open(s, queue));
}

/* A head that is to be emptied is sealed first. */
static uint32_t claim(struct store *s, uint32_t id)
{
    if (id != SEGMENT_NONE && segment_at(&s->segs, id)->state == SEGMENT_OPEN) {
        append_seal(s, id);
    }
    return id;
}

uint32_t policy_oldest(struct store *s, enum segment_queue queue)
{
    return claim(s, oldest_seen(s, queue));
}

uint32_t policy_oldest_of_all(struct store *s)
{
    return claim(s, older(s, oldest_seen(s, QUEUE_MAIN), oldest_seen(s, QUEUE_SMALL)));
}

uint32_t policy_claim(struct store *s, uint32_t id)
{
    return is_available(s, id) ? claim(s, id) : SEGMENT_NONE;
}
