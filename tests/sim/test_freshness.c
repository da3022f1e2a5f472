/*
 * Old values: who is given one, for how long, and how it is replaced. A value lives 10 s here; the
 * mock numbers its queries, so an answer says which query it is from. Rule 56 of the options of a
 * map, which are changed one by one.
 */
#include "world.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TTL 10000

static void load(struct world *w, const char *key)
{
    struct reader r = {0};
    (void)world_get(w, key, &r);
    world_turn(w);
    assert_int_equal(r.answers, 1);
}

static void assert_hit(struct world *w, const char *key, const char *value)
{
    struct reader r = {0};
    if (!world_get(w, key, &r)) {
        fail_msg("%s is not answered from memory", key);
    }
    assert_answer(&r, value);
}

static int setup(void **state)
{
    world_setup(state);
    world_line(*state, "map-set user ttl 10s load-timeout 1s");
    return 0;
}

/* ---- stale-ttl ------------------------------------------------------------------------------- */

static void freshness__stale_value_is_answered_at_once(void **state)
{
    struct world *w = *state;
    world_line(w, "map-set user stale-ttl 5s");
    load(w, "user:1");
    world_pass(w, TTL);
    world_mock(w, "HOLD");
    for (int i = 0; i < 10; i++) {
        struct reader r = {0};
        assert_true(world_get(w, "user:1", &r));
        assert_answer(&r, "mock:1:1");
        assert_true(r.is_stale);
        world_turn(w);
    }
    assert_int_equal(world_mock(w, "QUERIES"), 2); /* one reload for all */
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_hit(w, "user:1", "mock:1:2");
    assert_int_equal(world_map_stat(w, "user", "stale_hits"), 10);
    assert_int_equal(world_map_stat(w, "user", "refreshes"), 1);
    assert_int_equal(world_map_stat(w, "user", "misses"), 1);
    assert_int_equal(world_life(w, "user:1"), TTL);
}

/* Rule 12. */
static void freshness__stale_window_ends(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user stale-ttl 5s");
    load(w, "user:1");
    load(w, "user:2");
    world_pass(w, TTL + 4999);
    assert_hit(w, "user:1", "mock:1:1");
    world_pass(w, 1);
    assert_false(world_get(w, "user:2", &r));
    world_turn(w);
    assert_answer(&r, "mock:2:4");
}

/* Rule 15. */
static void freshness__without_windows_nothing_old_is_answered(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    load(w, "user:1");
    world_pass(w, TTL);
    world_mock(w, "FAIL down");
    assert_false(world_get(w, "user:1", &r));
    world_turn(w);
    assert_error(&r, "SOURCEDOWN");
}

static void freshness__reader_joins_the_background_load(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user stale-ttl 5s");
    load(w, "user:1");
    world_pass(w, TTL + 4500);
    world_mock(w, "HOLD");
    assert_hit(w, "user:1", "mock:1:1");
    world_turn(w);
    world_pass(w, 500);
    assert_false(world_get(w, "user:1", &r)); /* too old to serve by now */
    assert_int_equal(world_mock(w, "QUERIES"), 2);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&r, "mock:1:2");
    assert_int_equal(world_map_stat(w, "user", "coalesced"), 1);
}

static void freshness__windows_are_those_of_now(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user stale-ttl 1h");
    load(w, "user:1");
    world_pass(w, TTL + 10000);
    world_line(w, "map-set user stale-ttl 5s");
    assert_false(world_get(w, "user:1", &r));
    load_waiter_cancel(&r.waiter);
    world_line(w, "map-set user stale-ttl 15s");
    assert_hit(w, "user:1", "mock:1:1");
    world_line(w, "map-set user stale-ttl 1h ttl 1s"); /* its life ended 19 s ago instead of 10 */
    assert_hit(w, "user:1", "mock:1:1");
    world_line(w, "map-set user stale-ttl 15s");
    assert_false(world_get(w, "user:1", &r));
    world_turn(w);
}

/* ---- stale-error-ttl ------------------------------------------------------------------------- */

