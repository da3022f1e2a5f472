/*
 * Herds, races, limits and deadlines of read-through, as sequences of steps: the mock holds each
 * query at its gate until the test lets it go, and time passes when the test says so.
 */
#include "world.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAXMEMORY (64 * 1024 * 1024)
#define HERD      1000

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    world_open(w, MAXMEMORY);
    world_line(w, "source m mock x");
    world_line(w, "map user m user:{id:int} 'SELECT $id' jitter 0%");
    world_line(w, "map page m page:{s:slug} 'SELECT $s' jitter 0% error-hold 0 load-timeout 500ms");
    world_start(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    if (!sources_has_maps(w->sources)) {
        fail();
    }
    world_check_identities(w);
    world_close(w);
    free(w);
    return 0;
}

static void assert_answer(const struct reader *r, const char *value)
{
    assert_int_equal(r->answers, 1);
    if (r->status != LOAD_FOUND || strcmp(r->text, value) != 0) {
        fail_msg("status %d, '%s' instead of '%s'", (int)r->status, r->text, value);
    }
}

static void assert_error(const struct reader *r, const char *word)
{
    assert_int_equal(r->answers, 1);
    if (r->status != LOAD_FAILED || strncmp(r->text, word, strlen(word)) != 0) {
        fail_msg("status %d, '%s' instead of %s", (int)r->status, r->text, word);
    }
}

/* ---- coalescing ------------------------------------------------------------------------------ */

static void readthrough__herd_makes_one_query(void **state)
{
    struct world *w = *state;
    struct reader *herd = calloc(HERD, sizeof(*herd));
    assert_non_null(herd);
    world_mock(w, "HOLD");
    for (int i = 0; i < HERD; i++) {
        assert_false(world_get(w, "user:1", &herd[i]));
        world_turn(w);
        assert_int_equal(herd[i].answers, 0);
    }
    assert_int_equal(world_mock(w, "QUERIES"), 1);
    assert_int_equal(world_source_stat(w, "m", "waiters"), HERD);
    world_mock(w, "RELEASE");
    world_turn(w);
    for (int i = 0; i < HERD; i++) {
        assert_answer(&herd[i], "mock:1:1");
    }
    assert_int_equal(world_map_stat(w, "user", "coalesced"), HERD - 1);
    assert_int_equal(world_map_stat(w, "user", "loads"), 1);
    assert_int_equal(world_source_stat(w, "m", "waiters"), 0);
    struct reader late = {0};
    assert_true(world_get(w, "user:1", &late));
    assert_answer(&late, "mock:1:1");
    free(herd);
}

static void readthrough__herd_shares_one_failure(void **state)
{
    struct world *w = *state;
    struct reader herd[100] = {{.world = w}};
    world_mock(w, "HOLD");
    world_mock(w, "FAIL down");
    for (int i = 0; i < 100; i++) {
        (void)world_get(w, "user:1", &herd[i]);
    }
    world_turn(w);
    world_mock(w, "RELEASE");
    world_turn(w);
    for (int i = 0; i < 100; i++) {
        assert_error(&herd[i], "SOURCEDOWN map 'user' source 'm' after 0 ms id=");
        assert_string_equal(herd[i].text, herd[0].text);
    }
    assert_int_equal(world_mock(w, "QUERIES"), 1);
    assert_int_equal(world_map_stat(w, "user", "errors"), 1);
    assert_false(world_has(w, "user:1"));
}

static void readthrough__same_key_in_two_databases_is_two_keys(void **state)
{
    struct world *w = *state;
    struct reader a = {0};
    struct reader b = {0};
    struct load_result now;
    (void)world_get(w, "user:1", &a);
    world_prepare(w, &b);
    struct store_key k = store_key_init(w->store, 5, strview_str("user:1"));
    struct source_map *m = sources_match(w->sources, k.key);
    assert_int_equal(sources_load(w->sources, m, &k, w->clock.mono_ms, &b.waiter, &now),
                     LOAD_WAITS);
    world_turn(w);
    assert_int_equal(world_mock(w, "QUERIES"), 2);
    assert_answer(&a, "mock:1:1");
    assert_answer(&b, "mock:1:2");
}

static void readthrough__single_miss_is_sent_in_its_turn(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    assert_int_equal(world_mock(w, "QUERIES"), 0);
    sources_flush(w->sources);
    assert_int_equal(world_mock(w, "QUERIES"), 1);
    assert_int_equal(r.answers, 0);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&r, "mock:1:1");
}

