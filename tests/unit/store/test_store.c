/* The calls of the store, one promise of store.h after the other. */
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

static void assert_value(struct fixture *f, const char *key, const char *value)
{
    char text[256];
    const char *found = fixture_get(f, key, text, sizeof(text));
    assert_non_null(found);
    assert_string_equal(found, value);
}

static void assert_absent(struct fixture *f, const char *key)
{
    char text[256];
    assert_null(fixture_get(f, key, text, sizeof(text)));
}

static void store__keeps_what_was_set(void **state)
{
    struct fixture *f = *state;
    assert_absent(f, "k");
    assert_int_equal(fixture_set(f, "k", "one", 0), STORE_OK);
    assert_value(f, "k", "one");
    assert_int_equal(fixture_set(f, "k", "a longer value", 0), STORE_OK);
    assert_value(f, "k", "a longer value");
    assert_int_equal(fixture_set(f, "k", "", 0), STORE_OK);
    assert_value(f, "k", "");
    assert_int_equal(fixture_set(f, "", "empty key", 0), STORE_OK);
    assert_value(f, "", "empty key");
    assert_int_equal(store_count(f->s, 0), 2);
}

static void store__removes(void **state)
{
    struct fixture *f = *state;
    struct store_key k = fixture_key(f, "k");
    assert_false(store_remove(f->s, &k));
    assert_int_equal(fixture_set(f, "k", "v", 0), STORE_OK);
    assert_true(store_remove(f->s, &k));
    assert_absent(f, "k");
    assert_int_equal(store_count(f->s, 0), 0);
    assert_int_equal(f->events[0] + f->events[1], 0);
}

static void store__overwrite_in_place_takes_no_room(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_set_n(f, 1, 100, 0), STORE_OK);
    assert_int_equal(fixture_set_n(f, 2, 100, 0), STORE_OK);
    struct store_stats before, after;
    store_stats(f->s, &before);
    for (unsigned i = 0; i < 10000; i++) {
        assert_int_equal(fixture_set_n(f, 1, 60 + i % 41, 0), STORE_OK);
    }
    store_stats(f->s, &after);
    assert_int_equal(after.segments_used, before.segments_used);
    store_check(f->s);
}

static void store__large_values_and_keys_live_outside(void **state)
{
    struct fixture *f = *state;
    struct store_stats st;
    assert_int_equal(fixture_set_n(f, 1, 300000, 0), STORE_OK);
    store_stats(f->s, &st);
    assert_true(st.bytes_large >= 300000 && st.bytes_large < 310000);
    char *big = malloc(100001);
    assert_non_null(big);
    memset(big, 'b', 100000);
    big[100000] = '\0';
    assert_int_equal(fixture_set(f, big, "short", 0), STORE_OK);
    assert_value(f, big, "short");
    store_check(f->s);
    struct store_key k = fixture_key(f, big);
    assert_int_equal(store_set_expiry(f->s, &k, f->clock.mono_ms + 1000), STORE_OK);
    assert_value(f, big, "short");
    assert_true(store_remove(f->s, &k));
    free(big);
    assert_int_equal(fixture_set_n(f, 1, 10, 0), STORE_OK);
    store_stats(f->s, &st);
    assert_int_equal(st.bytes_large, 0);
}

static void store__refuses_what_is_too_big(void **state)
{
    struct fixture *f = *state;
    struct store_key k = fixture_key(f, "k");
    assert_int_equal(fixture_set(f, "k", "old", 0), STORE_OK);
    char *out;
    struct store_write w = {0};
    assert_int_equal(store_set_uninit(f->s, &k, (size_t)STORE_VALUE_MAX + 1, &w, &out),
                     STORE_TOO_BIG);
    assert_int_equal(store_resize(f->s, &k, (size_t)STORE_VALUE_MAX + 1, &out), STORE_TOO_BIG);
    assert_value(f, "k", "old");
}

static void store__resize_keeps_prefix_and_fills_with_zeros(void **state)
{
    struct fixture *f = *state;
    static const size_t lens[] = {5, 9, 100, 130, 2500, 9000, 90000, 200000, 60000, 3000, 127, 4};
    struct store_key k = fixture_key(f, "k");
    char *out;
    assert_int_equal(store_resize(f->s, &k, 3, &out), STORE_NOT_FOUND);
    assert_int_equal(fixture_set(f, "k", "head", 5000), STORE_OK);
    size_t before = 4;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        assert_int_equal(store_resize(f->s, &k, lens[i], &out), STORE_OK);
        assert_memory_equal(out, "head", 4);
        for (size_t at = before; at < lens[i]; at++) {
            assert_int_equal(out[at], 0);
        }
        struct entry_view v;
        assert_true(store_peek(f->s, &k, &v));
        assert_int_equal(v.value.len, lens[i]);
        assert_int_equal(v.expires_at_ms, f->clock.mono_ms + 5000);
        store_check(f->s);
        before = lens[i];
    }
}

