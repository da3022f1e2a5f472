/*
 * The store: entries in a log of segments, found through one index per database, bounded by a
 * memory limit.
 *
 * Pure: no event loop, no sockets, no clock of its own. Time is `struct clock`, borrowed for the
 * store's life and advanced by the owner between calls; within a call it stands still.
 *
 * Words. An *entry* is key, value and header in one piece of a segment (or, for a large value, a
 * small entry that owns a separate allocation). A *borrowed view* of an entry (`struct entry_view`)
 * is valid until the next call that takes a non-const store, or the return to the event loop,
 * whichever comes first: entries move. Whoever waits keeps the key, never the entry.
 *
 * Batches. A caller that has several keys at hand first calls store_key_init() for all, then
 * store_prefetch(), then the operations: look-ups then find their lines in cache, and the waits for
 * memory overlap. Skipping the prefetch changes nothing but speed.
 *
 * Expiry is exact: no call ever shows an entry whose expires_at_ms <= clock->mono_ms.
 *
 * Errors: functions returning enum store_result never leave a half-done change behind.
 */
#ifndef TARN_STORE_STORE_H
#define TARN_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/clock.h"
#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/base/metric.h"
#include "tarn/base/option.h"
#include "tarn/base/strview.h"

#define STORE_DATABASES 16
#define STORE_AUX_BYTES 16
#define STORE_KEY_MAX   (512u * 1024 * 1024)
#define STORE_VALUE_MAX (512u * 1024 * 1024)
#define STORE_NO_EXPIRY INT64_MAX

struct index_bucket; /* opaque */
struct store;        /* opaque */
struct large;        /* opaque */

enum store_result {
    STORE_OK = 0,
    STORE_NOT_FOUND = 1, /* no live entry of that key */
    STORE_FULL = 2,      /* the limit does not allow it and the policy may not evict enough: -OOM */
    STORE_TOO_BIG = 3,   /* key or value above the maximum */
};

enum entry_type {
    ENTRY_STRING = 0,
    ENTRY_NEGATIVE =
        1, /* the record that a source has no such row; invisible to every walk and count */
    ENTRY_HASH = 2,
};

/* What a caller may see of an entry. Borrowed, see above. */
struct entry_view {
    struct strview key;
    struct strview value;
    int64_t expires_at_ms; /* monotonic; STORE_NO_EXPIRY when there is none */
    enum entry_type type;
    const unsigned char *aux; /* STORE_AUX_BYTES of the owner's, NULL when the entry has none */
};

/* A key ready for look-up. `key` is borrowed by the caller's rules, not copied. */
struct store_key {
    struct strview key;
    uint64_t hash;
    unsigned db; /* < STORE_DATABASES; changed only by store_key_use_db() */
    /* The store's: where store_prefetch() saw the key, and when; NULL: nowhere. */
    const uint64_t *slot;
    uint64_t slot_moves;
};

/* How a value is to be written. Zeroed: a string without expiry and without aux. */
struct store_write {
    int64_t expires_at_ms;    /* monotonic; 0 or STORE_NO_EXPIRY: none */
    const unsigned char *aux; /* STORE_AUX_BYTES to copy, or NULL */
    enum entry_type type;
    bool keep_expiry;   /* keep the old entry's expiry; expires_at_ms is then for an absent key */
    bool is_reloadable; /* a source can bring it back: preferred victim under volatile policies */
    bool leaves_first;  /* under a policy that evicts it is evicted before all others */
    /* The last bytes of `value` are the address of a struct store_object, which is the entry's from
     * now on; when the call fails it is still the caller's. */
    bool owns_object;
};

/* ---- objects ---- */

/* Memory outside the log that an entry owns and another layer understands: the first member of its
 * struct. The store counts it, moves the entry about without touching it, and hands it back when
 * the entry is gone. */
struct store_object {
    /* What it costs, as the allocator rounds; changed by store_object_resized() only. */
    size_t bytes;
};

struct store_object_owner {
    void *ctx;
    /* The entry is gone, the object is the owner's again, to be freed in slices. May not call the
     * store. */
    void (*drop)(void *ctx, struct store_object *object);
    /* Frees a slice (some microseconds) of what was dropped and returns its bytes; 0: nothing is
     * left. The sum over an object's slices is its `bytes`. */
    size_t (*drain)(void *ctx);
};

/* ---- life ---- */

/* Values of the option table below; the server binds it, tests fill it by hand (zero means
 * default). */
struct store_options {
    int64_t maxmemory;     /* bytes, 0: no limit */
    int maxmemory_policy;  /* index into store_policy_names */
    int64_t segment_bytes; /* power of two; 0: chosen from maxmemory */
    int64_t arena_bytes;   /* address space to reserve; 0: from the machine's memory */
    int64_t hash_seed;     /* 0: random */
    bool huge_pages;       /* ask the system for them */
};
extern const struct option_table store_option_table;
extern const char *const store_policy_names[]; /* NULL-terminated: noeviction, allkeys-fifo, ... */