static void freshness__old_value_saves_from_every_failure(void **state)
{
    static const char *const fails[] = {"FAIL down", "FAIL timeout", "FAIL busy", "FAIL err",
                                        "FAIL big"};
    struct world *w = *state;
    world_line(w, "map-set user stale-error-ttl 60s error-hold 0");
    load(w, "user:1");
    world_pass(w, TTL);
    for (int i = 0; i < 5; i++) {
        struct reader r = {0};
        world_mock(w, fails[i]);
        assert_false(world_get(w, "user:1", &r));
        world_turn(w);
        assert_answer(&r, "mock:1:1");
        assert_true(r.is_stale);
    }
    assert_int_equal(world_map_stat(w, "user", "stale_error"), 5);
    assert_int_equal(world_map_stat(w, "user", "stale_hits"), 0);
}

static void freshness__refusals_are_saved_too(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user stale-error-ttl 60s");
    load(w, "user:1");
    world_pass(w, TTL);
    assert_true(sources_pause(w->sources, strview_str("m"), true));
    assert_int_equal(world_load(w, "user:1", w->clock.mono_ms, &r), LOAD_AT_ONCE);
    assert_answer(&r, "mock:1:1");
    assert_true(sources_pause(w->sources, strview_str("m"), false));
    world_mock(w, "FAIL down");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_answer(&r, "mock:1:1");
    world_mock(w, "FAIL off"); /* held for a moment all the same */
    assert_int_equal(world_load(w, "user:1", w->clock.mono_ms, &r), LOAD_AT_ONCE);
    assert_answer(&r, "mock:1:1");
    assert_int_equal(world_map_stat(w, "user", "rejected"), 2);
    assert_int_equal(world_map_stat(w, "user", "stale_error"), 3);
}

static void freshness__who_wants_a_new_value_gets_the_error(void **state)
{
    struct world *w = *state;
    struct reader r = {.wants_new = true};
    world_line(w, "map-set user stale-error-ttl 60s");
    load(w, "user:1");
    world_pass(w, TTL);
    world_mock(w, "FAIL down");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_error(&r, "SOURCEDOWN");
}

/* Rule 12. */
static void freshness__error_window_ends(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user stale-error-ttl 60s error-hold 0");
    load(w, "user:1");
    world_mock(w, "FAIL down");
    world_pass(w, TTL + 59999);
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_answer(&r, "mock:1:1");
    world_pass(w, 1);
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_error(&r, "SOURCEDOWN");
    assert_false(world_has(w, "user:1")); /* the store has let it go */
}

/* Rule 24. */
static void freshness__failing_reload_keeps_the_old_value(void **state)
{
    struct world *w = *state;
    world_line(w, "map-set user stale-ttl 20s stale-error-ttl 60s");
    load(w, "user:1");
    world_pass(w, TTL);
    world_mock(w, "FAIL err");
    for (int i = 0; i < 19; i++) {
        assert_hit(w, "user:1", "mock:1:1");
        world_turn(w);
        world_pass(w, 1000);
    }
    assert_int_equal(world_mock(w, "QUERIES"), 20);
    /* error-hold keeps hits from trying again at once */
    assert_hit(w, "user:1", "mock:1:1");
    world_turn(w);
    assert_hit(w, "user:1", "mock:1:1");
    world_turn(w);
    assert_int_equal(world_mock(w, "QUERIES"), 21);
}

static void freshness__own_event_forbids_what_an_epoch_allows(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user stale-error-ttl 60s error-hold 0");
    load(w, "user:1");
    load(w, "user:2");
    world_mock(w, "FAIL down");
    assert_true(sources_invalidate_key(w->sources, strview_str("user:2"), false));
    world_invalidate_map(w, "user:1");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_answer(&r, "mock:1:1");
    (void)world_get(w, "user:2", &r);
    world_turn(w);
    assert_error(&r, "SOURCEDOWN");
    world_pass(w, 60000); /* the window counts from the event */
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_error(&r, "SOURCEDOWN");
}

/* ---- soft-timeout ---------------------------------------------------------------------------- */

