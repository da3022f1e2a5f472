/* See world.h. */
#include "world.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tarn/base/buf.h"
#include "tarn/base/num.h"

#define MAXMEMORY (64 * 1024 * 1024)
#define WORDS_MAX 64
#define TURNS_MAX 50

void world_open(struct world *w, int64_t maxmemory)
{
    *w = (struct world){
        .clock = {.mono_ms = 1000000, .wall_ms = 1700000000000, .mono_us = 1000000000},
        .store_options = {
            .maxmemory = maxmemory, .arena_bytes = 256 * 1024 * 1024, .hash_seed = 1}};
    w->loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(w->loop);
    assert_int_equal(store_create(&w->store, &w->store_options, &w->clock, &w->err), 0);
    assert_int_equal(sources_create(&w->sources, w->loop, w->store, &w->clock, &w->err), 0);
}

void world_close(struct world *w)
{
    sources_destroy(w->sources);
    store_check(w->store);
    store_destroy(w->store);
    ev_loop_destroy(w->loop);
}

static int split(char *line, struct strview *words)
{
    int count = 0;
    while (*line != '\0') {
        char end = *line == '\'' ? '\'' : ' ';
        line += *line == '\'';
        size_t len = strcspn(line, (char[]){end, '\0'});
        words[count++] = strview_of(line, len);
        assert_true(count < WORDS_MAX);
        line += len;
        line += end == '\'' && *line == '\'';
        line += *line == ' ';
    }
    return count;
}

static int run_line(struct world *w, const char *line)
{
    struct strview words[WORDS_MAX];
    char *copy = strdup(line);
    assert_non_null(copy);
    int count = split(copy, words);
    int r = sources_directive(w->sources, words, count, &w->err);
    free(copy);
    return r;
}

void world_line(struct world *w, const char *line)
{
    if (run_line(w, line) != 0) {
        fail_msg("%s: %s", line, w->err.text);
    }
}

void world_refuses(struct world *w, const char *line, const char *part)
{
    assert_true(run_line(w, line) != 0);
    if (strstr(w->err.text, part) == NULL) {
        fail_msg("'%s' does not say '%s'", w->err.text, part);
    }
}

void world_start(struct world *w)
{
    if (sources_start(w->sources, &w->err) != 0) {
        fail_msg("start: %s", w->err.text);
    }
}

void world_turn(struct world *w)
{
    sources_flush(w->sources);
    for (int i = 0; i < TURNS_MAX; i++) {
        ev_run(w->loop, EVRUN_NOWAIT);
        sources_flush(w->sources);
    }
}

void world_pass(struct world *w, int64_t ms)
{
    w->clock.mono_ms += ms;
    w->clock.mono_us += ms * 1000;
    w->clock.wall_ms += ms;
    sources_tick(w->sources);
    world_turn(w);
}

void world_await(struct world *w, struct reader *r)
{
    int64_t until_us = clock_now_us() + 5 * 1000000;
    sources_flush(w->sources);
    while (r->answers == 0) {
        assert_true(clock_now_us() < until_us);
        struct timespec pause = {.tv_nsec = 200000};
        ev_run(w->loop, EVRUN_NOWAIT);
        nanosleep(&pause, NULL);
    }
}

static void take_result(struct reader *r, const struct load_result *result)
{
    struct strview text = result->status == LOAD_FAILED ? result->error : result->value;
    r->answers++;
    r->status = result->status;
    r->is_stale = result->is_stale;
    r->len = text.len;
    size_t shown = size_min(text.len, sizeof(r->text) - 1);
    memset(r->text, 0, sizeof(r->text));
    if (shown > 0) {
        memcpy(r->text, text.data, shown);
    }
}

static void on_done(struct load_waiter *waiter, const struct load_result *result)
{
    struct reader *r = container_of(waiter, struct reader, waiter);
    assert_null(waiter->flight);
    take_result(r, result);
    if (r->then != NULL) {
        r->then(r);
    }
}

struct store_key world_key(struct world *w, const char *key)
{
    return store_key_init(w->store, 0, strview_str(key));
}