/* Both pointers are borrowed for the store's life. Changes of `options` take effect through
 * store_apply_options(). 0 or -errno with text. */
int store_create(struct store **out, const struct store_options *options, const struct clock *clock,
                 struct errtext *err) WARN_UNUSED;
void store_destroy(struct store *s);
int store_apply_options(struct store *s, struct errtext *err) WARN_UNUSED;

/* Memory held by others that the limit has to count (connections, flights, ...). */
typedef size_t (*store_memory_fn)(void *ctx);
void store_set_other_memory(struct store *s, store_memory_fn fn, void *ctx);

/* Asks them, where there is a limit; until the next time their answer holds. (Asking for each SET
 * takes 200 of its 1300 instructions.) */
void store_ask_others(struct store *s);

/* Called for each visible entry that leaves by itself; key borrowed during the call; the callee may
 * not call the store. */
enum store_event { STORE_EVENT_EXPIRED, STORE_EVENT_EVICTED };
typedef void (*store_event_fn)(void *ctx, enum store_event event, unsigned db, struct strview key);
void store_set_event(struct store *s, store_event_fn fn, void *ctx);

/* Before the first object; `owner` is borrowed for the store's life, and store_destroy() drops what
 * is left. */
void store_set_object_owner(struct store *s, const struct store_object_owner *owner);

/* ---- look-up ---- */

uint64_t store_hash(const struct store *s, struct strview key);

/* In place: a struct that is built elsewhere and copied waits for its own stores (5 ns). */
static inline void store_key_set(struct store_key *k, const struct store *s, unsigned db,
                                 struct strview key)
{
    k->key = key;
    k->hash = store_hash(s, key);
    k->db = db;
    k->slot = NULL;
}

static inline struct store_key store_key_init(const struct store *s, unsigned db,
                                              struct strview key)
{
    struct store_key k;
    store_key_set(&k, s, db, key);
    k.slot_moves = 0;
    return k;
}

/* The same key in another database. */
static inline void store_key_use_db(struct store_key *k, unsigned db)
{
    if (UNLIKELY(k->db != db)) {
        k->db = db;
        k->slot = NULL;
    }
}

/* Asks memory for all that looking these keys up will touch, and notes in them where they were seen.
 * Whatever happens meanwhile, the operation that follows does not rely on it. */
#define STORE_PREFETCH_MAX 64 /* keys in one call; more than the memory system can overlap */
void store_prefetch(const struct store *s, struct store_key *const *keys, unsigned count);

/* The live entry; counts as a use for the policy. False: absent or expired. */
bool store_find(struct store *s, const struct store_key *k, struct entry_view *out);

/* The same for what is common: a string of less than `max` bytes without aux. False: there is
 * something else, which was not used, or nothing. */
bool store_find_short(struct store *s, const struct store_key *k, size_t max,
                      struct strview *value_out);
/* The same without counting as a use. */
bool store_peek(struct store *s, const struct store_key *k, struct entry_view *out);

/* What the policy knows of a live entry; negative when it does not track that. Does not count as a
 * use. */
bool store_idle(struct store *s, const struct store_key *k, int64_t *idle_ms_out, int *freq_out);

/* Makes the policy believe that a live entry was last used that long ago, and that often; negative:
 * leaves it as it is. What a policy keeps is limited: 18 hours, and 255. */
void store_set_use(struct store *s, const struct store_key *k, int64_t idle_ms, int freq);

/* ---- change ---- */

/* Inserts or replaces. `value` may be borrowed from the store itself. */
enum store_result store_set(struct store *s, const struct store_key *k, struct strview value,
                            const struct store_write *w) WARN_UNUSED;

/* Like store_set() with a value of `len` bytes that the caller fills in: *out is writable until the
 * next call. Contents are undefined until written. */
enum store_result store_set_uninit(struct store *s, const struct store_key *k, size_t len,
                                   const struct store_write *w, char **out) WARN_UNUSED;

/* Gives the value of a live entry the length `len`: the common prefix stays, new bytes are zero.
 * Expiry, type and aux stay. *out points at the whole value, writable until the next call. With
 * `len` equal to the present length this is "write in place" and cannot fail but with
 * STORE_NOT_FOUND, unless the entry is pinned. */
enum store_result store_resize(struct store *s, const struct store_key *k, size_t len,
                               char **out) WARN_UNUSED;

/* True when a live entry was there. */
bool store_remove(struct store *s, const struct store_key *k);

/* Sets (or with STORE_NO_EXPIRY takes away) the expiry of a live entry. */
enum store_result store_set_expiry(struct store *s, const struct store_key *k,
                                   int64_t expires_at_ms) WARN_UNUSED;

/* Replaces the aux bytes of a live entry that has some; false when there is none. */
bool store_set_aux(struct store *s, const struct store_key *k,
                   const unsigned char aux[STORE_AUX_BYTES]);

