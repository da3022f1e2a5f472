/* Requests as each protocol has them, and replies read whole and in pieces of every length. */
#include "protocol.h"

#include "keys.h"
#include "payload.h"

#include "tarn/base/compiler.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#define KEY "key:000000000042"

static void assert_buf(struct buf *b, const char *expected)
{
    assert_int_equal(buf_len(b), strlen(expected));
    assert_memory_equal(buf_view(b).data, expected, strlen(expected));
    buf_clear(b);
}

static void protocol__writes_requests(void **state)
{
    struct buf b;
    struct strview value = strview_str("hello");
    buf_init(&b);
    assert_true(protocol_resp.put_get(&b, KEY));
    assert_buf(&b, "*2\r\n$3\r\nGET\r\n$16\r\n" KEY "\r\n");
    assert_true(protocol_resp.put_set(&b, KEY, value, 0));
    assert_buf(&b, "*3\r\n$3\r\nSET\r\n$16\r\n" KEY "\r\n$5\r\nhello\r\n");
    assert_true(protocol_resp.put_set(&b, KEY, value, 1500));
    assert_buf(&b,
               "*5\r\n$3\r\nSET\r\n$16\r\n" KEY "\r\n$5\r\nhello\r\n$2\r\nPX\r\n$4\r\n1500\r\n");
    assert_true(protocol_memcached.put_get(&b, KEY));
    assert_buf(&b, "get " KEY "\r\n");
    assert_true(protocol_memcached.put_set(&b, KEY, value, 0));
    assert_buf(&b, "set " KEY " 0 0 5\r\nhello\r\n");
    assert_true(protocol_memcached.put_set(&b, KEY, value, 1500));
    assert_buf(&b, "set " KEY " 0 2 5\r\nhello\r\n");
    buf_fini(&b);
}

/* Reads one reply in pieces of `piece` bytes; all of the text belongs to it. */
static enum reply read_in_pieces(const struct protocol *p, const char *text, size_t piece)
{
    struct reply_reader r = {.line_len = 0};
    struct strview expected = strview_str("hello");
    enum reply reply = REPLY_MORE;
    size_t len = strlen(text);
    size_t at = 0;
    while (at < len) {
        size_t used;
        assert_int_equal(reply, REPLY_MORE);
        reply = reply_read(&r, p, strview_of(text + at, size_min(piece, len - at)), expected,
                           &used);
        at += used;
        if (reply == REPLY_BROKEN) {
            return reply;
        }
    }
    return reply;
}

static void assert_reply(const struct protocol *p, const char *text, enum reply expected)
{
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        assert_int_equal(read_in_pieces(p, text, piece), expected);
    }
}

static void protocol__reads_resp(void **state)
{
    const struct protocol *p = &protocol_resp;
    assert_reply(p, "+OK\r\n", REPLY_OK);
    assert_reply(p, ":1\r\n", REPLY_OK);
    assert_reply(p, "$5\r\nhello\r\n", REPLY_VALUE);
    assert_reply(p, "$5\r\nhallo\r\n", REPLY_WRONG);
    assert_reply(p, "$4\r\nhell\r\n", REPLY_WRONG);
    assert_reply(p, "$7\r\nhello!!\r\n", REPLY_WRONG);
    assert_reply(p, "$0\r\n\r\n", REPLY_WRONG);
    assert_reply(p, "$-1\r\n", REPLY_MISS);
    assert_reply(p, "_\r\n", REPLY_MISS);
    assert_reply(p, "-OOM no memory\r\n", REPLY_ERROR);
}

static void protocol__reads_memcached(void **state)
{
    const struct protocol *p = &protocol_memcached;
    assert_reply(p, "STORED\r\n", REPLY_OK);
    assert_reply(p, "VALUE " KEY " 0 5\r\nhello\r\nEND\r\n", REPLY_VALUE);
    assert_reply(p, "VALUE " KEY " 0 5\r\nhallo\r\nEND\r\n", REPLY_WRONG);
    assert_reply(p, "VALUE " KEY " 0 6\r\nhello!\r\nEND\r\n", REPLY_WRONG);
    assert_reply(p, "END\r\n", REPLY_MISS);
    assert_reply(p, "SERVER_ERROR out of memory\r\n", REPLY_ERROR);
    assert_reply(p, "ERROR\r\n", REPLY_ERROR);
}

static void protocol__refuses_what_is_no_reply(void **state)
{
    static const char *const resp[] = {"\r\n",   "\n",      "+OK\n",           "HTTP/1.1 400\r\n",
                                       "$x\r\n", "$-2\r\n", "$5\r\nhello+\r\n"};
    static const char *const memcached[] = {"\r\n", "OK\r\n", "VALUE " KEY " 0 x\r\n",
                                            "VALUE " KEY " 0 5\r\nhello\r\nDEND"};
    char endless[2 * REPLY_LINE_MAX + 1];
    for (size_t i = 0; i < ARRAY_LEN(resp); i++) {
        assert_reply(&protocol_resp, resp[i], REPLY_BROKEN);
    }
    for (size_t i = 0; i < ARRAY_LEN(memcached); i++) {
        assert_reply(&protocol_memcached, memcached[i], REPLY_BROKEN);
    }
    memset(endless, '+', sizeof(endless) - 1);
    endless[sizeof(endless) - 1] = '\0';
    assert_reply(&protocol_resp, endless, REPLY_BROKEN);
}

static void protocol__one_reply_ends_where_the_next_begins(void **state)
{
    struct reply_reader r = {.line_len = 0};
    struct strview expected = strview_str("hello");
    struct strview in = strview_str("$5\r\nhello\r\n$-1\r\n+OK\r\n$5\r\nhel");
    static const enum reply replies[] = {REPLY_VALUE, REPLY_MISS, REPLY_OK, REPLY_MORE};
    for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
        size_t used;
        assert_int_equal(reply_read(&r, &protocol_resp, in, expected, &used), replies[i]);
        in = strview_of(in.data + used, in.len - used);
    }
    assert_int_equal(in.len, 0);
}

static void protocol__a_key_always_has_the_same_value(void **state)
{
    struct payload p;
    assert_true(payload_init(&p, 10, 1000));
    size_t lengths = 0;
    for (uint64_t key = 0; key < 1000; key++) {
        struct strview v = payload_of(&p, key);
        assert_true(v.len >= 10 && v.len <= 1000);
        assert_true(strview_eq(v, payload_of(&p, key)));
        assert_false(strview_eq(v, payload_of(&p, key + 1)));
        lengths += v.len;
    }
    assert_true(lengths > 450000 && lengths < 560000);
    payload_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocol__writes_requests),
        cmocka_unit_test(protocol__reads_resp),
        cmocka_unit_test(protocol__reads_memcached),
        cmocka_unit_test(protocol__refuses_what_is_no_reply),
        cmocka_unit_test(protocol__one_reply_ends_where_the_next_begins),
        cmocka_unit_test(protocol__a_key_always_has_the_same_value),
    };
    return cmocka_run_group_tests_name("bench/protocol", tests, NULL, NULL);
}
