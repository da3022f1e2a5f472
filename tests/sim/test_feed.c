/*
 * What the database says by itself: keys and maps that changed, and times in which it could not be
 * heard.
 */
#include "world.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct heard {
    char keys[512], maps[512];
};

static void on_key(void *ctx, struct strview key, unsigned databases)
{
    struct heard *h = ctx;
    const size_t at = strlen(h->keys);
    (void)snprintf(h->keys + at, sizeof(h->keys) - at, "%.*s=%u;", STRVIEW_ARG(key), databases);
}

static void on_map(void *ctx, const struct source_map *m)
{
    struct heard *h = ctx;
    const struct strview name = source_map_name(m);
    const size_t at = strlen(h->maps);
    (void)snprintf(h->maps + at, sizeof(h->maps) - at, "%.*s;", STRVIEW_ARG(name));
}

static struct heard heard;

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    world_open(w, 64 << 20);
    world_line(w, "source m mock x invalidate notify c");
    world_line(w, "map user m user:{id:int} 'SELECT $id' jitter 0% ttl 1h refresh-ahead 0 "
                  "error-hold 0");
    world_line(w, "map page m page:{s:slug} 'SELECT $s' jitter 0% ttl 1h refresh-ahead 0");
    world_line(w, "source other mock x");
    world_line(w, "map note other note:{id:int} 'SELECT $id' jitter 0% ttl 1h refresh-ahead 0");
    world_start(w);
    memset(&heard, 0, sizeof(heard));
    sources_set_observer(w->sources, &(struct source_observer){.ctx = &heard,
                                                               .key_invalidated = on_key,
                                                               .map_invalidated = on_map});
    *state = w;
    return 0;
}

static void up(struct world *w)
{
    world_mock(w, "FEED UP");
    memset(&heard, 0, sizeof(heard));
}

/* Rule 17. */
static void feed__key_that_changed_is_forgotten_and_told(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    up(w);
    world_fill(w, "user:1");
    world_mock(w, "FEED KEY user:1");
    assert_string_equal(heard.keys, "user:1=1;");
    assert_false(world_has(w, "user:1"));
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_answer(&r, "mock:1:2");
    world_mock(w, "FEED KEY user:5"); /* not here, but a client may hold a copy */
    assert_string_equal(heard.keys, "user:1=1;user:5=0;");
}

/* Rule 8. */
static void feed__event_voids_the_load_in_the_air(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    up(w);
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    world_mock(w, "FEED KEY user:1");
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&r, "mock:1:1");
    assert_false(world_has(w, "user:1"));
}

static void feed__notice_names_keys_and_maps(void **state)
{
    struct world *w = *state;
    up(w);
    world_fill(w, "user:1");
    world_fill(w, "user:2");
    world_fill(w, "page:a");
    world_fill(w, "note:1");
    world_mock(w, "NOTICE 'user:1\nuser:7'");
    assert_string_equal(heard.keys, "user:1=1;user:7=0;");
    assert_true(world_is_hit(w, "user:2"));
    world_mock(w, "NOTICE !user");
    assert_string_equal(heard.maps, "user;");
    assert_false(world_is_hit(w, "user:2"));
    assert_true(world_is_hit(w, "page:a"));
    world_mock(w, "NOTICE !note"); /* not a map of this source: everything of it */
    assert_false(world_is_hit(w, "page:a"));
    assert_true(world_is_hit(w, "note:1"));
    assert_string_equal(heard.maps, "user;user;page;");
}

/* Rule 20. */
static void feed__first_up_and_every_other_is_a_gap(void **state)
{
    struct world *w = *state;
    world_fill(w, "user:1");
    world_fill(w, "note:1");
    world_mock(w, "FEED UP");
    assert_string_equal(heard.maps, "user;page;");
    assert_false(world_is_hit(w, "user:1"));
    assert_true(world_is_hit(w, "note:1"));
    world_fill(w, "user:1");
    world_mock(w, "FEED DOWN");
    assert_true(world_is_hit(w, "user:1"));
    world_mock(w, "FEED UP");
    assert_false(world_is_hit(w, "user:1"));
    assert_int_equal(world_source_stat(w, "m", "feed_gaps"), 2);
}

/* Rule 20. */
static void feed__gap_voids_loads_from_before(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    world_mock(w, "FEED UP");
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&r, "mock:1:1");
    assert_false(world_is_hit(w, "user:1"));
}

