/*
 * Read-through: sources (databases), maps (key pattern -> query) and flights (loads under way).
 *
 * The command layer asks for a load when a key that belongs to a map is not in the store; this
 * layer runs one query per key however many ask, writes the result into the store, and answers
 * every waiter. It knows neither commands nor connections: it calls back.
 *
 * Rules that every function here keeps (all are in docs/read-through-rules.md):
 *  - at most one live flight per (database, key); a flight that was voided may answer those who
 *    waited before the event, and nothing else; readers who come later start a new one;
 *  - every waiter is answered exactly once, by its own deadline at the latest, and never from
 *    within sources_load();
 *  - the age of a value counts from the moment its query was sent;
 *  - an error is never reported as an absent row and never becomes a negative entry.
 *
 * Entries written by this layer carry STORE_AUX_BYTES of aux (drawn in src/source/aux.h): map,
 * epoch, time of the query, life. They stay in the store beyond their life, for the windows in
 * which an old value may be served. Negative entries have type ENTRY_NEGATIVE.
 */
#ifndef TARN_SOURCE_SOURCE_H
#define TARN_SOURCE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/buf.h"
#include "tarn/base/clock.h"
#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/base/list.h"
#include "tarn/base/strview.h"
#include "tarn/store/store.h"

struct ev_loop;
struct sources;    /* opaque: everything of this layer */
struct source_map; /* opaque; lives until it is deleted, so not to be kept between commands */

/* ---- life and configuration ------------------------------------------------------------------ */

/* loop, store and clock are borrowed for the life of the object. */
int sources_create(struct sources **out, struct ev_loop *loop, struct store *store,
                   const struct clock *clock, struct errtext *err) WARN_UNUSED;

/* True for "source", "source-set", "map", "map-set". */
bool sources_is_directive(struct strview name);

/* One configuration line, split into words; argv[0] is the directive. 0 or -EINVAL with text. */
int sources_directive(struct sources *s, const struct strview *argv, int argc,
                      struct errtext *err) WARN_UNUSED;

/* The same with the directive apart: `argv` is what follows it. While the layer runs, too: a source is
 * opened; of maps, see sources_check(). */
int sources_change(struct sources *s, const char *directive, const struct strview *argv, int argc,
                   struct errtext *err) WARN_UNUSED;

/* SOURCE DEL: a map, or a source that no map loads from. Loads of a map end with SOURCEDOWN, what is
 * cached of it is gone for readers. 0, or negative with text. Not from within a callback of this
 * layer. */
int sources_delete(struct sources *s, struct strview name, struct errtext *err) WARN_UNUSED;

/* Every option of sources ("Options of a source") and of maps, for help and documentation. `def` is
 * NULL where there is no default. */
typedef void (*sources_option_fn)(void *ctx, const char *title, const char *name, const char *def,
                                  const char *help);
void sources_walk_options(sources_option_fn fn, void *ctx);

/* After all directives: opens the sources (in the background), checks the maps whose source can be
 * reached at once. A map that can never work (two statements, not read-only, an unknown parameter)
 * is refused here with its text. A source that is down does not fail the start. */
int sources_start(struct sources *s, struct errtext *err) WARN_UNUSED;

/* Answers all waiters with SOURCEDOWN, fills nothing any more, joins helper threads (one that hangs
 * in its database is left behind after a second). Not from within a callback of this layer. */
void sources_stop(struct sources *s);
void sources_destroy(struct sources *s);

/* How two configurations differ, for CONFIG REWRITE: first what is gone, then sources, then maps. The
 * function's non-zero result ends the walk and is returned; or -ENOMEM. */
enum source_difference {
    SOURCE_IS_NEW,
    SOURCE_IS_GONE,
    SOURCE_IS_OTHER, /* of the same name, but made anew */
    SOURCE_HAS_OTHER_OPTION,
};
struct source_change {
    enum source_difference kind;
    const char *directive; /* "source" or "map" */
    struct strview name;
    const char *option;  /* OTHER_OPTION */
    struct strview line; /* the whole object, or that option; without the end of line; with whatever
                            secret the dsn has */
};
typedef int (*sources_change_fn)(void *ctx, const struct source_change *change);
int sources_compare(struct sources *now, struct sources *before, sources_change_fn fn,
                    void *ctx) WARN_UNUSED;
/* An empty object, to be configured and compared, and never started. */
int sources_create_like(struct sources **out, const struct sources *s,
                        struct errtext *err) WARN_UNUSED;

