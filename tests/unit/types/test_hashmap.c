/* Hashes against a plain list that does the same: in both encodings, with fields that expire. */
#include "types_fixture.h"

#include "../../support/fault_alloc.h"
#include "src/types/field_table.h"
#include "src/types/packed.h"
#include "src/types/types_private.h"

#define NAMES 400
#define KEY   "the key"

/* What the hash should be. */
struct model_field {
    bool is_there;
    char value[20000];
    size_t len;
    int64_t at_ms;
};

struct model {
    struct fixture *f;
    struct model_field fields[NAMES];
};

static bool model_has(const struct model *m, unsigned n)
{
    return m->fields[n].is_there && m->fields[n].at_ms > m->f->clock.mono_ms;
}

static struct strview name_of(unsigned n, char text[16])
{
    return strview_of(text, (size_t)snprintf(text, 16, "field:%u", n));
}

static void check_against(struct model *m)
{
    const struct store_key k = fixture_key(m->f, KEY);
    struct strview hash;
    size_t count = 0;
    for (unsigned n = 0; n < NAMES; n++) {
        count += model_has(m, n) ? 1 : 0;
    }
    const bool is_there = fixture_open(m->f, &k, &hash);
    assert_int_equal(is_there, count > 0);
    if (!is_there) {
        return;
    }
    struct hashmap_iter it;
    struct hashmap_field field;
    size_t met = 0;
    for (hashmap_begin(&it, m->f->t, hash); hashmap_next(&it, &field);) {
        met++;
    }
    assert_int_equal(met, count);
    for (unsigned n = 0; n < NAMES; n++) {
        char text[16];
        const bool found = hashmap_find(m->f->t, hash, name_of(n, text), &field);
        assert_int_equal(found, model_has(m, n));
        if (found) {
            assert_true(strview_eq(field.value, strview_of(m->fields[n].value, m->fields[n].len)));
            assert_int_equal(field.expires_at_ms, m->fields[n].at_ms);
        }
    }
    if (!hashmap_is_packed(hash)) {
        field_table_check(hashmap_table(hash));
    }
}

static void step_set(struct model *m, struct hashmap_edit *e, struct rng *rng, size_t len_max)
{
    const unsigned n = (unsigned)rng_below(rng, NAMES);
    struct model_field *field = &m->fields[n];
    const bool keep = rng_below(rng, 2) == 0, was_there = model_has(m, n);
    static char value[20000];
    char text[16];
    bool is_new;
    const size_t len = rng_below(rng, len_max);
    memset(value, 'a' + (int)rng_below(rng, 26), sizeof(value));
    assert_int_equal(hashmap_set(e, name_of(n, text), strview_of(value, len), keep, &is_new),
                     STORE_OK);
    assert_int_equal(is_new, !was_there);
    field->at_ms = was_there && keep ? field->at_ms : STORE_NO_EXPIRY;
    field->is_there = true;
    field->len = len;
    memcpy(field->value, value, len); /* len_max is within both */
}

static void step_expire(struct model *m, struct hashmap_edit *e, struct rng *rng)
{
    const unsigned n = (unsigned)rng_below(rng, NAMES);
    char text[16];
    const int64_t at_ms = rng_below(rng, 4) == 0
                              ? STORE_NO_EXPIRY
                              : m->f->clock.mono_ms + 1 + (int64_t)rng_below(rng, 3000);
    const enum store_result r = e->is_present ? hashmap_set_expiry(e, name_of(n, text), at_ms)
                                              : STORE_NOT_FOUND;
    assert_int_equal(r, model_has(m, n) ? STORE_OK : STORE_NOT_FOUND);
    if (r == STORE_OK) {
        m->fields[n].at_ms = at_ms;
    }
}

static void step_remove(struct model *m, struct hashmap_edit *e, struct rng *rng)
{
    const unsigned n = (unsigned)rng_below(rng, NAMES);
    char text[16];
    const bool removed = e->is_present && hashmap_remove(e, name_of(n, text));
    assert_int_equal(removed, model_has(m, n));
    m->fields[n].is_there = false;
}

