/*
 * The memory limit.
 *
 * What counts: resident bytes of segments, indexes, large blocks, tables and ghosts, and what
 * others hold (store_set_other_memory). Free segments that still have their pages are counted too,
 * but a writer may take them, so headroom leaves them out; their pages go back to the system when
 * something else needs the room.
 *
 * From one segment below the limit on the store is *pressed*: a write then owes the reclaimer a
 * walk over as many bytes as it brings, the more of them the less room is left, so that segments
 * are emptied while others fill up, in steps of some microseconds that no single write has to pay
 * alone. A burst of writes, and the reclaimer's copies, may pass the limit by a small part of it
 * (SLACK_PART); beyond that nothing is kept any more.
 *
 * When the limit is lowered, or others take a lot at once, writes do not pay for the excess: the
 * present level becomes the ceiling that they have to keep, and upkeep (store_tick()) lets it sink,
 * a slice at a time.
 */
#include "store_private.h"

#define SLACK_PART         64 /* of the limit, that a burst may take above it */
#define OWED_FACTOR        32 /* bytes more that a written byte owes when the slack is used up */
#define PRESS_STEPS_MAX    32 /* batches that one write reclaims for what it owes */
#define RESERVE_STEPS      32 /* batches that one write reclaims for its room before it goes ahead */
#define RESERVE_STEP_BYTES 2048 /* one more of those for so many bytes wanted */
#define PREFETCH_BYTES_MAX 2048

size_t store_used_memory(const struct store *s)
{
    return s->segs.resident_bytes + s->index_memory + s->large_bytes + s->dropped_bytes +
           s->orphan_bytes + store_other_bytes(s);
}

/* A policy that never evicts could not bring the excess back, so it gets none. */
static size_t slack_bytes(const struct store *s)
{
    return s->policy->never_evicts ? 0 : s->limit / SLACK_PART;
}

/* Memory in use that nobody may take over: free segments are left out, ghosts counted before they
 * come. */
static size_t committed_bytes(const struct store *s)
{
    size_t ghosts = s->policy->has_ghosts ? ghost_bytes_for(s->count) : 0;
    size_t to_come = ghosts - size_min(ghosts, ghost_memory(&s->adaptive.ghost));
    return store_used_memory(s) - s->segs.free_bytes + s->other_memory + to_come;
}

int64_t store_headroom(const struct store *s)
{
    return s->limit == 0 ? INT64_MAX : (int64_t)s->limit - (int64_t)committed_bytes(s);
}

/* What writes are held to meanwhile: the ceiling, where there is one. */
static int64_t headroom_to_ceiling(const struct store *s)
{
    return (int64_t)size_max(s->limit, s->ceiling) - (int64_t)committed_bytes(s);
}

/* Above the limit by more than writes could have caused: see the head comment. */
static void update_ceiling(struct store *s)
{
    size_t segment = s->segs.segment_bytes;
    size_t level = committed_bytes(s) + segment;
    if (level <= s->limit || s->policy->never_evicts) {
        s->ceiling = 0; /* without eviction there is no way down to wait for */
    } else if (s->ceiling > 0) {
        s->ceiling = size_min(s->ceiling, level);
    } else if (level > s->limit + slack_bytes(s) + 2 * segment) {
        s->ceiling = level;
    }
}

void store_ask_others(struct store *s)
{
    if (s->limit > 0 && s->other_fn != NULL) {
        s->other_memory = s->other_fn(s->other_ctx);
    }
}

void store_trade_pages(struct store *s, size_t bytes)
{
    if (s->limit == 0 || bytes == 0) {
        return;
    }
    size_t one = 1;
    for (size_t released = 0; released < bytes && one > 0; released += one) {
        const bool is_over = store_used_memory(s) + s->other_memory + bytes > s->limit;
        one = is_over ? segments_release_one(&s->segs) : 0;
    }
}

/* An entry of 100 bytes lies in two or three lines: asking for all of them and not for the first
 * alone makes a look-up a fifth cheaper (bench-store find-batch); with values of 1000 bytes a
 * pipelined GET costs a quarter less than with the first 256 bytes. Of longer ones the processor
 * reads ahead by itself, and a batch of them would fill the cache. */