static void readthrough__batches_go_out_without_waiting(void **state)
{
    struct world *w = *state;
    struct reader r[40] = {{.world = w}};
    char key[32];
    world_mock(w, "HOLD");
    for (int i = 0; i < 40; i++) {
        (void)snprintf(key, sizeof(key), "user:%d", i);
        (void)world_get(w, key, &r[i]);
    }
    world_turn(w);
    assert_int_equal(world_mock(w, "HELD"), 8); /* the mock's pool */
    assert_int_equal(world_source_stat(w, "m", "queue"), 32);
    assert_int_equal(world_source_stat(w, "m", "busy"), 8);
    world_mock(w, "RELEASE 3");
    world_turn(w);
    assert_int_equal(world_mock(w, "HELD"), 8);
    assert_int_equal(world_source_stat(w, "m", "queue"), 29);
    world_mock(w, "RELEASE");
    world_turn(w);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(r[i].answers, 1);
        assert_int_equal(r[i].status, LOAD_FOUND);
    }
}

/* ---- the void rule --------------------------------------------------------------------------- */

static void delete_key(struct world *w, const char *key)
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
    (void)sources_invalidate_key(w->sources, strview_str(key));
}

static void invalidate_map(struct world *w, const char *key)
{
    sources_invalidate_map(w->sources, sources_match(w->sources, strview_str(key)));
}

static void invalidate_all(struct world *w, const char *key)
{
    (void)key;
    sources_invalidate_all(w->sources);
}

static void overwrite(struct world *w, const char *key)
{
    struct store_key k = world_key(w, key);
    assert_int_equal(store_set(w->store, &k, strview_str("mine"), &(struct store_write){0}),
                     STORE_OK);
    sources_void_key(w->sources, 0, strview_str(key));
}

typedef void (*event_fn)(struct world *w, const char *key);
static const event_fn events[] = {delete_key,     flush_db,       flush_all,
                                  invalidate_key, invalidate_map, invalidate_all};
#define EVENTS (sizeof(events) / sizeof(events[0]))

static void readthrough__event_voids_a_sent_load(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < EVENTS; i++) {
        struct reader before = {0};
        struct reader after = {0};
        world_mock(w, "RESET");
        world_mock(w, "HOLD");
        (void)world_get(w, "user:1", &before);
        world_turn(w);
        events[i](w, "user:1");
        (void)world_get(w, "user:1", &after);
        world_turn(w);
        assert_int_equal(world_mock(w, "QUERIES"), 2); /* who comes later starts a new one */
        world_mock(w, "RELEASE 1");
        world_turn(w);
        assert_answer(&before, "mock:1:1");
        assert_int_equal(after.answers, 0);
        assert_false(world_has(w, "user:1"));
        world_mock(w, "RELEASE");
        world_turn(w);
        assert_answer(&after, "mock:1:2");
        struct reader hit = {0};
        assert_true(world_get(w, "user:1", &hit));
        assert_answer(&hit, "mock:1:2");
        assert_int_equal(world_map_stat(w, "user", "voided"), i + 1);
        delete_key(w, "user:1");
    }
}

static void readthrough__answer_already_on_its_way_is_voided_too(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < EVENTS; i++) {
        struct reader before = {0};
        world_mock(w, "RESET");
        world_mock(w, "HOLD");
        (void)world_get(w, "user:1", &before);
        world_turn(w);
        world_mock(w, "RELEASE"); /* the answer is ready, the loop has not seen it */
        events[i](w, "user:1");
        world_turn(w);
        assert_answer(&before, "mock:1:1");
        assert_false(world_has(w, "user:1"));
    }
    assert_int_equal(world_map_stat(w, "user", "voided"), EVENTS);
    assert_int_equal(world_map_stat(w, "user", "fills"), 0);
}

static void readthrough__event_does_not_void_a_queued_load(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < EVENTS; i++) {
        struct reader r = {0};
        world_mock(w, "RESET");
        (void)world_get(w, "user:1", &r);
        events[i](w, "user:1"); /* not sent yet: its query will see the change */
        world_turn(w);
        assert_answer(&r, "mock:1:1");
        struct reader hit = {0};
        assert_true(world_get(w, "user:1", &hit));
        delete_key(w, "user:1");
    }
    assert_int_equal(world_map_stat(w, "user", "voided"), 0);
}

static void readthrough__old_answer_after_the_new_one_changes_nothing(void **state)
{
    struct world *w = *state;
    struct reader before = {0};
    struct reader after = {0};
    struct reader hit = {0};
    world_mock(w, "HOLD");
    (void)world_get(w, "page:a", &before);
    world_turn(w);
    delete_key(w, "page:a");
    world_mock(w, "RELEASE 0");
    (void)world_get(w, "page:a", &after);
    world_turn(w);
    /* The first query hangs; time makes the order: the layer ends it at its deadline. */
    world_pass(w, 400);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&before, "mock:a:1");
    assert_answer(&after, "mock:a:2");
    assert_true(world_get(w, "page:a", &hit));
    assert_answer(&hit, "mock:a:2");
}