static void freshness__slow_load_is_not_waited_for_when_there_is_an_old_value(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    struct reader cold = {0};
    world_line(w, "map-set user stale-error-ttl 60s soft-timeout 200ms");
    load(w, "user:1");
    world_pass(w, TTL);
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    (void)world_get(w, "user:2", &cold);
    world_turn(w);
    world_pass(w, 199);
    assert_int_equal(r.answers, 0);
    world_pass(w, 1);
    assert_answer(&r, "mock:1:1");
    assert_true(r.is_stale);
    assert_int_equal(cold.answers, 0);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_hit(w, "user:1", "mock:1:2"); /* the load went on */
    assert_answer(&cold, "mock:2:3");
    assert_int_equal(world_map_stat(w, "user", "soft_timeouts"), 1);
    assert_int_equal(world_map_stat(w, "user", "timeouts"), 0);
    assert_int_equal(world_map_stat(w, "user", "errors"), 0);
}

static void freshness__soft_timeout_goes_on_from_the_queue(void **state)
{
    struct world *w = *state;
    struct reader busy[8] = {{.world = w}};
    struct reader r = {0};
    char key[32];
    world_line(w, "map-set user stale-error-ttl 60s");
    load(w, "user:1");
    world_pass(w, TTL);
    world_mock(w, "HOLD");
    for (int i = 0; i < 8; i++) {
        (void)snprintf(key, sizeof(key), "user:1%d", i);
        (void)world_get(w, key, &busy[i]);
    }
    world_turn(w);
    (void)world_get(w, "user:1", &r);
    world_pass(w, 100);
    assert_answer(&r, "mock:1:1");
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_hit(w, "user:1", "mock:1:10");
}

static void freshness__without_soft_timeout_the_hard_one_decides(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user stale-error-ttl 60s soft-timeout 0");
    load(w, "user:1");
    world_pass(w, TTL);
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    world_pass(w, 999);
    assert_int_equal(r.answers, 0);
    world_pass(w, 1);
    assert_answer(&r, "mock:1:1");
    assert_int_equal(world_map_stat(w, "user", "timeouts"), 1);
    assert_int_equal(world_map_stat(w, "user", "stale_error"), 1);
}

static void freshness__old_value_that_went_meanwhile_is_not_answered(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user stale-error-ttl 60s");
    load(w, "user:1");
    world_pass(w, TTL);
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    world_delete(w, "user:1");
    world_pass(w, 100);
    assert_int_equal(r.answers, 0);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&r, "mock:1:2");
    assert_int_equal(world_map_stat(w, "user", "soft_timeouts"), 0);
}

static void freshness__stale_ttl_makes_soft_timeout_idle(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user stale-ttl 1s stale-error-ttl 60s");
    load(w, "user:1");
    world_pass(w, TTL + 1000);
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    world_pass(w, 500);
    assert_int_equal(r.answers, 0);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&r, "mock:1:2");
}

/* ---- refresh-ahead --------------------------------------------------------------------------- */

static void freshness__hit_on_an_ageing_value_reloads_it(void **state)
{
    struct world *w = *state;
    world_line(w, "map-set user refresh-ahead 80%");
    load(w, "user:1");
    world_pass(w, TTL * 8 / 10 - 1);
    assert_hit(w, "user:1", "mock:1:1");
    world_turn(w);
    assert_int_equal(world_mock(w, "QUERIES"), 1);
    world_pass(w, 1);
    world_mock(w, "HOLD");
    assert_hit(w, "user:1", "mock:1:1");
    world_turn(w);
    assert_hit(w, "user:1", "mock:1:1");
    world_turn(w);
    assert_int_equal(world_mock(w, "QUERIES"), 2); /* one at a time */
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_hit(w, "user:1", "mock:1:2");
    assert_int_equal(world_map_stat(w, "user", "refreshes"), 1);
    assert_int_equal(world_life(w, "user:1"), TTL);
}

static void freshness__refresh_ahead_zero_waits_for_the_end(void **state)
{
    struct world *w = *state;
    load(w, "user:1");
    world_pass(w, TTL - 1);
    assert_hit(w, "user:1", "mock:1:1");
    world_turn(w);
    assert_int_equal(world_mock(w, "QUERIES"), 1);
}

