/*
 * Many keys by one query, and values that the row itself steers: hashes, columns that say how long,
 * whose, and under which name.
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
    world_line(w, "source m mock x pool 2 max-queue 10000");
    world_line(w, "map user m user:{id:int} 'SELECT $id' jitter 0% refresh-ahead 0 "
                  "stale-error-ttl 0 error-hold 0 bulk id bulk-query 'SELECT $id[]'");
    world_line(w, "map page m page:{s:slug} 'SELECT $s' jitter 0% refresh-ahead 0 "
                  "stale-error-ttl 0 error-hold 0");
    world_start(w);
    *state = w;
    return 0;
}

static void get_many(struct world *w, struct reader *readers, int count, const char *prefix)
{
    for (int i = 0; i < count; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "%s:%d", prefix, i);
        (void)world_get(w, key, &readers[i]);
    }
    world_turn(w);
}

static void bulk__keys_that_wait_together_go_in_one_query(void **state)
{
    struct world *w = *state;
    struct reader r[100] = {{.world = w}};
    get_many(w, r, 100, "user");
    assert_int_equal(world_mock(w, "QUERIES"), 1);
    for (int i = 0; i < 100; i++) {
        char value[32];
        (void)snprintf(value, sizeof(value), "mock:%d:1", i);
        assert_answer(&r[i], value);
    }
    assert_int_equal(world_map_stat(w, "user", "batches"), 1);
    assert_int_equal(world_map_stat(w, "user", "loads"), 100);
    assert_int_equal(world_map_stat(w, "user", "fills"), 100);
    get_many(w, r, 1, "user");
    assert_int_equal(world_map_stat(w, "user", "hits"), 1);
}

/* Rule 42. */
static void bulk__batches_have_at_most_128_keys(void **state)
{
    struct world *w = *state;
    static struct reader r[1000];
    memset(r, 0, sizeof(r));
    get_many(w, r, 1000, "user");
    assert_int_equal(world_map_stat(w, "user", "batches"), 8);
    assert_int_equal(world_mock(w, "QUERIES"), 8);
    assert_answer(&r[999], "mock:999:8");
}

static void bulk__single_key_uses_the_plain_query(void **state)
{
    struct world *w = *state;
    struct reader r[3] = {{.world = w}};
    world_mock(w, "HOLD");
    get_many(w, r, 1, "user");
    assert_int_equal(world_mock(w, "HELD"), 1); /* not kept back for company */
    get_many(w, r + 1, 2, "page");              /* no bulk query: one each */
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_int_equal(world_mock(w, "QUERIES"), 3);
    assert_int_equal(world_map_stat(w, "user", "batches"), 0);
}

static void bulk__what_queues_while_all_are_busy_becomes_a_batch(void **state)
{
    struct world *w = *state;
    struct reader busy[2] = {{.world = w}};
    struct reader r[50] = {{.world = w}};
    world_mock(w, "HOLD");
    get_many(w, busy, 2, "page");
    for (int i = 0; i < 5; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "user:%d", i);
        (void)world_get(w, key, &r[i]);
        world_turn(w);
    }
    assert_int_equal(world_mock(w, "HELD"), 2);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_int_equal(world_mock(w, "QUERIES"), 3);
    assert_answer(&r[4], "mock:4:3");
}

static void bulk__keys_without_a_row_are_absent(void **state)
{
    struct world *w = *state;
    struct reader r[4] = {{.world = w}};
    world_mock(w, "TABLE '2,two|0,zero|77,stranger'");
    get_many(w, r, 4, "user");
    assert_answer(&r[0], "zero");
    assert_int_equal(r[1].status, LOAD_ABSENT);
    assert_answer(&r[2], "two");
    assert_int_equal(r[3].status, LOAD_ABSENT);
    assert_int_equal(world_map_stat(w, "user", "negatives"), 2);
    assert_int_equal(world_map_stat(w, "user", "bulk_orphans"), 1);
    assert_false(world_has(w, "user:77"));
}

static void bulk__rows_are_matched_byte_for_byte(void **state)
{
    struct world *w = *state;
    struct reader r[2] = {{.world = w}};
    world_mock(w, "TABLE '0,zero|01,one|1 ,one'");
    get_many(w, r, 2, "user");
    assert_answer(&r[0], "zero");
    assert_int_equal(r[1].status, LOAD_ABSENT);
    assert_int_equal(world_map_stat(w, "user", "bulk_orphans"), 2);
}

/* Rule 36. */
static void bulk__two_rows_for_a_key_are_its_own_error(void **state)
{
    struct world *w = *state;
    struct reader r[2] = {{.world = w}};
    world_mock(w, "TABLE '0,a|0,b|1,c'");
    get_many(w, r, 2, "user");
    assert_error(&r[0], "SOURCEERR");
    assert_answer(&r[1], "c");
}

static void bulk__failure_of_one_statement_is_tried_key_by_key(void **state)
{
    struct world *w = *state;
    struct reader r[3] = {{.world = w}};
    world_mock(w, "HOLD");
    world_mock(w, "FAIL err");
    get_many(w, r, 3, "user");
    world_mock(w, "RELEASE 1");
    world_turn(w);
    world_mock(w, "FAIL off");
    assert_int_equal(r[0].answers, 0);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&r[0], "mock:0:2");
    assert_answer(&r[2], "mock:2:4");
    assert_int_equal(world_map_stat(w, "user", "loads"), 3);
}