void world_prepare(struct world *w, struct reader *r)
{
    *r = (struct reader){.world = w,
                         .then = r->then,
                         .wants_new = r->wants_new,
                         .waiter = {.done = on_done,
                                    .wants_new = r->wants_new,
                                    .client_weight = r->waiter.client_weight}};
}

void world_fill(struct world *w, const char *key)
{
    struct reader r = {0};
    world_read(w, key, &r);
    assert_int_equal(r.status, LOAD_FOUND);
}

bool world_is_hit(struct world *w, const char *key)
{
    struct reader r = {0};
    const bool is_hit = world_get(w, key, &r);
    load_waiter_cancel(&r.waiter);
    return is_hit;
}

enum load_start world_load(struct world *w, const char *key, int64_t arrived_ms, struct reader *r)
{
    struct load_result now;
    struct source_map *m = sources_match(w->sources, strview_str(key));
    assert_non_null(m);
    struct store_key k = world_key(w, key);
    world_prepare(w, r);
    w->reads++;
    enum load_start start = sources_load(w->sources, m, &k, arrived_ms, &r->waiter, &now);
    if (start == LOAD_AT_ONCE) {
        assert_null(r->waiter.flight);
        take_result(r, &now);
    }
    return start;
}

bool world_get(struct world *w, const char *key, struct reader *r)
{
    struct store_key k = world_key(w, key);
    struct entry_view e;
    if (store_find(w->store, &k, &e)) {
        enum source_freshness f = e.aux != NULL ? sources_judge(w->sources, &k, &e, true)
                                                : SOURCE_FRESH;
        if (f != SOURCE_GONE) {
            struct load_result result = {.status = f == SOURCE_ABSENT ? LOAD_ABSENT : LOAD_FOUND,
                                         .value = e.value,
                                         .is_stale = f == SOURCE_STALE};
            w->reads += e.aux != NULL;
            *r = (struct reader){.world = w};
            take_result(r, &result);
            return true;
        }
    }
    if (sources_match(w->sources, strview_str(key)) == NULL) {
        *r = (struct reader){.world = w};
        take_result(r, &(struct load_result){.status = LOAD_ABSENT});
        return false;
    }
    (void)world_load(w, key, w->clock.mono_ms, r);
    return false;
}

void world_read(struct world *w, const char *key, struct reader *r)
{
    (void)world_get(w, key, r);
    world_await(w, r);
}

bool world_has(struct world *w, const char *key)
{
    struct store_key k = world_key(w, key);
    struct entry_view e;
    return store_peek(w->store, &k, &e);
}

int64_t world_life(struct world *w, const char *key)
{
    struct store_key k = world_key(w, key);
    struct entry_view e;
    assert_true(store_peek(w->store, &k, &e));
    return sources_expires_at(w->sources, &e) - w->clock.mono_ms;
}

int64_t world_mock(struct world *w, const char *line)
{
    struct strview words[WORDS_MAX] = {strview_str("m")};
    char copy[128];
    struct buf reply;
    buf_init(&reply);
    assert_true(strlen(line) < sizeof(copy));
    memcpy(copy, line, strlen(line) + 1);
    int count = split(copy, words + 1);
    if (sources_debug(w->sources, words, count + 1, &reply, &w->err) != 0) {
        fail_msg("%s: %s", line, w->err.text);
    }
    int64_t number = 0;
    (void)num_parse_i64(buf_view(&reply), &number); /* most verbs say OK */
    buf_fini(&reply);
    return number;
}

struct field {
    const char *name;
    int64_t value;
    bool is_found;
};

static void find_field(void *ctx, const char *name, struct strview value)
{
    struct field *f = ctx;
    if (strcmp(name, f->name) == 0) {
        f->is_found = num_parse_i64(value, &f->value);
    }
}

int64_t world_map_stat(struct world *w, const char *map, const char *name)
{
    struct field f = {.name = name};
    assert_true(sources_describe_map(w->sources, strview_str(map), find_field, &f));
    assert_true(f.is_found);
    return f.value;
}