/* The object of a live entry costs another amount now. */
void store_object_resized(struct store *s, const struct store_key *k, size_t bytes);

/* Copies value, type, expiry and aux under another key, which is replaced; then, for rename,
 * removes `from`. A value that is an object can only be renamed; nor is it ever resized. */
enum store_result store_copy(struct store *s, const struct store_key *from,
                             const struct store_key *to) WARN_UNUSED;
enum store_result store_rename(struct store *s, const struct store_key *from,
                               const struct store_key *to) WARN_UNUSED;

/* Empties one database; STORE_DATABASES: all. The keys are gone when this returns; the memory
 * follows in slices (store_tick). Entries removed by a flush cause no events. */
void store_flush(struct store *s, unsigned db);
void store_swap(struct store *s, unsigned a, unsigned b);

/* ---- pins ---- */

/* Keeps the bytes of a value where they are, whatever happens to its entry, so that a reply can be
 * sent from them after this turn. `v` must be valid (see above). Short-lived: pinned memory cannot
 * be reclaimed, and an entry in a pinned segment is not changed in place. False: pinned too often;
 * copy. */
struct store_pin {
    uint32_t segment;    /* of the store's own; 0: none */
    struct large *block; /* likewise */
};
bool store_pin(struct store *s, const struct entry_view *v, struct store_pin *out) WARN_UNUSED;
/* Accepts a zeroed pin, and leaves one. */
void store_unpin(struct store *s, struct store_pin *pin);

/* ---- walks ---- */

/* Visible live entries in the database. Expired ones that nobody has met yet may be counted. */
size_t store_count(const struct store *s, unsigned db);
size_t store_count_volatile(const struct store *s, unsigned db);

/* SCAN: visits at least `count` slots' worth of work from `cursor` and returns the next cursor, 0
 * at the end. Every entry present throughout the walk is visited at least once, whatever grows or
 * shrinks meanwhile. The visitor may not change the store. */
typedef void (*store_visit_fn)(void *ctx, const struct entry_view *e);
uint64_t store_scan(struct store *s, unsigned db, uint64_t cursor, size_t count, store_visit_fn fn,
                    void *ctx);

/* A visible live entry, roughly uniform. False when there is none. */
bool store_random(struct store *s, unsigned db, struct entry_view *out);

/* ---- upkeep ---- */

/* Proactive expiry, compaction, eviction ahead, release of flushed memory, index growth and
 * shrinking: works for at most about `budget_us` and returns true when more is waiting. Call it
 * every turn with work and at least ten times a second. */
bool store_tick(struct store *s, int64_t budget_us);

/* For tests: false leaves expired entries in memory until somebody meets them. */
void store_set_active_expiry(struct store *s, bool is_active);

/* Before a command that may grow memory: evicts until it fits, in a slice. STORE_FULL: answer -OOM.
 */
enum store_result store_make_room(struct store *s) WARN_UNUSED;

/* ---- numbers ---- */

struct store_stats {
    uint64_t expired, evicted;            /* entries */
    uint64_t bytes_copied, bytes_evicted; /* by the reclaimer */
    uint64_t segments_used, segments_free, segment_bytes;
    uint64_t bytes_live, bytes_dead; /* in used segments */
    uint64_t bytes_large;            /* own allocations and objects, as the allocator rounds them */
    uint64_t bytes_dropped;          /* of objects that were dropped and are not freed yet */
    uint64_t bytes_index,
        bytes_other;         /* index and directories; segment table, ghosts and the like */
    uint64_t bytes_negative; /* of live: negative entries */
    uint64_t index_slots, index_entries;
    int64_t expire_lag_ms; /* how late the latest proactive expiry was */
};
void store_stats(const struct store *s, struct store_stats *out);

/* The counters of INFO, bound to the table; CONFIG RESETSTAT may set them to 0. */
struct store_counters {
    uint64_t expired_keys, evicted_keys;
    uint64_t bytes_copied, bytes_evicted;
};
extern const struct metric_table store_metric_table;
struct store_counters *store_counters(struct store *s);

/* Bytes this store holds from the system: what the limit is compared with, beside other memory. */
size_t store_used_memory(const struct store *s);

/* Bytes that negative entries take with their share of the index. Those that expired count until
 * upkeep has taken them out. */
size_t store_negative_bytes(const struct store *s);
/* False: negative entries take `part` (0.05: five per cent) of the memory limit already, and one
 * more should not be written. Without a limit always true. */
bool store_negative_fits(const struct store *s, double part);

/* Bytes an entry costs with its share of the index; 0 when absent. MEMORY USAGE. */
size_t store_entry_memory(struct store *s, const struct store_key *k);

/* Every invariant of store, index and segments, walked. Aborts with a message when one is broken.
 * For tests, fuzzers and DEBUG; as slow as it must be. */
void store_check(struct store *s);

#endif