static void readthrough__overwrite_wins_over_the_load(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    struct reader hit = {0};
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    overwrite(w, "user:1");
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&r, "mock:1:1");
    assert_true(world_get(w, "user:1", &hit));
    assert_answer(&hit, "mine");
}

static void readthrough__epoch_removes_all_entries_at_once(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    struct reader other = {0};
    (void)world_get(w, "user:1", &r);
    (void)world_get(w, "page:a", &other);
    world_turn(w);
    invalidate_map(w, "user:1");
    assert_false(world_get(w, "user:1", &r));
    assert_true(world_get(w, "page:a", &other));
    world_turn(w);
    assert_answer(&r, "mock:1:3");
}

static void readthrough__invalidate_key_tells_what_was_cached(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    assert_false(sources_invalidate_key(w->sources, strview_str("user:1")));
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_true(sources_invalidate_key(w->sources, strview_str("user:1")));
    assert_false(world_has(w, "user:1"));
    overwrite(w, "plain");
    assert_false(sources_invalidate_key(w->sources, strview_str("plain")));
    assert_true(world_has(w, "plain"));
    world_mock(w, "ROWS 0");
    (void)world_get(w, "user:2", &r);
    world_turn(w);
    assert_true(sources_invalidate_key(w->sources, strview_str("user:2")));
    assert_false(world_has(w, "user:2"));
    assert_int_equal(world_map_stat(w, "user", "invalidated"), 2);
}

/* ---- age ------------------------------------------------------------------------------------- */

static void readthrough__age_counts_from_the_query(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user ttl 5s load-timeout 10s");
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    world_pass(w, 3000);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&r, "mock:1:1");
    world_pass(w, 1999);
    assert_true(world_get(w, "user:1", &r));
    world_pass(w, 1);
    assert_false(world_get(w, "user:1", &r));
    world_turn(w);
}

static void readthrough__waiting_in_the_queue_is_not_age(void **state)
{
    struct world *w = *state;
    struct reader r[9] = {{.world = w}};
    struct entry_view e;
    char key[32];
    world_line(w, "map-set user ttl 5s load-timeout 10s");
    world_mock(w, "HOLD");
    for (int i = 0; i < 9; i++) {
        (void)snprintf(key, sizeof(key), "user:%d", i);
        (void)world_get(w, key, &r[i]);
    }
    world_turn(w);
    world_pass(w, 2000);
    world_mock(w, "RELEASE");
    world_turn(w);
    struct store_key k = world_key(w, "user:8");
    assert_true(store_peek(w->store, &k, &e));
    assert_int_equal(e.expires_at_ms - w->clock.mono_ms, 5000);
    k = world_key(w, "user:0");
    assert_true(store_peek(w->store, &k, &e));
    assert_int_equal(e.expires_at_ms - w->clock.mono_ms, 3000);
}

static void readthrough__load_slower_than_the_ttl_is_answered_only(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user ttl 1s load-timeout 10s");
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    world_pass(w, 1000);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&r, "mock:1:1");
    assert_false(world_has(w, "user:1"));
    assert_int_equal(world_map_stat(w, "user", "nofill"), 1);
}

static void readthrough__ttl_zero_is_never_stored(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user ttl 0 negative-ttl 0");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_answer(&r, "mock:1:1");
    world_mock(w, "ROWS 0");
    (void)world_get(w, "user:2", &r);
    world_turn(w);
    assert_int_equal(r.status, LOAD_ABSENT);
    assert_false(world_has(w, "user:1"));
    assert_false(world_has(w, "user:2"));
    assert_int_equal(world_map_stat(w, "user", "nofill"), 2);
}

static void readthrough__jitter_spreads_and_never_lengthens(void **state)
{
    struct world *w = *state;
    enum { KEYS = 10000, TTL = 100000 };
    int64_t first = INT64_MAX;
    int64_t last = 0;
    char key[32];
    world_line(w, "map-set user ttl 100s jitter 10%");
    for (int i = 0; i < KEYS; i++) {
        struct reader r = {0};
        struct entry_view e;
        (void)snprintf(key, sizeof(key), "user:%d", i);
        (void)world_get(w, key, &r);
        sources_flush(w->sources);
        ev_run(w->loop, EVRUN_NOWAIT);
        struct store_key k = world_key(w, key);
        assert_true(store_peek(w->store, &k, &e));
        int64_t life = e.expires_at_ms - w->clock.mono_ms;
        first = life < first ? life : first;
        last = life > last ? life : last;
    }
    assert_true(last <= TTL);
    assert_true(first >= TTL - TTL / 10);
    assert_true(last - first >= TTL * 9 / 100);
}

