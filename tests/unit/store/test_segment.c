/* The arena: which segments are handed out, what is counted as resident, and that pages go back. */
#include "src/store/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define SEGMENT_BYTES 65536u

static int setup(void **state)
{
    static struct segments sg;
    *state = &sg;
    return segments_init(&sg, SEGMENT_BYTES, 64 * SEGMENT_BYTES, false);
}

static int teardown(void **state)
{
    segments_fini(*state);
    return 0;
}

static void segment__zero_is_never_handed_out(void **state)
{
    struct segments *sg = *state;
    uint32_t id = segments_take(sg);
    assert_int_equal(id, 1);
    assert_true(ref_of(sg, segment_data(sg, id)) > 0);
    assert_int_equal(segment_of(sg, ref_of(sg, segment_data(sg, id) + SEGMENT_BYTES - 8)), 1);
    assert_int_equal(segment_of_pointer(sg, segment_data(sg, id) + 100), 1);
    assert_int_equal(segment_of_pointer(sg, &id), SEGMENT_NONE);
}

static void segment__fresh_one_costs_only_what_is_written(void **state)
{
    struct segments *sg = *state;
    uint32_t id = segments_take(sg);
    assert_int_equal(sg->resident_bytes, 0);
    size_t more = segments_extension(sg, id, 100);
    segments_extend(sg, id, 100);
    assert_int_equal(sg->resident_bytes, more);
    assert_true(more >= 100 && more < SEGMENT_BYTES);
    memory_unpoison(segment_data(sg, id), 100);
    memset(segment_data(sg, id), 1, 100);
    segment_at(sg, id)->used = 100;
    segments_trim(sg, id);
    assert_int_equal(sg->resident_bytes, 4096);
}

static void segment__freed_one_is_reused_with_its_pages(void **state)
{
    struct segments *sg = *state;
    uint32_t a = segments_take(sg), b = segments_take(sg);
    segments_extend(sg, a, SEGMENT_BYTES);
    segments_extend(sg, b, SEGMENT_BYTES);
    segments_give(sg, b);
    assert_int_equal(sg->free_bytes, SEGMENT_BYTES);
    assert_int_equal(segments_take(sg), b);
    assert_int_equal(segment_at(sg, b)->resident, SEGMENT_BYTES);
    assert_int_equal(sg->free_bytes, 0);
    assert_int_equal(sg->used, 2);
}

static void segment__released_pages_are_gone(void **state)
{
    struct segments *sg = *state;
    uint32_t id = segments_take(sg);
    segments_extend(sg, id, SEGMENT_BYTES);
    memory_unpoison(segment_data(sg, id), SEGMENT_BYTES);
    memset(segment_data(sg, id), 7, SEGMENT_BYTES);
    segments_give(sg, id);
    assert_int_equal(segments_release_one(sg), SEGMENT_BYTES);
    assert_int_equal(segments_release_one(sg), 0);
    assert_int_equal(sg->resident_bytes, 0);
    assert_int_equal(segments_take(sg), id);
    memory_unpoison(segment_data(sg, id), SEGMENT_BYTES);
    assert_int_equal(segment_data(sg, id)[1000], 0); /* a fresh page */
}

static void segment__lowest_bare_one_comes_first(void **state)
{
    struct segments *sg = *state;
    uint32_t ids[6];
    for (unsigned i = 0; i < 6; i++) {
        ids[i] = segments_take(sg);
    }
    segments_give(sg, ids[4]);
    segments_give(sg, ids[1]);
    segments_give(sg, ids[3]);
    assert_int_equal(segments_take(sg), ids[1]);
    assert_int_equal(segments_take(sg), ids[3]);
    segments_give(sg, ids[0]);
    assert_int_equal(segments_take(sg), ids[0]);
    assert_int_equal(segments_take(sg), ids[4]);
    assert_int_equal(segments_take(sg), 7);
}

static void segment__full_arena_says_so(void **state)
{
    struct segments *sg = *state;
    for (unsigned i = 1; i < 64; i++) {
        assert_int_equal(segments_take(sg), i);
    }
    assert_int_equal(segments_take(sg), SEGMENT_NONE);
    segments_give(sg, 9);
    assert_int_equal(segments_take(sg), 9);
}

static void segment__lists_keep_order(void **state)
{
    struct segments *sg = *state;
    struct segment_list l = {0};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(segments_take(sg), i + 1);
    }
    segment_list_push_back(sg, &l, LINK_QUEUE, 2);
    segment_list_push_back(sg, &l, LINK_QUEUE, 3);
    segment_list_push_front(sg, &l, LINK_QUEUE, 1);
    segment_list_remove(sg, &l, LINK_QUEUE, 2);
    assert_int_equal(l.count, 2);
    assert_int_equal(l.head, 1);
    assert_int_equal(segment_at(sg, 1)->links[LINK_QUEUE].next, 3);
    assert_int_equal(l.tail, 3);
    segment_list_remove(sg, &l, LINK_QUEUE, 3);
    segment_list_remove(sg, &l, LINK_QUEUE, 1);
    assert_int_equal(l.head, SEGMENT_NONE);
    assert_int_equal(l.tail, SEGMENT_NONE);
}

static void segment__age_survives_wrapping(void **state)
{
    (void)state;
    struct segment a = {.seq = UINT32_MAX - 1}, b = {.seq = 3};
    assert_true(segment_is_older(&a, &b));
    assert_false(segment_is_older(&b, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(segment__zero_is_never_handed_out, setup, teardown),
        cmocka_unit_test_setup_teardown(segment__fresh_one_costs_only_what_is_written, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(segment__freed_one_is_reused_with_its_pages, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(segment__released_pages_are_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(segment__lowest_bare_one_comes_first, setup, teardown),
        cmocka_unit_test_setup_teardown(segment__full_arena_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(segment__lists_keep_order, setup, teardown),
        cmocka_unit_test(segment__age_survives_wrapping),
    };
    return cmocka_run_group_tests_name("store/segment", tests, NULL, NULL);
}