static void store__append_at_the_head_grows_in_place(void **state)
{
    struct fixture *f = *state;
    struct store_key k = fixture_key(f, "k");
    struct store_stats st;
    assert_int_equal(fixture_set(f, "k", "", 0), STORE_OK);
    char *out;
    for (size_t len = 1; len <= 3000; len++) {
        assert_int_equal(store_resize(f->s, &k, len, &out), STORE_OK);
        out[len - 1] = (char)len;
    }
    for (size_t i = 0; i < 3000; i++) {
        assert_int_equal(out[i], (char)(i + 1));
    }
    store_stats(f->s, &st);
    assert_int_equal(st.segments_used, 1);
}

static void store__value_may_lie_in_the_store(void **state)
{
    struct fixture *f = *state;
    struct store_key a = fixture_key(f, "a"), b = fixture_key(f, "b");
    struct entry_view v;
    assert_int_equal(fixture_set(f, "a", "0123456789", 0), STORE_OK);
    assert_true(store_peek(f->s, &a, &v));
    struct strview tail = strview_of(v.value.data + 3, 7);
    assert_int_equal(store_set(f->s, &b, tail, &(struct store_write){0}), STORE_OK);
    assert_value(f, "b", "3456789");
    assert_true(store_peek(f->s, &a, &v));
    tail = strview_of(v.value.data + 2, 8);
    assert_int_equal(store_set(f->s, &a, tail, &(struct store_write){0}), STORE_OK);
    assert_value(f, "a", "23456789");
    assert_int_equal(fixture_set_n(f, 1, 50000, 0), STORE_OK);
    struct store_key big = fixture_key(f, "key:000001");
    assert_true(store_peek(f->s, &big, &v));
    tail = strview_of(v.value.data + 49990, 10);
    assert_int_equal(store_set(f->s, &big, tail, &(struct store_write){0}), STORE_OK);
    assert_value(f, "key:000001", "bbbbbbbbbb");
}

static void store__aux_travels_with_the_entry(void **state)
{
    struct fixture *f = *state;
    struct store_key k = fixture_key(f, "k"), to = fixture_key(f, "to");
    unsigned char aux[STORE_AUX_BYTES] = "fifteen letters";
    struct store_write w = {.aux = aux, .expires_at_ms = f->clock.mono_ms + 777};
    assert_false(store_set_aux(f->s, &k, aux));
    assert_int_equal(store_set(f->s, &k, strview_str("v"), &w), STORE_OK);
    aux[0] = 'F';
    assert_true(store_set_aux(f->s, &k, aux));
    assert_int_equal(store_rename(f->s, &k, &to), STORE_OK);
    struct entry_view v;
    assert_true(store_peek(f->s, &to, &v));
    assert_memory_equal(v.aux, aux, sizeof(aux));
    assert_int_equal(v.expires_at_ms, f->clock.mono_ms + 777);
    assert_absent(f, "k");
    assert_int_equal(fixture_set(f, "to", "without", 0), STORE_OK);
    assert_false(store_set_aux(f->s, &to, aux));
}

static void store__keep_expiry_keeps_it(void **state)
{
    struct fixture *f = *state;
    struct store_key k = fixture_key(f, "k");
    struct store_write w = {.keep_expiry = true};
    assert_int_equal(fixture_set(f, "k", "v", 5000), STORE_OK);
    assert_int_equal(store_set(f->s, &k, strview_str("other value"), &w), STORE_OK);
    struct entry_view v;
    assert_true(store_peek(f->s, &k, &v));
    assert_int_equal(v.expires_at_ms, f->clock.mono_ms + 5000);
    assert_int_equal(fixture_set(f, "k", "v", 0), STORE_OK);
    assert_int_equal(store_count_volatile(f->s, 0), 0);
}