static void update_prefetch(struct store *s)
{
    const size_t average = s->live_bytes / (s->count + 1);
    s->prefetch_bytes = (uint32_t)size_max(size_min(average, PREFETCH_BYTES_MAX), 1);
}

void store_update_pressure(struct store *s)
{
    update_prefetch(s);
    s->is_pressed = false;
    if (s->limit > 0) {
        update_ceiling(s);
        s->is_pressed = s->ceiling > 0 || store_headroom(s) < (int64_t)s->segs.segment_bytes;
    }
}

void store_press(struct store *s)
{
    if (!reclaim_some(s, false)) {
        s->is_pressed = false; /* nothing to gain; asked again when the next head is opened */
    }
}

/* How many bytes a write of `bytes` adds to what is owed: a little more than it brings as long as
 * little is missing, OWED_FACTOR times as much when the slack is used up. */
static int64_t owed_for(const struct store *s, size_t bytes)
{
    double segment = (double)s->segs.segment_bytes;
    double range = segment + (double)slack_bytes(s);
    double missing = (segment - (double)headroom_to_ceiling(s)) / range;
    missing = missing < 0 ? 0 : missing > 1 ? 1 : missing;
    return (int64_t)((double)bytes * (1 + OWED_FACTOR * missing * missing));
}

void store_press_for(struct store *s, size_t bytes)
{
    int64_t owed_max = (int64_t)s->segs.segment_bytes * OWED_FACTOR;
    s->owed_bytes += owed_for(s, bytes);
    s->owed_bytes = s->owed_bytes < owed_max ? s->owed_bytes : owed_max;
    for (unsigned steps = 0; s->owed_bytes > 0 && steps < PRESS_STEPS_MAX; steps++) {
        uint64_t before = s->walked_bytes;
        store_press(s);
        if (!s->is_pressed) {
            s->owed_bytes = 0;
            return;
        }
        s->owed_bytes -= (int64_t)(s->walked_bytes - before);
    }
}

/* What may be taken beyond the limit or ceiling for the moment. The part of the present victim that
 * is emptied already is as good as free. */
static int64_t allowance(const struct store *s)
{
    return slack_bytes(s) == 0 ? 0 : (int64_t)slack_bytes(s) + s->reclaim.offset;
}

/* Reclaims until `bytes` fit, the allowance included. */
static bool reclaim_until(struct store *s, size_t bytes, bool *moved)
{
    size_t steps_max = RESERVE_STEPS + bytes / RESERVE_STEP_BYTES;
    for (size_t steps = 0; steps < steps_max; steps++) {
        if (!reclaim_some(s, steps >= steps_max / 2)) {
            return store_headroom(s) >= (int64_t)bytes;
        }
        *moved = true;
        if (headroom_to_ceiling(s) + allowance(s) >= (int64_t)bytes) {
            return true;
        }
    }
    /* A piece of the way; the next write does the next one, if there is enough to gain. */
    return !s->reclaim.is_short || store_headroom(s) >= (int64_t)bytes;
}

bool store_reserve(struct store *s, size_t bytes, bool *moved)
{
    if (store_headroom(s) >= (int64_t)bytes) {
        return true;
    }
    update_ceiling(s);
    size_t fixed = store_used_memory(s) - s->segs.resident_bytes - s->large_bytes -
                   s->dropped_bytes + s->other_memory;
    if (bytes > s->segs.segment_bytes && fixed + bytes > s->limit) {
        return false; /* evicting everything would not do */
    }
    /* Not pressed although it is short: there was nothing to gain. */
    if (s->is_pressed && headroom_to_ceiling(s) + allowance(s) >= (int64_t)bytes) {
        return true;
    }
    return reclaim_until(s, bytes, moved);
}

enum store_result store_make_room(struct store *s)
{
    bool moved = false;
    return store_reserve(s, 0, &moved) ? STORE_OK : STORE_FULL;
}
