/* Growth, consumption, failure and formatting of the byte buffer. */
#include "tarn/base/buf.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fault_alloc.h"

static int setup(void **state)
{
    static struct buf b;
    buf_init(&b);
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    buf_fini(*state);
    return 0;
}

static void assert_holds(const struct buf *b, const char *text)
{
    assert_true(strview_eq(buf_view(b), strview_str(text)));
    assert_int_equal(buf_len(b), strlen(text));
}

static void buf__starts_empty_without_memory(void **state)
{
    struct buf *b = *state;
    assert_null(b->data);
    assert_int_equal(buf_view(b).len, 0);
    assert_true(buf_append(b, NULL, 0));
    assert_null(b->data);
    buf_fini(b); /* of a zeroed buffer */
    buf_fini(b);
}

static void buf__keeps_order_while_growing(void **state)
{
    struct buf *b = *state;
    for (unsigned i = 0; i < 100000; i++) {
        assert_true(buf_append_char(b, (char)i));
        assert_true(b->cap <= 2 * (size_t)(i + 1) + 64);
    }
    struct strview v = buf_view(b);
    assert_int_equal(v.len, 100000);
    for (unsigned i = 0; i < 100000; i++) {
        assert_int_equal((unsigned char)v.data[i], i & 0xff);
    }
}

static void buf__quotes_a_word_that_a_line_would_not_give_back(void **state)
{
    struct buf *b = *state;
    assert_true(buf_append_word(b, strview_str("plain-1.5/x:y")));
    assert_holds(b, "plain-1.5/x:y");
    buf_clear(b);
    assert_true(buf_append_word(b, strview_str("")));
    assert_holds(b, "\"\"");
    buf_clear(b);
    assert_true(buf_append_word(b, strview_str("a b'\"\\#\n\xc3\xa9")));
    assert_holds(b, "\"a b'\\\"\\\\#\\x0a\xc3\xa9\"");
}

static void buf__starts_again_at_the_front_when_emptied(void **state)
{
    struct buf *b = *state;
    assert_true(buf_append_str(b, "hello"));
    buf_consume(b, 2);
    assert_holds(b, "llo");
    buf_consume(b, 3);
    assert_int_equal(b->head, 0);
    assert_int_equal(b->tail, 0);
}

/* A stream that is read as fast as it is written needs no more than twice what is in flight, and
 * every byte is moved at most once on average. */
static void buf__steady_stream_does_not_grow(void **state)
{
    struct buf *b = *state;
    unsigned char in = 0;
    unsigned char out = 0;
    for (int i = 0; i < 1000; i++) {
        assert_true(buf_append_char(b, (char)in++));
    }
    for (int i = 0; i < 1000000; i++) {
        assert_true(buf_append_char(b, (char)in++));
        assert_int_equal((unsigned char)*buf_view(b).data, out++);
        buf_consume(b, 1);
    }
    assert_true(b->cap <= 4096);
}

static void buf__moves_to_the_front_before_it_grows(void **state)
{
    struct buf *b = *state;
    char block[64];
    memset(block, 'x', sizeof(block));
    assert_true(buf_append(b, block, sizeof(block)));
    size_t cap = b->cap;
    buf_consume(b, 60);
    assert_true(buf_append(b, "0123456789", 10));
    assert_int_equal(b->cap, cap);
    assert_holds(b, "xxxx0123456789");
}

static void buf__growing_drops_what_was_consumed(void **state)
{
    struct buf *b = *state;
    assert_true(buf_append_str(b, "abcdef"));
    buf_consume(b, 2);
    char block[1000];
    memset(block, 'y', sizeof(block));
    assert_true(buf_append(b, block, sizeof(block)));
    assert_int_equal(b->head, 0);
    assert_int_equal(buf_len(b), 1004);
    assert_memory_equal(buf_view(b).data, "cdefyy", 6);
}

static void buf__refused_append_leaves_the_contents(void **state)
{
    struct buf *b = *state;
    assert_true(buf_append_str(b, "kept"));
    assert_false(buf_reserve(b, BUF_MAX_BYTES - 3));
    assert_true(b->failed);
    assert_false(buf_reserve(b, SIZE_MAX));
    assert_false(buf_reserve(b, SIZE_MAX - 4));
    assert_holds(b, "kept");
    assert_true(buf_append_str(b, " and usable"));
    assert_holds(b, "kept and usable");
    assert_true(b->failed); /* until told otherwise */
    buf_clear(b);
    assert_false(b->failed);
    assert_int_equal(buf_len(b), 0);
}

static void buf__short_memory_is_tried_with_what_is_needed(void **state)
{
    struct buf *b = *state;
    char block[100];
    memset(block, 'z', sizeof(block));
    assert_true(buf_append(b, block, sizeof(block)));
    fault_alloc_arm(0, 1); /* doubling fails, the exact size is had */
    assert_true(buf_append(b, block, 1));
    assert_true(fault_alloc_disarm());
    assert_false(b->failed);
    assert_int_equal(b->cap, 101);
}

