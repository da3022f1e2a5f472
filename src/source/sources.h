/*
 * The structures of this layer, shared by its files and by nothing else.
 *
 *     struct sources ──owns──> struct source  (a database: upstream, slots, queue)
 *            │ owns
 *            ├───────────────> struct source_map (pattern, statement, options, counters)
 *            │ owns                    ▲
 *            └─ flight table ──> struct flight ──borrows── source, map
 *                                      │ links
 *                                      └──> struct load_waiter (owned by those who wait)
 *
 * Life of a flight:
 *
 *     QUEUED ──a slot is free──> SENT ──result, deadline──> (answers its waiters) ──> freed
 *        │                                                          │ failed
 *        └──deadline, nobody waits any more                         └──> HELD, for error-hold
 *
 * A flight is in the table while readers may join it (or, HELD, be refused by it). One that was
 * voided leaves the table, answers those who waited, and fills nothing. Invalidating a map or a
 * database is a step of a counter; a flight remembers the counters' values at the moment its query
 * was sent, and differs from then on. A QUEUED flight is never voided: its query will be newer than
 * the event.
 */
#ifndef TARN_SOURCE_SOURCES_H
#define TARN_SOURCE_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "admission.h"
#include "aux.h"
#include "breaker.h"
#include "flight_table.h"
#include "latency.h"
#include "map_index.h"
#include "options.h"
#include "pattern.h"
#include "settle.h"
#include "shape.h"
#include "slow.h"
#include "statements.h"
#include "tags.h"
#include "tarn/base/buf.h"
#include "tarn/base/hash.h"
#include "tarn/base/log.h"
#include "tarn/base/metric.h"
#include "tarn/source/driver.h"
#include "tarn/source/source.h"
#include "warm.h"

#define SOURCES_MAX         64
#define MAPS_MAX            4096 /* fits aux.map */
#define OBJECT_NAME_MAX     64
#define DSN_BYTES_MAX       4096
#define SQL_BYTES_MAX       (64 * 1024)
#define FLIGHTS_HELD_MAX    65536 /* failed keys remembered for error-hold */
#define FLIGHT_BATCH_MAX    16
#define BULK_MAX            DRIVER_LIST_ITEMS_MAX /* keys that one query loads */
#define LOAD_ERROR_TEXT_MAX 256
#define SOURCE_STOP_WAIT_MS 1000
#define SOURCE_DEL_WAIT_MS  50 /* the loop stands still meanwhile */

static_assert(MAPS_MAX <= 1 << AUX_MAP_BITS, "aux has so many bits for the map");

enum load_error {
    LOAD_ERROR_DOWN,
    LOAD_ERROR_TIMEOUT,
    LOAD_ERROR_BUSY,
    LOAD_ERROR_REFUSED, /* SOURCEERR */
    LOAD_ERROR_BIG,
    LOAD_ERROR_NOROW,   /* a write that touched no row */
    LOAD_ERROR_UNKNOWN, /* a write that may have happened */
};
#define LOAD_ERRORS 7

/* Flights and waiters of one owner by deadline, earliest first. All of an owner have the same
 * timeout, so the place of a newcomer is nearly always the end. */
struct deadlines {
    struct list flights; /* struct flight::by_deadline, QUEUED and SENT */
    struct list waiters; /* struct load_waiter::by_deadline, those due before their flight */
    struct list soft;    /* the same, those whose soft-timeout comes first */
    struct list held;    /* struct flight::by_deadline, HELD */
};

/* A place for one request at the driver. */
struct slot {
    uint64_t request;     /* id of the request under way */
    unsigned count, live; /* flights it was sent for; those that still want its answer */
    struct flight *one;   /* borrowed, when count is 1; NULL: it ended before its answer came */
    struct flight **many; /* owned, room for BULK_MAX; NULL until it was needed */
    bool is_background;   /* nobody waited for it when it was sent */
};

struct source_stats {
    uint64_t loads, errors, timeouts, rejected, reconnects, feed_gaps;
};
extern const struct metric_table source_stat_table;

struct source {
    struct sources *owner;
    const struct source_driver *driver;
    struct upstream *upstream; /* owned; NULL before the start and after the stop */
    char *name, *dsn;          /* owned */
    struct source_options options;
    struct slot *slots;   /* owned, `capacity` of them */
    unsigned *free_slots; /* owned stack of indexes */
    unsigned connections;
    unsigned capacity, free_count; /* of slots */
    unsigned background_busy;      /* slots of loads that nobody waited for when they were sent */
    uint64_t next_request;
    struct list queue;      /* struct flight::in_queue: somebody waits */
    struct list background; /* the same: nobody does */
    size_t queue_len, background_len;
    size_t queue_weight; /* of the flights in `queue`, in parts of BULK_MAX */
    size_t waiters;
    size_t bytes;               /* of flights */
    struct deadlines deadlines; /* of pings */
    enum driver_state state;
    bool is_paused;
    bool is_blind;        /* it has a feed, which is not up */
    struct settle settle; /* what the feed told */
    struct settle unsure; /* keys of writes whose outcome is not known */
    struct breaker breaker;
    int64_t answered_ms; /* when the database last gave an answer to a query */
    struct source_stats stats;
    struct latency latency; /* from sending a query to its answer, us */
    struct log_limit log_limits[LOAD_ERRORS];
    struct statements statements; /* the upstream has them all */
};

struct map_stats {
    uint64_t hits, stale_hits, negative_hits, misses;
    uint64_t miss_loads, coalesced, rejected;
    uint64_t loads, batches, fills, negatives, voided, nofill, errors, timeouts;
    uint64_t refreshes, stale_error, soft_timeouts, bulk_orphans;
    uint64_t invalidated, writes, write_errors;
};
extern const struct metric_table map_stat_table;

