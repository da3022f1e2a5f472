/*
 * The failure matrix: what a reader of a cold key, of one in its stale-ttl window and of one in its
 * stale-error-ttl window is told when the database fails in each of its ways.
 */
#include "world.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* How the database fails, and after how much time the answer is there. */
struct failure {
    const char *name;
    const char *mock; /* said before the read; NULL: nothing */
    bool is_held;     /* and what is sent is not answered */
    const char *then; /* said to the mock once the query is there; NULL: nothing */
    int64_t cold_ms;  /* when a cold key's reader is answered */
    const char *word; /* with what */
    int64_t error_ms; /* when a reader within stale-error-ttl is given the old value */
};

static const struct failure failures[] = {
    {"refuses connections", "FAIL down", false, NULL, 0, "SOURCEDOWN", 0},
    {"black-holed", NULL, true, NULL, 1000, "SOURCETIMEOUT", 100},
    {"dies in the middle, twice", NULL, true, "LOSE 9", 0, "SOURCEDOWN", 0},
    {"ends the statement by itself", "FAIL timeout", false, NULL, 0, "SOURCETIMEOUT", 0},
    {"refuses the statement", "FAIL err", false, NULL, 0, "SOURCEERR", 0},
    {"has two rows", "ROWS 2", false, NULL, 0, "SOURCEERR", 0},
    {"has no room", "FAIL busy", false, NULL, 0, "SOURCEBUSY", 0},
    {"has a huge row", "BYTES 20000000", false, NULL, 0, "SOURCEBIG", 0},
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    world_open(w, 64 << 20);
    world_line(w, "source m mock x");
    world_line(w, "map cold m cold:{id:int} 'SELECT $id' error-hold 0");
    world_line(w, "map stale m stale:{id:int} 'SELECT $id' jitter 0% ttl 10s stale-ttl 60s");
    world_line(w, "map saved m saved:{id:int} 'SELECT $id' jitter 0% ttl 10s stale-error-ttl 60s");
    world_start(w);
    *state = w;
    return 0;
}

static void get(struct world *w, const char *map, size_t i, struct reader *r)
{
    char key[32];
    (void)snprintf(key, sizeof(key), "%s:%zu", map, i);
    (void)world_get(w, key, r);
}

static void load(struct world *w, const char *map, size_t i)
{
    struct reader r = {0};
    get(w, map, i, &r);
    world_turn(w);
    assert_int_equal(r.status, LOAD_FOUND);
}

/* The three reads while it fails. */
static void read_all(struct world *w, const struct failure *f, size_t i)
{
    struct reader cold = {0};
    struct reader stale = {0};
    struct reader saved = {0};
    if (f->mock != NULL) {
        world_mock(w, f->mock);
    }
    if (f->is_held) {
        world_mock(w, "HOLD");
    }
    get(w, "cold", i, &cold);
    get(w, "stale", i, &stale);
    assert_int_equal(stale.answers, 1); /* at once, whatever happens */
    assert_true(stale.is_stale && stale.status == LOAD_FOUND);
    get(w, "saved", i, &saved);
    world_turn(w);
    for (int again = 0; again < 2 && f->then != NULL;
         again++) { /* a lost load is tried once more */
        world_mock(w, f->then);
        world_turn(w);
    }
    if (f->error_ms > 0) {
        world_pass(w, f->error_ms - 1);
        assert_int_equal(saved.answers, 0);
        world_pass(w, 1);
    }
    assert_int_equal(saved.answers, 1);
    assert_true(saved.is_stale && saved.status == LOAD_FOUND);
    if (f->cold_ms > 0) {
        world_pass(w, f->cold_ms - f->error_ms - 1);
        assert_int_equal(cold.answers, 0);
        world_pass(w, 1);
    }
    assert_error(&cold, f->word);
}

/* Rules 12, 24 and 28. */
static void matrix__every_failure(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        print_message("# %s\n", failures[i].name);
        load(w, "stale", i);
        load(w, "saved", i);
        world_pass(w, 10000);
        read_all(w, &failures[i], i);
        world_mock(w, "RESET");
        world_pass(w, 60000); /* the breaker closes by itself */
        load(w, "cold", i);
        assert_int_equal(world_source_stat(w, "m", "busy"), 0);
        assert_int_equal(world_source_stat(w, "m", "waiters"), 0);
    }
}

/* With the pool and the queue full: the queue's limit is an answer at once. */
static void matrix__pool_and_queue_are_full(void **state)
{
    struct world *w = *state;
    struct reader busy[10] = {{.world = w}};
    struct reader r = {0};
    load(w, "saved", 50);
    load(w, "stale", 50);
    world_pass(w, 10000);
    world_line(w, "source-set m max-queue 2");
    world_mock(w, "HOLD");
    for (size_t i = 0; i < 10; i++) {
        get(w, "cold", i, &busy[i]);
        world_turn(w);
    }
    get(w, "cold", 10, &r);
    assert_error(&r, "SOURCEBUSY");
    get(w, "saved", 50, &r);
    assert_int_equal(r.status, LOAD_FOUND);
    assert_true(r.is_stale);
    get(w, "stale", 50, &r);
    assert_int_equal(r.status, LOAD_FOUND);
    world_mock(w, "RELEASE");
    world_turn(w);
}

/* Ages and deadlines go by the monotonic clock. */
static void matrix__wall_clock_may_jump(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    static const int64_t jumps[] = {-86400000, 86400000 * 2};
    for (size_t i = 0; i < 2; i++) {
        get(w, "saved", 70 + i, &r);
        world_turn(w);
        w->clock.wall_ms += jumps[i];
        get(w, "saved", 70 + i, &r);
        assert_int_equal(r.answers, 1);
        assert_false(r.is_stale);
    }
    assert_int_equal(world_map_stat(w, "saved", "hits"), 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(matrix__##name, setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_failure),
        CASE(pool_and_queue_are_full),
        CASE(wall_clock_may_jump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
