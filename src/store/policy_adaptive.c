/*
 * adaptive: a small queue for newcomers, a main queue for those that proved themselves, and a
 * border that moves with what is regretted.
 *
 * C: bytes of both queues. T: bytes the small queue S should hold, at first a tenth of C, from 2 %
 * to 98 %. n: cached keys. f: use counter, up to 3. Ghosts remember what was evicted: from S the
 * last n keys, from the main queue M the last n / 4.
 *
 *  - A key that is absent goes to S; if it is a ghost of S, to M. A ghost of S among the last n / 4
 * moves T up by 2.7 times the entry's size; a ghost of M moves T down as much.
 *  - A hit counts, nothing moves.
 *  - While S holds more than T, its oldest segment is emptied: an entry used often enough goes to M
 * with f = 0, others leave. When T is above C / 2 the small queue turns into a clock: with a
 * probability that rises from 0 to 1 a used entry goes back to S with f - 1 instead.
 *  - Else the oldest segment of M is emptied: an entry used often enough is kept with f halved,
 * others leave.
 *  - "Often enough" is once, twice for entries above twice the mean size, three times above eight
 * times: large entries have to earn their place.
 */
#include "policy_adaptive.h"

#include "store_private.h"

#define FREQ_MAX      3
#define TARGET_FIRST  0.10
#define TARGET_MIN    0.02
#define TARGET_MAX    0.98
#define TARGET_STEP   2.7
#define TARGET_CLOCK  0.5
#define MEAN_WINDOW   4096.0
#define SIZE_NEED_TWO 2.0
#define SIZE_NEED_ALL 8.0

static double queue_bytes(const struct store *s, enum segment_queue queue)
{
    const struct queue *q = s->queues[queue];
    size_t bytes = q[1].resident_bytes + q[1].large_bytes;
    return (double)(s->volatile_only ? bytes : bytes + q[0].resident_bytes + q[0].large_bytes);
}

static void target_move(struct store *s, double bytes)
{
    struct adaptive *a = &s->adaptive;
    double all = queue_bytes(s, QUEUE_SMALL) + queue_bytes(s, QUEUE_MAIN);
    if (all > 0) {
        double part = a->target_part + bytes / all;
        a->target_part = part < TARGET_MIN ? TARGET_MIN : part > TARGET_MAX ? TARGET_MAX : part;
    }
}

static enum segment_queue adaptive_place(struct store *s, const struct candidate *c)
{
    struct adaptive *a = &s->adaptive;
    double bytes = (double)c->bytes;
    a->mean_bytes += a->mean_bytes > 0 ? (bytes - a->mean_bytes) / MEAN_WINDOW : bytes;
    a->target_part = a->target_part > 0 ? a->target_part : TARGET_FIRST;
    enum ghost_origin origin;
    uint64_t age;
    if (!ghost_take(&a->ghost, c->hash, &origin, &age)) {
        return QUEUE_SMALL;
    }
    bool is_recent = age < s->count / GHOST_MAIN_PART;
    if (origin == GHOST_FROM_MAIN) {
        target_move(s, is_recent ? -TARGET_STEP * bytes : 0);
        return QUEUE_SMALL;
    }
    target_move(s, is_recent ? TARGET_STEP * bytes : 0);
    return age < s->count ? QUEUE_MAIN : QUEUE_SMALL;
}

static uint32_t adaptive_victim(struct store *s)
{
    double small = queue_bytes(s, QUEUE_SMALL), main = queue_bytes(s, QUEUE_MAIN);
    bool is_small = small > s->adaptive.target_part * (small + main) || main <= 0;
    uint32_t id = policy_oldest(s, is_small ? QUEUE_SMALL : QUEUE_MAIN);
    return id != SEGMENT_NONE ? id : policy_oldest(s, is_small ? QUEUE_MAIN : QUEUE_SMALL);
}

static uint32_t uses_needed(const struct adaptive *a, size_t bytes)
{
    double size = (double)bytes;
    return size <= SIZE_NEED_TWO * a->mean_bytes   ? 1
           : size <= SIZE_NEED_ALL * a->mean_bytes ? 2
                                                   : FREQ_MAX;
}

static bool chance(struct store *s, double p)
{
    return (double)(rng_next(&s->rng) >> 11) * 0x1p-53 < p;
}

static enum verdict adaptive_judge(struct store *s, struct candidate *c)
{
    const struct adaptive *a = &s->adaptive;
    uint32_t freq = c->freq < FREQ_MAX ? c->freq : FREQ_MAX;
    bool is_used_enough = freq >= uses_needed(a, c->bytes);
    if (c->queue == QUEUE_MAIN) {
        c->freq = freq >> 1;
        return is_used_enough ? VERDICT_KEEP : VERDICT_DROP;
    }
    if (freq >= 1 && a->target_part > TARGET_CLOCK &&
        chance(s, (a->target_part - TARGET_CLOCK) / (1 - TARGET_CLOCK))) {
        c->freq = freq - 1;
        return VERDICT_KEEP;
    }
    c->freq = 0;
    c->queue = QUEUE_MAIN;
    return is_used_enough ? VERDICT_KEEP : VERDICT_DROP;
}

static void adaptive_evicted(struct store *s, const struct candidate *c)
{
    struct ghost *g = &s->adaptive.ghost;
    if (ghost_fit(g, s->count)) {
        ghost_add(g, c->hash, c->queue == QUEUE_SMALL ? GHOST_FROM_SMALL : GHOST_FROM_MAIN);
    }
}

const struct policy policy_adaptive = {
    .summary = "adapts between recency and frequency by what it regrets",
    .shows_idle = true,
    .shows_freq = true,
    .freq_max = FREQ_MAX,
    .has_ghosts = true,
    .place = adaptive_place,
    .victim = adaptive_victim,
    .judge = adaptive_judge,
    .evicted = adaptive_evicted,
};
