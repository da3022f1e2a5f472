/* The intrusive hash map, while it grows and while it shrinks. */
#include "tarn/base/hmap.h"

#include <stdlib.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fault_alloc.h"

#define THINGS 5000

struct thing {
    struct hmap_link link;
    int value;
};

static uint64_t hash_of(int value)
{
    return (uint64_t)value * UINT64_C(0x9e3779b97f4a7c15);
}

static struct thing *find(const struct hmap *m, uint64_t hash, int value)
{
    for (struct hmap_link *l = hmap_first(m, hash); l != NULL; l = hmap_next(l)) {
        struct thing *t = container_of(l, struct thing, link);
        if (t->value == value) {
            return t;
        }
    }
    return NULL;
}

static void hmap__an_empty_one_finds_nothing(void **state)
{
    struct hmap m = {0};
    assert_null(hmap_first(&m, 1));
    assert_int_equal(hmap_memory(&m), 0);
    hmap_fini(&m);
}

/* After each insertion and removal everything that should be there is: growth moves entries bit by
 * bit. */
static void hmap__finds_all_while_it_grows_and_empties(void **state)
{
    struct hmap m = {0};
    struct thing *things = calloc(THINGS, sizeof(*things));
    assert_non_null(things);
    for (int i = 0; i < THINGS; i++) {
        things[i].value = i;
        assert_true(hmap_insert(&m, &things[i].link, hash_of(i)));
        for (int k = i; k >= 0; k -= 1 + i / 50) {
            assert_ptr_equal(find(&m, hash_of(k), k), &things[k]);
        }
        assert_null(find(&m, hash_of(i + 1), i + 1));
    }
    assert_int_equal(m.count, THINGS);
    for (int i = 0; i < THINGS; i += 2) {
        hmap_remove(&m, &things[i].link);
    }
    for (int i = 0; i < THINGS; i++) {
        assert_ptr_equal(find(&m, hash_of(i), i), i % 2 == 0 ? NULL : &things[i]);
    }
    for (int i = 1; i < THINGS; i += 2) {
        hmap_remove(&m, &things[i].link);
    }
    assert_int_equal(m.count, 0);
    assert_int_equal(hmap_memory(&m), 0);
    free(things);
}

static void hmap__equal_hashes_are_told_apart(void **state)
{
    struct hmap m = {0};
    struct thing things[3] = {{.value = 1}, {.value = 2}, {.value = 3}};
    for (int i = 0; i < 3; i++) {
        assert_true(hmap_insert(&m, &things[i].link, 7));
    }
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(find(&m, 7, i + 1), &things[i]);
    }
    hmap_remove(&m, &things[1].link);
    assert_null(find(&m, 7, 2));
    assert_non_null(find(&m, 7, 1));
    assert_non_null(find(&m, 7, 3));
    hmap_fini(&m);
}

/* Without memory for the first buckets nothing goes in; without memory to grow it just goes on. */
static void hmap__survives_failing_allocations(void **state)
{
    struct hmap m = {0};
    struct thing things[100];
    fault_alloc_arm(0, 1);
    assert_false(hmap_insert(&m, &things[0].link, 1));
    assert_true(fault_alloc_disarm());
    for (int i = 0; i < 100; i++) {
        things[i].value = i;
        fault_alloc_arm(0, i >= 16 ? 1 : 0);
        assert_true(hmap_insert(&m, &things[i].link, hash_of(i)));
        assert_int_equal(fault_alloc_disarm(), i >= 16);
    }
    for (int i = 0; i < 100; i++) {
        assert_ptr_equal(find(&m, hash_of(i), i), &things[i]);
    }
    hmap_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmap__an_empty_one_finds_nothing),
        cmocka_unit_test(hmap__finds_all_while_it_grows_and_empties),
        cmocka_unit_test(hmap__equal_hashes_are_told_apart),
        cmocka_unit_test(hmap__survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