static void readthrough__lowered_ttl_counts_at_once(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    world_pass(w, 60000);
    assert_true(world_get(w, "user:1", &r));
    world_line(w, "map-set user ttl 30s");
    assert_false(world_get(w, "user:1", &r));
    world_turn(w);
    assert_answer(&r, "mock:1:2");
}

/* ---- absent rows ----------------------------------------------------------------------------- */

static void readthrough__missing_row_is_one_query_per_negative_ttl(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_mock(w, "ROWS 0");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_int_equal(r.status, LOAD_ABSENT);
    assert_int_equal(store_count(w->store, 0), 0); /* invisible */
    for (int i = 0; i < 49; i++) {
        world_pass(w, 100);
        assert_true(world_get(w, "user:1", &r));
        assert_int_equal(r.status, LOAD_ABSENT);
    }
    assert_int_equal(world_mock(w, "QUERIES"), 1);
    world_pass(w, 100);
    assert_false(world_get(w, "user:1", &r));
    world_turn(w);
    assert_int_equal(world_mock(w, "QUERIES"), 2);
    assert_int_equal(world_map_stat(w, "user", "negatives"), 2);
    assert_int_equal(world_map_stat(w, "user", "negative_hits"), 49);
}

static void readthrough__event_removes_a_negative_entry(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < EVENTS; i++) {
        struct reader r = {0};
        world_mock(w, "RESET");
        world_mock(w, "ROWS 0");
        (void)world_get(w, "user:1", &r);
        world_turn(w);
        assert_true(world_get(w, "user:1", &r));
        world_mock(w, "ROWS 1");
        events[i](w, "user:1");
        assert_false(world_get(w, "user:1", &r));
        world_turn(w);
        assert_answer(&r, "mock:1:2");
        delete_key(w, "user:1");
    }
}

static void readthrough__failures_are_never_absent(void **state)
{
    static const char *const fails[][2] = {{"FAIL down", "SOURCEDOWN"},
                                           {"FAIL timeout", "SOURCETIMEOUT"},
                                           {"FAIL busy", "SOURCEBUSY"},
                                           {"FAIL err", "SOURCEERR"},
                                           {"FAIL big", "SOURCEBIG"}};
    struct world *w = *state;
    for (size_t i = 0; i < 5; i++) {
        struct reader r = {0};
        world_mock(w, fails[i][0]);
        (void)world_get(w, "page:a", &r);
        world_turn(w);
        assert_error(&r, fails[i][1]);
        assert_false(world_has(w, "page:a"));
    }
    assert_int_equal(world_map_stat(w, "page", "timeouts"), 1);
    assert_int_equal(world_map_stat(w, "page", "errors"), 4);
}

static void readthrough__null_is_absent_and_two_rows_are_an_error(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_mock(w, "NULL");
    (void)world_get(w, "page:a", &r);
    world_turn(w);
    assert_int_equal(r.status, LOAD_ABSENT);
    world_mock(w, "ROWS 2");
    (void)world_get(w, "page:b", &r);
    world_turn(w);
    assert_error(&r, "SOURCEERR");
    world_line(w, "map-set page rows first");
    (void)world_get(w, "page:b", &r);
    world_turn(w);
    assert_int_equal(r.status, LOAD_FOUND);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

static void readthrough__hung_source_times_out(void **state)
{
    struct world *w = *state;
    struct reader first = {0};
    struct reader second = {0};
    struct reader third = {0};
    world_mock(w, "HOLD");
    (void)world_get(w, "page:a", &first);
    world_turn(w);
    world_pass(w, 300);
    (void)world_get(w, "page:a", &second);
    world_pass(w, 199);
    assert_int_equal(first.answers, 0);
    world_pass(w, 1);
    assert_error(&first, "SOURCETIMEOUT map 'page' source 'm' after 500 ms id=");
    assert_error(&second, "SOURCETIMEOUT"); /* the flight is over, for all */
    assert_int_equal(world_source_stat(w, "m", "busy"), 0);
    assert_int_equal(world_map_stat(w, "page", "timeouts"), 1);
    world_mock(w, "RELEASE");
    (void)world_get(w, "page:a", &third);
    world_turn(w);
    assert_answer(&third, "mock:a:2");
}

static void readthrough__waiter_from_earlier_has_its_own_deadline(void **state)
{
    struct world *w = *state;
    struct reader late = {0};
    struct reader early = {0};
    world_mock(w, "HOLD");
    (void)world_load(w, "page:a", w->clock.mono_ms, &late);
    (void)world_load(w, "page:a", w->clock.mono_ms - 400, &early); /* its command waited before */
    world_turn(w);
    world_pass(w, 99);
    assert_int_equal(early.answers, 0);
    world_pass(w, 1);
    assert_error(&early, "SOURCETIMEOUT");
    assert_int_equal(late.answers, 0);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&late, "mock:a:1");
    /* Nothing left of the time: refused without asking. */
    assert_int_equal(world_load(w, "page:b", w->clock.mono_ms - 500, &early), LOAD_AT_ONCE);
    assert_error(&early, "SOURCETIMEOUT");
}

