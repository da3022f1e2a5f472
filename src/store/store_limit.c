/*
 * The memory limit.
 *
 * What counts: resident bytes of segments, indexes, large blocks, tables and ghosts, and what
 * others hold (store_set_other_memory). Free segments that still have their pages are counted too,
 * but a writer may take them, so headroom leaves them out; their pages go back to the system when
 * something else needs the room.
 *
 * From one segment below the limit on the store is *pressed*: every write, and every tick, reclaims
 * a batch, so that a write seldom has to reclaim a whole segment before it gets its room. A burst
 * of writes, and the reclaimer's copies, may pass the limit by a small part of it (SLACK_PART).
 *
 * When the limit is lowered, or others take a lot at once, the store does not evict all of the
 * excess in one call: the present level becomes the ceiling that writes have to keep, and it sinks
 * with every segment that is emptied.
 */
#include "store_private.h"

#define SLACK_PART         64  /* of the limit, that a burst may take above it */
#define RESERVE_STEPS      256 /* batches that one write reclaims before it keeps nothing any more */
#define RESERVE_STEPS_MAX  512  /* and before it goes ahead above the limit */
#define RESERVE_STEP_BYTES 1024 /* one more of those for so many bytes wanted */
#define PREFETCH_BYTES_MAX 256
#define PRESS_STEP_BYTES   4096 /* above the limit: at least a batch for so many bytes written */

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
    size_t to_come = ghosts > s->adaptive.ghost.bytes ? ghosts - s->adaptive.ghost.bytes : 0;
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
    if (level <= s->limit) {
        s->ceiling = 0;
    } else if (s->ceiling > 0) {
        s->ceiling = size_min(s->ceiling, level);
    } else if (level > s->limit + slack_bytes(s) + 2 * segment) {
        s->ceiling = level;
    }
}

void store_ask_others(struct store *s)
{
    s->other_memory = s->other_fn != NULL ? s->other_fn(s->other_ctx) : 0;
}

void store_trade_pages(struct store *s, size_t bytes)
{
    if (s->limit == 0 || bytes == 0) {
        return;
    }
    while (store_used_memory(s) + s->other_memory + bytes > s->limit &&
           segments_release_one(&s->segs) > 0) {
    }
}

/* A whole entry of 100 bytes lies in two or three lines: asking for the third saved 12 ns of each
 * GET. Entries of 4 KiB are read in a row, which the processor sees by itself. */
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
        return;
    }
    if (s->reclaim.seg == SEGMENT_NONE) {
        store_update_pressure(s);
    }
}

/* Reclaims until `bytes` fit, the slack included. */
static bool reclaim_until(struct store *s, size_t bytes, bool *moved)
{
    size_t steps_max = RESERVE_STEPS_MAX + bytes / RESERVE_STEP_BYTES;
    size_t steps_min = 1 + bytes / PRESS_STEP_BYTES;
    int64_t slack = (int64_t)slack_bytes(s);
    for (size_t steps = 1; steps <= steps_max; steps++) {
        if (!reclaim_some(s, steps > RESERVE_STEPS)) {
            return store_headroom(s) >= (int64_t)bytes;
        }
        *moved = true;
        if (store_headroom(s) >= (int64_t)bytes ||
            (steps >= steps_min && headroom_to_ceiling(s) + slack >= (int64_t)bytes)) {
            return true;
        }
    }
    return true; /* a piece of the way; the next write does the next one */
}

bool store_reserve(struct store *s, size_t bytes, bool *moved)
{
    if (store_headroom(s) >= (int64_t)bytes) {
        return true;
    }
    store_ask_others(s);
    update_ceiling(s);
    size_t fixed = store_used_memory(s) - s->segs.resident_bytes - s->large_bytes -
                   s->dropped_bytes + s->other_memory;
    if (bytes > s->segs.segment_bytes && fixed + bytes > s->limit) {
        return false; /* evicting everything would not do */
    }
    return reclaim_until(s, bytes, moved);
}

enum store_result store_make_room(struct store *s)
{
    if (s->limit == 0) {
        return STORE_OK; /* asking others takes 130 instructions */
    }
    store_ask_others(s);
    bool moved = false;
    return store_reserve(s, 0, &moved) ? STORE_OK : STORE_FULL;
}