/* Does a dsn hold a password? What it was read from should then be nobody else's to read. */
bool sources_have_passwords(const struct sources *s);

/* False when no map is configured: the command layer then skips this layer altogether. */
bool sources_has_maps(const struct sources *s);

/* Bytes held by flights, results and drivers: for used_memory. */
size_t sources_memory(const struct sources *s);

/* What those above may want to hear of; any of the functions may be NULL. Keys are borrowed during
 * the call; the callee may change neither this layer nor the store. */
struct source_observer {
    void *ctx;
    /* A row was written to the store, or the one that was there is gone because a newer one could
     * not be kept; `was_there`: there was another entry. Not called when only the age changed. */
    void (*filled)(void *ctx, const struct store_key *k, bool was_there);
    /* The row of the key was declared stale. Bit n of `databases`: it was cached in database n. */
    void (*key_invalidated)(void *ctx, struct strview key, unsigned databases);
    /* All rows of the map were, by a feed. */
    void (*map_invalidated)(void *ctx, const struct source_map *m);
};
/* Copies; NULL: nobody. */
void sources_set_observer(struct sources *s, const struct source_observer *o);

/* ---- reading --------------------------------------------------------------------------------- */

/* The map whose pattern the key matches in canonical spelling; NULL: an ordinary key. Called on
 * misses and writes. */
struct source_map *sources_match(struct sources *s, struct strview key);

/* The name of the source it loads from; lives as long as the map. For error texts. */
struct strview source_map_source_name(const struct source_map *m);

struct strview source_map_name(const struct source_map *m);

/* What its rows become. */
enum entry_type source_map_type(const struct source_map *m);

/* How much one load of it counts towards max-client-loads: SOURCE_LOAD_WEIGHT, less where many keys
 * are loaded by one query. */
#define SOURCE_LOAD_WEIGHT 128
unsigned source_map_weight(const struct source_map *m);

/* May EXISTS load on this map (option exists-loads)? */
bool source_map_exists_loads(const struct source_map *m);

enum source_freshness {
    SOURCE_FRESH,  /* serve it */
    SOURCE_STALE,  /* past its life, but within stale-ttl: serve it */
    SOURCE_ABSENT, /* a negative entry: the row is known not to exist; reply as for an absent key,
                      no load */
    SOURCE_GONE,   /* over, or invalidated: treat as a miss */
};
/* Judges a live entry that carries aux, for a reader: counts the hit in its map's metrics and, if
 * `may_load`, starts the load in the background that is due for an ageing or a stale value. Does
 * not touch the store. */
enum source_freshness sources_judge(struct sources *s, const struct store_key *k,
                                    const struct entry_view *e, bool may_load);
/* The same for whoever looks at an entry but does not read it (TTL, SCAN, DEL): nothing is counted
 * or started. */
enum source_freshness sources_peek(struct sources *s, const struct entry_view *e);

/* When the life of such an entry ends (the store keeps it longer, for the stale windows); never in
 * the past. Monotonic. */
int64_t sources_expires_at(struct sources *s, const struct entry_view *e);

/* When the query of such an entry was sent. Monotonic. */
int64_t sources_sent_at(const struct entry_view *e);

/* Ends the life of a live entry that carries aux earlier; a later time changes nothing. */
void sources_shorten(struct sources *s, const struct store_key *k, int64_t expires_at_ms);

enum load_status { LOAD_FOUND, LOAD_ABSENT, LOAD_FAILED };

struct load_result {
    enum load_status status;
    enum entry_type type;
    struct strview value; /* LOAD_FOUND; borrowed during the callback (or until the next call, for a
                             result at once) */
    int64_t sent_ms;      /* LOAD_FOUND: when its query was sent */
    bool is_stale;        /* LOAD_FOUND: an old value, because the load failed or is slow */
    struct strview error; /* LOAD_FAILED: "SOURCETIMEOUT map 'user' source 'shop' after 1000 ms
                             id=7f3a", same lifetime */
};

/* One party waiting for one load. The owner embeds it, zeroed; it stays linked until `done` runs or
 * load_waiter_cancel(). */