/* `set_part` of 10 steps set a field: few keep the hash small, many make it grow. */
static void run_model(struct fixture *f, uint64_t seed, unsigned set_part, size_t len_max)
{
    const unsigned steps = len_max > 1000 ? 4000 : 20000;
    static struct model m;
    struct rng rng;
    m = (struct model){.f = f};
    rng_init_seed(&rng, seed);
    const struct store_key k = fixture_key(f, KEY);
    (void)store_remove(f->s, &k);
    for (unsigned i = 0; i < steps; i++) {
        struct hashmap_edit e = fixture_edit(f, &k);
        const uint64_t what = rng_below(&rng, 10);
        if (what < set_part) {
            step_set(&m, &e, &rng, len_max);
        } else if (what == 9) {
            step_expire(&m, &e, &rng);
        } else {
            step_remove(&m, &e, &rng);
        }
        hashmap_end(&e);
        if (rng_below(&rng, 8) == 0) {
            fixture_wait(f, (int64_t)rng_below(&rng, 200));
        }
        if (i % 50 == 0) {
            check_against(&m);
        }
        if (i % 1000 == 0) {
            (void)types_tick(f->t, 1000);
            store_check(f->s);
        }
    }
}

static void hashmap__small_does_what_a_list_does(void **state)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        run_model(*state, seed, 3, 60);
    }
}

static void hashmap__large_does_what_a_list_does(void **state)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        run_model(*state, seed, 7, 100);
    }
}

static void hashmap__with_long_values_does_what_a_list_does(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        run_model(*state, seed, 5, 20000);
    }
}

static bool is_packed(struct fixture *f, const char *key)
{
    const struct store_key k = fixture_key(f, key);
    struct strview hash;
    assert_true(fixture_open(f, &k, &hash));
    return hashmap_is_packed(hash);
}

static const char *encoding_name(struct fixture *f, const char *key)
{
    const struct store_key k = fixture_key(f, key);
    struct strview hash;
    assert_true(fixture_open(f, &k, &hash));
    return hashmap_encoding_name(f->t, hash);
}

static void hashmap__becomes_a_table_by_count_or_size(void **state)
{
    struct fixture *f = *state;
    char name[16];
    for (unsigned i = 0; i < PACKED_COUNT_MAX; i++) {
        snprintf(name, sizeof(name), "%u", i);
        assert_int_equal(fixture_set(f, "many", name, "v"), STORE_OK);
    }
    assert_true(is_packed(f, "many"));
    assert_int_equal(fixture_set(f, "many", "one more", "v"), STORE_OK);
    assert_false(is_packed(f, "many"));
    char *text = malloc(PACKED_BYTES_MAX + 1);
    assert_non_null(text);
    memset(text, 'x', PACKED_BYTES_MAX);
    text[PACKED_BYTES_MAX] = '\0';
    assert_int_equal(fixture_set(f, "long", "n", "v"), STORE_OK);
    assert_int_equal(fixture_set(f, "long", "n", text + 100), STORE_OK);
    assert_true(is_packed(f, "long"));
    assert_int_equal(fixture_set(f, "long", "n", text), STORE_OK);
    assert_false(is_packed(f, "long"));
    assert_int_equal(fixture_set(f, "name", text, "v"), STORE_OK);
    assert_false(is_packed(f, "name"));
    free(text);
}

static void hashmap__is_called_what_redis_calls_it(void **state)
{
    struct fixture *f = *state;
    char name[66];
    memset(name, 'x', 65);
    name[65] = '\0';
    assert_int_equal(fixture_set(f, "h", name + 1, name + 1), STORE_OK);
    assert_string_equal(encoding_name(f, "h"), "listpack");
    assert_int_equal(fixture_set(f, "h", "a", name), STORE_OK);
    assert_string_equal(encoding_name(f, "h"), "hashtable");
    f->options.hash_max_listpack_value = 65;
    assert_string_equal(encoding_name(f, "h"), "listpack");
    f->options.hash_max_listpack_entries = 1;
    assert_string_equal(encoding_name(f, "h"), "hashtable");
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "%u", i);
        assert_int_equal(fixture_set(f, "large", name, "v"), STORE_OK);
    }
    f->options.hash_max_listpack_entries = INT64_MAX;
    assert_string_equal(encoding_name(f, "large"), "hashtable");
}

