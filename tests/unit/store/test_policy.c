/* What each eviction policy keeps and drops. */
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define LIMIT  (4 * 1024 * 1024)
#define FITS   25000u /* entries of VALUE bytes that fit, with something to spare */
#define VALUE  100
#define STREAM 1000000u /* numbers of entries that come once */

static unsigned count_present(struct fixture *f, unsigned from, unsigned to)
{
    char key[32];
    unsigned n = 0;
    for (unsigned i = from; i < to; i++) {
        snprintf(key, sizeof(key), "key:%06u", i);
        struct store_key k = fixture_key(f, key);
        struct entry_view v;
        n += store_peek(f->s, &k, &v);
    }
    return n;
}

static void set_range(struct fixture *f, unsigned from, unsigned to, int64_t ttl_ms)
{
    for (unsigned i = from; i < to; i++) {
        assert_int_equal(fixture_set_n(f, i, VALUE, ttl_ms), STORE_OK);
    }
}

static void use_range(struct fixture *f, unsigned from, unsigned to, unsigned times)
{
    for (unsigned round = 0; round < times; round++) {
        for (unsigned i = from; i < to; i++) {
            (void)fixture_get_n(f, i);
        }
    }
}

static void fifo__drops_the_oldest_whatever_their_use(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, LIMIT, "allkeys-fifo");
    set_range(&f, 0, FITS, 0);
    use_range(&f, 0, 5000, 3);
    set_range(&f, STREAM, STREAM + 20000, 0);
    assert_int_equal(count_present(&f, 0, 5000), 0);
    assert_int_equal(count_present(&f, STREAM, STREAM + 20000), 20000);
    struct store_stats st;
    store_stats(f.s, &st);
    assert_int_equal(st.bytes_copied, 0);
    fixture_fini(&f);
}

static void lru__keeps_what_is_used(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, LIMIT, "allkeys-lru");
    set_range(&f, 0, FITS, 0);
    for (unsigned i = 0; i < 60000; i++) {
        assert_int_equal(fixture_set_n(&f, STREAM + i, VALUE, 0), STORE_OK);
        (void)fixture_get_n(&f, i % 3000);
    }
    assert_int_equal(count_present(&f, 0, 3000), 3000);
    assert_int_equal(count_present(&f, 3000, FITS), 0);
    fixture_fini(&f);
}

static void lfu__keeps_what_was_used_often(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, LIMIT, "allkeys-lfu");
    set_range(&f, 0, FITS, 0);
    use_range(&f, 0, 2000, 200);
    use_range(&f, 2000, 4000, 1);
    set_range(&f, STREAM, STREAM + 3 * FITS, 0);
    assert_int_equal(count_present(&f, 0, 2000), 2000); /* halved a few times, never 0 */
    assert_int_equal(count_present(&f, 2000, 4000), 0);
    struct store_key k = fixture_key(&f, "key:000001");
    int64_t idle_ms;
    int freq;
    assert_true(store_idle(f.s, &k, &idle_ms, &freq));
    assert_true(freq > 3 && freq < 200);
    fixture_fini(&f);
}

static void random__drops_from_everywhere(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, LIMIT, "allkeys-random");
    set_range(&f, 0, FITS, 0);
    set_range(&f, STREAM, STREAM + FITS / 2, 0);
    unsigned oldest = count_present(&f, 0, FITS / 2);
    unsigned newest = count_present(&f, FITS / 2, FITS);
    assert_true(oldest > FITS / 5 && newest > FITS / 5);
    assert_true(oldest < FITS / 2 && newest < FITS / 2);
    fixture_fini(&f);
}

static void ttl__drops_what_expires_first(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, LIMIT, "volatile-ttl");
    set_range(&f, 0, FITS / 2, 1000000);
    set_range(&f, FITS / 2, FITS, 10000);
    set_range(&f, STREAM, STREAM + FITS / 2, 1000000);
    assert_int_equal(count_present(&f, 0, FITS / 2), FITS / 2);
    assert_true(count_present(&f, FITS / 2, FITS) < FITS / 4);
    fixture_fini(&f);
}

static void adaptive__is_not_washed_out_by_a_scan(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, LIMIT, "allkeys-adaptive");
    set_range(&f, 0, FITS, 0);
    use_range(&f, 0, 10000, 2);
    set_range(&f, STREAM, STREAM + FITS / 2, 0); /* the used ones move to the main queue */
    set_range(&f, 2 * STREAM, 2 * STREAM + 10 * FITS, 0);
    assert_true(count_present(&f, 0, 10000) > 8000);
    fixture_fini(&f);
}

static void adaptive__takes_back_what_it_dropped_too_early(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, LIMIT, "allkeys-adaptive");
    /* A loop a little larger than the cache: without ghosts nothing would ever be hit. */
    unsigned hits = 0;
    for (unsigned round = 0; round < 12; round++) {
        for (unsigned i = 0; i < FITS * 5 / 4; i++) {
            bool is_there = fixture_get_n(&f, i);
            hits += is_there && round >= 6;
            if (!is_there) {
                assert_int_equal(fixture_set_n(&f, i, VALUE, 0), STORE_OK);
            }
        }
    }
    assert_true(hits > 6 * FITS / 4);
    fixture_fini(&f);
}

