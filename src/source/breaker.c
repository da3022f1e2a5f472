/*
 * The window is cut into slices that are forgotten one by one, so a failure counts for between nine
 * and ten tenths of it. Times of opening vary by a fifth, so that many caches do not knock
 * together.
 */
#include "breaker.h"

#include <assert.h>

#include "settings.h"

#define LOADS_MIN 20 /* a share of fewer says nothing */

static int64_t vary(int64_t ms, struct rng *rng)
{
    const uint64_t fifth = (uint64_t)ms / 5;
    return ms - (int64_t)fifth + (int64_t)rng_below(rng, 2 * fifth + 1);
}

static void open(struct breaker *b, const struct breaker_options *o, int64_t now_ms,
                 struct rng *rng)
{
    int64_t open_ms = b->open_ms < o->open_min_ms ? o->open_min_ms : b->open_ms;
    open_ms = open_ms > o->open_max_ms ? o->open_max_ms : open_ms;
    b->state = BREAKER_OPEN;
    b->until_ms = now_ms + vary(open_ms, rng);
    b->open_ms = open_ms * 2;
}

static struct breaker_slice *slice_at(struct breaker *b, const struct breaker_options *o,
                                      int64_t now_ms)
{
    const int64_t number = now_ms * BREAKER_SLICES / o->window_ms;
    struct breaker_slice *s = &b->slices[number % BREAKER_SLICES];
    if (s->number != number) {
        *s = (struct breaker_slice){.number = number};
    }
    return s;
}

static bool share_is_reached(const struct breaker *b, const struct breaker_options *o,
                             int64_t newest)
{
    uint64_t loads = 0;
    uint64_t failures = 0;
    for (int i = 0; i < BREAKER_SLICES; i++) {
        if (newest - b->slices[i].number < BREAKER_SLICES) {
            loads += b->slices[i].loads;
            failures += b->slices[i].failures;
        }
    }
    return loads >= LOADS_MIN && failures * SETTING_PERCENT_UNITS >= loads * (uint64_t)o->share;
}

bool breaker_note(struct breaker *b, const struct breaker_options *o, bool is_failure,
                  int64_t now_ms, struct rng *rng)
{
    if (b->state != BREAKER_CLOSED) {
        return false; /* sent before it opened */
    }
    struct breaker_slice *s = slice_at(b, o, now_ms);
    s->loads++;
    s->failures += is_failure;
    b->in_row = is_failure ? b->in_row + 1 : 0;
    if (!is_failure || (b->in_row < o->in_row && !share_is_reached(b, o, s->number))) {
        return false;
    }
    open(b, o, now_ms, rng);
    return true;
}

void breaker_hurry(struct breaker *b, int64_t now_ms)
{
    if (b->state == BREAKER_OPEN && b->until_ms > now_ms) {
        b->until_ms = now_ms;
    }
}

bool breaker_wants_probe(struct breaker *b, int64_t now_ms)
{
    if (b->state != BREAKER_OPEN || now_ms < b->until_ms) {
        return false;
    }
    b->state = BREAKER_PROBING;
    return true;
}

void breaker_probed(struct breaker *b, const struct breaker_options *o, bool is_failure,
                    int64_t now_ms, struct rng *rng)
{
    assert(b->state == BREAKER_PROBING);
    if (is_failure) {
        open(b, o, now_ms, rng);
    } else {
        *b = (struct breaker){0};
    }
}