/* Several fields at once: the entry is written in one piece and no longer than it has to be. */
static void hashmap__is_made_in_one_piece(void **state)
{
    struct fixture *f = *state;
    const struct strview pairs[] = {strview_str("a"),  strview_str("1"), strview_str("b"),
                                    strview_str("22"), strview_str("a"), strview_str("longer"),
                                    strview_str("c"),  strview_str("")};
    const struct store_key k = fixture_key(f, "k");
    struct hashmap_edit e = fixture_edit(f, &k);
    bool is_new;
    assert_int_equal(hashmap_expect(&e, pairs, 4), STORE_OK);
    for (size_t i = 0; i < 8; i += 2) {
        assert_int_equal(hashmap_set(&e, pairs[i], pairs[i + 1], false, &is_new), STORE_OK);
        assert_int_equal(is_new, i != 4);
    }
    hashmap_end(&e);
    assert_int_equal(hashmap_count(e.hash), 3);
    assert_int_equal(e.hash.len, PACKED_HEAD_BYTES + packed_field_bytes(false, 1, 6) +
                                     packed_field_bytes(false, 1, 2) +
                                     packed_field_bytes(false, 1, 0));
}

static void hashmap__keeps_the_expiry_of_its_key(void **state)
{
    struct fixture *f = *state;
    const struct store_key k = fixture_key(f, "k");
    struct entry_view e;
    const int64_t at_ms = f->clock.mono_ms + 5000;
    assert_int_equal(fixture_set(f, "k", "a", "1"), STORE_OK);
    assert_int_equal(store_set_expiry(f->s, &k, at_ms), STORE_OK);
    for (unsigned i = 0; i < 400; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%u", i);
        assert_int_equal(fixture_set(f, "k", name, "a value"), STORE_OK);
        assert_true(store_peek(f->s, &k, &e));
        assert_int_equal(e.expires_at_ms, at_ms);
    }
    fixture_wait(f, 5000);
    assert_int_equal(fixture_set(f, "k", "a", "1"), STORE_OK);
    assert_true(store_peek(f->s, &k, &e));
    assert_int_equal(e.expires_at_ms, STORE_NO_EXPIRY);
}

static void hashmap__dies_with_its_last_field(void **state)
{
    struct fixture *f = *state;
    const struct store_key k = fixture_key(f, "k");
    struct strview hash;
    for (unsigned large = 0; large < 2; large++) {
        for (unsigned i = 0; i < 2 + 400 * large; i++) {
            char name[16];
            snprintf(name, sizeof(name), "%u", i);
            assert_int_equal(fixture_set(f, "k", name, "v"), STORE_OK);
            assert_int_equal(fixture_expire(f, "k", name, 1000 + i), STORE_OK);
        }
        assert_true(fixture_open(f, &k, &hash));
        fixture_wait(f, 1401);
        assert_false(fixture_open(f, &k, &hash));
        assert_int_equal(store_count(f->s, 0), 1); /* nobody has met it yet */
        for (unsigned i = 0; i < 100 && store_count(f->s, 0) > 0; i++) {
            (void)types_tick(f->t, 1000000); /* a budget no machine uses up */
        }
        assert_int_equal(store_count(f->s, 0), 0);
    }
}

static void hashmap__a_dead_one_leaves_nothing_to_the_next(void **state)
{
    struct fixture *f = *state;
    const struct store_key k = fixture_key(f, "k");
    struct entry_view e;
    assert_int_equal(fixture_set(f, "k", "a", "1"), STORE_OK);
    assert_int_equal(fixture_expire(f, "k", "a", 100), STORE_OK);
    assert_int_equal(store_set_expiry(f->s, &k, f->clock.mono_ms + 100000), STORE_OK);
    fixture_wait(f, 100);
    assert_int_equal(fixture_set(f, "k", "b", "2"), STORE_OK);
    assert_true(store_peek(f->s, &k, &e));
    assert_int_equal(e.expires_at_ms, STORE_NO_EXPIRY);
    assert_int_equal(hashmap_count(e.value), 1);
}

