/*
 * Deadlines, limits, held errors, clients that leave, and the end.
 */
#include "world.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- deadlines ------------------------------------------------------------------------------- */

/* Rules 3 and 4. */
static void limits__hung_source_times_out(void **state)
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

/* Rule 3. */
static void limits__waiter_from_earlier_has_its_own_deadline(void **state)
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

/* Rules 3 and 4. */
static void limits__queued_load_times_out_in_the_queue(void **state)
{
    struct world *w = *state;
    struct reader r[10] = {{.world = w}};
    char key[32];
    world_line(w, "source-set m breaker '1000 100% 10s'");
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

/* Rule 5. */
static void limits__error_is_held_for_a_moment(void **state)
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

static void limits__event_ends_the_hold(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < WORLD_EVENTS; i++) {
        struct reader r = {0};
        world_mock(w, "RESET");
        world_mock(w, "FAIL err");
        (void)world_get(w, "user:1", &r);
        world_turn(w);
        world_mock(w, "FAIL off");
        world_events[i](w, "user:1");
        assert_int_equal(world_load(w, "user:1", w->clock.mono_ms, &r), LOAD_WAITS);
        world_turn(w);
        assert_answer(&r, "mock:1:2");
        world_delete(w, "user:1");
    }
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* Rule 6. */
static void limits__limits_answer_at_once(void **state)
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
    r[13].waiter.client_weight = (size_t)3 * SOURCE_LOAD_WEIGHT;
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

/* Rule 6. */
static void limits__inflight_memory_is_bounded(void **state)
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

/* Rule 45. */
static void limits__large_values_are_answered_not_stored(void **state)
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

/* Rule 43. */
static void limits__full_store_still_answers(void **state)
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

/* ---- memory ---------------------------------------------------------------------------------- */

enum { SMALL_MEMORY = 4 * 1024 * 1024, ROW_BYTES = 1000, MANY_ROWS = 10000, SOME_ROWS = 1000 };

/* An empty store with little memory. */
static void use_policy(struct world *w, const char *name)
{
    store_flush(w->store, STORE_DATABASES);
    while (store_tick(w->store, 1000)) {
    }
    w->store_options.maxmemory = SMALL_MEMORY;
    w->store_options.maxmemory_policy = 0;
    while (strcmp(store_policy_names[w->store_options.maxmemory_policy], name) != 0) {
        w->store_options.maxmemory_policy++;
    }
    assert_int_equal(store_apply_options(w->store, &w->err), 0);
}

static void load_many(struct world *w, const char *map, int count)
{
    char key[32];
    world_mock(w, "BYTES 1000");
    for (int i = 0; i < count; i++) {
        struct reader r = {0};
        (void)snprintf(key, sizeof(key), "%s:%d", map, i);
        (void)world_get(w, key, &r);
        world_turn(w);
        assert_int_equal(r.status, LOAD_FOUND);
        assert_int_equal(r.len, ROW_BYTES);
    }
}

static int count_kept(struct world *w, const char *name, int count)
{
    char key[32];
    int kept = 0;
    for (int i = 0; i < count; i++) {
        (void)snprintf(key, sizeof(key), "%s:%d", name, i);
        kept += world_has(w, key);
    }
    return kept;
}

/* Rows give way to rows. Keys that nobody can bring back are what a volatile policy spares. Rule 50. */
static void limits__fills_alone_evict_no_plain_key(void **state)
{
    static const char *const policies[] = {"volatile-lru", "volatile-lfu", "volatile-ttl",
                                           "volatile-random", "volatile-adaptive"};
    struct world *w = *state;
    for (size_t p = 0; p < sizeof(policies) / sizeof(policies[0]); p++) {
        print_message("# %s\n", policies[p]);
        use_policy(w, policies[p]);
        for (int i = 0; i < SOME_ROWS; i++) {
            char key[32];
            (void)snprintf(key, sizeof(key), "plain:%d", i);
            const struct store_key k = world_key(w, key);
            assert_int_equal(store_set(w->store, &k, strview_str("p"), &(struct store_write){0}),
                             STORE_OK);
        }
        load_many(w, "user", MANY_ROWS);
        assert_int_equal(count_kept(w, "plain", SOME_ROWS), SOME_ROWS);
        const int rows = count_kept(w, "user", MANY_ROWS);
        assert_true(rows > SOME_ROWS && rows < MANY_ROWS / 2); /* there was too little memory */
    }
}

/* However much they were used: a map of low priority keeps what memory the others leave. */
static void limits__low_priority_is_evicted_first(void **state)
{
    static const char *const policies[] = {"allkeys-lru", "allkeys-lfu", "allkeys-adaptive"};
    struct world *w = *state;
    struct reader r = {0};
    world_line(w, "map-set page priority low");
    for (size_t p = 0; p < sizeof(policies) / sizeof(policies[0]); p++) {
        print_message("# %s\n", policies[p]);
        use_policy(w, policies[p]);
        load_many(w, "page", SOME_ROWS);
        for (int i = 0; i < SOME_ROWS; i++) {
            char key[32];
            (void)snprintf(key, sizeof(key), "page:%d", i);
            assert_true(world_get(w, key, &r));
        }
        assert_int_equal(count_kept(w, "page", SOME_ROWS), SOME_ROWS);
        load_many(w, "user", 2 * SOME_ROWS);
        assert_int_equal(count_kept(w, "page", SOME_ROWS), SOME_ROWS); /* nobody needs the room */
        load_many(w, "user", 7 * SOME_ROWS / 2);
        const int kept = count_kept(w, "user", 7 * SOME_ROWS / 2);
        assert_true(count_kept(w, "page", SOME_ROWS) < SOME_ROWS);
        assert_int_equal(kept, 7 * SOME_ROWS / 2);
    }
}

/* ---- clients that leave ---------------------------------------------------------------------- */

/* Rule 38. */
static void limits__queued_load_without_waiters_is_dropped(void **state)
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

/* Rule 38. */
static void limits__sent_load_without_waiters_fills(void **state)
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
    (void)sources_invalidate_key(r->world->sources, strview_str("user:1"), false);
    (void)world_load(r->world, "user:1", r->world->clock.mono_ms, r);
}

static void limits__answers_may_cancel_and_load(void **state)
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
    (void)sources_invalidate_key(w->sources, strview_str("user:1"), false);
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

/* ---- end ------------------------------------------------------------------------------------- */

/* Rule 49. */
static void limits__stop_answers_everybody(void **state)
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

#define CASE(name) cmocka_unit_test_setup_teardown(limits__##name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(hung_source_times_out),
        CASE(waiter_from_earlier_has_its_own_deadline),
        CASE(queued_load_times_out_in_the_queue),
        CASE(error_is_held_for_a_moment),
        CASE(event_ends_the_hold),
        CASE(limits_answer_at_once),
        CASE(inflight_memory_is_bounded),
        CASE(large_values_are_answered_not_stored),
        CASE(full_store_still_answers),
        CASE(fills_alone_evict_no_plain_key),
        CASE(low_priority_is_evicted_first),
        CASE(queued_load_without_waiters_is_dropped),
        CASE(sent_load_without_waiters_fills),
        CASE(answers_may_cancel_and_load),
        CASE(stop_answers_everybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
