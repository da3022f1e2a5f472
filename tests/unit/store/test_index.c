/*
 * The index by itself, against a plain array. An entry is a number (its reference), its hash is
 * made from the number, so the owner needs no memory but what the model keeps.
 */
#include "src/store/index.h"

#include "tarn/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REF_MAX 300000u

struct model {
    struct index *ix;
    size_t memory;
    size_t count;
    uint64_t seed;
    uint64_t hash_mask;   /* bits of the hash that differ */
    uint64_t allocations; /* asked for */
    uint64_t refuse_from; /* the first allocation to refuse */
    uint64_t refuse_every;
    uint32_t policy[REF_MAX + 1]; /* 0: absent; else the slot's policy bits */
    uint8_t seen[REF_MAX + 1];
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t model_hash(void *ctx, uint64_t ref)
{
    const struct model *m = ctx;

    return mix((ref + 1) * UINT64_C(0x9e3779b97f4a7c15) + m->seed) & m->hash_mask;
}

static void model_prefetch(void *ctx, uint64_t ref)
{
    const struct model *m = ctx;

    assert_in_range(ref, 1, REF_MAX);
    PREFETCH(&m->policy[ref]);
}

static bool model_may_allocate(void *ctx, size_t bytes)
{
    struct model *m = ctx;

    m->allocations++;
    assert_true(bytes > 0);
    return m->allocations < m->refuse_from ||
           (m->refuse_every != 0 && m->allocations % m->refuse_every != 0);
}

static struct model *model_create(uint64_t seed)
{
    struct model *m = calloc(1, sizeof(*m));
    struct index_owner owner = {
        .ctx = m,
        .hash_of = model_hash,
        .prefetch = model_prefetch,
        .may_allocate = model_may_allocate,
    };

