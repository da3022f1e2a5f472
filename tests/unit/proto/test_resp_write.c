/* The bytes of every element in both protocol versions. */
#include "tarn/proto/resp_write.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>

#include "fault_alloc.h"

/* The element's bytes in RESP2 and in RESP3; the buffer is emptied for the next. */
#define ASSERT_WRITES(call, resp2, resp3)                                         \
    do {                                                                          \
        struct buf out;                                                           \
        buf_init(&out);                                                           \
        struct resp_writer *w = &(struct resp_writer){.out = &out, .version = 2}; \
        call;                                                                     \
        assert_bytes(&out, (resp2), sizeof(resp2) - 1);                           \
        w->version = 3;                                                           \
        call;                                                                     \
        assert_bytes(&out, (resp3), sizeof(resp3) - 1);                           \
        buf_fini(&out);                                                           \
    } while (0)

#define ASSERT_WRITES_SAME(call, bytes) ASSERT_WRITES(call, bytes, bytes)

static void assert_bytes(struct buf *out, const char *expected, size_t len)
{
    struct strview got = buf_view(out);
    if (!strview_eq(got, strview_of(expected, len))) {
        print_error("got %.*s\n", STRVIEW_ARG(got));
        fail();
    }
    assert_false(out->failed);
    buf_clear(out);
}

static void resp_write__simple_strings_and_errors(void **state)
{
    (void)state;
    ASSERT_WRITES_SAME(resp_write_ok(w), "+OK\r\n");
    ASSERT_WRITES_SAME(resp_write_simple(w, strview_str("PONG")), "+PONG\r\n");
    ASSERT_WRITES_SAME(resp_write_simple(w, strview_of(NULL, 0)), "+\r\n");
    ASSERT_WRITES_SAME(resp_write_error(w, strview_str("ERR syntax error")),
                       "-ERR syntax error\r\n");
    ASSERT_WRITES_SAME(resp_write_errorf(w, "ERR unknown command '%.*s', %d", 3, "foobar", -7),
                       "-ERR unknown command 'foo', -7\r\n");
    ASSERT_WRITES_SAME(resp_write_raw(w, strview_str("*0\r\n")), "*0\r\n");
}

static void resp_write__makes_line_ends_in_text_safe(void **state)
{
    (void)state;
    ASSERT_WRITES_SAME(resp_write_simple(w, strview_str("a\r\n+b\n")), "+a  +b \r\n");
    ASSERT_WRITES_SAME(resp_write_error(w, strview_str("ERR '\r\n$1\r\nx'\r\n")),
                       "-ERR '  $1  x'  \r\n");
    ASSERT_WRITES_SAME(resp_write_errorf(w, "ERR no key '%s'", "k\r\n:1\r"),
                       "-ERR no key 'k  :1 '\r\n");
    ASSERT_WRITES_SAME(resp_write_error(w, strview_of("a\0b", 3)), "-a\0b\r\n");
    /* Only the error itself: what stands before it in the buffer stays. */
    ASSERT_WRITES_SAME((resp_write_ok(w), resp_write_errorf(w, "ERR %c", '\n')),
                       "+OK\r\n-ERR  \r\n");
}

static void resp_write__errors_may_be_long(void **state)
{
    enum { LEN = 5000 };
    (void)state;
    struct buf out;
    buf_init(&out);
    struct resp_writer w = {.out = &out, .version = 2};
    char text[LEN + 1];
    memset(text, 'x', LEN);
    text[LEN] = '\0';
    resp_write_errorf(&w, "%s", text);
    struct strview got = buf_view(&out);
    assert_int_equal(got.len, LEN + 3);
    assert_int_equal(got.data[0], '-');
    assert_memory_equal(got.data + 1, text, LEN);
    assert_memory_equal(got.data + 1 + LEN, "\r\n", 2);
    buf_fini(&out);
}

static void resp_write__integers(void **state)
{
    (void)state;
    ASSERT_WRITES_SAME(resp_write_int(w, 0), ":0\r\n");
    ASSERT_WRITES_SAME(resp_write_int(w, 9), ":9\r\n");
    ASSERT_WRITES_SAME(resp_write_int(w, 10), ":10\r\n");
    ASSERT_WRITES_SAME(resp_write_int(w, 99), ":99\r\n");
    ASSERT_WRITES_SAME(resp_write_int(w, 100), ":100\r\n");
    ASSERT_WRITES_SAME(resp_write_int(w, 999), ":999\r\n");
    ASSERT_WRITES_SAME(resp_write_int(w, 1000), ":1000\r\n");
    ASSERT_WRITES_SAME(resp_write_int(w, -1), ":-1\r\n");
    ASSERT_WRITES_SAME(resp_write_int(w, -12), ":-12\r\n");
    ASSERT_WRITES_SAME(resp_write_int(w, INT64_MAX), ":9223372036854775807\r\n");
    ASSERT_WRITES_SAME(resp_write_int(w, INT64_MIN), ":-9223372036854775808\r\n");
}

static void resp_write__every_small_number_as_printf_does(void **state)
{
    (void)state;
    struct buf out;
    struct buf expected;
    buf_init(&out);
    buf_init(&expected);
    struct resp_writer w = {.out = &out, .version = 2};
    for (int i = 0; i < 2000; i++) {
        resp_write_array(&w, (size_t)i);
        assert_true(buf_printf(&expected, "*%d\r\n", i));
    }
    assert_true(strview_eq(buf_view(&out), buf_view(&expected)));
    buf_fini(&out);
    buf_fini(&expected);
}