static void store__rename_and_copy_replace(void **state)
{
    struct fixture *f = *state;
    struct store_key a = fixture_key(f, "a"), b = fixture_key(f, "b");
    assert_int_equal(store_rename(f->s, &a, &b), STORE_NOT_FOUND);
    assert_int_equal(store_copy(f->s, &a, &b), STORE_NOT_FOUND);
    assert_int_equal(fixture_set(f, "a", "va", 0), STORE_OK);
    assert_int_equal(fixture_set(f, "b", "vb", 100), STORE_OK);
    assert_int_equal(store_copy(f->s, &a, &b), STORE_OK);
    assert_value(f, "b", "va");
    assert_value(f, "a", "va");
    assert_int_equal(store_rename(f->s, &a, &a), STORE_OK);
    assert_value(f, "a", "va");
    struct store_key other = store_key_init(f->s, 3, strview_str("a"));
    assert_int_equal(store_rename(f->s, &a, &other), STORE_OK);
    assert_absent(f, "a");
    assert_int_equal(store_count(f->s, 3), 1);
}

static void store__rename_of_a_large_value_moves_the_block(void **state)
{
    struct fixture *f = *state;
    struct store_key from = fixture_key(f, "key:000001"), to = fixture_key(f, "to");
    assert_int_equal(fixture_set_n(f, 1, 400000, 0), STORE_OK);
    struct entry_view v;
    assert_true(store_peek(f->s, &from, &v));
    const char *at = v.value.data;
    assert_int_equal(store_rename(f->s, &from, &to), STORE_OK);
    assert_true(store_peek(f->s, &to, &v));
    assert_ptr_equal(v.value.data, at);
    assert_int_equal(v.value.len, 400000);
    store_check(f->s);
}

static void store__negative_entries_are_not_counted(void **state)
{
    struct fixture *f = *state;
    struct store_key k = fixture_key(f, "missing");
    struct store_write w = {.type = ENTRY_NEGATIVE, .expires_at_ms = f->clock.mono_ms + 1000};
    assert_int_equal(store_set(f->s, &k, strview_str(""), &w), STORE_OK);
    struct entry_view v;
    assert_true(store_find(f->s, &k, &v));
    assert_int_equal(v.type, ENTRY_NEGATIVE);
    assert_int_equal(store_count(f->s, 0), 0);
    assert_int_equal(store_count_volatile(f->s, 0), 0);
    assert_false(store_random(f->s, 0, &v));
    struct store_stats st;
    store_stats(f->s, &st);
    assert_true(st.bytes_negative > 0);
    fixture_wait(f, 2000);
    assert_false(store_find(f->s, &k, &v));
    assert_int_equal(f->events[STORE_EVENT_EXPIRED], 0);
}

static void store__negative_entries_can_be_held_to_a_part(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(store_negative_bytes(f->s), 0);
    assert_true(store_negative_fits(f->s, 0));
    f->options.maxmemory = 4 << 20;
    struct errtext err;
    assert_int_equal(store_apply_options(f->s, &err), 0);
    assert_int_equal(fixture_set_n(f, 1, 100, 0), STORE_OK);
    const size_t part = (4 << 20) / 20;
    char name[32];
    unsigned written = 0;
    struct store_write w = {.type = ENTRY_NEGATIVE, .expires_at_ms = f->clock.mono_ms + 1000};
    while (store_negative_fits(f->s, 0.05)) {
        (void)snprintf(name, sizeof(name), "missing:%u", written++);
        struct store_key k = fixture_key(f, name);
        assert_int_equal(store_set(f->s, &k, strview_str(""), &w), STORE_OK);
    }
    assert_true(written > 1000);
    assert_true(store_negative_bytes(f->s) >= part);
    assert_true(store_negative_bytes(f->s) < part + part / 20);
    fixture_wait(f, 2000);
    fixture_settle(f);
    assert_int_equal(store_negative_bytes(f->s), 0);
    assert_true(fixture_get_n(f, 1));
    assert_int_equal(fixture_set_n(f, 2, 100, 0), STORE_OK);
    assert_true(store_negative_fits(f->s, 0.05));
}

static void store__flush_empties_one_database(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 3000; i++) {
        assert_int_equal(fixture_set_n(f, i, i % 300 == 0 ? 20000 : 50, 0), STORE_OK);
    }
    struct store_key other = store_key_init(f->s, 1, strview_str("stays"));
    assert_int_equal(store_set(f->s, &other, strview_str("v"), &(struct store_write){0}), STORE_OK);
    store_flush(f->s, 0);
    assert_int_equal(store_count(f->s, 0), 0);
    assert_false(fixture_get_n(f, 7));
    assert_int_equal(fixture_set_n(f, 7, 50, 0), STORE_OK);
    store_check(f->s);
    fixture_settle(f);
    store_check(f->s);
    assert_true(fixture_get_n(f, 7));
    assert_int_equal(store_count(f->s, 1), 1);
    struct store_stats st;
    store_stats(f->s, &st);
    assert_int_equal(st.bytes_large, 0);
    assert_int_equal(st.index_entries, 2);
    assert_int_equal(f->events[0] + f->events[1], 0);
}