    assert_non_null(m);
    m->seed = seed;
    m->hash_mask = UINT64_MAX;
    m->refuse_from = UINT64_MAX;
    assert_int_equal(index_create(&m->ix, &owner, &m->memory), 0);
    return m;
}

static void model_destroy(struct model *m)
{
    assert_true(m->memory == index_memory(m->ix));
    index_destroy(m->ix);
    assert_int_equal(m->memory, 0);
    free(m);
}

static uint64_t *model_find(struct model *m, uint32_t ref)
{
    struct index_probe probe;
    uint64_t *p = index_first(m->ix, model_hash(m, ref), &probe);

    while (p != NULL && slot_ref(*p) != ref) {
        p = index_next(&probe);
    }
    return p;
}

static bool model_insert(struct model *m, uint32_t ref, uint32_t policy)
{
    uint64_t slot = slot_make(ref, policy);
    uint64_t *p;

    assert_int_equal(m->policy[ref], 0);
    p = index_insert(m->ix, model_hash(m, ref), slot);
    if (p == NULL) {
        return false;
    }
    assert_true(*p == slot);
    m->policy[ref] = policy;
    m->count++;
    return true;
}

static void model_remove(struct model *m, uint32_t ref)
{
    uint64_t *p = model_find(m, ref);

    assert_non_null(p);
    assert_int_equal(slot_policy(*p), m->policy[ref]);
    index_remove(m->ix, model_hash(m, ref), p);
    m->policy[ref] = 0;
    m->count--;
}

/* The whole truth: the index's own check, and that it holds exactly what the model holds. */
static void model_check(struct model *m, uint32_t ref_max)
{
    index_check(m->ix);
    assert_int_equal(index_count(m->ix), m->count);
    for (uint32_t ref = 1; ref <= ref_max; ref++) {
        const uint64_t *p = model_find(m, ref);

        assert_int_equal(p != NULL, m->policy[ref] != 0);
        if (p != NULL) {
            assert_int_equal(slot_policy(*p), m->policy[ref]);
        }
    }
}

static void model_fill(struct model *m, uint32_t from, uint32_t to)
{
    for (uint32_t ref = from; ref <= to; ref++) {
        assert_true(model_insert(m, ref, 1 + ref % 1000));
    }
}

static void mark_seen(void *ctx, uint64_t slot)
{
    struct model *m = ctx;

    assert_in_range(slot_ref(slot), 1, REF_MAX);
    assert_int_equal(slot_policy(slot), m->policy[slot_ref(slot)]);
    m->seen[slot_ref(slot)]++;
}

static void index__empty_costs_little_and_finds_nothing(void **state)
{
    struct model *m = model_create(1);

    assert_null(model_find(m, 1));
    assert_int_equal(index_random(m->ix, 12345), 0);
    assert_int_equal(index_scan(m->ix, 0, 1000000, mark_seen, m), 0);
    assert_false(index_shrink(m->ix, 1000));
    assert_true(index_memory(m->ix) <= 4096);
    index_check(m->ix);
    model_fill(m, 1, 100);
    assert_true(index_memory(m->ix) <= 16 * 1024);
    model_destroy(m);
    (void)state;
}

static void index__agrees_with_a_plain_array(void **state)
{
    struct model *m = model_create(2);
    struct rng rng;
    uint32_t target = 1000;

    rng_init_seed(&rng, 2);
    for (unsigned i = 0; i < 400000; i++) {
        uint32_t ref = (uint32_t)rng_below(&rng, target) + 1;

        if (m->policy[ref] != 0 && rng_below(&rng, 4) == 0) {
            model_remove(m, ref);
        } else if (m->policy[ref] == 0) {
            assert_true(model_insert(m, ref, (uint32_t)rng_below(&rng, 1u << 24) | 1));
        } else {
            m->policy[ref] = (uint32_t)rng_below(&rng, 1u << 24) | 1;
            *model_find(m, ref) = slot_make(ref, m->policy[ref]);
        }
        if (i % 20000 == 19999) {
            uint32_t old = target;

            target = 1000 + (uint32_t)rng_below(&rng, 60000);
            for (ref = target + 1; ref <= old; ref++) {
                if (m->policy[ref] != 0) {
                    model_remove(m, ref);
                }
            }
        }
        if (i % 64 == 0) {
            (void)index_shrink(m->ix, 100);
        }
        if (i % 40000 == 0) {
            model_check(m, 61000);
        }
    }
    model_check(m, 61000);
    model_destroy(m);
    (void)state;
}

/* Churn at a constant size must not wear out the probe bounds nor grow the tables for ever. */
static void index__stays_compact_under_churn(void **state)
{
    struct model *m = model_create(3);
    size_t slots;
    size_t reach = 0;
    struct rng rng;

    rng_init_seed(&rng, 3);
    model_fill(m, 1, 100000);
    slots = index_slots(m->ix);
    for (unsigned i = 0; i < 400000; i++) {
        uint32_t ref = (uint32_t)rng_below(&rng, 200000) + 1;
        uint32_t other = (uint32_t)rng_below(&rng, 200000) + 1;

        if (m->policy[ref] != 0 && m->policy[other] == 0) {
            model_remove(m, ref);
            assert_true(model_insert(m, other, 7));
        }
    }
    for (uint32_t ref = 1; ref <= 200000; ref++) {
        struct index_probe probe = {.left = 0};

        if (m->policy[ref] == 0) {
            (void)index_first(m->ix, model_hash(m, ref), &probe);
            reach += probe.table->buckets[0].head & 15;
        }
    }
    assert_true(index_slots(m->ix) < slots + slots / 4);
    assert_true(reach < 200000);
    model_check(m, 200000);
    model_destroy(m);
    (void)state;
}

/* Walks the whole index while `churn` is called between the calls, and checks that every slot that
 * was there all the time (references up to `kept`) was shown. */
static void scan_while(struct model *m, uint32_t kept, size_t count,
                       void (*churn)(struct model *, unsigned round))
{
    uint64_t cursor = 0;
    unsigned round = 0;

    memset(m->seen, 0, sizeof(m->seen));
    do {
        uint64_t next = index_scan(m->ix, cursor, count, mark_seen, m);

        assert_true(next == 0 || next > cursor);
        assert_true(next < UINT64_C(1) << 53);
        cursor = next;
        churn(m, round++);
    } while (cursor != 0);
    for (uint32_t ref = 1; ref <= kept; ref++) {
        assert_true(m->policy[ref] == 0 || m->seen[ref] != 0);
    }
}

static void churn_nothing(struct model *m, unsigned round)
{
    (void)m;
    (void)round;
}

static void churn_grow(struct model *m, unsigned round)
{
    for (uint32_t i = 0; i < 60; i++) {
        uint32_t ref = 10001 + round * 60 + i;

        if (ref <= REF_MAX && m->policy[ref] == 0) {
            assert_true(model_insert(m, ref, 9));
        }
    }
}

static void churn_shrink(struct model *m, unsigned round)
{
    for (uint32_t i = 0; i < 60; i++) {
        uint32_t ref = 10001 + round * 60 + i;

        if (ref <= REF_MAX && m->policy[ref] != 0) {
            model_remove(m, ref);
        }
    }
    (void)index_shrink(m->ix, 200);
}

static void index__scan_shows_each_slot_once_at_rest(void **state)
{
    static const uint32_t sizes[] = {1, 7, 100, 5000, 80000};

    for (unsigned k = 0; k < ARRAY_LEN(sizes); k++) {
        struct model *m = model_create(40 + k);

        model_fill(m, 1, sizes[k]);
        scan_while(m, sizes[k], k == 4 ? 1000 : k * 10, churn_nothing);
        for (uint32_t ref = 1; ref <= sizes[k]; ref++) {
            assert_int_equal(m->seen[ref], 1);
        }
        model_destroy(m);
    }
    (void)state;
}

static void index__scan_misses_nothing_while_growing_and_shrinking(void **state)
{
    struct model *m = model_create(5);

    model_fill(m, 1, 10000);
    scan_while(m, 10000, 10, churn_grow);
    assert_true(m->count > 100000);
    index_check(m->ix);
    scan_while(m, 10000, 10, churn_shrink);
    assert_true(m->count < 50000);
    index_check(m->ix);
    model_destroy(m);
    (void)state;
}

static void index__any_cursor_is_harmless(void **state)
{
    struct model *m = model_create(6);
    struct rng rng;

    rng_init_seed(&rng, 6);
    model_fill(m, 1, 50000);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t cursor = rng_next(&rng) >> rng_below(&rng, 64);
        uint64_t next = index_scan(m->ix, cursor, 10, mark_seen, m);

        assert_true(next == 0 || next > cursor);
    }
    assert_int_equal(index_scan(m->ix, UINT64_MAX, SIZE_MAX, mark_seen, m), 0);
    assert_int_equal(index_scan(m->ix, 0, SIZE_MAX, mark_seen, m), 0);
    model_destroy(m);
    (void)state;
}