struct source_map {
    struct source *source; /* borrowed */
    char *name, *sql;      /* owned; the statement as configured */
    struct buf statement;  /* with the driver's placeholders */
    struct pattern pattern;
    struct map_options options;
    unsigned index;        /* in sources::maps */
    int statement_id;      /* the upstream's; negative before the start */
    int bulk_statement_id; /* negative: there is none */
    struct buf bulk_statement;
    struct map_write {
        struct buf sql; /* with the driver's placeholders; empty: there is none */
        int statement_id;
        unsigned params_count, fields_count;
        struct strview fields[DRIVER_PARAMS_MAX]; /* of HSET; borrowed from the options */
    } writes[SOURCE_WRITES];
    bool is_gone; /* deleted: only its index and its epoch are left, for entries that name them */
    uint32_t first_epoch; /* entries from before were another map's */
    uint32_t epoch;
    int64_t epoch_at_ms; /* when it was last stepped */
    int64_t soft_at_ms;  /* values from before are past their life; -1: none are */
    int64_t blind_at_ms; /* since when its feed is down; INT64_MAX: it is not */
    struct deadlines deadlines;
    struct map_stats stats;
};

enum flight_state { FLIGHT_QUEUED, FLIGHT_SENT, FLIGHT_HELD };
enum flight_purpose {
    FLIGHT_READ,
    FLIGHT_TEST,
    FLIGHT_PING,
    FLIGHT_PROBE, /* of the breaker: nobody waits */
    FLIGHT_WARM,  /* asks for the keys of a warm-up */
    FLIGHT_WRITE,
    FLIGHT_CHECK, /* has the database look at a map's statement */
};

struct flight {
    struct list by_deadline; /* deadlines::flights or ::held */
    struct list in_queue;    /* source::queue or ::background, while QUEUED */
    struct list waiters;     /* struct load_waiter::link */
    struct flight *next;     /* in its bucket of the table */
    struct source *source;   /* borrowed */
    struct source_map *map;  /* borrowed; NULL for a ping */
    uint64_t id;
    uint64_t hash;
    unsigned db;
    unsigned waiters_count;
    int statement_id;           /* of a WARM query, of a WRITE, of a CHECK */
    struct write_values *write; /* owned; of a WRITE */
    struct list in_writes;      /* sources::writes */
    bool is_definite;           /* of a WRITE: it is known not to have happened */
    unsigned slot, place;       /* while SENT: which slot, and which of its flights */
    enum flight_state state;
    enum flight_purpose purpose;
    bool is_listed; /* in the table */
    bool is_void;
    bool is_background; /* nobody has asked for it yet */
    bool is_warm;       /* begun by a warm-up, which counts it */
    bool is_admitted;   /* its result may be stored */
    bool is_retried;    /* its first connection broke */
    bool is_resent;     /* it was sent before, and counted */
    bool is_alone;      /* not to be sent together with others */
    bool is_late;       /* the row changed after the query was sent, see min-reload-interval */
    bool is_answering;  /* may not be freed by what a callback does */
    bool is_released;   /* to be freed once it is not answering */
    uint32_t epoch;     /* the map's when the query was sent */
    uint64_t tag_seq;   /* tags::seq when the query was sent */
    uint64_t db_voids;  /* the database's when the query was sent */
    int64_t started_ms, sent_ms, sent_us;
    int64_t deadline_ms; /* HELD: until when */
    char *error;         /* owned; HELD: what to answer */
    size_t memory;
    size_t key_len;
    char key[];
};

struct sources {
    int64_t *fences;      /* owned; see fence.c; NULL: no source has replicas */
    struct ev_loop *loop; /* borrowed, like the next two */
    struct store *store;
    const struct clock *clock;
    struct source_observer observer;
    struct source *sources[SOURCES_MAX]; /* owned */
    size_t sources_count;
    struct source_map **maps; /* owned array of owned maps */
    size_t maps_count;
    struct map_index map_index;
    struct flight_table flights;
    size_t flights_held;
    struct list writes; /* struct flight::in_writes: under way */
    uint64_t next_flight_id;
    uint64_t db_voids[STORE_DATABASES];
    struct rng rng;
    struct admission admission;
    struct tags tags;
    struct warm warm;
    struct slow_log slow;
    struct buf scratch; /* values while they are built */
    ev_timer timer;
    int64_t timer_at_ms; /* INT64_MAX: not set */
    bool is_running, is_stopped;
    char refusal[LOAD_ERROR_TEXT_MAX]; /* lent out with a result at once */
    /* The check of one map at start: */
    struct source_map *check_map; /* NULL: none under way */
    bool check_is_bulk, check_is_write;
    enum driver_status check_status;
    struct errtext check_text;
};

static inline struct strview flight_key(const struct flight *f)
{
    return strview_of(f->key, f->key_len);
}

/* A source or a map that was added while the server runs is put to work. 0, or negative with text. */
int source_start(struct source *src, struct errtext *err) WARN_UNUSED;
int map_start(struct source_map *m, struct errtext *err) WARN_UNUSED;

/* Frees what a map owns beside its place. */
void map_clear(struct source_map *m);
/* Closes and frees; leaves behind what a hung thread uses. */
void source_destroy(struct source *src, int64_t wait_ms);

/* NULL: no such source. */
struct source *source_find(const struct sources *s, struct strview name);

/* Removes the key in every database, whatever is there, and voids its flights. */
void sources_forget_key(struct sources *s, struct strview key);

/* The map's own, or its source's. */
int64_t map_load_timeout(const struct source_map *m);

static inline void deadlines_init(struct deadlines *d)
{
    list_init(&d->flights);
    list_init(&d->waiters);
    list_init(&d->soft);
    list_init(&d->held);
}

#endif
