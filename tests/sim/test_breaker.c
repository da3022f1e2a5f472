/*
 * A database that fails: when loads stop being sent, what is answered meanwhile, and how the source
 * comes back.
 */
#include "world.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
    world_setup(state);
    world_line(*state, "map-set user error-hold 0");
    return 0;
}

static void collect(void *ctx, const char *name, struct strview value)
{
    char *out = ctx;
    if (strcmp(name, "breaker") == 0) {
        memcpy(out, value.data, value.len);
    }
}

static void assert_breaker(struct world *w, const char *state)
{
    char text[32] = "";
    assert_true(sources_describe(w->sources, strview_str("m"), collect, text));
    assert_string_equal(text, state);
}

static void load(struct world *w, int64_t i)
{
    struct reader r = {0};
    char key[32];
    (void)snprintf(key, sizeof(key), "user:%lld", (long long)i);
    (void)world_get(w, key, &r);
    world_turn(w);
    assert_int_equal(r.answers, 1);
}

static void fail_times(struct world *w, int count)
{
    world_mock(w, "FAIL down");
    for (int i = 0; i < count; i++) {
        load(w, i);
    }
}

static void breaker__opens_after_failures_in_a_row(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    fail_times(w, 4);
    world_mock(w, "FAIL err"); /* it answers: the row of failures is broken */
    load(w, 1);
    fail_times(w, 4);
    assert_breaker(w, "closed");
    fail_times(w, 1);
    assert_breaker(w, "open");
    assert_int_equal(world_mock(w, "QUERIES"), 10);
    world_mock(w, "FAIL off");
    assert_int_equal(world_load(w, "user:1", w->clock.mono_ms, &r), LOAD_AT_ONCE);
    assert_error(&r, "SOURCEDOWN");
    assert_int_equal(world_mock(w, "QUERIES"), 10);
}

static void breaker__option_says_how_many(void **state)
{
    struct world *w = *state;
    world_line(w, "source-set m breaker '2 50% 10s'");
    fail_times(w, 2);
    assert_breaker(w, "open");
    world_refuses(w, "source-set m breaker '2 50%'", "breaker");
    world_refuses(w, "source-set m breaker '0 50% 10s'", "breaker");
    world_refuses(w, "source-set m breaker '2 50% 10s 1'", "breaker");
    world_refuses(w, "source-set m breaker-open 1s", "1s..30s");
}

static void breaker__opens_when_a_share_of_many_fails(void **state)
{
    struct world *w = *state;
    world_line(w, "source-set m breaker '1000 50% 10s'");
    for (int i = 0; i < 9; i++) {
        world_mock(w, "FAIL off");
        load(w, 100 + i);
        fail_times(w, 1);
    }
    assert_breaker(w, "closed"); /* half of them, but only 18 */
    world_mock(w, "FAIL off");
    load(w, 200);
    fail_times(w, 1);
    assert_breaker(w, "open");
}

static void breaker__window_forgets(void **state)
{
    struct world *w = *state;
    world_line(w, "source-set m breaker '1000 50% 10s'");
    fail_times(w, 19);
    world_pass(w, 10000);
    fail_times(w, 1);
    assert_breaker(w, "closed");
}

static void breaker__timeouts_count_and_refusals_do_not(void **state)
{
    struct world *w = *state;
    static const char *const harmless[] = {"FAIL err", "FAIL big", "FAIL busy"};
    for (int i = 0; i < 30; i++) {
        world_mock(w, harmless[i % 3]);
        load(w, i);
    }
    assert_breaker(w, "closed");
    world_mock(w, "FAIL timeout");
    for (int i = 0; i < 5; i++) {
        load(w, i);
    }
    assert_breaker(w, "open");
}

static void breaker__hung_source_opens_it(void **state)
{
    struct world *w = *state;
    struct reader r[5] = {{.world = w}};
    char key[32];
    world_mock(w, "HOLD");
    for (int i = 0; i < 5; i++) {
        (void)snprintf(key, sizeof(key), "user:%d", i);
        (void)world_get(w, key, &r[i]);
    }
    world_turn(w);
    world_pass(w, 1000);
    assert_breaker(w, "open");
    for (int i = 0; i < 5; i++) {
        assert_error(&r[i], "SOURCETIMEOUT");
    }
}

static void breaker__opening_fails_what_waits_in_the_queue(void **state)
{
    struct world *w = *state;
    struct reader r[20] = {{.world = w}};
    char key[32];
    world_mock(w, "HOLD");
    for (int i = 0; i < 20; i++) {
        (void)snprintf(key, sizeof(key), "user:%d", i);
        (void)world_get(w, key, &r[i]);
    }
    world_turn(w);
    world_mock(w, "FAIL down");
    world_mock(w, "RELEASE 8");
    world_turn(w);
    for (int i = 0; i < 20; i++) {
        if (r[i].answers == 1) {
            assert_error(&r[i], "SOURCEDOWN");
        }
    }
    assert_breaker(w, "open");
    assert_int_equal(r[19].answers, 1);
    assert_int_equal(world_source_stat(w, "m", "queue"), 0);
    world_mock(w, "RELEASE");
    world_turn(w);
}

/* Rule 47. */
static void breaker__probe_closes_it_without_traffic(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    fail_times(w, 5);
    world_mock(w, "FAIL off");
    world_pass(w, 799); /* 1 s, give or take a fifth */
    assert_breaker(w, "open");
    world_pass(w, 401);
    assert_breaker(w, "closed");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_int_equal(r.status, LOAD_FOUND);
}