int64_t world_source_stat(struct world *w, const char *source, const char *name)
{
    struct field f = {.name = name};
    assert_true(sources_describe(w->sources, strview_str(source), find_field, &f));
    assert_true(f.is_found);
    return f.value;
}

static void check_map(void *ctx, struct strview name)
{
    struct world *w = ctx;
    static const char *const reads[] = {"hits", "stale_hits", "negative_hits", "misses"};
    char map[65] = {0};
    memcpy(map, name.data, name.len);
    assert_int_equal(world_map_stat(w, map, "misses"), world_map_stat(w, map, "miss_loads") +
                                                           world_map_stat(w, map, "coalesced") +
                                                           world_map_stat(w, map, "rejected"));
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        w->counted += world_map_stat(w, map, reads[i]);
    }
    assert_int_equal(world_map_stat(w, map, "loads"),
                     world_map_stat(w, map, "fills") + world_map_stat(w, map, "negatives") +
                         world_map_stat(w, map, "voided") + world_map_stat(w, map, "nofill") +
                         world_map_stat(w, map, "errors") + world_map_stat(w, map, "timeouts"));
}

void world_check_identities(struct world *w)
{
    w->counted = 0;
    sources_walk_maps(w->sources, check_map, w);
    assert_int_equal(w->counted, w->reads);
}

void assert_answer(const struct reader *r, const char *value)
{
    assert_int_equal(r->answers, 1);
    if (r->status != LOAD_FOUND || strcmp(r->text, value) != 0) {
        fail_msg("status %d, '%s' instead of '%s'", (int)r->status, r->text, value);
    }
}

void assert_error(const struct reader *r, const char *word)
{
    assert_int_equal(r->answers, 1);
    if (r->status != LOAD_FAILED || strncmp(r->text, word, strlen(word)) != 0) {
        fail_msg("status %d, '%s' instead of %s", (int)r->status, r->text, word);
    }
}

void world_delete(struct world *w, const char *key)
{
    struct store_key k = world_key(w, key);
    (void)store_remove(w->store, &k);
    sources_void_key(w->sources, 0, strview_str(key));
}

static void flush_db(struct world *w, const char *key)
{
    (void)key;
    store_flush(w->store, 0);
    sources_void_db(w->sources, 0);
}

static void flush_all(struct world *w, const char *key)
{
    (void)key;
    store_flush(w->store, STORE_DATABASES);
    sources_void_db(w->sources, STORE_DATABASES);
}

static void invalidate_key(struct world *w, const char *key)
{
    (void)sources_invalidate_key(w->sources, strview_str(key), false);
}

void world_invalidate_map(struct world *w, const char *key)
{
    sources_invalidate_map(w->sources, sources_match(w->sources, strview_str(key)));
}

static void invalidate_one(void *ctx, struct strview name)
{
    struct world *w = ctx;
    sources_invalidate_map(w->sources, sources_map_by_name(w->sources, name));
}

static void invalidate_all(struct world *w, const char *key)
{
    (void)key;
    sources_walk_maps(w->sources, invalidate_one, w);
}

void world_overwrite(struct world *w, const char *key)
{
    struct store_key k = world_key(w, key);
    assert_int_equal(store_set(w->store, &k, strview_str("mine"), &(struct store_write){0}),
                     STORE_OK);
    sources_void_key(w->sources, 0, strview_str(key));
}

const world_event_fn world_events[WORLD_EVENTS] = {
    world_delete, flush_db, flush_all, invalidate_key, world_invalidate_map, invalidate_all};

int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    world_open(w, MAXMEMORY);
    world_line(w, "source m mock x");
    world_line(w, "map user m user:{id:int} 'SELECT $id' jitter 0% refresh-ahead 0 "
                  "stale-error-ttl 0");
    world_line(w, "map page m page:{s:slug} 'SELECT $s' jitter 0% refresh-ahead 0 "
                  "stale-error-ttl 0 error-hold 0 load-timeout 500ms");
    world_start(w);
    *state = w;
    return 0;
}

int world_teardown(void **state)
{
    struct world *w = *state;
    world_check_identities(w);
    world_close(w);
    free(w);
    return 0;
}