static void adaptive__gives_its_ghosts_back(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, LIMIT, "allkeys-adaptive");
    set_range(&f, 0, 2 * FITS, 0);
    struct store_stats before, after;
    store_stats(f.s, &before);
    f.options.maxmemory_policy = fixture_policy("allkeys-lru");
    struct errtext err;
    assert_int_equal(store_apply_options(f.s, &err), 0);
    fixture_settle(&f);
    store_stats(f.s, &after);
    assert_true(before.bytes_other > after.bytes_other + 3 * FITS);
    fixture_fini(&f);
}

static void set_leaving_first(struct fixture *f, unsigned from, unsigned to)
{
    char key[32];
    char value[VALUE] = {0};
    for (unsigned i = from; i < to; i++) {
        snprintf(key, sizeof(key), "key:%06u", i);
        const struct store_key k = fixture_key(f, key);
        const struct store_write w = {.is_reloadable = true, .leaves_first = true};
        assert_int_equal(store_set(f->s, &k, strview_of(value, sizeof(value)), &w), STORE_OK);
    }
}

/* However much they are used, and however little the others are. */
static void policy__what_leaves_first_leaves_before_all_others(void **state)
{
    (void)state;
    static const char *const policies[] = {"allkeys-lru",  "allkeys-lfu",      "allkeys-adaptive",
                                           "allkeys-fifo", "allkeys-random",   "volatile-lru",
                                           "volatile-ttl", "volatile-adaptive"};
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        print_message("# %s\n", policies[i]);
        struct fixture f;
        fixture_init(&f, LIMIT, policies[i]);
        set_range(&f, 0, FITS / 2, 1000000);
        set_leaving_first(&f, STREAM, STREAM + FITS / 2);
        use_range(&f, STREAM, STREAM + FITS / 2, 3);
        set_range(&f, FITS / 2, FITS, 1000000);
        assert_int_equal(count_present(&f, 0, FITS), FITS);
        assert_true(count_present(&f, STREAM, STREAM + FITS / 2) < FITS / 4);
        /* Without room they give way to each other, and take next to nothing from the rest. */
        set_leaving_first(&f, 2 * STREAM, 2 * STREAM + FITS);
        assert_true(count_present(&f, 0, FITS) > FITS * 9 / 10);
        /* Once they are gone it is the others' turn, as ever. */
        set_range(&f, 3 * STREAM, 3 * STREAM + FITS, 1000000);
        assert_int_equal(count_present(&f, STREAM, 3 * STREAM), 0);
        fixture_fini(&f);
    }
}

/* Replaced by a larger value while it is all that may leave: the new one is stored. */
static void policy__what_leaves_first_may_be_replaced(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, LIMIT, "allkeys-lru");
    static char value[10000];
    const struct store_write w = {.is_reloadable = true, .leaves_first = true};
    const struct store_key k = fixture_key(&f, "first");
    struct entry_view v;
    set_range(&f, 0, 2 * FITS, 0);
    for (size_t len = 100; len <= sizeof(value); len += 100) {
        assert_int_equal(store_set(f.s, &k, strview_of(value, len), &w), STORE_OK);
        assert_true(store_peek(f.s, &k, &v));
        assert_int_equal(v.value.len, len);
        set_range(&f, STREAM, STREAM + 10, 0);
    }
    fixture_fini(&f);
}

/* Whatever is chosen in place of whatever was: what is used all the time stays. */
static void policy__switch_does_not_drop_what_is_used(void **state)
{
    (void)state;
    static const char *const policies[] = {"allkeys-lru", "allkeys-lfu", "allkeys-adaptive"};
    for (unsigned from = 0; from < 3; from++) {
        for (unsigned to = 0; to < 3; to++) {
            struct fixture f;
            fixture_init(&f, LIMIT, policies[from]);
            for (unsigned i = 0; i < 40000; i++) {
                assert_int_equal(fixture_set_n(&f, STREAM + i, VALUE, 0), STORE_OK);
                if (!fixture_get_n(&f, i % 3000)) {
                    assert_int_equal(fixture_set_n(&f, i % 3000, VALUE, 0), STORE_OK);
                }
            }
            f.options.maxmemory_policy = fixture_policy(policies[to]);
            struct errtext err;
            assert_int_equal(store_apply_options(f.s, &err), 0);
            unsigned misses = 0;
            for (unsigned i = 0; i < 60000; i++) {
                assert_int_equal(fixture_set_n(&f, 2 * STREAM + i, VALUE, 0), STORE_OK);
                misses += !fixture_get_n(&f, i % 3000);
            }
            assert_true(misses < 600);
            fixture_fini(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifo__drops_the_oldest_whatever_their_use),
        cmocka_unit_test(lru__keeps_what_is_used),
        cmocka_unit_test(lfu__keeps_what_was_used_often),
        cmocka_unit_test(random__drops_from_everywhere),
        cmocka_unit_test(ttl__drops_what_expires_first),
        cmocka_unit_test(adaptive__is_not_washed_out_by_a_scan),
        cmocka_unit_test(adaptive__takes_back_what_it_dropped_too_early),
        cmocka_unit_test(adaptive__gives_its_ghosts_back),
        cmocka_unit_test(policy__what_leaves_first_leaves_before_all_others),
        cmocka_unit_test(policy__what_leaves_first_may_be_replaced),
        cmocka_unit_test(policy__switch_does_not_drop_what_is_used),
    };
    return cmocka_run_group_tests_name("store/policy", tests, NULL, NULL);
}
