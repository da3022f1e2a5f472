/* The memory limit holds under every policy, and what is refused is refused whole. */
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define LIMIT (4 * 1024 * 1024)

static size_t limit_with_slack(const struct fixture *f)
{
    return (size_t)f->options.maxmemory + (size_t)f->options.maxmemory / 64 +
           2 * FIXTURE_SEGMENT_BYTES;
}

static void limit__holds_under_every_policy(void **state)
{
    (void)state;
    for (int p = 0; store_policy_names[p] != NULL; p++) {
        struct fixture f;
        fixture_init(&f, LIMIT, store_policy_names[p]);
        unsigned full = 0;
        for (unsigned i = 0; i < 60000; i++) {
            size_t len = i < 20000 ? 10 : i < 40000 ? i % 9000 : 200;
            full += fixture_set_n(&f, i, len, i % 3 == 0 ? 0 : 100000) != STORE_OK;
            assert_true(store_used_memory(f.s) <= limit_with_slack(&f));
            if (i % 16 == 0) {
                (void)store_tick(f.s, 100);
            }
        }
        bool keeps_some = strncmp(store_policy_names[p], "allkeys", 7) != 0;
        assert_true(keeps_some || full == 0);
        assert_true(store_count(f.s, 0) > 100);
        fixture_fini(&f);
    }
}

static void limit__noeviction_refuses_and_goes_on(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, LIMIT, "noeviction");
    unsigned n = 0;
    while (fixture_set_n(&f, n, 100, 0) == STORE_OK) {
        n++;
    }
    assert_true(n > LIMIT / 160 && n < LIMIT / 110);
    assert_int_equal(store_count(f.s, 0), n);
    assert_int_equal(f.events[STORE_EVENT_EVICTED], 0);
    assert_true(fixture_get_n(&f, 0));
    assert_int_equal(fixture_set_n(&f, 0, 100, 0), STORE_OK); /* in place */
    assert_int_equal(fixture_set_n(&f, 1, 3000, 0), STORE_FULL);
    assert_true(fixture_get_n(&f, 1));
    char key[32];
    for (unsigned i = 0; i < n; i += 2) {
        snprintf(key, sizeof(key), "key:%06u", i);
        struct store_key k = fixture_key(&f, key);
        assert_true(store_remove(f.s, &k));
    }
    /* Half of every segment is dead: compaction makes room for new ones. */
    for (unsigned i = 0; i < n / 4; i++) {
        assert_int_equal(fixture_set_n(&f, 1000000 + i, 100, 0), STORE_OK);
    }
    fixture_fini(&f);
}

static void limit__volatile_policies_spare_entries_without_expiry(void **state)
{
    (void)state;
    for (int p = 0; store_policy_names[p] != NULL; p++) {
        if (strncmp(store_policy_names[p], "volatile", 8) != 0) {
            continue;
        }
        struct fixture f;
        fixture_init(&f, LIMIT, store_policy_names[p]);
        for (unsigned i = 0; i < 10000; i++) {
            assert_int_equal(fixture_set_n(&f, i, 100, 0), STORE_OK);
        }
        for (unsigned i = 0; i < 50000; i++) {
            assert_int_equal(fixture_set_n(&f, 100000 + i, 100, 100000), STORE_OK);
        }
        for (unsigned i = 0; i < 10000; i++) {
            assert_true(fixture_get_n(&f, i));
        }
        assert_true(f.events[STORE_EVENT_EVICTED] > 10000);
        fixture_fini(&f);
    }
}

static void limit__lowered_is_reached_in_slices(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 4 * LIMIT, "allkeys-adaptive");
    unsigned n = 0;
    while (f.events[STORE_EVENT_EVICTED] == 0) {
        assert_int_equal(fixture_set_n(&f, n++, 100, 0), STORE_OK);
    }
    unsigned evicted = f.events[STORE_EVENT_EVICTED];
    f.options.maxmemory = LIMIT;
    struct errtext err;
    assert_int_equal(store_apply_options(f.s, &err), 0);
    unsigned worst = 0;
    for (unsigned i = 0; i < 20000; i++) {
        assert_int_equal(store_make_room(f.s), STORE_OK);
        assert_int_equal(fixture_set_n(&f, n++, 100, 0), STORE_OK);
        unsigned now = f.events[STORE_EVENT_EVICTED];
        worst = now - evicted > worst ? now - evicted : worst;
        if (i % 16 == 0) {
            (void)store_tick(f.s, 50); /* writes only keep the level, upkeep lets it sink */
        }
        evicted = f.events[STORE_EVENT_EVICTED];
    }
    assert_true(worst < 1000); /* of 90 000 that had to go */
    fixture_settle(&f);
    assert_true(store_used_memory(f.s) <= limit_with_slack(&f));
    fixture_fini(&f);
}