/* Rule 23. */
static void freshness__reload_slower_than_its_interval_lands(void **state)
{
    struct world *w = *state;
    world_line(w, "map-set user ttl 1s refresh-ahead 10% stale-ttl 60s load-timeout 60s");
    load(w, "user:1");
    world_mock(w, "HOLD");
    for (int i = 0; i < 50; i++) {
        world_pass(w, 150);
        assert_hit(w, "user:1", "mock:1:1");
        world_turn(w);
    }
    assert_int_equal(world_mock(w, "QUERIES"), 2);
    world_mock(w, "RELEASE");
    world_turn(w);
    /* Its age counts from its query: it is old by now, but newer than what was there. */
    struct reader r = {0};
    assert_true(world_get(w, "user:1", &r));
    assert_answer(&r, "mock:1:2");
    world_turn(w);
}

/* Rule 8. */
static void freshness__event_voids_a_background_load(void **state)
{
    struct world *w = *state;
    world_line(w, "map-set user refresh-ahead 50%");
    for (size_t i = 0; i < WORLD_EVENTS; i++) {
        world_mock(w, "RESET");
        load(w, "user:1");
        world_pass(w, TTL / 2);
        world_mock(w, "HOLD");
        assert_hit(w, "user:1", "mock:1:1");
        world_turn(w);
        world_events[i](w, "user:1");
        world_mock(w, "RELEASE");
        world_turn(w);
        struct reader r = {0};
        assert_false(world_get(w, "user:1", &r));
        world_turn(w);
        assert_answer(&r, "mock:1:3");
        world_delete(w, "user:1");
    }
    assert_int_equal(world_map_stat(w, "user", "voided"), WORLD_EVENTS);
}

static void freshness__reload_that_finds_no_row_removes_the_value(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user refresh-ahead 50% negative-ttl 0");
    load(w, "user:1");
    world_pass(w, TTL / 2);
    world_mock(w, "ROWS 0");
    assert_hit(w, "user:1", "mock:1:1");
    world_turn(w);
    assert_false(world_has(w, "user:1"));
    world_mock(w, "RESET");
    load(w, "user:1");
    world_pass(w, TTL / 2);
    world_mock(w, "BYTES 2000000"); /* the same for one that may not be stored */
    assert_hit(w, "user:1", "mock:1:1");
    world_turn(w);
    assert_false(world_get(w, "user:1", &r));
    world_turn(w);
    assert_int_equal(r.len, 2000000);
}

static void count_fill(void *ctx, const struct store_key *k, bool was_there)
{
    unsigned *counts = ctx;
    (void)k;
    counts[was_there]++;
}

/* Rule 22. */
static void freshness__same_bytes_change_only_the_age(void **state)
{
    struct world *w = *state;
    unsigned fills[2] = {0, 0};
    sources_set_observer(w->sources, &(struct source_observer){.ctx = fills, .filled = count_fill});
    world_line(w, "map-set user refresh-ahead 50%");
    world_mock(w, "ROWS 1 same");
    load(w, "user:1");
    world_pass(w, TTL / 2);
    assert_hit(w, "user:1", "same");
    world_turn(w);
    assert_int_equal(world_life(w, "user:1"), TTL);
    assert_int_equal(fills[0], 1);
    assert_int_equal(fills[1], 0);
    world_pass(w, TTL / 2);
    world_mock(w, "ROWS 1 other");
    assert_hit(w, "user:1", "same");
    world_turn(w);
    assert_int_equal(fills[1], 1);
    assert_hit(w, "user:1", "other");
    sources_set_observer(w->sources, NULL);
}

/* ---- min-reload-interval, admit -------------------------------------------------------------- */

static void notify_change(struct world *w)
{
    (void)sources_invalidate_key(w->sources, strview_str("user:1"), false);
}

static void freshness__key_that_changes_all_the_time_is_reloaded_now_and_then(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user min-reload-interval 100ms stale-error-ttl 60s");
    load(w, "user:1");
    for (int i = 0; i < 99; i++) {
        world_pass(w, 1);
        notify_change(w);
        assert_hit(w, "user:1", "mock:1:1");
    }
    world_pass(w, 1);
    assert_false(world_get(w, "user:1", &r)); /* old by no more than the interval */
    world_turn(w);
    assert_answer(&r, "mock:1:2");
    world_mock(w, "FAIL down"); /* changed, so not even an error brings it back */
    notify_change(w);
    world_pass(w, 100);
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_error(&r, "SOURCEDOWN");
}

