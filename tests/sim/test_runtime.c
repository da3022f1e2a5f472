/*
 * Sources and maps that come and go while others are read.
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
    world_line(w, "source m mock x");
    world_line(w, "map user m user:{id:int} 'SELECT $id' jitter 0% ttl 1h refresh-ahead 0 "
                  "error-hold 1s stale-error-ttl 1h");
    world_start(w);
    *state = w;
    return 0;
}

static void read_value(struct world *w, const char *key, const char *value)
{
    struct reader r = {0};
    world_read(w, key, &r);
    assert_answer(&r, value);
}

static struct source_map *map_of(struct world *w, const char *key)
{
    return sources_match(w->sources, strview_str(key));
}

static void delete_it(struct world *w, const char *name)
{
    if (sources_delete(w->sources, strview_str(name), &w->err) != 0) {
        fail_msg("%s", w->err.text);
    }
    sources_reset_stats(w->sources); /* its reads are counted nowhere any more */
    w->reads = 0;
}

static void refuses_to_delete(struct world *w, const char *name, const char *part)
{
    assert_true(sources_delete(w->sources, strview_str(name), &w->err) < 0);
    assert_non_null(strstr(w->err.text, part));
}

static void runtime__map_that_is_added_loads(void **state)
{
    struct world *w = *state;
    assert_null(map_of(w, "page:1"));
    world_line(w, "map page m page:{id:int} 'SELECT $id' jitter 0% ttl 1h refresh-ahead 0");
    read_value(w, "page:1", "mock:1:1");
    assert_true(world_is_hit(w, "page:1"));
    world_refuses(w, "map page m other:{id:int} 'SELECT $id'", "exists already");
    world_refuses(w, "map more m page:{id:uint} 'SELECT $id'", "a key can match");
    world_refuses(w, "map more m more:{id:uint} 'SELECT $x'", "$x");
    world_refuses(w, "map more nobody more:{id:uint} 'SELECT $id'", "no source");
}

static void runtime__source_that_is_added_is_opened(void **state)
{
    struct world *w = *state;
    world_line(w, "source n mock x pool 1");
    world_line(w, "map page n page:{id:int} 'SELECT $id' jitter 0% ttl 1h refresh-ahead 0");
    read_value(w, "page:1", "mock:1:1");
    assert_int_equal(world_source_stat(w, "n", "loads"), 1);
    world_refuses(w, "source n mock y", "exists already");
    world_refuses(w, "source o nothing y", "no driver");
    world_refuses(w, "source o mock y pool 0", "pool");
}

static void runtime__map_of_a_blind_source_is_blind(void **state)
{
    struct world *w = *state;
    world_line(w, "source n mock x invalidate notify c gap-ttl 5s");
    world_line(w, "map page n page:{id:int} 'SELECT $id' jitter 0% ttl 1h refresh-ahead 0");
    read_value(w, "page:1", "mock:1:1");
    world_pass(w, 6000);
    assert_false(world_is_hit(w, "page:1"));
}

static void runtime__deleted_map_is_nobodys(void **state)
{
    struct world *w = *state;
    read_value(w, "user:1", "mock:1:1");
    delete_it(w, "user");
    assert_null(map_of(w, "user:1"));
    assert_null(sources_map_by_name(w->sources, strview_str("user")));
    assert_false(world_is_hit(w, "user:1"));
    refuses_to_delete(w, "user", "no source and no map");
    struct store_key k = world_key(w, "user:1");
    struct entry_view e;
    assert_true(store_peek(w->store, &k, &e)); /* it is still there, but for nobody */
    assert_int_equal(sources_peek(w->sources, &e), SOURCE_GONE);
    assert_int_equal(sources_expires_at(w->sources, &e), w->clock.mono_ms);
    (void)sources_invalidate_key(w->sources, strview_str("user:1"), true);
    (void)sources_invalidate_key(w->sources, strview_str("user:1"), false);
    assert_false(store_peek(w->store, &k, &e));
}

static void runtime__waiters_of_a_deleted_map_are_answered(void **state)
{
    struct world *w = *state;
    struct reader sent = {0}, queued = {0}, failed = {0};
    world_mock(w, "FAIL err");
    world_read(w, "user:7", &failed); /* held */
    world_mock(w, "FAIL off");
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &sent);
    world_turn(w);
    (void)world_get(w, "user:2", &queued);
    delete_it(w, "user");
    assert_error(&sent, "SOURCEDOWN");
    assert_error(&queued, "SOURCEDOWN");
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_false(world_has(w, "user:1"));
    world_pass(w, 60000);
}

/* The place in the table is used again; what the other map left there is not the new one's, not even
 * when its own loads fail. */