static void feed__lives_are_short_while_it_is_down(void **state)
{
    struct world *w = *state;
    up(w);
    world_line(w, "source-set m gap-ttl 5s");
    world_fill(w, "user:1");
    world_pass(w, 60000);
    world_mock(w, "FEED DOWN");
    world_pass(w, 4000);
    world_fill(w, "user:2");
    assert_true(world_is_hit(w, "user:1"));
    world_pass(w, 1000);
    assert_false(world_is_hit(w, "user:1"));
    assert_true(world_is_hit(w, "user:2"));
    world_pass(w, 4000);
    assert_false(world_is_hit(w, "user:2"));
    world_line(w, "source-set m gap-ttl 1h");
    assert_true(world_is_hit(w, "user:2"));
}

static void feed__on_gap_says_what_becomes_of_values(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    up(w);
    world_line(w, "source-set m on-gap keep");
    world_fill(w, "user:1");
    world_mock(w, "FEED DOWN");
    world_mock(w, "FEED UP");
    assert_true(world_is_hit(w, "user:1"));
    world_line(w, "source-set m on-gap soft");
    world_line(w, "map-set user stale-ttl 10s");
    world_mock(w, "FEED DOWN");
    world_mock(w, "FEED UP");
    world_pass(w, 1);
    assert_true(world_get(w, "user:1", &r));
    assert_true(r.is_stale);
    world_turn(w);
    assert_true(world_get(w, "user:1", &r));
    assert_false(r.is_stale);
    assert_answer(&r, "mock:1:2");
}

static void feed__what_ended_with_a_gap_may_save_from_errors(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    up(w);
    world_fill(w, "user:1");
    world_fill(w, "user:2");
    world_mock(w, "FEED DOWN");
    world_mock(w, "FEED UP");
    world_mock(w, "FAIL down");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_answer(&r, "mock:1:1");
    world_mock(w, "FEED KEY user:2"); /* but not after an event of its own */
    (void)world_get(w, "user:2", &r);
    world_turn(w);
    assert_error(&r, "SOURCEDOWN");
}

static void feed__soft_invalidation_keeps_the_stale_window(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    up(w);
    world_line(w, "map-set user stale-ttl 10s");
    world_fill(w, "user:1");
    world_pass(w, 1);
    assert_true(sources_invalidate_key(w->sources, strview_str("user:1"), true));
    assert_true(world_get(w, "user:1", &r));
    assert_answer(&r, "mock:1:1");
    assert_true(r.is_stale);
    world_turn(w);
    assert_true(world_get(w, "user:1", &r));
    assert_answer(&r, "mock:1:2");
}

static void feed__needs_a_driver_that_has_one(void **state)
{
    struct world *w = *state;
    world_refuses(w, "source-set m invalidate none", "only be set at start");
}

static void collect(void *ctx, const char *name, struct strview value)
{
    char *out = ctx;
    if (strcmp(name, "feed") == 0) {
        memcpy(out, value.data, value.len);
    }
}

static void feed__is_shown(void **state)
{
    struct world *w = *state;
    const char *const sources[] = {"other", "m", "m"};
    const char *const shown[] = {"none", "down", "up"};
    for (int i = 0; i < 3; i++) {
        char text[32] = "";
        if (i == 2) {
            up(w);
        }
        assert_true(sources_describe(w->sources, strview_str(sources[i]), collect, text));
        assert_string_equal(text, shown[i]);
    }
}

/* The feed has a connection of its own: when it is up again the database is, and nobody need wait
 * for the next probe. */
static void feed__up_makes_the_breaker_probe_at_once(void **state)
{
    struct world *w = *state;
    up(w);
    world_line(w, "source-set m breaker-open 1h..2h");
    world_mock(w, "FEED DOWN");
    world_mock(w, "FAIL down");
    for (int i = 0; i < 10; i++) {
        struct reader r = {0};
        (void)world_get(w, "user:1", &r);
        world_turn(w);
    }
    world_mock(w, "FAIL off");
    world_pass(w, 10000);
    struct reader refused = {0};
    assert_int_equal(world_load(w, "user:1", w->clock.mono_ms, &refused), LOAD_AT_ONCE);
    world_mock(w, "FEED UP");
    world_pass(w, 1);
    world_fill(w, "user:1");
}

#define CASE(name) cmocka_unit_test_setup_teardown(feed__##name, setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(key_that_changed_is_forgotten_and_told),
        CASE(event_voids_the_load_in_the_air),
        CASE(notice_names_keys_and_maps),
        CASE(first_up_and_every_other_is_a_gap),
        CASE(gap_voids_loads_from_before),
        CASE(lives_are_short_while_it_is_down),
        CASE(on_gap_says_what_becomes_of_values),
        CASE(what_ended_with_a_gap_may_save_from_errors),
        CASE(soft_invalidation_keeps_the_stale_window),
        CASE(needs_a_driver_that_has_one),
        CASE(is_shown),
        CASE(up_makes_the_breaker_probe_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
