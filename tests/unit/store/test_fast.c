/*
 * The short ways of the store: look-ups that go to where a prefetch saw the key, and values that are
 * written over the old ones. Neither may show anything that the long way would not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store_fixture.h"

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    fixture_init(f, 0, "noeviction");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    free(*state);
    return 0;
}

/* A key that was prefetched. */
static struct store_key seen(struct fixture *f, const char *name)
{
    struct store_key k = fixture_key(f, name);
    store_prefetch(f->s, (struct store_key *[]){&k}, 1);
    return k;
}

static void assert_found(struct fixture *f, const struct store_key *k, const char *value)
{
    struct entry_view v;
    assert_true(store_find(f->s, k, &v));
    assert_true(strview_eq(v.value, strview_str(value)));
}

static void assert_absent(struct fixture *f, const struct store_key *k)
{
    struct entry_view v;
    assert_false(store_find(f->s, k, &v));
}

/* ---- what a prefetch saw ---- */

static void prefetch__finds_what_is_there(void **state)
{
    struct fixture *f = *state;
    const struct store_key early = seen(f, "a"); /* before there is an index */
    assert_absent(f, &early);
    assert_int_equal(fixture_set(f, "a", "1", 0), STORE_OK);
    assert_found(f, &early, "1");
    const struct store_key k = seen(f, "a");
    assert_non_null(k.slot);
    assert_found(f, &k, "1");
    assert_int_equal(fixture_set(f, "a", "a longer value", 0), STORE_OK); /* the entry moves */
    assert_found(f, &k, "a longer value");
}

static void prefetch__is_forgotten_when_the_key_goes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_set(f, "a", "1", 0), STORE_OK);
    const struct store_key k = seen(f, "a");
    assert_true(store_remove(f->s, &k));
    assert_absent(f, &k);
    assert_false(store_remove(f->s, &k));
    /* Another key may take its place in the bucket. */
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(fixture_set_n(f, i, 10, 0), STORE_OK);
        assert_absent(f, &k);
    }
    assert_int_equal(fixture_set(f, "a", "2", 10), STORE_OK);
    const struct store_key again = seen(f, "a");
    fixture_wait(f, 10);
    assert_absent(f, &again);
    assert_absent(f, &again);
}

static void prefetch__is_forgotten_when_the_index_grows(void **state)
{
    struct fixture *f = *state;
    struct store_key keys[64];
    char names[64][16];
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
        snprintf(names[i], sizeof(names[i]), "k%u", i);
        assert_int_equal(fixture_set(f, names[i], names[i], 0), STORE_OK);
    }
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
        keys[i] = seen(f, names[i]);
    }
    for (unsigned n = 0; n < 20000; n++) {
        assert_int_equal(fixture_set_n(f, n, 10, 0), STORE_OK);
        assert_found(f, &keys[n % 64], names[n % 64]);
    }
    for (unsigned n = 0; n < 20000; n++) {
        char name[32];
        snprintf(name, sizeof(name), "key:%06u", n);
        struct store_key k = seen(f, name);
        assert_true(store_remove(f->s, &k));
        (void)store_tick(f->s, 100);
        assert_found(f, &keys[n % 64], names[n % 64]);
    }
}

static void prefetch__belongs_to_its_database(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_set(f, "a", "in 0", 0), STORE_OK);
    struct store_key k = seen(f, "a");
    const struct store_key swapped = k, flushed = k;
    store_key_use_db(&k, 1);
    assert_absent(f, &k);
    store_swap(f->s, 0, 1);
    assert_absent(f, &swapped);
    assert_found(f, &k, "in 0");
    store_swap(f->s, 0, 1);
    assert_found(f, &flushed, "in 0");
    for (unsigned n = 0; n < 5000; n++) { /* more than are drained at once */
        assert_int_equal(fixture_set_n(f, n, 10, 0), STORE_OK);
    }
    const struct store_key late = seen(f, "a");
    store_flush(f->s, 0);
    assert_absent(f, &late);
    assert_absent(f, &flushed);
    fixture_settle(f);
    assert_absent(f, &late);
    const struct store_key all = seen(f, "a");
    store_flush(f->s, STORE_DATABASES);
    assert_absent(f, &all);
}

/* ---- writing over ---- */

static const char *value_at(struct fixture *f, const char *key, size_t *len)
{
    struct store_key k = fixture_key(f, key);
    struct entry_view v;
    assert_true(store_peek(f->s, &k, &v));
    *len = v.value.len;
    return v.value.data;
}

static void check_overwrite(struct fixture *f, size_t len, size_t shorter)
{
    struct store_key k = fixture_key(f, "k");
    char *text = malloc(len);
    assert_non_null(text);
    const struct store_write w = {0};
    memset(text, 'x', len);
    assert_int_equal(store_set(f->s, &k, strview_of(text, len), &w), STORE_OK);
    size_t got;
    const char *before = value_at(f, "k", &got);
    const size_t used = store_used_memory(f->s);
    text[0] = 'y';
    assert_int_equal(store_set(f->s, &k, strview_of(text, len - shorter), &w), STORE_OK);
    const char *after = value_at(f, "k", &got);
    assert_ptr_equal(before, after);
    assert_int_equal(got, len - shorter);
    assert_memory_equal(after, text, got);
    assert_int_equal(store_used_memory(f->s), used);
    /* A part of itself. */
    assert_int_equal(store_set(f->s, &k, strview_of(after + 1, got - 1), &w), STORE_OK);
    after = value_at(f, "k", &got);
    assert_int_equal(got, len - shorter - 1);
    assert_memory_equal(after, text + 1, got);
    /* A reply that is being sent keeps its bytes. */
    struct entry_view v;
    struct store_pin pin;
    assert_true(store_peek(f->s, &k, &v));
    assert_true(store_pin(f->s, &v, &pin));
    memset(text, 'z', len);
    assert_int_equal(store_set(f->s, &k, strview_of(text, got), &w), STORE_OK);
    assert_int_equal(v.value.data[0], 'x');
    assert_int_equal(value_at(f, "k", &got)[0], 'z');
    store_unpin(f->s, &pin);
    /* What is not plain goes the long way and back. */
    assert_int_equal(store_set_expiry(f->s, &k, f->clock.mono_ms + 1000), STORE_OK);
    assert_int_equal(store_set(f->s, &k, strview_of(text, got), &w), STORE_OK);
    assert_int_equal(store_count_volatile(f->s, 0), 0);
    store_check(f->s);
    free(text);
}

static void overwrite__of_a_small_value_stays_in_place(void **state)
{
    check_overwrite(*state, 100, 1);
}

static void overwrite__of_a_large_value_stays_in_place(void **state)
{
    check_overwrite(*state, 200000, 60);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(prefetch__finds_what_is_there),
        CASE(prefetch__is_forgotten_when_the_key_goes),
        CASE(prefetch__is_forgotten_when_the_index_grows),
        CASE(prefetch__belongs_to_its_database),
        CASE(overwrite__of_a_small_value_stays_in_place),
        CASE(overwrite__of_a_large_value_stays_in_place),
    };
    return cmocka_run_group_tests_name("store/fast", tests, NULL, NULL);
}