struct load_waiter {
    struct list link;        /* in the flight's list of waiters */
    struct list by_deadline; /* in the map's list of waiters, earliest deadline first */
    struct flight *flight;   /* borrowed; NULL when not waiting */
    int64_t deadline_ms;
    int64_t last_ms; /* while deadline_ms is that of soft-timeout: the real one */
    bool is_soft;    /* deadline_ms is that of soft-timeout */
    bool wants_new;  /* the owner's: an old value will not do, whatever happens */
    void (*done)(struct load_waiter *w, const struct load_result *r);
    size_t client_weight; /* of the loads this party's client has under way; checked against
                             max-client-loads */
};

enum load_start {
    LOAD_WAITS,   /* w->done() will be called exactly once, later */
    LOAD_AT_ONCE, /* *now is filled: limits, error-hold, breaker, no-load; w is not linked */
};

/* Joins the live flight of the key or starts one. `arrived_ms` is the moment the command arrived:
 * deadlines count from it. */
enum load_start sources_load(struct sources *s, struct source_map *m, const struct store_key *k,
                             int64_t arrived_ms, struct load_waiter *w,
                             struct load_result *now) WARN_UNUSED;

/* Starts a load that somebody will ask for in a moment, unless one is under way or its result could
 * not be kept until then. False: a limit speaks against any more. */
bool sources_prefetch(struct sources *s, struct source_map *m, const struct store_key *k);

/* The waiter's owner goes away. Accepts a waiter that is not linked. A flight nobody waits for goes
 * on if its query was sent and is dropped if it was still queued. */
void load_waiter_cancel(struct load_waiter *w);

/* Loads started in this turn are handed to the drivers in batches; call once at the end of the
 * turn. */
void sources_flush(struct sources *s);

/* ---- writing ---------------------------------------------------------------------------------- */

enum source_write { SOURCE_WRITE_SET, SOURCE_WRITE_HSET, SOURCE_WRITE_DEL };
#define SOURCE_WRITES 3

/* Does the map write such changes through to its database (writes through, and on-set and the like)?
 */
bool source_map_writes(const struct source_map *m, enum source_write kind);
/* May commands write its keys in the cache alone (writes local)? */
bool source_map_is_local(const struct source_map *m);
/* Life of a row where nothing else says; 0: rows are not stored. */
int64_t source_map_ttl_ms(const struct source_map *m);

struct source_write_args {
    struct store_key key;
    int64_t arrived_ms;
    const struct strview *values; /* SET: one; HSET: field, value, ... */
    size_t values_count;
};
/* The result is LOAD_FOUND when the database did it. Errors: as of loads, SOURCENOROW when no row was
 * touched, SOURCEUNKNOWN when nobody can tell. Never tried twice. */
enum load_start sources_write(struct sources *s, struct source_map *m, enum source_write kind,
                              const struct source_write_args *args, struct load_waiter *w,
                              struct load_result *now) WARN_UNUSED;

/* ---- invalidation ---------------------------------------------------------------------------- */

/* The key was overwritten, removed, or is declared stale by somebody else: the flight in the air
 * may not fill. Cheap when no flight is live. Does not touch the store. */
void sources_void_key(struct sources *s, unsigned db, struct strview key);
/* The whole database (STORE_DATABASES: all). */
void sources_void_db(struct sources *s, unsigned db);

/* Removes the key in every database and voids its flights; true when something was cached (a
 * negative entry included). `is_soft`: the value's life ends, but it stays for its stale windows.
 */
bool sources_invalidate_key(struct sources *s, struct strview key, bool is_soft);
/* The same for every key whose value has this tag (option `tag`); how many were cached. Loads that
 * were sent before and turn out to have the tag fill nothing. */
int64_t sources_invalidate_tag(struct sources *s, struct strview tag, bool is_soft);
/* O(1): the map's epoch moves on, all its entries are gone for readers, its flights are voided. */
void sources_invalidate_map(struct sources *s, struct source_map *m);
/* O(1): the lives of all its values end; they stay for their stale windows. */
void sources_soften_map(struct sources *s, struct source_map *m);

/* ---- looking at it --------------------------------------------------------------------------- */

struct source_map *sources_map_by_name(struct sources *s, struct strview name);

/* Name and value of one line of a description, in a fixed order; numbers come as decimal text. */
typedef void (*source_field_fn)(void *ctx, const char *name, struct strview value);

/* Calls `each` with the name of every source / map in order of configuration. */
typedef void (*source_name_fn)(void *ctx, struct strview name);
void sources_walk(const struct sources *s, source_name_fn each, void *ctx);
void sources_walk_maps(const struct sources *s, source_name_fn each, void *ctx);

