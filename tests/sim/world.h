/*
 * A read-through world in one process: the real store and the real source layer, a clock that only
 * the test moves, a loop that turns when the test says so. Nothing here sleeps except where a real
 * database is waited for.
 */
#ifndef TARN_TESTS_WORLD_H
#define TARN_TESTS_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "tarn/base/clock.h"
#include "tarn/source/source.h"
#include "tarn/store/store.h"

struct world {
    struct clock clock;
    struct ev_loop *loop;
    struct store_options store_options;
    struct store *store;
    struct sources *sources;
    struct errtext err;
    int64_t reads;   /* of mapped keys, by this test */
    int64_t counted; /* by the maps */
};

/* One client that waits; what it was told is copied. */
struct reader {
    struct load_waiter waiter;
    unsigned answers; /* how often done was called, or 1 for an answer at once */
    enum load_status status;
    char text[256]; /* value or error, cut */
    size_t len;     /* of the whole */
    bool is_stale;
    void (*then)(struct reader *r); /* called within the answer; may be NULL */
    bool wants_new;                 /* set before the load: an old value will not do */
    struct world *world;
};

void world_open(struct world *w, int64_t maxmemory);
void world_close(struct world *w);

/* One configuration line; words are separated by one space, 'quoted words' may contain spaces.
 * Aborts the test on failure. */
void world_line(struct world *w, const char *line);
/* The same, expected to be refused with a text that contains `part`. */
void world_refuses(struct world *w, const char *line, const char *part);
void world_start(struct world *w);

/* Lets time pass on the test's clock, in one step, and everything that is due happen. */
void world_pass(struct world *w, int64_t ms);
/* Turns of the loop until nothing more happens at once (answers of the mock). */
void world_turn(struct world *w);
/* Real time: turns the loop until the reader has its answer; fails the test after five seconds. */
void world_await(struct world *w, struct reader *r);

/* What a GET does: store, judge, load. True: answered from the store (value in r->text). */
bool world_get(struct world *w, const char *key, struct reader *r);
/* world_get() and a turn or, for real databases, as many as it takes. */
void world_read(struct world *w, const char *key, struct reader *r);
/* Reads a row that there is. */
void world_fill(struct world *w, const char *key);
/* Is the key answered from memory? */
bool world_is_hit(struct world *w, const char *key);
/* Straight to the load, for a command that arrived then. */
enum load_start world_load(struct world *w, const char *key, int64_t arrived_ms, struct reader *r);

/* Makes the reader ready to wait, for calls other than world_load(). */
void world_prepare(struct world *w, struct reader *r);

/* Is the key in the store (negative entries included), whatever judge says? */
bool world_has(struct world *w, const char *key);
/* What is left of the life of a key that is in the store. */
int64_t world_life(struct world *w, const char *key);
struct store_key world_key(struct world *w, const char *key);

/* DEBUG SOURCE; the reply as a number where it is one. */
int64_t world_mock(struct world *w, const char *line);

/* A counter of a map or source by its name in INFO. */
int64_t world_map_stat(struct world *w, const char *map, const char *name);
int64_t world_source_stat(struct world *w, const char *source, const char *name);

/* Rule 54. The sums that hold for every map at rest. */
void world_check_identities(struct world *w);

/* The reader was answered once, with this value; with an error that begins with this word. */
void assert_answer(const struct reader *r, const char *value);
void assert_error(const struct reader *r, const char *word);

/* What makes a copy of a key worthless: DEL, FLUSHDB, FLUSHALL, invalidations of the key, the map,
 * all. */
typedef void (*world_event_fn)(struct world *w, const char *key);
#define WORLD_EVENTS 6
extern const world_event_fn world_events[WORLD_EVENTS];
void world_delete(struct world *w, const char *key);
void world_invalidate_map(struct world *w, const char *key);
/* SET by a client who may. */
void world_overwrite(struct world *w, const char *key);

/* cmocka's setup and teardown of a world with a mock `m` and two maps, `user:{id:int}` and
 * `page:{s:slug}` (no error-hold, 500 ms load-timeout), both without jitter, refresh-ahead and
 * stale windows. */
int world_setup(void **state);
int world_teardown(void **state);

#endif