static void store__flush_of_all_gives_the_memory_back(void **state)
{
    struct fixture *f = *state;
    size_t empty = store_used_memory(f->s);
    for (unsigned i = 0; i < 20000; i++) {
        assert_int_equal(fixture_set_n(f, i, 100, i % 2 == 0 ? 100000 : 0), STORE_OK);
    }
    size_t full = store_used_memory(f->s);
    assert_true(full > 20000 * 120);
    store_flush(f->s, STORE_DATABASES);
    assert_int_equal(store_count(f->s, 0), 0);
    assert_int_equal(store_count_volatile(f->s, 0), 0);
    fixture_settle(f);
    assert_true(store_used_memory(f->s) < empty + full / 20);
}

static void store__flush_again_and_again(void **state)
{
    struct fixture *f = *state;
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < 300; i++) {
            assert_int_equal(fixture_set_n(f, i, 20, 0), STORE_OK);
        }
        struct store_key other = store_key_init(f->s, 1, strview_str("x"));
        assert_int_equal(store_set(f->s, &other, strview_str("v"), &(struct store_write){0}),
                         STORE_OK);
        store_flush(f->s, round % 3 == 0 ? STORE_DATABASES : 0);
        assert_int_equal(store_count(f->s, 0), 0);
    }
    store_check(f->s);
    fixture_settle(f);
}

static void store__swap_exchanges_databases(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_set(f, "k", "in zero", 0), STORE_OK);
    store_swap(f->s, 0, 5);
    assert_absent(f, "k");
    assert_int_equal(store_count(f->s, 5), 1);
    assert_int_equal(fixture_set(f, "k", "again", 0), STORE_OK);
    store_swap(f->s, 5, 5);
    store_swap(f->s, 0, 5);
    assert_value(f, "k", "in zero");
    store_check(f->s);
}

static void count_visit(void *ctx, const struct entry_view *e)
{
    unsigned char *seen = ctx;
    seen[atoi(e->key.data + 4)]++;
}

static void store__scan_shows_every_entry(void **state)
{
    struct fixture *f = *state;
    unsigned char *seen = calloc(1, 5000);
    assert_non_null(seen);
    for (unsigned i = 0; i < 5000; i++) {
        assert_int_equal(fixture_set_n(f, i, 10, i % 5 == 0 ? 50 : 0), STORE_OK);
    }
    fixture_wait(f, 100);
    uint64_t cursor = 0;
    do {
        cursor = store_scan(f->s, 0, cursor, 10, count_visit, seen);
    } while (cursor != 0);
    for (unsigned i = 0; i < 5000; i++) {
        assert_true(i % 5 == 0 ? seen[i] == 0 : seen[i] >= 1);
    }
    free(seen);
}

static void store__random_shows_live_entries(void **state)
{
    struct fixture *f = *state;
    struct entry_view v;
    assert_false(store_random(f->s, 0, &v));
    assert_int_equal(fixture_set_n(f, 999, 10, 0), STORE_OK);
    for (unsigned i = 0; i < 500; i++) {
        assert_int_equal(fixture_set_n(f, i, 10, 50), STORE_OK);
    }
    fixture_wait(f, 100);
    assert_true(store_random(f->s, 0, &v)); /* 500 of 501 are expired */
    assert_true(strview_eq(v.key, strview_str("key:000999")));
}

static void store__idle_time_and_uses_are_known(void **state)
{
    struct fixture *f = *state;
    struct store_key k = fixture_key(f, "key:000001");
    int64_t idle_ms;
    int freq;
    assert_false(store_idle(f->s, &k, &idle_ms, &freq));
    assert_int_equal(fixture_set_n(f, 1, 10, 0), STORE_OK);
    fixture_wait(f, 5000);
    assert_true(fixture_get_n(f, 1));
    fixture_wait(f, 5000);
    static const struct {
        const char *policy;
        int idle_ms, freq;
    } known[] = {
        {"noeviction", 5000, -1},      {"allkeys-fifo", 5000, -1},   {"allkeys-lru", 5000, -1},
        {"allkeys-lfu", -1, 1},        {"allkeys-random", 5000, -1}, {"volatile-ttl", 5000, -1},
        {"allkeys-adaptive", 5000, 1},
    };
    struct errtext err;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        f->options.maxmemory_policy = fixture_policy(known[i].policy);
        assert_int_equal(store_apply_options(f->s, &err), 0);
        assert_true(store_idle(f->s, &k, &idle_ms, &freq));
        assert_int_equal(idle_ms, known[i].idle_ms);
        assert_int_equal(freq, known[i].freq);
    }
    assert_true(fixture_get_n(f, 1));
    assert_true(store_idle(f->s, &k, &idle_ms, &freq));
    assert_int_equal(idle_ms, 0);
    assert_int_equal(freq, 2);
}