static void readthrough__queued_load_times_out_in_the_queue(void **state)
{
    struct world *w = *state;
    struct reader r[10] = {{.world = w}};
    char key[32];
    world_mock(w, "HOLD");
    for (int i = 0; i < 10; i++) {
        (void)snprintf(key, sizeof(key), "page:p%d", i);
        (void)world_get(w, key, &r[i]);
    }
    world_turn(w);
    world_pass(w, 500);
    for (int i = 0; i < 10; i++) {
        assert_error(&r[i], "SOURCETIMEOUT");
    }
    assert_int_equal(world_mock(w, "QUERIES"), 8);
    assert_int_equal(world_map_stat(w, "page", "timeouts"), 10);
    assert_int_equal(world_source_stat(w, "m", "queue"), 0);
}

static void readthrough__error_is_held_for_a_moment(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    struct reader again = {0};
    world_mock(w, "FAIL err");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_error(&r, "SOURCEERR");
    world_mock(w, "FAIL off");
    world_pass(w, 99);
    assert_int_equal(world_load(w, "user:1", w->clock.mono_ms, &again), LOAD_AT_ONCE);
    assert_string_equal(again.text, r.text);
    assert_int_equal(world_map_stat(w, "user", "rejected"), 1);
    (void)world_get(w, "user:2", &again); /* another key is not held */
    world_turn(w);
    assert_answer(&again, "mock:2:2");
    world_pass(w, 1);
    (void)world_get(w, "user:1", &again);
    world_turn(w);
    assert_answer(&again, "mock:1:3");
}

static void readthrough__event_ends_the_hold(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < EVENTS; i++) {
        struct reader r = {0};
        world_mock(w, "RESET");
        world_mock(w, "FAIL err");
        (void)world_get(w, "user:1", &r);
        world_turn(w);
        world_mock(w, "FAIL off");
        events[i](w, "user:1");
        assert_int_equal(world_load(w, "user:1", w->clock.mono_ms, &r), LOAD_WAITS);
        world_turn(w);
        assert_answer(&r, "mock:1:2");
        delete_key(w, "user:1");
    }
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void readthrough__limits_answer_at_once(void **state)
{
    struct world *w = *state;
    struct reader r[16] = {{.world = w}};
    world_line(w,
               "source-set m max-queue 1 max-waiters-per-key 2 max-waiters 10 max-client-loads 3");
    world_mock(w, "HOLD");
    for (int i = 0; i < 9; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "user:%d", i);
        assert_int_equal(world_load(w, key, w->clock.mono_ms, &r[i]), LOAD_WAITS);
        world_turn(w);
    }
    assert_int_equal(world_load(w, "user:9", w->clock.mono_ms, &r[9]), LOAD_AT_ONCE);
    assert_error(&r[9], "SOURCEBUSY"); /* the queue */
    assert_int_equal(world_load(w, "user:0", w->clock.mono_ms, &r[10]), LOAD_WAITS);
    assert_int_equal(world_load(w, "user:1", w->clock.mono_ms, &r[11]), LOAD_AT_ONCE);
    assert_error(&r[11], "SOURCEBUSY"); /* waiters of the source */
    world_line(w, "source-set m max-waiters 100");
    assert_int_equal(world_load(w, "user:0", w->clock.mono_ms, &r[12]), LOAD_AT_ONCE);
    assert_error(&r[12], "SOURCEBUSY"); /* waiters of the key */
    r[13].waiter.client_loads = 3;
    assert_int_equal(world_load(w, "user:1", w->clock.mono_ms, &r[13]), LOAD_AT_ONCE);
    assert_error(&r[13], "SOURCEBUSY"); /* loads of the client */
    assert_int_equal(world_map_stat(w, "user", "rejected"), 4);
    assert_int_equal(world_source_stat(w, "m", "rejected"), 4);
    world_mock(w, "RELEASE");
    world_turn(w);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(r[i].status, LOAD_FOUND);
    }
}

