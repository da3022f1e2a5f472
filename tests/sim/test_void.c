/*
 * The void rule: an answer from before an event (delete, flush, invalidation, world_overwrite)
 * reaches those who waited before it, and neither the store nor anybody who came later. In every
 * state of the load, and at random.
 */
#include "world.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the void rule --------------------------------------------------------------------------- */

/* Rules 8, 9 and 10. */
static void void__event_voids_a_sent_load(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < WORLD_EVENTS; i++) {
        struct reader before = {0};
        struct reader after = {0};
        world_mock(w, "RESET");
        world_mock(w, "HOLD");
        (void)world_get(w, "user:1", &before);
        world_turn(w);
        world_events[i](w, "user:1");
        (void)world_get(w, "user:1", &after);
        world_turn(w);
        assert_int_equal(world_mock(w, "QUERIES"), 2); /* who comes later starts a new one */
        world_mock(w, "RELEASE 1");
        world_turn(w);
        assert_answer(&before, "mock:1:1");
        assert_int_equal(after.answers, 0);
        assert_false(world_has(w, "user:1"));
        world_mock(w, "RELEASE");
        world_turn(w);
        assert_answer(&after, "mock:1:2");
        struct reader hit = {0};
        assert_true(world_get(w, "user:1", &hit));
        assert_answer(&hit, "mock:1:2");
        assert_int_equal(world_map_stat(w, "user", "voided"), i + 1);
        world_delete(w, "user:1");
    }
}

/* Rule 8. */
static void void__answer_already_on_its_way_is_voided_too(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < WORLD_EVENTS; i++) {
        struct reader before = {0};
        world_mock(w, "RESET");
        world_mock(w, "HOLD");
        (void)world_get(w, "user:1", &before);
        world_turn(w);
        world_mock(w, "RELEASE"); /* the answer is ready, the loop has not seen it */
        world_events[i](w, "user:1");
        world_turn(w);
        assert_answer(&before, "mock:1:1");
        assert_false(world_has(w, "user:1"));
    }
    assert_int_equal(world_map_stat(w, "user", "voided"), WORLD_EVENTS);
    assert_int_equal(world_map_stat(w, "user", "fills"), 0);
}

static void void__event_does_not_void_a_queued_load(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < WORLD_EVENTS; i++) {
        struct reader r = {0};
        world_mock(w, "RESET");
        (void)world_get(w, "user:1", &r);
        world_events[i](w, "user:1"); /* not sent yet: its query will see the change */
        world_turn(w);
        assert_answer(&r, "mock:1:1");
        struct reader hit = {0};
        assert_true(world_get(w, "user:1", &hit));
        world_delete(w, "user:1");
    }
    assert_int_equal(world_map_stat(w, "user", "voided"), 0);
}

/* Rule 8. */
static void void__old_answer_after_the_new_one_changes_nothing(void **state)
{
    struct world *w = *state;
    struct reader before = {0};
    struct reader after = {0};
    struct reader hit = {0};
    world_mock(w, "HOLD");
    (void)world_get(w, "page:a", &before);
    world_turn(w);
    world_delete(w, "page:a");
    world_mock(w, "RELEASE 0");
    (void)world_get(w, "page:a", &after);
    world_turn(w);
    /* The first query hangs; time makes the order: the layer ends it at its deadline. */
    world_pass(w, 400);
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&before, "mock:a:1");
    assert_answer(&after, "mock:a:2");
    assert_true(world_get(w, "page:a", &hit));
    assert_answer(&hit, "mock:a:2");
}

/* Rule 8. */
static void void__overwrite_wins_over_the_load(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    struct reader hit = {0};
    world_mock(w, "HOLD");
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    world_overwrite(w, "user:1");
    world_mock(w, "RELEASE");
    world_turn(w);
    assert_answer(&r, "mock:1:1");
    assert_true(world_get(w, "user:1", &hit));
    assert_answer(&hit, "mine");
}

static void void__epoch_removes_all_entries_at_once(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    struct reader other = {0};
    (void)world_get(w, "user:1", &r);
    (void)world_get(w, "page:a", &other);
    world_turn(w);
    world_invalidate_map(w, "user:1");
    assert_false(world_get(w, "user:1", &r));
    assert_true(world_get(w, "page:a", &other));
    world_turn(w);
    assert_answer(&r, "mock:1:3");
}

