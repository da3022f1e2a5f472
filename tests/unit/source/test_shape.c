/* Rows -> value. */
#include "src/source/shape.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fault_alloc.h"
#include "tarn/source/driver.h"

#define NO_OTHER_COLUMNS .expires_column = "", .canon = "", .bulk = "", .tags = ""

/* "name:type=value|name:type=value": one row; the types are the first letters n i r b t y(bytes) j.
 */
static struct rows *make_rows(const char *text, unsigned count, bool has_more)
{
    static const char types[] = "nirbtyj";
    struct rows_builder b;
    struct strview names[16], values[16];
    enum cell_type cell_types[16];
    unsigned columns = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, "|");
        const char *colon = strchr(text, ':');
        names[columns] = strview_of(text, (size_t)(colon - text));
        cell_types[columns] = (enum cell_type)(strchr(types, colon[1]) - types);
        values[columns] = strview_of(colon + 3, len - names[columns].len - 3);
        columns++;
        text += len + (text[len] == '|');
    }
    rows_begin(&b, columns);
    for (unsigned i = 0; i < columns; i++) {
        rows_add(&b, CELL_TEXT, names[i]);
    }
    for (unsigned i = 0; i < columns * count; i++) {
        rows_add(&b, cell_types[i % columns], values[i % columns]);
    }
    struct rows *r = rows_finish(&b, has_more);
    assert_non_null(r);
    assert_int_equal(r->columns, columns);
    assert_int_equal(r->count, columns > 0 ? count : 0);
    return r;
}

static void assert_shapes(const struct shape *s, const char *text, const char *expected)
{
    struct buf scratch;
    buf_init(&scratch);
    struct rows *r = make_rows(text, 1, false);
    struct shaped out = shape_rows(s, r, 0, r->count, &scratch);
    if (out.status != SHAPE_FOUND || !strview_eq(out.value, strview_str(expected))) {
        fail_msg("%s: '%.*s' (%s) instead of '%s'", text, STRVIEW_ARG(out.value),
                 out.problem != NULL ? out.problem : "", expected);
    }
    free(r);
    buf_fini(&scratch);
}

static enum shape_status status_of(const struct shape *s, const char *text, unsigned count,
                                   bool has_more)
{
    struct buf scratch;
    buf_init(&scratch);
    struct rows *r = make_rows(text, count, has_more);
    struct shaped out = shape_rows(s, r, 0, r->count, &scratch);
    assert_true((out.problem != NULL) == (out.status == SHAPE_MISFIT));
    free(r);
    buf_fini(&scratch);
    return out.status;
}

static void shape__json_shows_each_type(void **state)
{
    (void)state;
    struct shape s = {.as = SHAPE_JSON, .ttl_column = "", NO_OTHER_COLUMNS};
    assert_shapes(&s, "a:n=|b:i=-5|c:r=1.5|d:b=1|e:b=0|f:t=x\"y|g:y=foo|h:j={\"k\": 1}",
                  "{\"a\":null,\"b\":-5,\"c\":1.5,\"d\":true,\"e\":false,\"f\":\"x\\\"y\",\"g\":"
                  "\"Zm9v\",\"h\":{\"k\": 1}}");
    assert_shapes(&s, "a:i=123456789012345678901234567890",
                  "{\"a\":123456789012345678901234567890}");
    assert_shapes(&s, "a:r=inf|b:r=-Inf|c:r=nan", "{\"a\":null,\"b\":null,\"c\":null}");
    assert_shapes(&s, "we \"ird\":t=", "{\"we \\\"ird\\\"\":\"\"}");
    s.bytes = SHAPE_BYTES_HEX;
    assert_shapes(&s, "a:y=foo", "{\"a\":\"666f6f\"}");
    assert_int_equal(status_of(&s, "a:t=x|a:t=y", 1, false), SHAPE_MISFIT);
    assert_int_equal(status_of(&s, "a:j={", 1, false), SHAPE_MISFIT);
    assert_int_equal(status_of(&s, "a:t=\xff", 1, false), SHAPE_MISFIT);
    s.utf8 = SHAPE_UTF8_REPLACE;
    assert_shapes(&s, "a:t=\xff", "{\"a\":\"\xef\xbf\xbd\"}");
}

static void shape__string_is_one_column(void **state)
{
    (void)state;
    struct shape s = {.as = SHAPE_STRING, .ttl_column = "", NO_OTHER_COLUMNS};
    assert_shapes(&s, "a:t=x\xff", "x\xff");
    assert_shapes(&s, "a:b=1", "1");
    assert_shapes(&s, "a:t=", "");
    assert_int_equal(status_of(&s, "a:t=x|b:t=y", 1, false), SHAPE_MISFIT);
    assert_int_equal(status_of(&s, "a:t=x|b:t=y", 0, false), SHAPE_MISFIT);
    assert_int_equal(status_of(&s, "", 0, false), SHAPE_MISFIT);
}

static void shape__raw_is_checked(void **state)
{
    (void)state;
    struct shape s = {.as = SHAPE_RAW, .ttl_column = "", NO_OTHER_COLUMNS};
    assert_shapes(&s, "a:t= {\"x\":1} ", " {\"x\":1} ");
    assert_shapes(&s, "a:j=[1]", "[1]");
    assert_shapes(&s, "a:i=7", "7");
    assert_shapes(&s, "a:b=0", "false");
    assert_int_equal(status_of(&s, "a:t={", 1, false), SHAPE_MISFIT);
    assert_int_equal(status_of(&s, "a:r=inf", 1, false), SHAPE_MISFIT);
    assert_int_equal(status_of(&s, "a:t=\"\xff\"", 1, false), SHAPE_MISFIT);
    s.utf8 = SHAPE_UTF8_REPLACE;
    assert_shapes(&s, "a:t=\"\xff\"", "\"\xef\xbf\xbd\"");
}