static void readthrough__inflight_memory_is_bounded(void **state)
{
    struct world *w = *state;
    struct reader r[1000] = {{.world = w}};
    int refused = 0;
    world_line(w, "source-set m inflight-memory 64kb");
    world_mock(w, "HOLD");
    for (int i = 0; i < 1000; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "user:%d", i);
        refused += world_load(w, key, w->clock.mono_ms, &r[i]) == LOAD_AT_ONCE;
        assert_true(sources_memory(w->sources) < 64 * 1024 + 16 * 1024);
    }
    assert_true(refused > 500);
    world_mock(w, "RELEASE");
    world_turn(w);
    size_t after = sources_memory(w->sources);
    world_pass(w, 1000);
    assert_true(sources_memory(w->sources) <= after);
}

static void readthrough__large_values_are_answered_not_stored(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set page max-value 1000 max-row 5000");
    world_mock(w, "BYTES 1000");
    (void)world_get(w, "page:a", &r);
    world_turn(w);
    assert_true(world_has(w, "page:a"));
    world_mock(w, "BYTES 1001");
    (void)world_get(w, "page:b", &r);
    world_turn(w);
    assert_int_equal(r.len, 1001);
    assert_false(world_has(w, "page:b"));
    world_mock(w, "BYTES 5001");
    (void)world_get(w, "page:c", &r);
    world_turn(w);
    assert_error(&r, "SOURCEBIG");
}

static void readthrough__full_store_still_answers(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    char value[10000];
    w->store_options.maxmemory = 4 * 1024 * 1024; /* and noeviction, the first policy */
    assert_string_equal(store_policy_names[0], "noeviction");
    assert_int_equal(store_apply_options(w->store, &w->err), 0);
    memset(value, 'v', sizeof(value));
    for (int i = 0; i < 10000; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "plain%d", i);
        struct store_key k = world_key(w, key);
        if (store_set(w->store, &k, strview_of(value, sizeof(value)), &(struct store_write){0}) ==
            STORE_FULL) {
            break;
        }
    }
    world_mock(w, "BYTES 100000");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_int_equal(r.status, LOAD_FOUND);
    assert_int_equal(r.len, 100000);
    assert_false(world_has(w, "user:1"));
    assert_int_equal(world_map_stat(w, "user", "nofill"), 1);
}

/* ---- clients that leave ---------------------------------------------------------------------- */

static void readthrough__queued_load_without_waiters_is_dropped(void **state)
{
    struct world *w = *state;
    struct reader a = {0};
    struct reader b = {0};
    (void)world_get(w, "user:1", &a);
    (void)world_get(w, "user:1", &b);
    load_waiter_cancel(&a.waiter);
    load_waiter_cancel(&a.waiter); /* harmless */
    assert_int_equal(world_source_stat(w, "m", "queue"), 1);
    load_waiter_cancel(&b.waiter);
    assert_int_equal(world_source_stat(w, "m", "queue"), 0);
    world_turn(w);
    assert_int_equal(world_mock(w, "QUERIES"), 0);
    assert_int_equal(a.answers + b.answers, 0);
    struct load_waiter unused = {0};
    load_waiter_cancel(&unused);
}

static void readthrough__sent_load_without_waiters_fills(void **state)
{
    struct world *w = *state;
    struct reader a = {0};
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &a);
    world_turn(w);
    load_waiter_cancel(&a.waiter);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_int_equal(a.answers, 0);
    assert_true(world_has(w, "user:1"));
}

static struct reader *to_cancel;

static void cancel_other(struct reader *r)
{
    (void)r;
    load_waiter_cancel(&to_cancel->waiter);
}

static void load_again(struct reader *r)
{
    r->then = NULL;
    (void)sources_invalidate_key(r->world->sources, strview_str("user:1"));
    (void)world_load(r->world, "user:1", r->world->clock.mono_ms, r);
}

static void readthrough__answers_may_cancel_and_load(void **state)
{
    struct world *w = *state;
    struct reader a = {.then = cancel_other};
    struct reader b = {0};
    struct reader c = {.then = load_again};
    to_cancel = &b;
    world_mock(w, "HOLD");
    (void)world_load(w, "user:1", w->clock.mono_ms, &a);
    (void)world_load(w, "user:1", w->clock.mono_ms, &b);
    (void)world_load(w, "user:1", w->clock.mono_ms, &c);
    world_turn(w);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_int_equal(a.answers, 1);
    assert_int_equal(b.answers, 0);
    assert_answer(&c, "mock:1:2");
    /* The same while an error is answered and held. */
    c = (struct reader){.then = load_again};
    (void)sources_invalidate_key(w->sources, strview_str("user:1"));
    world_mock(w, "FAIL err");
    world_mock(w, "HOLD");
    (void)world_load(w, "user:1", w->clock.mono_ms, &a);
    (void)world_load(w, "user:1", w->clock.mono_ms, &c);
    world_turn(w);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_error(&c, "SOURCEERR");
    assert_int_equal(world_mock(w, "QUERIES"), 4);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void readthrough__other_spellings_are_ordinary_keys(void **state)
{
    static const char *const spellings[] = {"user:042",    "user: 42", "user:+42",
                                            "user:4e1",    "user:-0",  "user:",
                                            "user:42 ",    "user:4.0", "user:99999999999999999999",
                                            "User:42",     "user:42:", "xuser:42",
                                            "user",        "page:a b", "page:",
                                            "page:caf\xe9"};
    struct world *w = *state;
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        assert_null(sources_match(w->sources, strview_str(spellings[i])));
    }
    assert_non_null(sources_match(w->sources, strview_str("user:-42")));
    assert_null(sources_match(w->sources, strview_of("user:4\0", 7)));
}

