/* Bind values as libpq takes them. */
#include "src/source/pg_params.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "src/source/pg_rows.h"

#define TEXT(t)                                                          \
    {                                                                    \
        .bytes = {.data = (t), .len = sizeof(t) - 1}, .type = VALUE_TEXT \
    }
#define BYTES(t)                                                          \
    {                                                                     \
        .bytes = {.data = (t), .len = sizeof(t) - 1}, .type = VALUE_BYTES \
    }
#define INT(n)                           \
    {                                    \
        .number = (n), .type = VALUE_INT \
    }

static struct pg_request *bind_all(const struct driver_value *values, unsigned count)
{
    struct pg_request *r = malloc(sizeof(*r) + pg_values_bytes(values, count));
    assert_non_null(r);
    *r = (struct pg_request){0};
    pg_bind(r, values, count);
    assert_int_equal(r->params_count, count);
    return r;
}

static void pg_bind__values_follow_each_other(void **state)
{
    (void)state;
    const struct driver_value values[] = {INT(INT64_MIN),       TEXT("one"),     TEXT(""),
                                          {.type = VALUE_NULL}, BYTES("\0\xff"), INT(0)};
    struct pg_request *r = bind_all(values, 6);
    assert_string_equal(r->values[0], "-9223372036854775808");
    assert_string_equal(r->values[1], "one");
    assert_string_equal(r->values[2], "");
    assert_null(r->values[3]);
    assert_memory_equal(r->values[4], "\0\xff", 3);
    assert_string_equal(r->values[5], "0");
    assert_int_equal(r->lengths[0], 20);
    assert_int_equal(r->lengths[4], 2);
    assert_int_equal(r->formats[1], 0);
    assert_int_equal(r->formats[4], 1);
    free(r);
}

static void pg_bind__marks_wide_integers_and_what_is_no_text(void **state)
{
    (void)state;
    const struct driver_value values[] = {INT(INT32_MAX),       INT((int64_t)INT32_MAX + 1),
                                          INT(INT32_MIN),       INT((int64_t)INT32_MIN - 1),
                                          TEXT("\xc3\xa9"),     TEXT("a\0b"),
                                          BYTES("\xff"),        BYTES("plain"),
                                          {.type = VALUE_NULL}, TEXT("")};
    struct pg_request *r = bind_all(values, 10);
    assert_int_equal(r->wide_params, 1 << 1 | 1 << 3);
    assert_int_equal(r->raw_params, 1 << 5 | 1 << 6);
    assert_int_equal(r->wide_types[0], PG_INT8);
    assert_int_equal(r->wide_types[4], 0);
    free(r);
}

static void assert_array(const struct driver_value *values, unsigned count, const char *expected)
{
    struct buf out;
    buf_init(&out);
    pg_write_array(&out, values, count);
    buf_append_char(&out, '\0');
    assert_string_equal(buf_view(&out).data, expected);
    buf_fini(&out);
}

static void pg_write_array__quotes_every_text(void **state)
{
    (void)state;
    const struct driver_value numbers[] = {INT(1), INT(-2), INT(INT64_MAX)};
    const struct driver_value texts[] = {TEXT("a"), TEXT(""), TEXT("NULL"), TEXT("\\\"{,}")};
    assert_array(numbers, 3, "{1,-2,9223372036854775807}");
    assert_array(numbers, 1, "{1}");
    assert_array(texts, 4, "{\"a\",\"\",\"NULL\",\"\\\\\\\"{,}\"}");
    assert_true(pg_has_wide(numbers, 3));
    assert_false(pg_has_wide(numbers, 2));
    assert_false(pg_has_wide(texts, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pg_bind__values_follow_each_other),
        cmocka_unit_test(pg_bind__marks_wide_integers_and_what_is_no_text),
        cmocka_unit_test(pg_write_array__quotes_every_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
