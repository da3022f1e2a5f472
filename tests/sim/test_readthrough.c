/*
 * What a read through a map does: one query per key, values that age from the moment of their
 * query, rows that are missing, keys that match. The mock holds queries at its gate until the test
 * lets them go, and time passes when the test says so.
 */
#include "world.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HERD 1000

/* ---- coalescing ------------------------------------------------------------------------------ */

/* Rules 1 and 2. */
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

/* Rule 5. */
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

/* Rule 1. */
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
    w->reads++;
    assert_int_equal(sources_load(w->sources, m, &k, w->clock.mono_ms, &b.waiter, &now),
                     LOAD_WAITS);
    world_turn(w);
    assert_int_equal(world_mock(w, "QUERIES"), 2);
    assert_answer(&a, "mock:1:1");
    assert_answer(&b, "mock:1:2");
}

/* Rule 7. */
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

/* Rule 7. */
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

/* ---- age ------------------------------------------------------------------------------------- */

/* Rule 11. */
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

/* Rule 11. */
static void readthrough__waiting_in_the_queue_is_not_age(void **state)
{
    struct world *w = *state;
    struct reader r[9] = {{.world = w}};
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
    assert_int_equal(world_life(w, "user:8"), 5000);
    assert_int_equal(world_life(w, "user:0"), 3000);
}

/* Rule 13. */
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

/* Rule 13. */
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

/* Rule 14. */
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
        (void)snprintf(key, sizeof(key), "user:%d", i);
        (void)world_get(w, key, &r);
        sources_flush(w->sources);
        ev_run(w->loop, EVRUN_NOWAIT);
        int64_t life = world_life(w, key);
        first = life < first ? life : first;
        last = life > last ? life : last;
    }
    assert_true(last <= TTL);
    assert_true(first >= TTL - TTL / 10);
    assert_true(last - first >= TTL * 9 / 100);
}

/* Rule 25. */
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

/* Rules 27 and 30. */
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

/* Rule 29. */
static void readthrough__event_removes_a_negative_entry(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < WORLD_EVENTS; i++) {
        struct reader r = {0};
        world_mock(w, "RESET");
        world_mock(w, "ROWS 0");
        (void)world_get(w, "user:1", &r);
        world_turn(w);
        assert_true(world_get(w, "user:1", &r));
        world_mock(w, "ROWS 1");
        world_events[i](w, "user:1");
        assert_false(world_get(w, "user:1", &r));
        world_turn(w);
        assert_answer(&r, "mock:1:2");
        world_delete(w, "user:1");
    }
}

/* Rule 28. */
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

/* Rules 31 and 36. */
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

/* ---- keys ------------------------------------------------------------------------------------ */

/* Rule 33. */
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
    world_invalidate_map(w, "user:7");
    assert_explains(w, "user:7", "cached=invalidated;flight=none;would_load=yes;");
    assert_int_equal(world_map_stat(w, "user", "hits"), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(readthrough__##name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(herd_makes_one_query),
        CASE(herd_shares_one_failure),
        CASE(same_key_in_two_databases_is_two_keys),
        CASE(single_miss_is_sent_in_its_turn),
        CASE(batches_go_out_without_waiting),
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
        CASE(other_spellings_are_ordinary_keys),
        CASE(test_stores_nothing),
        CASE(paused_source_refuses),
        CASE(explain_tells_what_a_read_would_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
