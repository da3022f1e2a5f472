/* Expiry: exact when looked at, proactive without being looked at, and its memory comes back. */
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static int setup(void **state)
{
    static struct fixture f;
    fixture_init(&f, 0, "noeviction");
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    return 0;
}

static void expiry__is_exact_on_access(void **state)
{
    struct fixture *f = *state;
    char text[16];
    assert_int_equal(fixture_set(f, "k", "v", 1000), STORE_OK);
    fixture_wait(f, 999);
    assert_non_null(fixture_get(f, "k", text, sizeof(text)));
    fixture_wait(f, 1);
    assert_null(fixture_get(f, "k", text, sizeof(text)));
    assert_int_equal(f->events[STORE_EVENT_EXPIRED], 1);
    assert_string_equal(f->last_key, "k");
    struct store_key k = fixture_key(f, "k");
    assert_false(store_remove(f->s, &k));
    assert_int_equal(store_set_expiry(f->s, &k, f->clock.mono_ms + 5), STORE_NOT_FOUND);
    assert_int_equal(f->events[STORE_EVENT_EXPIRED], 1);
}

static void expiry__can_be_given_moved_and_taken_away(void **state)
{
    struct fixture *f = *state;
    char text[16];
    struct store_key k = fixture_key(f, "k");
    assert_int_equal(fixture_set(f, "k", "v", 0), STORE_OK);
    assert_int_equal(store_set_expiry(f->s, &k, f->clock.mono_ms + 1000), STORE_OK);
    assert_int_equal(store_count_volatile(f->s, 0), 1);
    assert_int_equal(store_set_expiry(f->s, &k, f->clock.mono_ms + 100000000), STORE_OK);
    fixture_wait(f, 2000);
    fixture_settle(f);
    assert_non_null(fixture_get(f, "k", text, sizeof(text)));
    assert_int_equal(store_set_expiry(f->s, &k, STORE_NO_EXPIRY), STORE_OK);
    assert_int_equal(store_count_volatile(f->s, 0), 0);
    fixture_wait(f, 200000000);
    fixture_settle(f);
    assert_non_null(fixture_get(f, "k", text, sizeof(text)));
    store_check(f->s);
}

static void expiry__happens_without_being_looked_at(void **state)
{
    struct fixture *f = *state;
    size_t empty = store_used_memory(f->s);
    for (unsigned i = 0; i < 20000; i++) {
        assert_int_equal(fixture_set_n(f, i, 100, 5000), STORE_OK);
    }
    size_t full = store_used_memory(f->s) - empty;
    fixture_settle(f);
    assert_int_equal(store_count(f->s, 0), 20000);
    fixture_wait(f, 5000);
    fixture_settle(f);
    assert_int_equal(store_count(f->s, 0), 0);
    assert_int_equal(f->events[STORE_EVENT_EXPIRED], 20000);
    assert_true(store_used_memory(f->s) - empty < full / 30);
    struct store_stats st;
    store_stats(f->s, &st);
    assert_int_equal(st.expired, 20000);
    assert_true(st.segments_used <= 1); /* the head stays open */
}

static void expiry__of_large_values_frees_their_blocks(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(fixture_set_n(f, i, 40000, 1000), STORE_OK);
    }
    fixture_wait(f, 1500);
    fixture_settle(f);
    struct store_stats st;
    store_stats(f->s, &st);
    assert_int_equal(st.bytes_large, 0);
    assert_int_equal(st.index_entries, 0);
}

static void expiry__spares_neighbours(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 5000; i++) {
        assert_int_equal(fixture_set_n(f, i, 100, i % 2 == 0 ? 1000 : 1900), STORE_OK);
    }
    fixture_wait(f, 1500);
    fixture_settle(f);
    assert_int_equal(store_count(f->s, 0), 2500);
    for (unsigned i = 0; i < 5000; i++) {
        assert_int_equal(fixture_get_n(f, i), i % 2);
    }
    assert_int_equal(f->events[STORE_EVENT_EXPIRED], 2500);
}

/* Lives from 1 to 60 s, mixed: ticks of 10 ms keep the share of overdue entries small. */
static void expiry__lag_stays_small_when_lives_are_mixed(void **state)
{
    struct fixture *f = *state;
    const unsigned n = 30000;
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(fixture_set_n(f, i, 30, 1000 + (int64_t)(i * 7919u % 59000u)), STORE_OK);
    }
    size_t overdue_max = 0;
    for (int64_t ms = 0; ms < 61000; ms += 10) {
        fixture_wait(f, 10);
        fixture_settle(f);
        if (ms > 1000 && ms % 500 == 0) {
            size_t due = (size_t)(n * (ms + 10 - 1000) / 59000);
            size_t gone = f->events[STORE_EVENT_EXPIRED];
            overdue_max = due > gone && due - gone > overdue_max ? due - gone : overdue_max;
        }
    }
    assert_true(overdue_max < n / 100); /* 600 ms' worth */
    assert_int_equal(store_count(f->s, 0), 0);
}

static void expiry__written_into_the_past_is_gone_at_once(void **state)
{
    struct fixture *f = *state;
    struct store_key k = fixture_key(f, "k");
    struct store_write w = {.expires_at_ms = f->clock.mono_ms - 5};
    assert_int_equal(store_set(f->s, &k, strview_str("v"), &w), STORE_OK);
    struct entry_view v;
    assert_false(store_peek(f->s, &k, &v));
    assert_int_equal(store_count(f->s, 0), 0);
}

static void expiry__survives_jumps_of_the_wall_clock(void **state)
{
    struct fixture *f = *state;
    char text[16];
    assert_int_equal(fixture_set(f, "k", "v", 1000), STORE_OK);
    f->clock.wall_ms += 100000000;
    fixture_settle(f);
    assert_non_null(fixture_get(f, "k", text, sizeof(text)));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(expiry__is_exact_on_access),
        CASE(expiry__can_be_given_moved_and_taken_away),
        CASE(expiry__happens_without_being_looked_at),
        CASE(expiry__of_large_values_frees_their_blocks),
        CASE(expiry__spares_neighbours),
        CASE(expiry__lag_stays_small_when_lives_are_mixed),
        CASE(expiry__written_into_the_past_is_gone_at_once),
        CASE(expiry__survives_jumps_of_the_wall_clock),
    };
    return cmocka_run_group_tests_name("store/expiry", tests, NULL, NULL);
}