/* ---- test, ping, pause ----------------------------------------------------------------------- */

static void readthrough__test_stores_nothing(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    struct load_result now;
    struct source_map *m = sources_map_by_name(w->sources, strview_str("user"));
    world_prepare(w, &r);
    assert_int_equal(sources_test(w->sources, m, strview_str("user:7"), &r.waiter, &now),
                     LOAD_WAITS);
    world_turn(w);
    assert_answer(&r, "mock:7:1");
    assert_false(world_has(w, "user:7"));
    world_prepare(w, &r);
    assert_int_equal(sources_test(w->sources, m, strview_str("page:a"), &r.waiter, &now),
                     LOAD_AT_ONCE);
}

static void readthrough__paused_source_refuses(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    assert_true(sources_pause(w->sources, strview_str("m"), true));
    assert_int_equal(world_load(w, "user:1", w->clock.mono_ms, &r), LOAD_AT_ONCE);
    assert_error(&r, "SOURCEDOWN");
    assert_true(sources_pause(w->sources, strview_str("m"), false));
    assert_int_equal(world_load(w, "user:1", w->clock.mono_ms, &r), LOAD_WAITS);
    world_turn(w);
    assert_answer(&r, "mock:1:1");
    assert_false(sources_pause(w->sources, strview_str("nobody"), true));
}

static void collect(void *ctx, const char *name, struct strview value)
{
    struct buf *out = ctx;
    buf_printf(out, "%s=%.*s;", name, STRVIEW_ARG(value));
}

static void assert_explains(struct world *w, const char *key, const char *part)
{
    struct buf text;
    buf_init(&text);
    struct store_key k = world_key(w, key);
    assert_true(sources_explain(w->sources, &k, collect, &text));
    buf_append_char(&text, '\0');
    if (strstr(buf_view(&text).data, part) == NULL) {
        fail_msg("'%s' does not say '%s'", buf_view(&text).data, part);
    }
    buf_fini(&text);
}

static void readthrough__explain_tells_what_a_read_would_do(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    struct store_key plain = world_key(w, "user:042");
    struct buf text = {0};
    assert_false(sources_explain(w->sources, &plain, collect, &text));
    assert_explains(w, "user:7",
                    "map=user;source=m;pattern=user:{id:int};params=id:int=7;"
                    "sql=SELECT ?1;cached=no;flight=none;would_load=yes;");
    world_mock(w, "HOLD");
    (void)world_get(w, "user:7", &r);
    assert_explains(w, "user:7", "cached=no;flight=queued;would_load=no;");
    world_turn(w);
    assert_explains(w, "user:7", "flight=sent;");
    world_mock(w, "RELEASE");
    world_turn(w);
    world_pass(w, 1000);
    assert_explains(w, "user:7", "cached=yes;age_ms=1000;ttl_ms=299000;flight=none;would_load=no;");
    invalidate_map(w, "user:7");
    assert_explains(w, "user:7", "cached=invalidated;flight=none;would_load=yes;");
    assert_int_equal(world_map_stat(w, "user", "hits"), 0);
}

/* ---- end ------------------------------------------------------------------------------------- */

static void readthrough__stop_answers_everybody(void **state)
{
    struct world *w = *state;
    struct reader r[20] = {{.world = w}};
    struct reader late = {0};
    world_mock(w, "HOLD");
    for (int i = 0; i < 20; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "user:%d", i / 2);
        (void)world_get(w, key, &r[i]);
    }
    world_turn(w);
    sources_stop(w->sources);
    for (int i = 0; i < 20; i++) {
        assert_error(&r[i], "SOURCEDOWN");
    }
    assert_int_equal(store_count(w->store, 0), 0);
    assert_int_equal(world_load(w, "user:1", w->clock.mono_ms, &late), LOAD_AT_ONCE);
    assert_error(&late, "SOURCEDOWN");
}

/* ---- everything at random -------------------------------------------------------------------- */

