/*
 * The pool of buffer memory: what is given comes back, within bounds, and does not stay for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/net/spares.h"

static void spares__give_the_latest_first(void **state)
{
    (void)state;
    struct spares s = {0};
    struct buf a = {0};
    struct buf b = {0};
    assert_true(buf_reserve(&a, 10000));
    assert_true(buf_reserve(&b, 20000));
    const char *latest = b.data;
    spares_give(&s, &a);
    spares_give(&s, &b);
    assert_null(a.data);
    assert_int_equal(s.bytes, 30000);
    struct buf c = {0};
    spares_take(&s, &c);
    assert_ptr_equal(c.data, latest);
    spares_take(&s, &c); /* has memory: nothing happens */
    assert_int_equal(s.count, 1);
    assert_int_equal(s.bytes, 10000);
    buf_fini(&c);
    spares_fini(&s);
}

static void spares__make_new_memory_when_there_is_none(void **state)
{
    (void)state;
    struct spares s = {0};
    struct buf b = {0};
    spares_take(&s, &b);
    assert_true(b.cap >= SPARE_BYTES_MIN);
    buf_fini(&b);
}

static void spares__are_bounded(void **state)
{
    (void)state;
    struct spares s = {0};
    const size_t sizes[] = {100, SPARE_BYTES_MAX + 1}; /* too small to keep, too large to keep */
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf b = {0};
        assert_true(buf_reserve(&b, sizes[i]));
        spares_give(&s, &b);
        assert_null(b.data);
        assert_int_equal(s.count, 0);
    }
    for (int i = 0; i < 2 * SPARES_MAX; i++) {
        struct buf b = {0};
        assert_true(buf_reserve(&b, i < SPARES_MAX ? 50000 : SPARE_BYTES_MIN));
        spares_give(&s, &b);
        assert_true(s.count <= SPARES_MAX);
        assert_true(s.bytes <= SPARES_BYTES_MAX);
    }
    spares_fini(&s);
}

static void spares__are_freed_when_nobody_takes_them(void **state)
{
    (void)state;
    struct spares s = {0};
    for (int i = 0; i < 3; i++) {
        struct buf b = {0};
        assert_true(buf_reserve(&b, 10000));
        spares_give(&s, &b);
    }
    spares_trim(&s); /* begins to watch */
    struct buf used = {0};
    spares_take(&s, &used);
    spares_give(&s, &used);
    for (int i = 0; i < 2; i++) {
        spares_trim(&s);
        assert_int_equal(s.count, 2 - i);
        spares_take(&s, &used); /* one of them is in use all the time */
        spares_give(&s, &used);
    }
    spares_trim(&s);
    assert_int_equal(s.count, 1);
    spares_trim(&s);
    assert_int_equal(s.count, 0);
    assert_int_equal(s.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spares__give_the_latest_first),
        cmocka_unit_test(spares__make_new_memory_when_there_is_none),
        cmocka_unit_test(spares__are_bounded),
        cmocka_unit_test(spares__are_freed_when_nobody_takes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
