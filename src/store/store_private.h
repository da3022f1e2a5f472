/*
 * struct store and what the files of the store share. Private to the layer.
 *
 * Who does what:
 *   store.c         life, death of an entry; store_find.c: look-ups, single and batched
 *   store_write.c   writing an entry, set and remove; store_change.c: resize, expiry, copy, rename
 *   store_walk.c    count, scan, random, flush, swap
 *   store_limit.c   the memory limit; store_tick.c: upkeep in slices
 *   append.c        open heads, sealing, room for an entry
 *   reclaim.c       emptying and sweeping segments
 *   expiry.c        which segment is due when
 *   policy*.c       eviction policies
 *   store_check.c   every invariant; store_stats.c: numbers and options
 *
 * A *space* is the key space behind a database number: its index and its counts. SWAPDB exchanges
 * spaces; FLUSHDB gives the database a new one and drains the old in slices. Entries carry the
 * number of their space.
 */
#ifndef TARN_STORE_STORE_PRIVATE_H
#define TARN_STORE_STORE_PRIVATE_H

#include "tarn/base/hash.h"
#include "tarn/store/store.h"
#include "append.h"
#include "entry.h"
#include "expiry.h"
#include "index.h"
#include "large.h"
#include "policy.h"
#include "policy_adaptive.h"
#include "reclaim.h"
#include "segment.h"

#define SPACES         32
#define SPACE_NONE     0xffu
#define DISCARDED_MAX  64
#define BORROWED_MAX   2
#define TTL_CLASSES    25
#define CACHE_LINE     64
#define GARBAGE_LEVELS 33 /* parts of 32 of a segment that are dead */
/* From so many on a sealed segment is worth compacting (30 %); the second where the limit is passed
 * and nothing can be evicted. */
#define GARBAGE_LEVEL_MIN   10
#define GARBAGE_LEVEL_SHORT 1

enum space_state { SPACE_FREE, SPACE_ACTIVE, SPACE_DRAINING };

struct space {
    struct index *ix;      /* owned; NULL until the first insert */
    size_t count_volatile; /* visible entries with an expiry */
    size_t count_negative;
    enum space_state state;
};

/* Sealed segments of one kind, oldest first. */
struct queue {
    struct segment_list sealed;
    size_t resident_bytes; /* of the sealed segments */
    size_t large_bytes;    /* of blocks that entries own, open segments included */
};

/* Bytes a caller handed in that may lie inside the store: kept in place while a write makes room.
 */
struct borrowed {
    struct strview view;
    uint32_t pinned;    /* segment, or SEGMENT_NONE */
    struct large *held; /* block that died meanwhile; freed when the write ends */
};

struct store {
    const struct store_options *options; /* borrowed */
    const struct clock *clock;           /* borrowed */
    struct hash_key hash_key;
    struct rng rng;

    const struct policy *policy;
    bool volatile_only;
    struct adaptive adaptive;

    struct segments segs;
    struct queue queues[QUEUE_COUNT][2]; /* [1]: of entries with an expiry */
    struct segment_list garbage[GARBAGE_LEVELS];
    struct segment_list condemned;
    uint32_t heads[QUEUE_COUNT][TTL_CLASSES]; /* open segments, SEGMENT_NONE: none */
    uint32_t seq;
    struct due_heap due;
    struct cursor reclaim; /* the victim being emptied */
    struct cursor sweep;   /* the segment whose expired entries are taken out */
    struct expiry_pace pace;

    struct space spaces[SPACES];
    uint8_t db_space[STORE_DATABASES];
    struct index *discarded[DISCARDED_MAX]; /* owned; of flushed databases, emptied in slices */
    unsigned discarded_count;

    uint64_t slot_moves; /* counted up when slots change places: older store_key::slot are void */
    uint32_t prefetch_bytes; /* of an entry: the average one, within bounds */

    size_t count;          /* entries in all spaces, negative ones included */
    size_t index_memory;   /* of all indexes; kept by index.c */
    size_t large_bytes;    /* that entries own outside: blocks and objects */
    size_t dropped_bytes;  /* of objects that no entry owns any more, until they are freed */
    size_t orphan_bytes;   /* of pinned blocks whose entries are gone */
    size_t live_bytes;     /* in segments */
    size_t negative_bytes; /* of these */
    size_t limit;          /* 0: none */
    size_t ceiling;        /* above the limit: what is kept meanwhile; 0: not needed */
    size_t other_memory;   /* as other_fn said last */
    bool is_pressed;       /* near the limit: every write reclaims a little */
    int64_t owed_bytes;    /* that writes have yet to walk over with the reclaimer */
    uint64_t walked_bytes; /* that the reclaimer went over: of the log and of what entries own */
    bool is_expiry_held;   /* expired entries stay until somebody meets them */