static void store__tells_what_an_entry_costs(void **state)
{
    struct fixture *f = *state;
    struct store_key k = fixture_key(f, "key:000001");
    assert_int_equal(store_entry_memory(f->s, &k), 0);
    assert_int_equal(fixture_set_n(f, 1, 100, 0), STORE_OK);
    assert_true(store_entry_memory(f->s, &k) >= 110);
    assert_int_equal(fixture_set_n(f, 1, 100000, 0), STORE_OK);
    assert_true(store_entry_memory(f->s, &k) >= 100000);
}

static void pin__keeps_the_bytes_of_a_reply(void **state)
{
    struct fixture *f = *state;
    static const size_t lens[] = {100, 50000};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct store_key k = fixture_key(f, "key:000003");
        struct entry_view v;
        struct store_pin pin;
        char *out;
        assert_int_equal(fixture_set_n(f, 3, lens[i], 0), STORE_OK);
        assert_true(store_peek(f->s, &k, &v));
        assert_true(store_pin(f->s, &v, &pin));
        assert_int_equal(store_resize(f->s, &k, lens[i], &out), STORE_OK);
        memset(out, 'Z', lens[i]);
        assert_int_equal(fixture_set_n(f, 3, lens[i], 0), STORE_OK);
        store_flush(f->s, STORE_DATABASES);
        fixture_settle(f);
        for (unsigned n = 0; n < 2000; n++) {
            assert_int_equal(fixture_set_n(f, n, lens[i] / 10, 0), STORE_OK);
        }
        for (size_t at = 0; at < lens[i]; at++) {
            assert_int_equal(v.value.data[at], 'd');
        }
        store_unpin(f->s, &pin);
        store_unpin(f->s, &pin); /* a zeroed one */
        store_flush(f->s, STORE_DATABASES);
        fixture_settle(f);
        struct store_stats st;
        store_stats(f->s, &st);
        assert_int_equal(st.segments_used, 0);
    }
}

static void store__refuses_bad_options(void **state)
{
    struct fixture *f = *state;
    struct errtext err;
    struct store *s;
    struct store_options o = {.segment_bytes = 5000};
    assert_true(store_create(&s, &o, &f->clock, &err) < 0);
    o = (struct store_options){.maxmemory_policy = 99};
    assert_true(store_create(&s, &o, &f->clock, &err) < 0);
    assert_non_null(strstr(err.text, "policy"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(store__keeps_what_was_set),
        CASE(store__removes),
        CASE(store__overwrite_in_place_takes_no_room),
        CASE(store__large_values_and_keys_live_outside),
        CASE(store__refuses_what_is_too_big),
        CASE(store__resize_keeps_prefix_and_fills_with_zeros),
        CASE(store__append_at_the_head_grows_in_place),
        CASE(store__value_may_lie_in_the_store),
        CASE(store__aux_travels_with_the_entry),
        CASE(store__keep_expiry_keeps_it),
        CASE(store__rename_and_copy_replace),
        CASE(store__rename_of_a_large_value_moves_the_block),
        CASE(store__negative_entries_are_not_counted),
        CASE(store__negative_entries_can_be_held_to_a_part),
        CASE(store__flush_empties_one_database),
        CASE(store__flush_of_all_gives_the_memory_back),
        CASE(store__flush_again_and_again),
        CASE(store__swap_exchanges_databases),
        CASE(store__scan_shows_every_entry),
        CASE(store__random_shows_live_entries),
        CASE(store__idle_time_and_uses_are_known),
        CASE(store__tells_what_an_entry_costs),
        CASE(pin__keeps_the_bytes_of_a_reply),
        CASE(store__refuses_bad_options),
    };
    return cmocka_run_group_tests_name("store/store", tests, NULL, NULL);
}