/* One row with a counter, one writer, many readers: nobody who came after an event sees an answer
 * from before it. The mock's answers carry the number of the query, and queries are numbered in the
 * order they were sent. */
static void readthrough__random_walk_keeps_the_void_rule(void **state)
{
    enum { STEPS = 20000, READERS = 40 };
    struct world *w = *state;
    struct reader r[READERS] = {{.world = w}};
    int64_t floor_of[READERS] = {0}; /* queries before the last event when this reader came */
    bool is_waiting[READERS] = {false};
    int64_t event_floor = 0;
    unsigned long long seed = 88172645463325252ull;
    world_line(w, "map-set user ttl 2s error-hold 10ms");
    for (int step = 0; step < STEPS; step++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        unsigned who = (unsigned)(seed >> 8) % READERS;
        switch (seed % 16) {
        case 0:
            world_mock(w, "HOLD");
            break;
        case 1:
            world_mock(w, "RELEASE 1");
            break;
        case 2:
            world_mock(w, "RELEASE");
            break;
        case 3:
            events[(seed >> 20) % EVENTS](w, "user:1");
            event_floor = world_mock(w, "QUERIES");
            break;
        case 4:
            world_pass(w, (int64_t)((seed >> 20) % 300));
            break;
        case 5:
            world_mock(w, (seed >> 20) % 4 == 0 ? "FAIL down" : "FAIL off");
            break;
        case 6:
            load_waiter_cancel(&r[who].waiter);
            is_waiting[who] = false;
            break;
        case 7:
        case 8:
            sources_flush(w->sources);
            ev_run(w->loop, EVRUN_NOWAIT);
            break;
        default:
            if (!is_waiting[who]) {
                floor_of[who] = event_floor;
                (void)world_get(w, "user:1", &r[who]);
                is_waiting[who] = true;
            }
            break;
        }
        for (unsigned i = 0; i < READERS; i++) {
            if (!is_waiting[i] || r[i].answers == 0) {
                continue;
            }
            assert_int_equal(r[i].answers, 1);
            is_waiting[i] = false;
            if (r[i].status == LOAD_FOUND) {
                assert_true(strtoll(r[i].text + strlen("mock:1:"), NULL, 10) > floor_of[i]);
            } else {
                assert_int_equal(r[i].status, LOAD_FAILED);
            }
        }
    }
    world_mock(w, "RELEASE");
    world_pass(w, 10000);
    assert_true(world_map_stat(w, "user", "voided") > 10);
    assert_true(world_map_stat(w, "user", "hits") > 10);
    assert_true(world_map_stat(w, "user", "coalesced") > 10);
    assert_int_equal(world_source_stat(w, "m", "busy"), 0);
    assert_int_equal(world_source_stat(w, "m", "queue"), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(readthrough__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(herd_makes_one_query),
        CASE(herd_shares_one_failure),
        CASE(same_key_in_two_databases_is_two_keys),
        CASE(single_miss_is_sent_in_its_turn),
        CASE(batches_go_out_without_waiting),
        CASE(event_voids_a_sent_load),
        CASE(answer_already_on_its_way_is_voided_too),
        CASE(event_does_not_void_a_queued_load),
        CASE(old_answer_after_the_new_one_changes_nothing),
        CASE(overwrite_wins_over_the_load),
        CASE(epoch_removes_all_entries_at_once),
        CASE(invalidate_key_tells_what_was_cached),
        CASE(age_counts_from_the_query),
        CASE(waiting_in_the_queue_is_not_age),
        CASE(load_slower_than_the_ttl_is_answered_only),
        CASE(ttl_zero_is_never_stored),
        CASE(jitter_spreads_and_never_lengthens),
        CASE(lowered_ttl_counts_at_once),
        CASE(missing_row_is_one_query_per_negative_ttl),
        CASE(event_removes_a_negative_entry),
        CASE(failures_are_never_absent),
        CASE(null_is_absent_and_two_rows_are_an_error),
        CASE(hung_source_times_out),
        CASE(waiter_from_earlier_has_its_own_deadline),
        CASE(queued_load_times_out_in_the_queue),
        CASE(error_is_held_for_a_moment),
        CASE(event_ends_the_hold),
        CASE(limits_answer_at_once),
        CASE(inflight_memory_is_bounded),
        CASE(large_values_are_answered_not_stored),
        CASE(full_store_still_answers),
        CASE(queued_load_without_waiters_is_dropped),
        CASE(sent_load_without_waiters_fills),
        CASE(answers_may_cancel_and_load),
        CASE(other_spellings_are_ordinary_keys),
        CASE(test_stores_nothing),
        CASE(paused_source_refuses),
        CASE(explain_tells_what_a_read_would_do),
        CASE(stop_answers_everybody),
        CASE(random_walk_keeps_the_void_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