    struct borrowed borrowed[BORROWED_MAX];
    uint64_t kept_ref; /* entry that a write is about to replace: making room does not evict it */

    store_memory_fn other_fn;
    void *other_ctx;
    store_event_fn event_fn;
    void *event_ctx;
    const struct store_object_owner *object_owner; /* borrowed; NULL: there are no objects */

    struct store_counters counters;
    int64_t expire_lag_ms;
};

/* ---- look-up (store_find.c) ---- */

static inline struct space *space_of_db(struct store *s, unsigned db)
{
    return &s->spaces[s->db_space[db]];
}

static inline uint32_t store_time_s(const struct store *s)
{
    return (uint32_t)((uint64_t)s->clock->mono_ms / 1000);
}

/* The entry was used: its policy bits say so. */
static inline void store_touch(const struct store *s, uint64_t *slot)
{
    uint32_t bits = slot_policy(*slot);
    uint32_t touched = policy_touch(bits, store_time_s(s), s->policy->freq_max);
    if (touched != bits) {
        *slot = slot_make(slot_ref(*slot), touched);
    }
}

/* The slot of a key, expired or not; NULL when absent. */
uint64_t *store_lookup(const struct store *s, const struct space *sp, const struct store_key *k);
/* The slot of a live key; an expired entry is taken out first. */
uint64_t *store_lookup_live(struct store *s, const struct store_key *k);
/* The slot that refers to exactly this entry; NULL when there is none. */
uint64_t *store_slot_of_ref(const struct space *sp, uint64_t hash, uint64_t ref);

uint64_t store_hash_of_ref(void *ctx, uint64_t ref);
void store_prefetch_ref(void *ctx, uint64_t ref);

/* ---- death (store.c) ---- */

/* Marks the entry dead and gives back what it held. The slot is the caller's affair. */
void store_kill(struct store *s, unsigned char *e);
/* Frees or resets a segment in which nothing lives any more, unless somebody still stands in it. */
void store_settle(struct store *s, uint32_t id);
/* The entry leaves by itself: counts it, tells the listener, takes its slot out, kills it. */
void store_expel(struct store *s, uint64_t hash, uint64_t *slot, enum store_event event);
/* Puts a sealed segment into the garbage list that fits. */
void store_note_garbage(struct store *s, uint32_t id);
/* Makes the segment a sealed one of its queue. */
void store_queue_push(struct store *s, uint32_t id, bool at_front);
/* Out of queue, garbage list and heap of due segments. */
void store_unlink_segment(struct store *s, uint32_t id);
/* Adds what an entry owns outside to the counts of its segment and queue (sign 1), or takes it off
 * (-1). */
void store_large_count(struct store *s, uint32_t id, size_t bytes, int sign);
/* What an entry owned, which is no longer counted: frees the block, gives the object back. */
void store_free_outside(struct store *s, const struct entry_parts *e);
/* Gives an object that no entry owns back to its owner. */
void store_drop_object(struct store *s, struct store_object *object);
/* Empties one of the segments that a flush took away whole; false when there is none. */
bool store_empty_condemned(struct store *s);
/* Lets the owner free a slice of what was dropped; false: nothing is left. */
bool store_drain_objects(struct store *s);
/* Frees a block that is no longer counted; later, if a caller's bytes lie in it. */
void store_large_destroy(struct store *s, struct large *l);

/* ---- limit (store_limit.c) ---- */

/* What the limit still allows before free segments are counted; negative when it is passed.
 * INT64_MAX: no limit. */
int64_t store_headroom(const struct store *s);
/* True when `bytes` more may be had. Reclaims if it must, which moves and evicts entries: *moved is
 * then set. */
bool store_reserve(struct store *s, size_t bytes, bool *moved);
/* Before `bytes` fresh bytes are touched: while the sum would pass the limit, gives pages of free
 * segments back for them. Only for them: what else is too much is left to upkeep, in slices. */
void store_trade_pages(struct store *s, size_t bytes);
/* Looks anew at how near the limit is. */
void store_update_pressure(struct store *s);
/* A batch of reclaiming while the store is pressed; is_pressed is false when that is over. */
void store_press(struct store *s);
/* The share of reclaiming that a write of about `bytes` does while the store is pressed. */
void store_press_for(struct store *s, size_t bytes);
/* Bytes of tables, ghosts and the struct itself. */
size_t store_other_bytes(const struct store *s);

#endif