static void bulk__database_that_goes_away_fails_them_all_once(void **state)
{
    struct world *w = *state;
    struct reader r[3] = {{.world = w}};
    world_mock(w, "FAIL down");
    get_many(w, r, 3, "user");
    for (int i = 0; i < 3; i++) {
        assert_error(&r[i], "SOURCEDOWN");
    }
    assert_int_equal(world_mock(w, "QUERIES"), 1);
    assert_int_equal(world_map_stat(w, "user", "errors"), 3);
}

/* Rule 8. */
static void bulk__event_voids_one_of_a_batch(void **state)
{
    struct world *w = *state;
    struct reader r[3] = {{.world = w}};
    world_mock(w, "HOLD");
    get_many(w, r, 3, "user");
    world_delete(w, "user:1");
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&r[1], "mock:1:1");
    assert_true(world_has(w, "user:0"));
    assert_false(world_has(w, "user:1"));
    assert_true(world_has(w, "user:2"));
}

static void bulk__deadline_of_one_leaves_the_others(void **state)
{
    struct world *w = *state;
    struct reader r[2] = {{.world = w}};
    world_mock(w, "HOLD");
    (void)world_load(w, "user:1", w->clock.mono_ms - 900, &r[0]);
    (void)world_load(w, "user:2", w->clock.mono_ms, &r[1]);
    world_turn(w);
    world_pass(w, 100);
    assert_error(&r[0], "SOURCETIMEOUT");
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&r[1], "mock:2:1");
    assert_int_equal(world_source_stat(w, "m", "busy"), 0);
}

static void bulk__same_key_of_two_databases_is_asked_for_twice(void **state)
{
    struct world *w = *state;
    struct reader r[2] = {{.world = w}};
    struct load_result now;
    (void)world_get(w, "user:1", &r[0]);
    world_prepare(w, &r[1]);
    struct store_key k = store_key_init(w->store, 5, strview_str("user:1"));
    w->reads++;
    assert_int_equal(sources_load(w->sources, sources_match(w->sources, k.key), &k,
                                  w->clock.mono_ms, &r[1].waiter, &now),
                     LOAD_WAITS);
    world_turn(w);
    assert_answer(&r[0], "mock:1:1");
    assert_answer(&r[1], "mock:1:2");
}

static void bulk__prefetched_keys_are_there_for_who_comes(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    for (int i = 0; i < 100; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "user:%d", i);
        struct store_key k = world_key(w, key);
        assert_true(sources_prefetch(w->sources, sources_match(w->sources, k.key), &k));
    }
    (void)world_get(w, "user:7", &r);
    world_turn(w);
    assert_answer(&r, "mock:7:1");
    assert_true(world_get(w, "user:99", &r));
    assert_int_equal(world_map_stat(w, "user", "coalesced"), 1);
}

static void bulk__maps_it_is_not_for_are_refused(void **state)
{
    struct world *w = *state;
    world_close(w);
    world_open(w, 64 << 20);
    world_line(w, "source m mock x");
    world_refuses(w, "map a m a:{i:int} 'SELECT $i' bulk id", "need each other");
    world_refuses(w, "map a m a:{i:int} 'SELECT $i' bulk-query 'SELECT $i[]'", "need each other");
    world_refuses(w, "map a m a:{i:int} 'SELECT $i' bulk id bulk-query 'SELECT $i'", "$name[]");
    world_refuses(w, "map a m a:{i:str} 'SELECT $i' bulk id bulk-query 'SELECT $i[]'", "canon");
    world_refuses(w, "map a m a:{i:int}:{j:int} 'SELECT $i,$j' bulk id bulk-query 'SELECT $i[]'",
                  "one parameter");
    world_refuses(w, "map a m a:{i:int} 'SELECT $i' as jsonrows bulk id bulk-query 'SELECT $i[]'",
                  "jsonrows");
    world_line(w, "map a m a:{i:str} 'SELECT $i' canon id bulk id bulk-query 'SELECT $i[]'");
}

#define CASE(name) cmocka_unit_test_setup_teardown(bulk__##name, setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(keys_that_wait_together_go_in_one_query),
        CASE(batches_have_at_most_128_keys),
        CASE(single_key_uses_the_plain_query),
        CASE(what_queues_while_all_are_busy_becomes_a_batch),
        CASE(keys_without_a_row_are_absent),
        CASE(rows_are_matched_byte_for_byte),
        CASE(two_rows_for_a_key_are_its_own_error),
        CASE(failure_of_one_statement_is_tried_key_by_key),
        CASE(database_that_goes_away_fails_them_all_once),
        CASE(event_voids_one_of_a_batch),
        CASE(deadline_of_one_leaves_the_others),
        CASE(same_key_of_two_databases_is_asked_for_twice),
        CASE(prefetched_keys_are_there_for_who_comes),
        CASE(maps_it_is_not_for_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