static void void__invalidate_key_tells_what_was_cached(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    assert_false(sources_invalidate_key(w->sources, strview_str("user:1"), false));
    (void)world_get(w, "user:1", &r);
    world_turn(w);
    assert_true(sources_invalidate_key(w->sources, strview_str("user:1"), false));
    assert_false(world_has(w, "user:1"));
    world_overwrite(w, "plain");
    assert_false(sources_invalidate_key(w->sources, strview_str("plain"), false));
    assert_true(world_has(w, "plain"));
    world_mock(w, "ROWS 0");
    (void)world_get(w, "user:2", &r);
    world_turn(w);
    assert_true(sources_invalidate_key(w->sources, strview_str("user:2"), false));
    assert_false(world_has(w, "user:2"));
    assert_int_equal(world_map_stat(w, "user", "invalidated"), 2);
}

/* ---- everything at random -------------------------------------------------------------------- */

enum { STEPS = 20000, READERS = 40 };

struct walk {
    struct world *w;
    struct reader readers[READERS];
    int64_t floors[READERS]; /* queries before the latest event when this reader came */
    bool is_waiting[READERS];
    int64_t floor;
    uint64_t random;
};

static uint64_t next_random(struct walk *k)
{
    k->random ^= k->random << 13;
    k->random ^= k->random >> 7;
    k->random ^= k->random << 17;
    return k->random >> 8;
}

static void step(struct walk *k)
{
    uint64_t random = next_random(k);
    unsigned who = (unsigned)(random >> 8) % READERS;
    switch (random % 16) {
    case 0:
        world_mock(k->w, "HOLD");
        break;
    case 1:
        world_mock(k->w, "RELEASE 1");
        break;
    case 2:
        world_mock(k->w, "RELEASE");
        break;
    case 3:
        world_events[next_random(k) % WORLD_EVENTS](k->w, "user:1");
        k->floor = world_mock(k->w, "QUERIES");
        break;
    case 4:
        world_pass(k->w, (int64_t)(next_random(k) % 300));
        break;
    case 5:
        world_mock(k->w, next_random(k) % 4 == 0 ? "FAIL down" : "FAIL off");
        break;
    case 6:
        load_waiter_cancel(&k->readers[who].waiter);
        k->is_waiting[who] = false;
        break;
    case 7:
    case 8:
        sources_flush(k->w->sources);
        ev_run(k->w->loop, EVRUN_NOWAIT);
        break;
    default:
        if (!k->is_waiting[who]) {
            k->floors[who] = k->floor;
            (void)world_get(k->w, "user:1", &k->readers[who]);
            k->is_waiting[who] = true;
        }
        break;
    }
}

static void check_answers(struct walk *k)
{
    for (unsigned i = 0; i < READERS; i++) {
        const struct reader *r = &k->readers[i];
        if (!k->is_waiting[i] || r->answers == 0) {
            continue;
        }
        assert_int_equal(r->answers, 1);
        k->is_waiting[i] = false;
        if (r->status == LOAD_FOUND) {
            assert_true(strtoll(r->text + strlen("mock:1:"), NULL, 10) > k->floors[i]);
        } else {
            assert_int_equal(r->status, LOAD_FAILED);
        }
    }
}

/* One row, one writer, many readers: nobody who came after an event sees an answer from before it.
 * The mock's answers carry the number of the query, and queries are numbered in the order they were
 * sent. Rules 8, 9 and 10. */
static void void__random_walk_shows_nobody_the_past(void **state)
{
    struct world *w = *state;
    struct walk k = {.w = w, .random = UINT64_C(88172645463325252)};
    world_line(w, "map-set user ttl 2s error-hold 10ms");
    for (int i = 0; i < STEPS; i++) {
        step(&k);
        check_answers(&k);
    }
    world_mock(w, "RELEASE");
    world_pass(w, 10000);
    assert_true(world_map_stat(w, "user", "voided") > 10);
    assert_true(world_map_stat(w, "user", "hits") > 10);
    assert_true(world_map_stat(w, "user", "coalesced") > 10);
    assert_int_equal(world_source_stat(w, "m", "busy"), 0);
    assert_int_equal(world_source_stat(w, "m", "queue"), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(void__##name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(event_voids_a_sent_load),
        CASE(answer_already_on_its_way_is_voided_too),
        CASE(event_does_not_void_a_queued_load),
        CASE(old_answer_after_the_new_one_changes_nothing),
        CASE(overwrite_wins_over_the_load),
        CASE(epoch_removes_all_entries_at_once),
        CASE(invalidate_key_tells_what_was_cached),
        CASE(random_walk_shows_nobody_the_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