static void hashmap__the_sweep_ends_when_there_is_nothing_to_do(void **state)
{
    struct fixture *f = *state;
    assert_false(types_has_expiries(f->t));
    assert_int_equal(fixture_set(f, "k", "a", "1"), STORE_OK);
    assert_int_equal(fixture_set(f, "k", "b", "1"), STORE_OK);
    assert_int_equal(fixture_expire(f, "k", "a", 100), STORE_OK);
    assert_true(types_has_expiries(f->t));
    fixture_wait(f, 50);
    for (unsigned i = 0; i < 10; i++) {
        assert_false(types_tick(f->t, 1000));
        assert_true(types_has_expiries(f->t));
    }
    fixture_wait(f, 50);
    for (unsigned i = 0; i < 100 && types_has_expiries(f->t); i++) {
        (void)types_tick(f->t, 1000);
    }
    assert_false(types_has_expiries(f->t));
    assert_int_equal(types_counters(f->t)->expired_subkeys, 1);
}

/* Becoming a table, growing, and expiries, with each allocation failing in turn: whatever was
 * refused, what was there before still is. */
static void hashmap__without_memory(void **state)
{
    struct fixture *f = *state;
    const struct store_key k = fixture_key(f, "k");
    for (size_t good = 0; good < 12; good++) {
        struct strview hash;
        struct hashmap_field field;
        char name[16];
        unsigned set = 0;
        (void)store_remove(f->s, &k);
        for (unsigned i = 0; i < PACKED_COUNT_MAX; i++) {
            snprintf(name, sizeof(name), "%u", i);
            assert_int_equal(fixture_set(f, "k", name, name), STORE_OK);
        }
        fault_alloc_arm(good, 1);
        for (unsigned i = 0; i < 1000; i++) {
            snprintf(name, sizeof(name), "more:%u", i);
            const enum store_result r = fixture_set(f, "k", name, name);
            assert_true(r == STORE_OK || r == STORE_FULL);
            set += r == STORE_OK ? 1 : 0;
            (void)fixture_expire(f, "k", name, 1000 + i);
        }
        (void)fault_alloc_disarm();
        assert_true(fixture_open(f, &k, &hash));
        assert_int_equal(hashmap_count(hash), PACKED_COUNT_MAX + set);
        for (unsigned i = 0; i < PACKED_COUNT_MAX; i++) {
            snprintf(name, sizeof(name), "%u", i);
            assert_true(hashmap_find(f->t, hash, strview_str(name), &field));
            assert_true(strview_eq(field.value, strview_str(name)));
        }
        field_table_check(hashmap_table(hash));
    }
}

struct scan_count {
    unsigned seen[2000];
};

static void on_scanned(void *ctx, const struct hashmap_field *field)
{
    struct scan_count *c = ctx;
    char text[16];
    snprintf(text, sizeof(text), "%.*s", STRVIEW_ARG(field->name));
    c->seen[atoi(text) % 2000]++;
}

/* Fields 0..499 are there throughout; others come and go so that the table grows and shrinks. */
static void hashmap__scan_misses_nothing_that_stays(void **state)
{
    struct fixture *f = *state;
    const struct store_key k = fixture_key(f, "k");
    struct rng rng;
    char name[16];
    rng_init_seed(&rng, 3);
    for (unsigned round = 0; round < 30; round++) {
        struct scan_count c = {.seen = {0}};
        for (unsigned i = 0; i < 500; i++) {
            snprintf(name, sizeof(name), "%u", i);
            assert_int_equal(fixture_set(f, "k", name, "v"), STORE_OK);
        }
        uint64_t cursor = 0;
        bool grows = round % 2 == 0;
        do {
            struct strview hash;
            assert_true(fixture_open(f, &k, &hash));
            cursor = hashmap_scan(f->t, hash, cursor, 1 + rng_below(&rng, 20), on_scanned, &c);
            for (unsigned i = 0; i < 60; i++) {
                snprintf(name, sizeof(name), "%u", 500 + (unsigned)rng_below(&rng, 1500));
                if (grows) {
                    assert_int_equal(fixture_set(f, "k", name, "v"), STORE_OK);
                } else {
                    struct hashmap_edit e = fixture_edit(f, &k);
                    (void)hashmap_remove(&e, strview_str(name));
                    hashmap_end(&e);
                }
            }
        } while (cursor != 0);
        for (unsigned i = 0; i < 500; i++) {
            assert_true(c.seen[i] >= 1);
        }
    }
}