/* Fields as INFO shows them: driver, state, loads, errors, ... / hits, misses, loads, .... False:
 * no such name. */
bool sources_describe(struct sources *s, struct strview source, source_field_fn each, void *ctx);
bool sources_describe_map(struct sources *s, struct strview map, source_field_fn each, void *ctx);
/* The definition of a map: source, pattern, sql, as, ttl, ... */
bool sources_define_map(struct sources *s, struct strview map, source_field_fn each, void *ctx);

/* SOURCE EXPLAIN: which map, parameters, cached?, age, ttl, would it load? False: no map matches.
 */
bool sources_explain(struct sources *s, const struct store_key *k, source_field_fn each, void *ctx);

/* SOURCE DDL: appends the statements that make the database report changes of a map's rows. 0,
 * -EINVAL with text, or -ENOMEM. */
int sources_ddl(struct sources *s, struct strview map, struct buf *out,
                struct errtext *err) WARN_UNUSED;

/* SOURCE WARM: loads keys in the background, `rate` of them per second: those given (of the map; the
 * rest is passed over), or those that a query answers, whose columns are the pattern's parameters. 0,
 * or negative with text. One at a time. */
int sources_warm_keys(struct sources *s, struct source_map *m, const struct strview *keys,
                      size_t count, int64_t rate, struct errtext *err) WARN_UNUSED;
int sources_warm_query(struct sources *s, struct source_map *m, struct strview sql, int64_t rate,
                       struct errtext *err) WARN_UNUSED;
/* The lines of a file, which is read in the background, as far as it is needed. */
int sources_warm_file(struct sources *s, struct source_map *m, struct strview path, int64_t rate,
                      struct errtext *err) WARN_UNUSED;
/* False: there was nothing to stop. */
bool sources_warm_stop(struct sources *s);
void sources_warm_status(struct sources *s, source_field_fn each, void *ctx);

/* The keys (of the map; NULL: of all) in database 0 that are used most, in a sample, hottest first.
 * The score is the policy's: a frequency, or minus the milliseconds since the last use. */
#define SOURCE_HOT_MAX 100
typedef void (*source_hot_fn)(void *ctx, struct strview key, int64_t score);
void sources_hot(struct sources *s, const struct source_map *m, size_t n, source_hot_fn each,
                 void *ctx);

/* The latest slow loads (option slow-load), newest first. */
struct source_slow_load {
    struct strview map, key; /* the key is cut when it is long; borrowed during the call */
    int64_t took_us, wall_ms;
};
typedef void (*source_slow_fn)(void *ctx, const struct source_slow_load *load);
void sources_slow(const struct sources *s, size_t n, source_slow_fn each, void *ctx);

/* SOURCE TEST: runs the map's query for the key once, stores nothing. `done` gets the mapped value.
 */
enum load_start sources_test(struct sources *s, struct source_map *m, struct strview key,
                             struct load_waiter *w, struct load_result *now) WARN_UNUSED;

/* The database looks at the map's query, or its bulk-query: SOURCEERR when it refuses it or the
 * columns are not what the map needs; other errors say nothing about the map. */
enum load_start sources_check(struct sources *s, struct source_map *m, bool is_bulk,
                              struct load_waiter *w, struct load_result *now) WARN_UNUSED;

/* SOURCE PING: connects if need be and runs the driver's trivial query. */
enum load_start sources_ping(struct sources *s, struct strview source, struct load_waiter *w,
                             struct load_result *now) WARN_UNUSED;

/* SOURCE PAUSE|RESUME. False: no such source. */
bool sources_pause(struct sources *s, struct strview source, bool is_paused);

/* Loads of all sources that were answered within so many microseconds; UINT64_MAX: at all. */
uint64_t sources_count_loads(const struct sources *s, uint64_t within_us);

/* SOURCE RESETSTAT, CONFIG RESETSTAT. */
void sources_reset_stats(struct sources *s);

/* Acts on what is due by the clock: deadlines of waiters and flights. A timer calls it; tests with
 * a clock of their own call it themselves. */
void sources_tick(struct sources *s);

/* DEBUG SOURCE <name> HOLD|RELEASE|FAIL ...: gates of the mock driver; argv[0] is the source's
 * name. 0, or -EINVAL with text. */
int sources_debug(struct sources *s, const struct strview *argv, int argc, struct buf *reply,
                  struct errtext *err) WARN_UNUSED;

#endif