static void index__shrinks_to_next_to_nothing(void **state)
{
    struct model *m = model_create(7);
    size_t empty = index_memory(m->ix);
    size_t full;
    unsigned rounds = 0;

    model_fill(m, 1, 300000);
    full = index_memory(m->ix);
    for (uint32_t ref = 1; ref <= 299000; ref++) {
        model_remove(m, ref);
    }
    assert_int_equal(index_memory(m->ix), full);
    while (index_shrink(m->ix, 500)) {
        rounds++;
        assert_in_range(rounds, 1, 10000);
    }
    model_check(m, 300000);
    assert_true(index_memory(m->ix) <= full / 50);
    for (uint32_t ref = 299001; ref <= 300000; ref++) {
        model_remove(m, ref);
    }
    while (index_shrink(m->ix, 500)) {
        continue;
    }
    assert_int_equal(index_slots(m->ix), 0);
    assert_true(index_memory(m->ix) <= empty + 4096);
    index_check(m->ix);
    model_destroy(m);
    (void)state;
}

/* Right after growth nothing is sparse, and right after shrinking nothing is full. */
static void index__does_not_flap(void **state)
{
    struct model *m = model_create(8);

    for (uint32_t ref = 1; ref <= 150000; ref++) {
        size_t slots;

        assert_true(model_insert(m, ref, 1));
        slots = index_slots(m->ix);
        if (ref > 50000 && ref % 100 == 0) {
            while (index_shrink(m->ix, 10000)) {
                continue;
            }
            assert_int_equal(index_slots(m->ix), slots);
        }
    }
    model_destroy(m);
    (void)state;
}

static void index__drains_in_slices(void **state)
{
    struct model *m = model_create(9);
    size_t left = 100000;
    bool more;

    model_fill(m, 1, 100000);
    for (uint32_t ref = 1; ref <= 3000; ref++) {
        model_remove(m, ref);
        left--;
    }
    (void)index_shrink(m->ix, 1000);
    do {
        more = index_drain(m->ix, 1000, mark_seen, m);
        assert_true(left - index_count(m->ix) <= 1000);
        left = index_count(m->ix);
    } while (more);
    assert_int_equal(left, 0);
    assert_int_equal(index_slots(m->ix), 0);
    for (uint32_t ref = 3001; ref <= 100000; ref++) {
        assert_int_equal(m->seen[ref], 1);
    }
    index_check(m->ix);
    model_destroy(m);
    (void)state;
}

static void index__random_reaches_every_slot(void **state)
{
    struct model *m = model_create(10);
    struct rng rng;

    rng_init_seed(&rng, 10);
    model_fill(m, 1, 500);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t slot = index_random(m->ix, rng_next(&rng));

        assert_in_range(slot_ref(slot), 1, 500);
        m->seen[slot_ref(slot)] |= 1;
    }
    for (uint32_t ref = 1; ref <= 500; ref++) {
        assert_int_equal(m->seen[ref], 1);
    }
    model_destroy(m);
    (void)state;
}