static void freshness__min_reload_interval_spares_the_load_in_the_air(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    struct reader late = {0};
    world_line(w, "map-set user min-reload-interval 100ms");
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    world_pass(w, 10);
    notify_change(w);
    (void)world_get(w, "user:1", &late);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&r, "mock:1:1");
    assert_answer(&late, "mock:1:1");
    assert_int_equal(world_life(w, "user:1"), 90);
    world_delete(w, "user:1"); /* a client's own word counts at once */
    assert_false(world_get(w, "user:1", &r));
    world_turn(w);
    assert_answer(&r, "mock:1:2");
}

static void freshness__key_is_stored_at_its_nth_miss(void **state)
{
    struct world *w = *state;
    world_line(w, "map-set user admit 3");
    load(w, "user:1");
    assert_false(world_has(w, "user:1"));
    load(w, "user:1");
    assert_false(world_has(w, "user:1"));
    world_pass(w, 60000); /* too long ago to count */
    load(w, "user:1");
    load(w, "user:1");
    assert_false(world_has(w, "user:1"));
    load(w, "user:1");
    assert_true(world_has(w, "user:1"));
    load(w, "user:2");
    assert_false(world_has(w, "user:2"));
    assert_int_equal(world_map_stat(w, "user", "nofill"), 5);
}

/* ---- background-share ------------------------------------------------------------------------ */

static void freshness__background_loads_leave_connections_to_readers(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    char key[32];
    world_line(w, "map-set user refresh-ahead 50%");
    world_line(w, "source-set m background-share 25%");
    for (int i = 0; i < 8; i++) {
        (void)snprintf(key, sizeof(key), "user:%d", i);
        load(w, key);
    }
    world_pass(w, TTL / 2);
    world_mock(w, "HOLD");
    for (int i = 0; i < 8; i++) {
        (void)snprintf(key, sizeof(key), "user:%d", i);
        assert_true(world_get(w, key, &r));
    }
    world_turn(w);
    assert_int_equal(world_mock(w, "HELD"), 2); /* of 8 connections */
    (void)world_get(w, "user:99", &r);
    world_turn(w);
    assert_int_equal(world_mock(w, "HELD"), 3);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_int_equal(world_map_stat(w, "user", "refreshes"), 8);
    assert_int_equal(world_map_stat(w, "user", "fills"), 17);
}

#define CASE(name) cmocka_unit_test_setup_teardown(freshness__##name, setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(stale_value_is_answered_at_once),
        CASE(stale_window_ends),
        CASE(without_windows_nothing_old_is_answered),
        CASE(reader_joins_the_background_load),
        CASE(windows_are_those_of_now),
        CASE(old_value_saves_from_every_failure),
        CASE(refusals_are_saved_too),
        CASE(who_wants_a_new_value_gets_the_error),
        CASE(error_window_ends),
        CASE(failing_reload_keeps_the_old_value),
        CASE(own_event_forbids_what_an_epoch_allows),
        CASE(slow_load_is_not_waited_for_when_there_is_an_old_value),
        CASE(soft_timeout_goes_on_from_the_queue),
        CASE(without_soft_timeout_the_hard_one_decides),
        CASE(old_value_that_went_meanwhile_is_not_answered),
        CASE(stale_ttl_makes_soft_timeout_idle),
        CASE(hit_on_an_ageing_value_reloads_it),
        CASE(refresh_ahead_zero_waits_for_the_end),
        CASE(reload_slower_than_its_interval_lands),
        CASE(event_voids_a_background_load),
        CASE(reload_that_finds_no_row_removes_the_value),
        CASE(same_bytes_change_only_the_age),
        CASE(key_that_changes_all_the_time_is_reloaded_now_and_then),
        CASE(min_reload_interval_spares_the_load_in_the_air),
        CASE(key_is_stored_at_its_nth_miss),
        CASE(background_loads_leave_connections_to_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