static void runtime__new_map_does_not_inherit_rows(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    read_value(w, "user:1", "mock:1:1");
    delete_it(w, "user");
    world_line(w, "map user m user:{id:int} 'SELECT $id' jitter 0% ttl 1h refresh-ahead 0 "
                  "error-hold 0 stale-error-ttl 1h stale-ttl 1h");
    assert_false(world_is_hit(w, "user:1"));
    world_mock(w, "FAIL down");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_error(&r, "SOURCEDOWN");
    world_mock(w, "FAIL off");
    world_pass(w, 60000);
    struct reader again = {0};
    world_read(w, "user:1", &again);
    assert_int_equal(again.status, LOAD_FOUND);
    assert_true(world_is_hit(w, "user:1"));
    sources_invalidate_map(w->sources, map_of(w, "user:1"));
    world_mock(w, "FAIL down"); /* its own may help out */
    struct reader old = {0};
    (void)world_get(w, "user:1", &old);
    world_turn(w);
    assert_true(old.is_stale);
}

static void runtime__source_goes_after_its_maps(void **state)
{
    struct world *w = *state;
    world_line(w, "source n mock x");
    world_line(w, "map page n page:{id:int} 'SELECT $id'");
    refuses_to_delete(w, "n", "map 'page' loads from this source");
    read_value(w, "page:1", "mock:1:1");
    delete_it(w, "page");
    delete_it(w, "n");
    refuses_to_delete(w, "n", "no source and no map");
    assert_false(world_is_hit(w, "page:1"));
    world_pass(w, 1000);
    read_value(w, "user:1", "mock:1:1");
    world_line(w, "source n mock x");
    world_line(w, "map page n page:{id:int} 'SELECT $id'");
    struct reader r = {0};
    world_read(w, "page:1", &r);
    assert_answer(&r, "mock:1:1");
}

static void runtime__ping_of_a_deleted_source_is_answered(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    struct load_result now;
    world_line(w, "source n mock x");
    world_prepare(w, &r);
    assert_int_equal(sources_ping(w->sources, strview_str("n"), &r.waiter, &now), LOAD_WAITS);
    delete_it(w, "n");
    assert_error(&r, "SOURCEDOWN");
}

static void runtime__warm_up_of_a_deleted_map_ends(void **state)
{
    struct world *w = *state;
    const struct strview keys[] = {strview_str("user:1"), strview_str("user:2")};
    assert_int_equal(sources_warm_keys(w->sources, map_of(w, "user:1"), keys, 2, 1000, &w->err), 0);
    world_mock(w, "HOLD");
    world_pass(w, 100);
    delete_it(w, "user");
    assert_false(sources_warm_stop(w->sources));
    world_mock(w, "RELEASE");
    world_pass(w, 1000);
    assert_false(world_has(w, "user:1"));
}

/* Many prefixes, lengths and places, in any order. */
static void runtime__maps_come_and_go(void **state)
{
    enum { MAPS = 60, STEPS = 2000 };
    struct world *w = *state;
    bool is_there[MAPS] = {false};
    srand(7);
    for (int step = 0; step < STEPS; step++) {
        const int i = rand() % MAPS;
        char name[32], line[128], key[64];
        (void)snprintf(name, sizeof(name), "map%d", i);
        if (is_there[i]) {
            delete_it(w, name);
        } else {
            (void)snprintf(line, sizeof(line), "map map%d m %.*s%d:{id:int} 'SELECT $id'", i,
                           1 + i % 7, "abcdefgh", i);
            world_line(w, line);
        }
        is_there[i] = !is_there[i];
        const int j = rand() % MAPS;
        (void)snprintf(key, sizeof(key), "%.*s%d:5", 1 + j % 7, "abcdefgh", j);
        assert_int_equal(map_of(w, key) != NULL, is_there[j]);
        assert_non_null(map_of(w, "user:1"));
    }
}

static void runtime__statement_is_given_to_the_driver_once(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(sources_warm_query(w->sources, map_of(w, "user:1"),
                                            strview_str("SELECT 1"), 1000, &w->err),
                         0);
        world_pass(w, 100);
        (void)sources_warm_stop(w->sources);
    }
    assert_int_equal(world_mock(w, "STATEMENTS"), 2);
    char *text = calloc(1, 70000);
    assert_non_null(text);
    memset(text, 'x', 69999);
    assert_int_not_equal(
        sources_warm_query(w->sources, map_of(w, "user:1"), strview_str(text), 1000, &w->err), 0);
    int refused = 0;
    for (int i = 0; i < 1100 && refused == 0; i++) {
        (void)snprintf(text, 65000, "SELECT %d /*", i);
        text[strlen(text)] = ' ';
        text[65000] = '\0';
        refused = sources_warm_query(w->sources, map_of(w, "user:1"), strview_str(text), 1000,
                                     &w->err);
        world_pass(w, 100);
        (void)sources_warm_stop(w->sources);
    }
    free(text);
    assert_int_not_equal(refused, 0);
    assert_non_null(strstr(w->err.text, "too many different statements"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(runtime__##name, setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(map_that_is_added_loads),
        CASE(source_that_is_added_is_opened),
        CASE(map_of_a_blind_source_is_blind),
        CASE(deleted_map_is_nobodys),
        CASE(waiters_of_a_deleted_map_are_answered),
        CASE(new_map_does_not_inherit_rows),
        CASE(source_goes_after_its_maps),
        CASE(ping_of_a_deleted_source_is_answered),
        CASE(warm_up_of_a_deleted_map_ends),
        CASE(maps_come_and_go),
        CASE(statement_is_given_to_the_driver_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