static void resp_write__bulks(void **state)
{
    (void)state;
    ASSERT_WRITES_SAME(resp_write_bulk(w, strview_str("hello")), "$5\r\nhello\r\n");
    ASSERT_WRITES_SAME(resp_write_bulk(w, strview_of(NULL, 0)), "$0\r\n\r\n");
    ASSERT_WRITES_SAME(resp_write_bulk(w, strview_of("\0\r\n\xff", 4)), "$4\r\n\0\r\n\xff\r\n");
    ASSERT_WRITES_SAME(resp_write_bulk_str(w, "hello world"), "$11\r\nhello world\r\n");
    ASSERT_WRITES_SAME(resp_write_bulk_i64(w, -42), "$3\r\n-42\r\n");
    ASSERT_WRITES_SAME(resp_write_bulk_i64(w, INT64_MIN), "$20\r\n-9223372036854775808\r\n");
    ASSERT_WRITES_SAME(memcpy(resp_write_bulk_uninit(w, 3), "abc", 3), "$3\r\nabc\r\n");
    ASSERT_WRITES_SAME((void)resp_write_bulk_uninit(w, 0), "$0\r\n\r\n");
    ASSERT_WRITES(resp_write_verbatim(w, "txt", strview_str("some")), "$4\r\nsome\r\n",
                  "=8\r\ntxt:some\r\n");
    ASSERT_WRITES(resp_write_verbatim(w, "txt", strview_of(NULL, 0)), "$0\r\n\r\n",
                  "=4\r\ntxt:\r\n");
}

static void resp_write__nulls_and_booleans(void **state)
{
    (void)state;
    ASSERT_WRITES(resp_write_null(w), "$-1\r\n", "_\r\n");
    ASSERT_WRITES(resp_write_null_array(w), "*-1\r\n", "_\r\n");
    ASSERT_WRITES(resp_write_bool(w, true), ":1\r\n", "#t\r\n");
    ASSERT_WRITES(resp_write_bool(w, false), ":0\r\n", "#f\r\n");
}

static void resp_write__aggregates(void **state)
{
    (void)state;
    ASSERT_WRITES_SAME(resp_write_array(w, 0), "*0\r\n");
    ASSERT_WRITES_SAME(resp_write_array(w, 1048576), "*1048576\r\n");
    ASSERT_WRITES(resp_write_map(w, 6), "*12\r\n", "%6\r\n");
    ASSERT_WRITES(resp_write_set(w, 3), "*3\r\n", "~3\r\n");
    ASSERT_WRITES(resp_write_push(w, 2), "*2\r\n", ">2\r\n");
}

static void resp_write__doubles(void **state)
{
    (void)state;
    ASSERT_WRITES(resp_write_double(w, 1.5), "$3\r\n1.5\r\n", ",1.5\r\n");
    ASSERT_WRITES(resp_write_double(w, 0), "$1\r\n0\r\n", ",0\r\n");
    ASSERT_WRITES(resp_write_double(w, -3), "$2\r\n-3\r\n", ",-3\r\n");
    ASSERT_WRITES(resp_write_double(w, 1e22), "$5\r\n1e+22\r\n", ",1e+22\r\n");
    ASSERT_WRITES(resp_write_double(w, HUGE_VAL), "$3\r\ninf\r\n", ",inf\r\n");
    ASSERT_WRITES(resp_write_double(w, -HUGE_VAL), "$4\r\n-inf\r\n", ",-inf\r\n");
    ASSERT_WRITES(resp_write_double(w, nan("")), "$3\r\nnan\r\n", ",nan\r\n");
}

static void resp_write__leaves_out_what_gets_no_memory(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out);
    struct resp_writer w = {.out = &out, .version = 3};
    resp_write_ok(&w);
    assert_null(resp_write_bulk_uninit(&w, SIZE_MAX));
    assert_true(out.failed);
    assert_int_equal(buf_len(&out), 5);
    out.failed = false;
    assert_null(resp_write_bulk_uninit(&w, SIZE_MAX / 2));
    assert_true(out.failed);
    assert_int_equal(buf_len(&out), 5);
    resp_write_ok(&w); /* harmless; the failure is not forgotten */
    assert_true(out.failed);
    buf_fini(&out);
}

static void resp_write__writes_an_element_whole_or_not_at_all(void **state)
{
    (void)state;
    char text[300];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    for (int element = 0; element < 5; element++) {
        struct buf out;
        buf_init(&out);
        struct resp_writer w = {.out = &out, .version = 3};
        resp_write_ok(&w);
        fault_alloc_arm(0, SIZE_MAX);
        switch (element) {
        case 0:
            resp_write_bulk_str(&w, text);
            break;
        case 1:
            resp_write_errorf(&w, "ERR %s", text);
            break;
        case 2:
            resp_write_simple(&w, strview_str(text));
            break;
        case 3:
            resp_write_verbatim(&w, "txt", strview_str(text));
            break;
        default:
            resp_write_raw(&w, strview_str(text));
            break;
        }
        assert_true(fault_alloc_disarm());
        assert_true(out.failed);
        assert_true(strview_eq(buf_view(&out), strview_str("+OK\r\n")));
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resp_write__simple_strings_and_errors),
        cmocka_unit_test(resp_write__makes_line_ends_in_text_safe),
        cmocka_unit_test(resp_write__errors_may_be_long),
        cmocka_unit_test(resp_write__integers),
        cmocka_unit_test(resp_write__every_small_number_as_printf_does),
        cmocka_unit_test(resp_write__bulks),
        cmocka_unit_test(resp_write__nulls_and_booleans),
        cmocka_unit_test(resp_write__aggregates),
        cmocka_unit_test(resp_write__doubles),
        cmocka_unit_test(resp_write__writes_an_element_whole_or_not_at_all),
        cmocka_unit_test(resp_write__leaves_out_what_gets_no_memory),
    };
    return cmocka_run_group_tests_name("resp_write", tests, NULL, NULL);
}
