/*
 * The reclaimer: walks a segment in slices and decides for every live entry there. Private to the
 * store.
 *
 * Three errands, one walk:
 *   CURSOR_EVICT    the policy judges each entry: dropped, or copied to a head;
 *   CURSOR_COMPACT  every live entry is copied to a head of the same queue, its policy bits kept;
 *   CURSOR_SWEEP    expired entries are taken out, the others stay where they are.
 *
 * After the first two nothing lives in the segment and it is freed.
 */
#ifndef TARN_STORE_RECLAIM_H
#define TARN_STORE_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

struct store;

enum cursor_mode { CURSOR_EVICT, CURSOR_COMPACT, CURSOR_SWEEP };

struct cursor {
    uint32_t seg; /* SEGMENT_NONE: idle */
    uint32_t offset;
    enum cursor_mode mode;
    bool is_short;              /* compact: there is little to gain, but nothing else */
    bool is_forced;             /* evict: keeps nothing, because keeping did not make room */
    uint32_t visited, expelled; /* entries in this walk */
};

/* Begins a walk; the cursor must be idle. For the first two modes the segment must be sealed. */
void reclaim_begin(struct store *s, struct cursor *c, uint32_t id, enum cursor_mode mode);
/* One batch of entries; false when the walk is over (the cursor is idle then). */
bool reclaim_step(struct store *s, struct cursor *c);

/* One step towards more free memory: goes on with the present victim or chooses one (compaction
 * before eviction). False: there is nothing to reclaim. */
bool reclaim_some(struct store *s, bool is_forced);
/* Compacts the deadest segment, a step at a time; false when none is worth it. */
bool reclaim_compact(struct store *s);

#endif