/* A write gives back pages for what it takes; for the rest there is upkeep. */
static void limit__write_pays_only_for_itself(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 0, "allkeys-adaptive");
    for (unsigned n = 0; store_used_memory(f.s) < (size_t)4 * LIMIT; n++) {
        assert_int_equal(fixture_set_n(&f, n, 100, 0), STORE_OK);
    }
    store_flush(f.s, 0);
    for (unsigned i = 0; i < 2 * LIMIT / FIXTURE_SEGMENT_BYTES; i++) {
        (void)store_tick(f.s, 0); /* one segment is emptied, none given back yet */
    }
    f.options.maxmemory = LIMIT;
    struct errtext err;
    assert_int_equal(store_apply_options(f.s, &err), 0);
    size_t before = store_used_memory(f.s);
    assert_true(before > 2 * LIMIT);
    for (unsigned n = 0; n < 1000; n++) {
        assert_int_equal(fixture_set_n(&f, n, 100, 0), STORE_OK);
        const size_t now = store_used_memory(f.s);
        assert_true(now <= before);
        assert_true(before - now <= (size_t)4 * FIXTURE_SEGMENT_BYTES);
        before = now;
    }
    fixture_settle(&f);
    assert_true(store_used_memory(f.s) <= limit_with_slack(&f));
    fixture_fini(&f);
}

static size_t other_bytes(void *ctx)
{
    return *(const size_t *)ctx;
}

static void limit__counts_what_others_hold(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, LIMIT, "allkeys-lru");
    size_t others = LIMIT / 2;
    store_set_other_memory(f.s, other_bytes, &others);
    for (unsigned i = 0; i < 60000; i++) {
        assert_int_equal(fixture_set_n(&f, i, 100, 0), STORE_OK);
        (void)store_tick(f.s, 100);
    }
    assert_true(store_used_memory(f.s) + others <= limit_with_slack(&f));
    others = 2 * LIMIT;
    fixture_settle(&f);
    assert_int_equal(store_make_room(f.s), STORE_FULL);
    others = 0;
    store_ask_others(f.s);
    assert_int_equal(store_make_room(f.s), STORE_OK);
    fixture_fini(&f);
}

static void limit__value_beyond_it_evicts_nothing(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, LIMIT, "allkeys-lru");
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(fixture_set_n(&f, i, 100, 0), STORE_OK);
    }
    assert_int_equal(fixture_set_n(&f, 5, 2 * LIMIT, 0), STORE_FULL);
    assert_int_equal(store_count(f.s, 0), 1000);
    assert_true(fixture_get_n(&f, 5));
    assert_int_equal(fixture_set_n(&f, 5, LIMIT / 2, 0), STORE_OK);
    fixture_fini(&f);
}

static void limit__hundred_kilobytes_are_enough_to_work(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 200 * 1024, "allkeys-lru");
    for (unsigned i = 0; i < 20000; i++) {
        assert_int_equal(fixture_set_n(&f, i, 100, i % 7 * 1000), STORE_OK);
    }
    assert_true(store_count(f.s, 0) > 100);
    fixture_fini(&f);
}

/* An expiry makes an entry a little larger, so it is written anew; a full store does that too. What
 * is left behind comes back by compaction, however little of a segment is dead. */
static void limit__expiry_can_be_set_when_nothing_more_fits(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, LIMIT, "noeviction");
    unsigned n = 0;
    while (fixture_set_n(&f, n, 100, 0) == STORE_OK) {
        n++;
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned k = (unsigned)(((uint64_t)i * 7919) % n); /* scattered over all segments */
        char name[32];
        snprintf(name, sizeof(name), "key:%06u", k);
        struct store_key key = fixture_key(&f, name);
        assert_int_equal(store_set_expiry(f.s, &key, f.clock.mono_ms + 1000000), STORE_OK);
        /* 8 bytes more for each, and a part of 32 that may be dead. */
        assert_true(store_used_memory(f.s) <= limit_with_slack(&f) + 8 * i + LIMIT / 32);
    }
    fixture_settle(&f);
    assert_true(store_used_memory(f.s) <= limit_with_slack(&f) + 8 * n + LIMIT / 32);
    assert_int_equal(store_count(f.s, 0), n);
    assert_int_equal(store_count_volatile(f.s, 0), n);
    assert_int_equal(f.events[STORE_EVENT_EVICTED], 0);
    fixture_fini(&f);
}

static void limit__lowered_without_eviction_holds_at_once(void **state)
{
    (void)state;
    struct errtext err;
    struct fixture f;
    fixture_init(&f, 0, "noeviction");
    for (unsigned n = 0; n < 1000; n++) {
        assert_int_equal(fixture_set_n(&f, n, 1000, 0), STORE_OK);
    }
    f.options.maxmemory = 1;
    assert_int_equal(store_apply_options(f.s, &err), 0);
    assert_int_equal(store_make_room(f.s), STORE_FULL);
    assert_int_equal(fixture_set_n(&f, 1000, 10, 0), STORE_FULL);
    f.options.maxmemory = 0;
    assert_int_equal(store_apply_options(f.s, &err), 0);
    assert_int_equal(fixture_set_n(&f, 1000, 10, 0), STORE_OK);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limit__holds_under_every_policy),
        cmocka_unit_test(limit__noeviction_refuses_and_goes_on),
        cmocka_unit_test(limit__expiry_can_be_set_when_nothing_more_fits),
        cmocka_unit_test(limit__volatile_policies_spare_entries_without_expiry),
        cmocka_unit_test(limit__lowered_is_reached_in_slices),
        cmocka_unit_test(limit__lowered_without_eviction_holds_at_once),
        cmocka_unit_test(limit__write_pays_only_for_itself),
        cmocka_unit_test(limit__counts_what_others_hold),
        cmocka_unit_test(limit__value_beyond_it_evicts_nothing),
        cmocka_unit_test(limit__hundred_kilobytes_are_enough_to_work),
    };
    return cmocka_run_group_tests_name("store/limit", tests, NULL, NULL);
}
