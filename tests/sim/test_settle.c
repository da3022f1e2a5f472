/*
 * Feeds that may tell of a change before everybody sees it: what they say is applied at once and
 * again after settle-ms.
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
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    world_open(w, 64 << 20);
    world_line(w, "source m mock x invalidate changelog c settle-ms 1000");
    world_line(w, "map user m user:{id:int} 'SELECT $id' jitter 0% ttl 1h refresh-ahead 0");
    world_line(w, "source n mock x invalidate notify c");
    world_line(w, "map page n page:{id:int} 'SELECT $id' jitter 0% ttl 1h refresh-ahead 0");
    world_refuses(w, "source a redis host=x settle-ms 5", "is not for driver");
    world_refuses(w, "source a redis host=x overlap 5s", "is not for driver");
    world_start(w);
    *state = w;
    return 0;
}

/* The feed is up, and has been for long. */
static void up(struct world *w)
{
    world_mock(w, "FEED UP");
    world_pass(w, 5000);
}

static void settle__key_is_forgotten_at_once_and_again(void **state)
{
    struct world *w = *state;
    up(w);
    world_fill(w, "user:1");
    world_mock(w, "FEED KEY user:1");
    assert_false(world_is_hit(w, "user:1"));
    world_fill(w, "user:1"); /* perhaps the old row */
    world_pass(w, 999);
    assert_true(world_is_hit(w, "user:1"));
    world_pass(w, 1);
    assert_false(world_is_hit(w, "user:1"));
    world_fill(w, "user:1");
    world_pass(w, 10000);
    assert_true(world_is_hit(w, "user:1"));
}

static void settle__load_in_the_air_is_voided_again(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    up(w);
    world_mock(w, "FEED KEY user:1");
    world_pass(w, 900);
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    world_pass(w, 100);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_int_equal(r.status, LOAD_FOUND);
    assert_false(world_has(w, "user:1"));
}

static void settle__map_all_and_gap_come_again(void **state)
{
    struct world *w = *state;
    static const char *const events[] = {"FEED MAP user", "FEED ALL", "FEED UP"};
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        up(w);
        world_mock(w, events[i]);
        world_fill(w, "user:1");
        world_pass(w, 999);
        assert_true(world_is_hit(w, "user:1"));
        world_pass(w, 1);
        assert_false(world_is_hit(w, "user:1"));
    }
    assert_int_equal(world_source_stat(w, "m", "feed_gaps"), 4);
}

static void settle__other_feeds_are_exact(void **state)
{
    struct world *w = *state;
    world_mock(w, "FEED UP");
    struct strview up_words[] = {strview_str("n"), strview_str("FEED"), strview_str("UP")};
    struct strview key_words[] = {strview_str("n"), strview_str("FEED"), strview_str("KEY"),
                                  strview_str("page:1")};
    struct buf reply;
    buf_init(&reply);
    assert_int_equal(sources_debug(w->sources, up_words, 3, &reply, &w->err), 0);
    assert_int_equal(sources_debug(w->sources, key_words, 4, &reply, &w->err), 0);
    buf_fini(&reply);
    world_fill(w, "page:1");
    world_pass(w, 5000);
    assert_true(world_is_hit(w, "page:1"));
}

static void settle__zero_is_once(void **state)
{
    struct world *w = *state;
    up(w);
    world_line(w, "source-set m settle-ms 0");
    world_mock(w, "FEED KEY user:1");
    world_fill(w, "user:1");
    world_pass(w, 5000);
    assert_true(world_is_hit(w, "user:1"));
}

static void settle__many_take_several_turns(void **state)
{
    enum { KEYS = 5000 };
    struct world *w = *state;
    up(w);
    for (int i = 0; i < KEYS; i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "FEED KEY user:%d", i);
        world_mock(w, line);
    }
    world_fill(w, "user:0");
    char last[32];
    (void)snprintf(last, sizeof(last), "user:%d", KEYS - 1);
    world_fill(w, last);
    w->clock.mono_ms += 1000;
    sources_tick(w->sources);
    assert_false(world_is_hit(w, "user:0"));
    assert_true(world_is_hit(w, last)); /* one turn does not do them all */
    for (int i = 0; i < KEYS / 1000; i++) {
        world_pass(w, 1);
    }
    assert_false(world_is_hit(w, last));
}

static void settle__too_many_become_everything(void **state)
{
    struct world *w = *state;
    char line[128] = "FEED KEY user:";
    up(w);
    memset(line + strlen(line), '7', 100);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 40000; i++) {
            world_mock(w, line);
        }
        world_fill(w, "user:1");
        world_pass(w, 999);
        assert_true(world_is_hit(w, "user:1"));
        world_pass(w, 1);
        assert_false(world_is_hit(w, "user:1"));
        for (int i = 0; i < 50; i++) {
            world_pass(w, 1);
        }
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(settle__##name, setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(key_is_forgotten_at_once_and_again),
        CASE(load_in_the_air_is_voided_again),
        CASE(map_all_and_gap_come_again),
        CASE(other_feeds_are_exact),
        CASE(zero_is_once),
        CASE(many_take_several_turns),
        CASE(too_many_become_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
