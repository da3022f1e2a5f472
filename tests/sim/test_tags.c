/*
 * Tags: values that are invalidated together by what their rows say. The mock's rows have three
 * columns: id, value, org.
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
    world_line(w, "source m mock id,value,org");
    world_line(w, "map user m user:{n:int} 'SELECT $n' as json refresh-ahead 0 stale-error-ttl 0 "
                  "tag org:{org} tag all");
    world_line(w, "map rows m rows:{n:int} 'SELECT $n' as jsonrows refresh-ahead 0 "
                  "stale-error-ttl 0 tag org:{org}");
    world_start(w);
    *state = w;
    return 0;
}

static void load(struct world *w, const char *key, const char *table)
{
    struct reader r = {0};
    char line[128];
    (void)snprintf(line, sizeof(line), "TABLE '%s'", table);
    world_mock(w, line);
    (void)world_get(w, key, &r);
    world_turn(w);
    assert_int_equal(r.status, LOAD_FOUND);
}

static int64_t invalidate(struct world *w, const char *tag)
{
    return sources_invalidate_tag(w->sources, strview_str(tag), false);
}

static void tags__all_values_with_the_tag_go(void **state)
{
    struct world *w = *state;
    load(w, "user:1", "1,ada,7");
    load(w, "user:2", "2,bob,7");
    load(w, "user:3", "3,eve,8");
    load(w, "rows:1", "1,x,8|2,y,9"); /* has the tags of all its rows */
    assert_int_equal(invalidate(w, "org:5"), 0);
    assert_int_equal(invalidate(w, "org:7"), 2);
    assert_false(world_has(w, "user:1"));
    assert_false(world_has(w, "user:2"));
    assert_true(world_has(w, "user:3"));
    assert_int_equal(invalidate(w, "org:9"), 1);
    assert_false(world_has(w, "rows:1"));
    assert_int_equal(invalidate(w, "all"), 1);
    assert_false(world_has(w, "user:3"));
    assert_int_equal(invalidate(w, "all"), 0);
}

static void tags__null_gives_none(void **state)
{
    struct world *w = *state;
    load(w, "user:1", "1,ada,\\N");
    assert_int_equal(invalidate(w, "org:"), 0);
    assert_int_equal(invalidate(w, "all"), 1);
}

static void tags__load_from_before_fills_nothing(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_mock(w, "TABLE '1,ada,7'");
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_int_equal(invalidate(w, "org:8"), 0); /* not its own, as will turn out */
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_true(world_has(w, "user:1"));
    world_delete(w, "user:1");
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_int_equal(invalidate(w, "org:7"), 0);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_int_equal(r.status, LOAD_FOUND);
    assert_false(world_has(w, "user:1"));
    assert_int_equal(world_map_stat(w, "user", "voided"), 1);
}

static void tags__many_void_tags_are_remembered_in_bulk(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    char tag[32];
    world_mock(w, "TABLE '1,ada,7'");
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    (void)invalidate(w, "org:7");
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(tag, sizeof(tag), "other:%d", i);
        (void)invalidate(w, tag);
    }
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_false(world_has(w, "user:1"));
    assert_true(sources_memory(w->sources) < (size_t)2 << 20);
    load(w, "user:1", "1,ada,7");
    assert_true(world_has(w, "user:1"));
}

static void tags__keys_that_went_leave_their_tags(void **state)
{
    struct world *w = *state;
    load(w, "user:0", "1,x,7");
    const size_t before = sources_memory(w->sources);
    for (int i = 1; i < 5000; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "user:%d", i);
        load(w, key, "1,x,7");
        world_delete(w, key);
    }
    assert_true(sources_memory(w->sources) < before + 16384);
    assert_int_equal(invalidate(w, "org:7"), 1);
}

static void tags__soft_ends_lives_only(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set user stale-ttl 10s");
    load(w, "user:1", "1,ada,7");
    world_pass(w, 1);
    assert_int_equal(sources_invalidate_tag(w->sources, strview_str("org:7"), true), 1);
    assert_true(world_get(w, "user:1", &r));
    assert_true(r.is_stale);
    world_turn(w);
    assert_int_equal(invalidate(w, "org:7"), 1);
    assert_false(world_has(w, "user:1"));
}

static void tags__of_columns_that_are_not_there_are_refused(void **state)
{
    struct world *w = *state;
    world_close(w);
    world_open(w, 64 << 20);
    world_line(w, "source m mock id,value");
    world_line(w, "map user m user:{n:int} 'SELECT $n' as json tag org:{org}");
    assert_true(sources_start(w->sources, &w->err) < 0);
    assert_non_null(strstr(w->err.text, "no column of a name in tag"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(tags__##name, setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(all_values_with_the_tag_go),
        CASE(null_gives_none),
        CASE(load_from_before_fills_nothing),
        CASE(many_void_tags_are_remembered_in_bulk),
        CASE(keys_that_went_leave_their_tags),
        CASE(soft_ends_lives_only),
        CASE(of_columns_that_are_not_there_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