/* Rule 31. */
static void shape__null_empty_and_absent_differ(void **state)
{
    (void)state;
    struct shape s = {.as = SHAPE_STRING, .ttl_column = "", NO_OTHER_COLUMNS};
    assert_int_equal(status_of(&s, "a:t=", 1, false), SHAPE_FOUND);
    assert_int_equal(status_of(&s, "a:t=", 0, false), SHAPE_ABSENT);
    assert_int_equal(status_of(&s, "a:n=", 1, false), SHAPE_ABSENT);
    s.null = SHAPE_NULL_ERROR;
    assert_int_equal(status_of(&s, "a:n=", 1, false), SHAPE_MISFIT);
    assert_int_equal(status_of(&s, "a:n=", 0, false), SHAPE_ABSENT);
    s.null = SHAPE_NULL_EMPTY;
    assert_shapes(&s, "a:n=", "");
    s.as = SHAPE_JSON;
    s.null = SHAPE_NULL_ERROR;
    assert_shapes(&s, "a:n=", "{\"a\":null}"); /* a row of NULLs is a row */
}

static void shape__second_row_is_an_error_unless_first_is_wanted(void **state)
{
    (void)state;
    struct shape s = {.as = SHAPE_STRING, .ttl_column = "", NO_OTHER_COLUMNS};
    assert_int_equal(status_of(&s, "a:t=x", 2, false), SHAPE_MISFIT);
    assert_int_equal(status_of(&s, "a:t=x", 1, true), SHAPE_MISFIT);
    s.rows = SHAPE_ROWS_FIRST;
    assert_int_equal(status_of(&s, "a:t=x", 2, false), SHAPE_FOUND);
    assert_int_equal(status_of(&s, "a:t=x", 1, true), SHAPE_FOUND);
}

static void assert_ttl(const char *text, bool has_ttl, int64_t ttl_ms)
{
    struct shape s = {.as = SHAPE_STRING, .ttl_column = "ttl", NO_OTHER_COLUMNS};
    struct buf scratch;
    buf_init(&scratch);
    struct rows *r = make_rows(text, 1, false);
    struct shaped out = shape_rows(&s, r, 0, r->count, &scratch);
    assert_int_equal(out.status, SHAPE_FOUND);
    assert_true(strview_eq(out.value, strview_str("x")));
    assert_int_equal(out.has_ttl, has_ttl);
    assert_int_equal(out.has_ttl ? out.ttl_ms : 0, ttl_ms);
    free(r);
    buf_fini(&scratch);
}

static void shape__ttl_column_is_read_and_left_out(void **state)
{
    (void)state;
    assert_ttl("v:t=x|ttl:i=60", true, 60000);
    assert_ttl("ttl:i=60|v:t=x", true, 60000);
    assert_ttl("v:t=x|ttl:r=1.5", true, 1500);
    assert_ttl("v:t=x|ttl:t=2m", true, 120000);
    assert_ttl("v:t=x|ttl:n=", false, 0);
    assert_ttl("v:t=x|ttl:i=0", true, 0);
    assert_ttl("v:t=x|ttl:i=-7", true, 0);
    assert_ttl("v:t=x|ttl:r=nan", true, 0);
    assert_ttl("v:t=x|ttl:t=soon", true, 0);
    assert_ttl("v:t=x|ttl:y=60", true, 0);
    assert_ttl("v:t=x|ttl:r=inf", true, INT64_C(315360000000));
    assert_ttl("v:t=x|ttl:i=9223372036854775807", true, INT64_C(315360000000));
    struct shape s = {.as = SHAPE_JSON, .ttl_column = "ttl", NO_OTHER_COLUMNS};
    assert_shapes(&s, "a:i=1|ttl:i=5|b:i=2", "{\"a\":1,\"b\":2}");
    assert_int_equal(status_of(&s, "a:i=1", 1, false), SHAPE_MISFIT);
    assert_int_equal(status_of(&s, "ttl:i=1", 1, false), SHAPE_MISFIT);
}

static void shape__want_of_memory_is_an_error(void **state)
{
    (void)state;
    struct shape s = {.as = SHAPE_JSON, .ttl_column = "", NO_OTHER_COLUMNS};
    struct buf scratch;
    buf_init(&scratch);
    struct rows *r = make_rows("a:t=some text", 1, false);
    fault_alloc_arm(0, 100);
    assert_int_equal(shape_rows(&s, r, 0, r->count, &scratch).status, SHAPE_MISFIT);
    assert_true(fault_alloc_disarm());
    assert_int_equal(shape_rows(&s, r, 0, r->count, &scratch).status, SHAPE_FOUND);
    free(r);
    buf_fini(&scratch);
    for (size_t good = 0; good < 3; good++) {
        struct rows_builder b;
        rows_begin(&b, 1);
        fault_alloc_arm(good, 1);
        rows_add(&b, CELL_TEXT, strview_str("name"));
        for (int i = 0; i < 100; i++) {
            rows_add(&b, CELL_TEXT, strview_str("0123456789"));
        }
        r = rows_finish(&b, false);
        assert_true(fault_alloc_disarm());
        assert_null(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape__json_shows_each_type),
        cmocka_unit_test(shape__string_is_one_column),
        cmocka_unit_test(shape__raw_is_checked),
        cmocka_unit_test(shape__null_empty_and_absent_differ),
        cmocka_unit_test(shape__second_row_is_an_error_unless_first_is_wanted),
        cmocka_unit_test(shape__ttl_column_is_read_and_left_out),
        cmocka_unit_test(shape__want_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