/* Equal hashes are refused beyond a stated number, and cost the others nothing. */
static void index__refuses_too_many_equal_hashes(void **state)
{
    struct model *m = model_create(11);
    uint32_t held = 0;

    m->hash_mask = 0;
    while (held < 1000 && model_insert(m, held + 1, 1)) {
        held++;
    }
    assert_int_equal(held, INDEX_SAME_HASH_MAX);
    assert_true(index_memory(m->ix) < 64 * 1024);
    model_check(m, 1000);
    for (uint32_t ref = 1; ref <= held; ref++) {
        model_remove(m, ref);
    }
    model_check(m, 1000);
    model_destroy(m);
    (void)state;
}

/* A hash with only a few differing bits, in any place: whatever is refused, nothing is lost. */
static void index__survives_poor_hashes(void **state)
{
    static const uint64_t masks[] = {
        0xff, 0xfff, UINT64_C(0xfff) << 52, UINT64_C(0xffff) << 30, UINT64_C(0xffff) << 20, 0xfffff,
    };

    for (unsigned k = 0; k < ARRAY_LEN(masks); k++) {
        struct model *m = model_create(12 + k);

        m->hash_mask = masks[k];
        for (uint32_t ref = 1; ref <= 20000; ref++) {
            (void)model_insert(m, ref, 1);
        }
        model_check(m, 20000);
        scan_while(m, 20000, 10, churn_nothing);
        assert_true(index_memory(m->ix) < 2 * 1024 * 1024);
        for (uint32_t ref = 1; ref <= 20000; ref++) {
            if (m->policy[ref] != 0) {
                model_remove(m, ref);
            }
        }
        while (index_shrink(m->ix, 1000)) {
            continue;
        }
        model_check(m, 20000);
        model_destroy(m);
    }
    (void)state;
}

static void index__loses_nothing_when_memory_fails(void **state)
{
    struct model *m = model_create(20);
    size_t refused = 0;
    size_t memory;

    m->refuse_from = 50;
    m->refuse_every = 3;
    for (uint32_t ref = 1; ref <= 60000; ref++) {
        refused += !model_insert(m, ref, 1);
        if (ref % 10000 == 0) {
            model_check(m, 60000);
        }
        if (ref > 10000 && ref % 2 == 0 && m->policy[ref - 5000] != 0) {
            model_remove(m, ref - 5000);
            (void)index_shrink(m->ix, 10);
        }
    }
    model_check(m, 60000);

    m->refuse_from = m->allocations;
    m->refuse_every = 0;
    memory = index_memory(m->ix);
    for (uint32_t ref = 60001; ref <= 160000; ref++) {
        refused += !model_insert(m, ref, 1);
    }
    assert_true(refused > 50000);
    assert_true(m->count > index_slots(m->ix) * 9 / 10);
    assert_int_equal(index_memory(m->ix), memory);
    model_check(m, 160000);
    m->refuse_from = UINT64_MAX;
    model_fill(m, 200001, 220000);
    model_check(m, 220000);
    model_destroy(m);
    (void)state;
}

static void index__create_fails_cleanly_without_memory(void **state)
{
    struct model m = {.refuse_from = 0};
    struct index_owner owner = {.ctx = &m, .may_allocate = model_may_allocate};
    struct index *ix = NULL;

    assert_true(index_create(&ix, &owner, &m.memory) < 0);
    assert_null(ix);
    assert_int_equal(m.memory, 0);
    (void)state;
}

/* Bytes per key; the bench has the sweep up to 20 M. */
static void index__is_small_at_every_size(void **state)
{
    struct model *m = model_create(21);
    uint32_t next = 150000;

    for (uint32_t ref = 1; ref <= REF_MAX; ref++) {
        assert_true(model_insert(m, ref, 1));
        if (ref == next) {
            assert_true((double)index_memory(m->ix) / ref <= 13.0);
            assert_true(index_growth_bytes(m->ix) <= 64 * 1024);
            next += next / 50;
        }
    }
    model_destroy(m);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index__empty_costs_little_and_finds_nothing),
        cmocka_unit_test(index__agrees_with_a_plain_array),
        cmocka_unit_test(index__stays_compact_under_churn),
        cmocka_unit_test(index__scan_shows_each_slot_once_at_rest),
        cmocka_unit_test(index__scan_misses_nothing_while_growing_and_shrinking),
        cmocka_unit_test(index__any_cursor_is_harmless),
        cmocka_unit_test(index__shrinks_to_next_to_nothing),
        cmocka_unit_test(index__does_not_flap),
        cmocka_unit_test(index__drains_in_slices),
        cmocka_unit_test(index__random_reaches_every_slot),
        cmocka_unit_test(index__refuses_too_many_equal_hashes),
        cmocka_unit_test(index__survives_poor_hashes),
        cmocka_unit_test(index__loses_nothing_when_memory_fails),
        cmocka_unit_test(index__create_fails_cleanly_without_memory),
        cmocka_unit_test(index__is_small_at_every_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