static void buf__failed_allocation_leaves_the_contents(void **state)
{
    struct buf *b = *state;
    for (size_t consumed = 0; consumed <= 1; consumed++) { /* realloc, and malloc with a copy */
        buf_fini(b);
        assert_true(buf_append_str(b, "kept"));
        buf_consume(b, consumed);
        fault_alloc_arm(0, 2);
        assert_false(buf_reserve(b, 1000));
        assert_true(fault_alloc_disarm());
        assert_true(b->failed);
        assert_holds(b, &"kept"[consumed]);
        fault_alloc_arm(0, 2);
        assert_false(buf_printf(b, "%1000d", 1));
        assert_true(fault_alloc_disarm());
        assert_holds(b, &"kept"[consumed]);
        assert_true(buf_append_str(b, "!"));
        assert_true(b->failed);
    }
}

static void buf__reserve_and_commit_write_in_place(void **state)
{
    struct buf *b = *state;
    assert_true(buf_reserve(b, 3));
    memcpy(buf_tail(b), "abc", 3);
    buf_commit(b, 2);
    assert_holds(b, "ab");
}

static void buf__truncate_undoes_appends(void **state)
{
    struct buf *b = *state;
    assert_true(buf_append_str(b, "xxkeep"));
    buf_consume(b, 2);
    size_t before = buf_len(b);
    assert_true(buf_append_str(b, " this not"));
    buf_truncate(b, before);
    assert_holds(b, "keep");
}

static void buf__prints_numbers_at_their_limits(void **state)
{
    struct buf *b = *state;
    assert_true(buf_append_i64(b, INT64_MIN));
    assert_true(buf_append_char(b, ' '));
    assert_true(buf_append_i64(b, INT64_MAX));
    assert_true(buf_append_char(b, ' '));
    assert_true(buf_append_u64(b, UINT64_MAX));
    assert_true(buf_append_char(b, ' '));
    assert_true(buf_append_u64(b, 0));
    assert_holds(b, "-9223372036854775808 9223372036854775807 18446744073709551615 0");
}

static void buf__printf_grows_for_long_texts(void **state)
{
    struct buf *b = *state;
    assert_true(buf_printf(b, "%s", "")); /* nothing, from nothing */
    assert_int_equal(buf_len(b), 0);
    assert_true(buf_printf(b, "%d-%s;", 7, "seven"));
    assert_holds(b, "7-seven;");
    assert_true(buf_printf(b, "%1000d", 1));
    assert_int_equal(buf_len(b), 1008);
    assert_int_equal(buf_view(b).data[1007], '1');
}

static void buf__printf_fits_exactly(void **state)
{
    struct buf *b = *state;
    for (int width = 1; width < 300; width++) {
        buf_fini(b);
        assert_true(buf_append_str(b, "x"));
        assert_true(buf_printf(b, "%*d", width, 1));
        assert_int_equal(buf_len(b), (size_t)width + 1);
        assert_int_equal(buf_view(b).data[width], '1');
    }
}

static void buf__shrinks_only_when_empty_and_large(void **state)
{
    struct buf *b = *state;
    assert_true(buf_reserve(b, 10000));
    assert_true(buf_append_str(b, "x"));
    buf_shrink(b, 100);
    assert_true(b->cap >= 10000);
    buf_consume(b, 1);
    buf_shrink(b, b->cap);
    assert_true(b->cap >= 10000);
    buf_shrink(b, 100);
    assert_int_equal(b->cap, 0);
    assert_null(b->data);
    assert_true(buf_append_str(b, "again"));
    assert_holds(b, "again");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(buf__starts_empty_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(buf__keeps_order_while_growing, setup, teardown),
        cmocka_unit_test_setup_teardown(buf__quotes_a_word_that_a_line_would_not_give_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(buf__starts_again_at_the_front_when_emptied, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(buf__steady_stream_does_not_grow, setup, teardown),
        cmocka_unit_test_setup_teardown(buf__moves_to_the_front_before_it_grows, setup, teardown),
        cmocka_unit_test_setup_teardown(buf__growing_drops_what_was_consumed, setup, teardown),
        cmocka_unit_test_setup_teardown(buf__refused_append_leaves_the_contents, setup, teardown),
        cmocka_unit_test_setup_teardown(buf__short_memory_is_tried_with_what_is_needed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(buf__failed_allocation_leaves_the_contents, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(buf__reserve_and_commit_write_in_place, setup, teardown),
        cmocka_unit_test_setup_teardown(buf__truncate_undoes_appends, setup, teardown),
        cmocka_unit_test_setup_teardown(buf__prints_numbers_at_their_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(buf__printf_grows_for_long_texts, setup, teardown),
        cmocka_unit_test_setup_teardown(buf__printf_fits_exactly, setup, teardown),
        cmocka_unit_test_setup_teardown(buf__shrinks_only_when_empty_and_large, setup, teardown),
    };
    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