static void hashmap__random_fields_are_all_alike(void **state)
{
    struct fixture *f = *state;
    struct rng rng;
    rng_init_seed(&rng, 5);
    const unsigned sizes[] = {10, 1000};
    for (unsigned s = 0; s < 2; s++) {
        const unsigned n = sizes[s];
        struct scan_count c = {.seen = {0}};
        char name[16];
        const struct store_key k = fixture_key(f, s == 0 ? "small" : "large");
        for (unsigned i = 0; i < n; i++) {
            snprintf(name, sizeof(name), "%u", i);
            assert_int_equal(fixture_set(f, s == 0 ? "small" : "large", name, "v"), STORE_OK);
        }
        struct strview hash;
        struct hashmap_field field;
        assert_true(fixture_open(f, &k, &hash));
        for (unsigned i = 0; i < 100 * n; i++) {
            assert_true(hashmap_random(f->t, hash, &rng, &field));
            on_scanned(&c, &field);
        }
        for (unsigned i = 0; i < n; i++) {
            assert_in_range(c.seen[i], 50, 150);
        }
    }
}

static void hashmap__copies_a_table(void **state)
{
    struct fixture *f = *state;
    const struct store_key k = fixture_key(f, "k"), to = fixture_key(f, "to");
    char name[16];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "%u", i);
        assert_int_equal(fixture_set(f, "k", name, name), STORE_OK);
    }
    assert_int_equal(fixture_expire(f, "k", "7", 1000), STORE_OK);
    struct strview hash, copy;
    struct hashmap_field field;
    assert_true(fixture_open(f, &k, &hash));
    assert_int_equal(hashmap_copy(f->t, hash, &to, STORE_NO_EXPIRY), STORE_OK);
    assert_int_equal(fixture_set(f, "k", "1", "changed"), STORE_OK);
    assert_true(fixture_open(f, &to, &copy));
    assert_int_equal(hashmap_count(copy), 1000);
    assert_true(hashmap_find(f->t, copy, strview_str("1"), &field));
    assert_true(strview_eq(field.value, strview_str("1")));
    assert_int_equal(hashmap_due_ms(copy), f->clock.mono_ms + 1000);
    field_table_check(hashmap_table(copy));
}

static void hashmap__frees_a_large_one_in_slices(void **state)
{
    struct fixture *f = *state;
    const struct store_key k = fixture_key(f, "k");
    char name[16];
    const size_t before = store_used_memory(f->s);
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(name, sizeof(name), "%u", i);
        assert_int_equal(fixture_set(f, "k", name, "a value of some length"), STORE_OK);
    }
    const size_t full = store_used_memory(f->s);
    assert_true(full - before > 100000 * 40);
    assert_true(store_remove(f->s, &k));
    struct store_stats st;
    store_stats(f->s, &st);
    assert_int_equal(st.bytes_large, 0);
    assert_true(st.bytes_dropped > 100000 * 40); /* counted until it is free */
    unsigned ticks = 0;
    while (store_tick(f->s, 1)) {
        ticks++;
    }
    assert_true(ticks > 10);
    store_stats(f->s, &st);
    assert_int_equal(st.bytes_dropped, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hashmap__small_does_what_a_list_does),
        TEST(hashmap__large_does_what_a_list_does),
        TEST(hashmap__with_long_values_does_what_a_list_does),
        TEST(hashmap__becomes_a_table_by_count_or_size),
        TEST(hashmap__is_called_what_redis_calls_it),
        TEST(hashmap__is_made_in_one_piece),
        TEST(hashmap__keeps_the_expiry_of_its_key),
        TEST(hashmap__dies_with_its_last_field),
        TEST(hashmap__a_dead_one_leaves_nothing_to_the_next),
        TEST(hashmap__the_sweep_ends_when_there_is_nothing_to_do),
        TEST(hashmap__without_memory),
        TEST(hashmap__scan_misses_nothing_that_stays),
        TEST(hashmap__random_fields_are_all_alike),
        TEST(hashmap__copies_a_table),
        TEST(hashmap__frees_a_large_one_in_slices),
    };
    return cmocka_run_group_tests_name("types/hashmap", tests, NULL, NULL);
}