/* Rule 47. */
static void breaker__probes_one_at_a_time_and_ever_later(void **state)
{
    struct world *w = *state;
    int64_t open_ms = 1000;
    world_line(w, "source-set m breaker-open 1s..4s");
    fail_times(w, 5);
    for (int i = 0; i < 4; i++) {
        const int64_t before = world_source_stat(w, "m", "loads");
        world_pass(w, open_ms * 8 / 10 - 1);
        assert_int_equal(world_source_stat(w, "m", "loads"), before);
        world_pass(w, open_ms * 4 / 10 + 1);
        assert_int_equal(world_source_stat(w, "m", "loads"), before + 1);
        assert_breaker(w, "open");
        open_ms = open_ms < 4000 ? open_ms * 2 : 4000;
    }
    world_mock(w, "HOLD");
    world_pass(w, 4800);
    assert_breaker(w, "probing");
    for (int i = 0; i < 5; i++) {
        struct reader r = {0};
        assert_int_equal(world_load(w, "user:1", w->clock.mono_ms, &r), LOAD_AT_ONCE);
        world_pass(w, 100);
    }
    assert_int_equal(world_mock(w, "HELD"), 1);
    world_pass(w, 500); /* connect-timeout ends the probe */
    assert_breaker(w, "open");
    world_mock(w, "RELEASE");
    world_mock(w, "FAIL off");
    world_pass(w, 4800);
    assert_breaker(w, "closed");
}

static void breaker__old_values_are_answered_at_once(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user ttl 10s stale-error-ttl 1h");
    load(w, 77);
    world_pass(w, 10000);
    fail_times(w, 5);
    assert_breaker(w, "open");
    assert_int_equal(world_load(w, "user:77", w->clock.mono_ms, &r), LOAD_AT_ONCE);
    assert_answer(&r, "mock:77:1");
}

static void breaker__ping_goes_through(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    struct load_result now;
    fail_times(w, 5);
    world_mock(w, "FAIL off");
    world_prepare(w, &r);
    assert_int_equal(sources_ping(w->sources, strview_str("m"), &r.waiter, &now), LOAD_WAITS);
    world_turn(w);
    assert_answer(&r, "PONG");
}

/* ---- other limits on the way to a database --------------------------------------------------- */

/* Rule 48. */
static void breaker__lost_connection_is_tried_once_more(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    world_mock(w, "LOSE");
    world_turn(w);
    assert_int_equal(r.answers, 0);
    assert_int_equal(world_mock(w, "QUERIES"), 2);
    world_mock(w, "RELEASE 1");
    world_turn(w);
    assert_answer(&r, "mock:1:2");
    (void)world_get(w, "user:2", &r);
    world_turn(w);
    world_mock(w, "LOSE");
    world_turn(w);
    world_mock(w, "LOSE");
    world_turn(w);
    assert_error(&r, "SOURCEDOWN");
    assert_int_equal(world_mock(w, "QUERIES"), 4);
    assert_int_equal(world_map_stat(w, "user", "loads"), 2);
}

static void breaker__low_priority_reloads_when_nobody_waits(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user ttl 10s stale-ttl 1h priority low");
    load(w, 1);
    world_pass(w, 10000);
    world_mock(w, "HOLD");
    (void)world_get(w, "page:a", &r);
    load(w, 1); /* stale: a reload is due */
    assert_int_equal(world_mock(w, "HELD"), 1);
    world_mock(w, "RELEASE 1");
    world_turn(w);
    assert_int_equal(r.answers, 1);
    assert_int_equal(world_mock(w, "HELD"), 1);
    world_line(w, "map-set user priority normal");
    (void)world_get(w, "page:b", &r);
    load(w, 1);
    assert_int_equal(world_mock(w, "HELD"), 2);
    world_mock(w, "RELEASE");
    world_turn(w);
}

/* Rule 30. */
static void breaker__missing_rows_stay_within_their_share(void **state)
{
    struct world *w = *state;
    world_mock(w, "ROWS 0");
    load(w, 1);
    assert_true(world_has(w, "user:1"));
    world_line(w, "map-set user negative-share 0");
    load(w, 2);
    assert_false(world_has(w, "user:2"));
    assert_int_equal(world_map_stat(w, "user", "nofill"), 1);
    world_line(w, "map-set user negative-share 1% negative-ttl 1h");
    for (int i = 0; i < 20000; i++) {
        load(w, 1000 + i);
    }
    assert_true(store_negative_bytes(w->store) <= 64 * 1024 * 1024 / 100 + 4096);
    assert_true(world_map_stat(w, "user", "negatives") > 5000);
    assert_true(world_map_stat(w, "user", "nofill") > 100);
}

#define CASE(name) cmocka_unit_test_setup_teardown(breaker__##name, setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(opens_after_failures_in_a_row),
        CASE(option_says_how_many),
        CASE(opens_when_a_share_of_many_fails),
        CASE(window_forgets),
        CASE(timeouts_count_and_refusals_do_not),
        CASE(hung_source_opens_it),
        CASE(opening_fails_what_waits_in_the_queue),
        CASE(probe_closes_it_without_traffic),
        CASE(probes_one_at_a_time_and_ever_later),
        CASE(old_values_are_answered_at_once),
        CASE(ping_goes_through),
        CASE(lost_connection_is_tried_once_more),
        CASE(low_priority_reloads_when_nobody_waits),
        CASE(missing_rows_stay_within_their_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
