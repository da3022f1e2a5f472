/*
 * Requests from streams. Each stream of the table is also cut at every byte and fed byte by byte,
 * which must change nothing; tests/support/resp_transcript.h explains the expected texts.
 */
#include "tarn/proto/resp_parse.h"

#include "../../support/resp_transcript.h"

#include <malloc.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fault_alloc.h"

#define ERROR "!ERR Protocol error: "

static const struct resp_limits open_limits = {
    .bulk_max = RESP_BULK_MAX,
    .args_max = RESP_ARGS_MAX,
    .is_authenticated = true,
};

static const struct resp_limits auth_limits = {
    .bulk_max = RESP_BULK_MAX,
    .args_max = RESP_ARGS_MAX,
    .is_authenticated = false,
};

/* ---- ways to deliver a stream ---- */

static size_t piece_all(void *ctx, size_t received)
{
    (void)ctx;
    (void)received;
    return SIZE_MAX;
}

static size_t piece_fixed(void *ctx, size_t received)
{
    (void)received;
    return *(const size_t *)ctx;
}

/* The first piece ends at *ctx, the second is the rest. */
static size_t piece_cut(void *ctx, size_t received)
{
    return received == 0 ? *(const size_t *)ctx : SIZE_MAX;
}

static void assert_transcript(struct buf got, struct strview expected)
{
    if (!strview_eq(buf_view(&got), expected)) {
        print_error("got      %.*s\nexpected %.*s\n", STRVIEW_ARG(buf_view(&got)),
                    STRVIEW_ARG(expected));
        fail();
    }
    buf_fini(&got);
}

static void assert_stream(struct strview stream, const struct resp_limits *limits,
                          const char *expected)
{
    struct strview text = strview_str(expected);
    size_t one = 1;
    assert_transcript(transcript_of(stream, limits, piece_all, NULL), text);
    assert_transcript(transcript_of(stream, limits, piece_fixed, &one), text);
    for (size_t cut = 1; cut < stream.len; cut++) {
        assert_transcript(transcript_of(stream, limits, piece_cut, &cut), text);
    }
}

/* ---- the table ---- */

struct example {
    struct strview stream;
    const char *expected;
};

#define BYTES(literal)                                \
    {                                                 \
        .data = (literal), .len = sizeof(literal) - 1 \
    }

static const struct example arrays[] = {
    {BYTES("*1\r\n$4\r\nPING\r\n"), "PING;+0"},
    {BYTES("*2\r\n$3\r\nGET\r\n$8\r\nkey:0001\r\n"), "GET,key:0001;+0"},
    {BYTES("*3\r\n$3\r\nSET\r\n$8\r\nkey:0001\r\n$5\r\nvalue\r\n*1\r\n$4\r\nPING\r\n"),
     "SET,key:0001,value;PING;+0"},
    {BYTES("*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$1\r\na\r\n"), "GET,;a;+0"},
    {BYTES("*1\r\n$0\r\n\r\n"), ";+0"},
    {BYTES("*2\r\n$3\r\nGET\r\n$10\r\n\r\n$1\r\n*1\r\n\r\n"), "GET,\r\n$1\r\n*1\r\n;+0"},
    {BYTES("*10\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n$1"
           "\r\nh\r\n$1\r\ni\r\n$12\r\nabcdefghijkl\r\n"),
     "a,b,c,d,e,f,g,h,i,abcdefghijkl;+0"},
    /* Nothing to run. */
    {BYTES("*0\r\n*1\r\n$4\r\nPING\r\n"), "-;PING;+0"},
    {BYTES("*-1\r\n*-10\r\n*-9223372036854775808\r\nPING\r\n"), "-;-;-;PING;+0"},
    /* The ends of lines and bulks are not looked at. */
    {BYTES("*1\rX$4\rXPINGab*1\r\n$4\r\nPINGabPING\n"), "PING;PING;PING;+0"},
    /* Incomplete. */
    {BYTES("*"), "+0"},
    {BYTES("*1\r"), "+0"},
    {BYTES("*2\r\n$3\r\nGET\r\n"), "+0"},
    {BYTES("*2\r\n$3\r\nGET\r\n$"), "+0"},
    {BYTES("*2\r\n$3\r\nGET\r\n$8"), "+0"},
    {BYTES("*2\r\n$3\r\nGET\r\n$8\r"), "+0"},
    {BYTES("*2\r\n$3\r\nGET\r\n$8\r\n"), "+10"},
    {BYTES("*2\r\n$3\r\nGET\r\n$8\r\nkey:0001"), "+2"},
    {BYTES("*2\r\n$3\r\nGET\r\n$8\r\nkey:0001\r"), "+1"},
    {BYTES("*1\r\n$4\r\nPING\r\n*1\r\n$536870912\r\nabc"), "PING;+536870911"},
};

static const struct example refused[] = {
    {BYTES("*\r\n"), ERROR "invalid multibulk length"},
    {BYTES("*x\r\n"), ERROR "invalid multibulk length"},
    {BYTES("*+1\r\n"), ERROR "invalid multibulk length"},
    {BYTES("*1x\r\n"), ERROR "invalid multibulk length"},
    {BYTES("*01\r\n$4\r\nPING\r\n"), ERROR "invalid multibulk length"},
    {BYTES("*-0\r\n"), ERROR "invalid multibulk length"},
    {BYTES("* 1\r\n$4\r\nPING\r\n"), ERROR "invalid multibulk length"},
    {BYTES("*1 \r\n"), ERROR "invalid multibulk length"},
    {BYTES("*1\n$4\nPING\n\r\n"), ERROR "invalid multibulk length"},
    {BYTES("*1048577\r\n"), ERROR "invalid multibulk length"},
    {BYTES("*20000000\r\n"), ERROR "invalid multibulk length"},
    {BYTES("*2147483648\r\n"), ERROR "invalid multibulk length"},
    {BYTES("*4294967297\r\n$4\r\nPING\r\n"), ERROR "invalid multibulk length"},
    {BYTES("*9223372036854775808\r\n"), ERROR "invalid multibulk length"},
    {BYTES("*18446744073709551617\r\n$4\r\nPING\r\n"), ERROR "invalid multibulk length"},
    {BYTES("*3\r\nfooz\r\n"), ERROR "expected '$', got 'f'"},
    {BYTES("*1\r\n*1\r\n$4\r\nPING\r\n"), ERROR "expected '$', got '*'"},
    {BYTES("*1\r\n\r\n$4\r\nPING\r\n"), ERROR "expected '$', got ' '"},
    {BYTES("*1\r\n\n$4\r\nPING\r\n"), ERROR "expected '$', got ' '"},
    {BYTES("*1\r\n\x01\r\n$4\r\nPING\r\n"), ERROR "expected '$', got '\x01'"},
    {BYTES("*1\r\n\0\r\n$4\r\nPING\r\n"), ERROR "expected '$', got ' '"},
    {BYTES("*1\0\r\n$4\r\nPING\r\n"), ERROR "invalid multibulk length"},
    {BYTES("*1\r\n$4\0\r\nPING\r\n"), ERROR "invalid bulk length"},
    {BYTES("*1\r\n\xff\r\n$4\r\nPING\r\n"), ERROR "expected '$', got '\xff'"},
    {BYTES("*2\r\n$3\r\nGET\r\nk\r\n\r\n"), ERROR "expected '$', got 'k'"},
    {BYTES("*2\r\n$3\r\nGET\r\n$-1\r\n"), ERROR "invalid bulk length"},
    {BYTES("*1\r\n$\r\n\r\n\r\n\r\n"), ERROR "invalid bulk length"},
    {BYTES("*1\r\n$-10\r\n"), ERROR "invalid bulk length"},
    {BYTES("*1\r\n$blabla\r\n"), ERROR "invalid bulk length"},
    {BYTES("*1\r\n$ 5\r\nhello\r\n"), ERROR "invalid bulk length"},
    {BYTES("*1\r\n$05\r\nhello\r\n"), ERROR "invalid bulk length"},
    {BYTES("*1\r\n$00\r\n\r\n"), ERROR "invalid bulk length"},
    {BYTES("*1\r\n$1a\r\nhello\r\n"), ERROR "invalid bulk length"},
    {BYTES("*1\r\n$11a\r\nhello\r\n"), ERROR "invalid bulk length"},
    {BYTES("*1\r\n$111a\r\nhello\r\n"), ERROR "invalid bulk length"},
    {BYTES("*1\r\n$536870913\r\n"), ERROR "invalid bulk length"},
    {BYTES("*1\r\n$2000000000\r\n"), ERROR "invalid bulk length"},
    {BYTES("*1\r\n$4294967300\r\nPING\r\n"), ERROR "invalid bulk length"},
    {BYTES("*1\r\n$9223372036854775808\r\n"), ERROR "invalid bulk length"},
    {BYTES("*1\r\n$18446744073709551620\r\nPING\r\n"), ERROR "invalid bulk length"},
    /* What came before is answered first. */
    {BYTES("PING\r\n*x\r\nPING\r\n"), "PING;" ERROR "invalid multibulk length"},
};

static const struct example inlines[] = {
    {BYTES("PING\r\n"), "PING;+0"},
    {BYTES("PING\n"), "PING;+0"},
    {BYTES("SET k  v \r\nGET k\n"), "SET,k,v;GET,k;+0"},
    {BYTES("\r\n\n  \r\n\t\nPING\r\n"), "-;-;-;-;PING;+0"},
    {BYTES("\r\r\n\rPING\rhello\r\r\n"), "-;PING,hello;+0"},
    {BYTES("ECHO \"a\\x41\\n\" 'it\\'s'\r\n"), "ECHO,aA\n,it's;+0"},
    {BYTES("SET k \"\"\r\n"), "SET,k,;+0"},
    {BYTES("ECHO \xff\xfe\r\n"), "ECHO,\xff\xfe;+0"},
    {BYTES("$4\r\nPING\r\n"), "$4;PING;+0"},
    {BYTES("POST / HTTP/1.1\r\n"), "POST,/,HTTP/1.1;+0"},
    {BYTES("PING"), "+0"},
    {BYTES("PING\r"), "+0"},
    {BYTES("PI\xffNG\r\nPING\r\n"), "PI\xffNG;PING;+0"},
    {BYTES("\"PING\r\n"), ERROR "unbalanced quotes in request"},
    {BYTES("ECHO 'a'b\r\n"), ERROR "unbalanced quotes in request"},
};

static void assert_examples(const struct example *examples, size_t count,
                            const struct resp_limits *limits)
{
    for (size_t i = 0; i < count; i++) {
        assert_stream(examples[i].stream, limits, examples[i].expected);
    }
}

static void resp_parse__reads_arrays_however_they_are_cut(void **state)
{
    (void)state;
    assert_examples(arrays, ARRAY_LEN(arrays), &open_limits);
}

static void resp_parse__refuses_with_the_texts_of_redis(void **state)
{
    (void)state;
    assert_examples(refused, ARRAY_LEN(refused), &open_limits);
}

static void resp_parse__reads_inline_commands(void **state)
{
    (void)state;
    assert_examples(inlines, ARRAY_LEN(inlines), &open_limits);
    assert_examples(inlines, ARRAY_LEN(inlines), &auth_limits);
}

static void resp_parse__does_nothing_without_bytes(void **state)
{
    (void)state;
    struct transcript t = {.limits = &open_limits};
    size_t at = 0;
    transcript_feed(&t, strview_of("", 0), &at);
    transcript_feed(&t, strview_of("*", 1), &at);
    transcript_feed(&t, strview_of("*", 1), &at);
    assert_int_equal(buf_len(&t.text), 0);
    resp_parser_fini(&t.parser);
    resp_parser_fini(&t.parser);
    resp_request_fini(&t.request);
    resp_request_fini(&t.request);
}

/* ---- limits ---- */

static void resp_parse__limits_clients_before_authentication(void **state)
{
    static const struct example examples[] = {
        {BYTES("*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n"), "AUTH,u,p;+0"},
        {BYTES("*10\r\n$16384\r\n"), "+16386"},
        {BYTES("*11\r\n"), ERROR "unauthenticated multibulk length"},
        {BYTES("*1048576\r\n"), ERROR "unauthenticated multibulk length"},
        {BYTES("*1048577\r\n"), ERROR "invalid multibulk length"},
        {BYTES("*0\r\n*-1\r\nPING\r\n"), "-;-;PING;+0"},
        {BYTES("*1\r\n$16385\r\n"), ERROR "unauthenticated bulk length"},
        {BYTES("*1\r\n$536870913\r\n"), ERROR "invalid bulk length"},
    };
    (void)state;
    assert_examples(examples, ARRAY_LEN(examples), &auth_limits);
}

static void resp_parse__obeys_the_configured_limits(void **state)
{
    static const struct resp_limits small = {
        .bulk_max = 5,
        .args_max = 2,
        .is_authenticated = true,
    };
    static const struct example examples[] = {
        {BYTES("*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n"), "ECHO,hello;+0"},
        {BYTES("*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"), ERROR "invalid multibulk length"},
        {BYTES("*2\r\n$4\r\nECHO\r\n$6\r\nhello!\r\n"), ERROR "invalid bulk length"},
    };
    (void)state;
    assert_examples(examples, ARRAY_LEN(examples), &small);
}

/* `start`, `fill` up to a line of `line_len` bytes, then `end`. */
static struct buf long_line(const char *start, char fill, size_t line_len, const char *end)
{
    struct buf b;
    buf_init(&b);
    assert_true(buf_append_str(&b, start));
    const char *last_line = strrchr(start, '\n');
    size_t has = strlen(last_line != NULL ? last_line + 1 : start);
    for (size_t i = has; i < line_len; i++) {
        assert_true(buf_append_char(&b, fill));
    }
    assert_true(buf_append_str(&b, end));
    return b;
}

static void assert_long_line(const char *start, size_t line_len, const char *end,
                             const char *expected)
{
    static const size_t pieces[] = {SIZE_MAX, 16384, 65535, 65536, 65537, 65538, 4099};
    struct buf b = long_line(start, '0', line_len, end);
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        size_t piece = pieces[i];
        assert_transcript(transcript_of(buf_view(&b), &open_limits, piece_fixed, &piece),
                          strview_str(expected));
    }
    buf_fini(&b);
}

static void resp_parse__limits_lines_however_they_are_cut(void **state)
{
    static const char too_big_inline[] = ERROR "too big inline request";
    static const char too_big_count[] = ERROR "too big mbulk count string";
    static const char too_big_len[] = ERROR "too big bulk count string";
    (void)state;
    assert_long_line("'", RESP_INLINE_MAX, "\n", ERROR "unbalanced quotes in request");
    assert_long_line("'", RESP_INLINE_MAX, "", "+0");
    assert_long_line("'", RESP_INLINE_MAX + 1, "\n", too_big_inline);
    assert_long_line("'", RESP_INLINE_MAX + 1, "", too_big_inline);
    assert_long_line("'", 3 * RESP_INLINE_MAX, "\nPING\n", too_big_inline);
    assert_long_line("*1", RESP_INLINE_MAX, "\r\n", ERROR "invalid multibulk length");
    assert_long_line("*1", RESP_INLINE_MAX, "\r", "+0");
    assert_long_line("*1", RESP_INLINE_MAX + 1, "\r\n", too_big_count);
    assert_long_line("*1", RESP_INLINE_MAX + 1, "", too_big_count);
    assert_long_line("*1\r\n$1", RESP_INLINE_MAX, "\r\n", ERROR "invalid bulk length");
    assert_long_line("*1\r\n$1", RESP_INLINE_MAX, "", "+0");
    assert_long_line("*1\r\n$1", RESP_INLINE_MAX + 1, "\r\n", too_big_len);
    assert_long_line("*2\r\n$1\r\na\r\nx", RESP_INLINE_MAX + 1, "\r\n", too_big_len);
}

static void resp_parse__takes_a_zero_byte_in_a_line_like_any_other(void **state)
{
    static const char stream[] = "ECHO a\0b\r\nPING\r\n";
    static const char expected[] = "ECHO,a\0b;PING;+0";
    (void)state;
    for (size_t piece = 1; piece < sizeof(stream); piece++) {
        assert_transcript(transcript_of(strview_of(stream, sizeof(stream) - 1), &open_limits,
                                        piece_fixed, &piece),
                          strview_of(expected, sizeof(expected) - 1));
    }
}

/* ---- work and memory ---- */

static void put_argument(struct buf *b, size_t len, char fill)
{
    assert_true(buf_printf(b, "$%zu\r\n", len));
    for (size_t i = 0; i < len; i++) {
        assert_true(buf_append_char(b, fill));
    }
    assert_true(buf_append(b, "\r\n", 2));
}

/* What was looked at is overwritten before the next bytes arrive, so looking at it again would be
 * noticed. */
static void resp_parse__looks_at_no_byte_twice(void **state)
{
    enum { ARGS = RESP_ARGS_MAX, PIECE = 16384 };
    (void)state;
    struct buf b;
    buf_init(&b);
    assert_true(buf_printf(&b, "*%d\r\n", ARGS));
    for (int i = 0; i < ARGS; i++) {
        put_argument(&b, (size_t)(i % 15), 'v');
    }
    char *bytes = b.data + b.head;
    size_t len = buf_len(&b);
    struct resp_parser p = {.state = RESP_AT_START};
    struct resp_request r = {.argc = 0};
    size_t used = 0;
    const char *error;
    size_t spoilt = 0;
    for (size_t have = PIECE; have < len; have += PIECE) {
        assert_int_equal(resp_parse(&p, &open_limits, strview_of(bytes, have), &r, &used, &error),
                         RESP_MORE);
        size_t seen = p.at + p.line_seen;
        /* The start of a length line is read once more, with its end. */
        size_t keep = p.state == RESP_BULK_LINE ? p.at : seen;
        assert_true(have - keep < 64);
        memset(bytes + spoilt, '?', keep - spoilt);
        spoilt = keep;
    }
    assert_int_equal(resp_parse(&p, &open_limits, strview_of(bytes, len), &r, &used, &error),
                     RESP_REQUEST);
    assert_int_equal(used, len);
    assert_int_equal(r.argc, ARGS);
    const char *at = bytes + sizeof("*1048576\r\n") - 1;
    for (int i = 0; i < ARGS; i++) {
        assert_int_equal(r.argv[i].len, i % 15);
        at += i % 15 < 10 ? 4 : 5;
        assert_ptr_equal(r.argv[i].data, at);
        at += r.argv[i].len + 2;
    }
    assert_null(p.spans);
    resp_request_fini(&r);
    buf_fini(&b);
}

static void resp_parse__looks_at_a_long_line_once(void **state)
{
    (void)state;
    struct buf b = long_line("ECHO ", 'x', RESP_INLINE_MAX, "\n");
    char *bytes = b.data + b.head;
    struct resp_parser p = {.state = RESP_AT_START};
    struct resp_request r = {.argc = 0};
    size_t used;
    const char *error;
    for (size_t have = 1; have <= RESP_INLINE_MAX; have++) {
        assert_int_equal(resp_parse(&p, &open_limits, strview_of(bytes, have), &r, &used, &error),
                         RESP_MORE);
        assert_int_equal(p.line_seen, have);
        /* An end of line where it has looked already is not found. */
        bytes[have - 1] = '\n';
    }
    memset(bytes, 'y', RESP_INLINE_MAX);
    assert_int_equal(
        resp_parse(&p, &open_limits, strview_of(bytes, buf_len(&b)), &r, &used, &error),
        RESP_REQUEST);
    assert_int_equal(r.argc, 1);
    assert_int_equal(r.argv[0].len, RESP_INLINE_MAX);
    resp_request_fini(&r);
    buf_fini(&b);
}

static void resp_parse__waits_for_a_large_bulk_without_work(void **state)
{
    (void)state;
    static const char head[] = "*2\r\n$4\r\nECHO\r\n$536870912\r\n";
    struct resp_parser p = {.state = RESP_AT_START};
    struct resp_request r = {.argc = 0};
    struct resp_parser before;
    size_t used;
    const char *error;
    struct strview in = strview_str(head);
    assert_int_equal(resp_parse(&p, &open_limits, in, &r, &used, &error), RESP_MORE);
    assert_int_equal(resp_parser_wants(&p, in.len), RESP_BULK_MAX + 2);
    before = p;
    assert_int_equal(resp_parse(&p, &open_limits, in, &r, &used, &error), RESP_MORE);
    assert_memory_equal(&before, &p, sizeof(p));
    resp_parser_fini(&p);
    resp_request_fini(&r);
}

static void resp_parse__takes_no_memory_for_what_is_only_announced(void **state)
{
    (void)state;
    struct resp_parser p = {.state = RESP_AT_START};
    struct resp_request r = {.argc = 0};
    size_t used;
    const char *error;
    struct strview in = strview_str("*1048576\r\n$536870912\r\n");
    assert_int_equal(resp_parse(&p, &open_limits, in, &r, &used, &error), RESP_MORE);
    assert_null(p.spans);
    assert_null(r.argv);
    assert_null(r.scratch);
    assert_int_equal(resp_parser_wants(&p, in.len), RESP_BULK_MAX + 2);
    resp_parser_fini(&p);
    resp_request_fini(&r);
}

static void resp_parse__gives_the_memory_of_a_large_request_back(void **state)
{
    enum { ARGS = 100000 };
    (void)state;
    struct buf b;
    buf_init(&b);
    assert_true(buf_printf(&b, "*%d\r\n", ARGS));
    for (int i = 0; i < ARGS; i++) {
        put_argument(&b, 1, 'v');
    }
    struct resp_parser p = {.state = RESP_AT_START};
    struct resp_request r = {.argc = 0};
    size_t used;
    const char *error;
    assert_int_equal(resp_parse(&p, &open_limits, buf_view(&b), &r, &used, &error), RESP_REQUEST);
    assert_int_equal(r.argc, ARGS);
    assert_true(r.argv_cap >= ARGS);
    struct strview ping = strview_str("*1\r\n$4\r\nPING\r\n");
    assert_int_equal(resp_parse(&p, &open_limits, ping, &r, &used, &error), RESP_REQUEST);
    assert_int_equal(r.argc, 1);
    assert_int_equal(r.argv_cap, RESP_ARGV_KEEP);
    resp_request_fini(&r);
    buf_fini(&b);
}

/* Whichever allocation fails: the request is read all the same, or there is no memory; nothing
 * leaks. */
static void assert_survives_failing_memory(const char *stream, size_t first_piece, size_t bad)
{
    bool has_failed = true;
    for (size_t good = 0; has_failed; good++) {
        struct resp_parser p = {.state = RESP_AT_START};
        struct resp_request r = {.argc = 0};
        size_t used = 0;
        const char *error;
        struct strview in = strview_str(stream);
        fault_alloc_arm(good, bad);
        enum resp_status status = resp_parse(&p, &open_limits, strview_of(in.data, first_piece), &r,
                                             &used, &error);
        if (status == RESP_MORE) {
            status = resp_parse(&p, &open_limits, in, &r, &used, &error);
        }
        has_failed = fault_alloc_disarm();
        if (status == RESP_REQUEST) {
            assert_int_equal(used, in.len);
            assert_int_equal(r.argc, 18);
            assert_true(strview_eq(r.argv[17], strview_str("r")));
        } else {
            assert_int_equal(status, RESP_NOMEM);
            assert_true(has_failed);
        }
        resp_parser_fini(&p);
        resp_request_fini(&r);
    }
}

static void resp_parse__says_when_there_is_no_memory(void **state)
{
    static const char line[] = "a b c d e f g h i j k l m n o p q r\n";
    (void)state;
    struct buf b;
    buf_init(&b);
    assert_true(buf_append_str(&b, "*18\r\n"));
    for (int i = 0; i < 18; i++) {
        put_argument(&b, 1, (char)('a' + i));
    }
    assert_true(buf_append(&b, "", 1));
    for (size_t bad = 1; bad <= 2; bad++) {
        assert_survives_failing_memory(b.data, buf_len(&b) - 1, bad);
        assert_survives_failing_memory(b.data, buf_len(&b) - 3, bad);
        assert_survives_failing_memory(b.data, 10, bad);
        assert_survives_failing_memory(line, sizeof(line) - 1, bad);
    }
    buf_fini(&b);
}

static void resp_parse__keeps_a_large_request_when_shrinking_fails(void **state)
{
    (void)state;
    struct resp_parser p = {.state = RESP_AT_START};
    struct resp_request r = {.argc = 0};
    size_t used;
    const char *error;
    r.argv = malloc(2 * RESP_ARGV_KEEP * sizeof(*r.argv));
    assert_non_null(r.argv);
    r.argv_cap = 2 * RESP_ARGV_KEEP;
    fault_alloc_arm(0, 1);
    assert_int_equal(
        resp_parse(&p, &open_limits, strview_str("*1\r\n$4\r\nPING\r\n"), &r, &used, &error),
        RESP_REQUEST);
    assert_true(fault_alloc_disarm());
    assert_int_equal(r.argv_cap, 2 * RESP_ARGV_KEEP);
    resp_request_fini(&r);
}

static void resp_parse__leaves_the_parser_alone_at_whole_requests(void **state)
{
    (void)state;
    struct resp_parser p = {.state = RESP_AT_START};
    struct resp_parser before = p;
    struct resp_request r = {.argc = 0};
    size_t used;
    const char *error;
    struct strview in = strview_str("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1");
    assert_int_equal(resp_parse(&p, &open_limits, in, &r, &used, &error), RESP_REQUEST);
    assert_memory_equal(&p, &before, sizeof(p));
    assert_int_equal(used, in.len - 2);
    assert_ptr_equal(r.argv[1].data, in.data + 17);
    resp_request_fini(&r);
}

static void resp_parse__counts_what_an_unfinished_request_holds(void **state)
{
    (void)state;
    struct resp_parser p = {.state = RESP_AT_START};
    struct resp_request r = {.argc = 0};
    size_t used;
    const char *error;
    char in[4096] = "*500\r\n";
    size_t len = strlen(in);
    assert_int_equal(resp_parser_memory(&p), 0);
    for (size_t found = 1; found <= 100; found++) {
        memcpy(in + len, "$1\r\nx\r\n", 7);
        len += 7;
        assert_int_equal(resp_parse(&p, &open_limits, strview_of(in, len), &r, &used, &error),
                         RESP_MORE);
        assert_true(resp_parser_memory(&p) >= found * 16);
        assert_true(resp_parser_memory(&p) <= malloc_usable_size(p.spans));
        assert_true(resp_parser_memory(&p) + 64 > malloc_usable_size(p.spans));
    }
    resp_parser_fini(&p);
    assert_int_equal(resp_parser_memory(&p), 0);
    resp_request_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resp_parse__reads_arrays_however_they_are_cut),
        cmocka_unit_test(resp_parse__refuses_with_the_texts_of_redis),
        cmocka_unit_test(resp_parse__reads_inline_commands),
        cmocka_unit_test(resp_parse__does_nothing_without_bytes),
        cmocka_unit_test(resp_parse__limits_clients_before_authentication),
        cmocka_unit_test(resp_parse__obeys_the_configured_limits),
        cmocka_unit_test(resp_parse__limits_lines_however_they_are_cut),
        cmocka_unit_test(resp_parse__takes_a_zero_byte_in_a_line_like_any_other),
        cmocka_unit_test(resp_parse__looks_at_no_byte_twice),
        cmocka_unit_test(resp_parse__looks_at_a_long_line_once),
        cmocka_unit_test(resp_parse__waits_for_a_large_bulk_without_work),
        cmocka_unit_test(resp_parse__takes_no_memory_for_what_is_only_announced),
        cmocka_unit_test(resp_parse__gives_the_memory_of_a_large_request_back),
        cmocka_unit_test(resp_parse__says_when_there_is_no_memory),
        cmocka_unit_test(resp_parse__keeps_a_large_request_when_shrinking_fails),
        cmocka_unit_test(resp_parse__leaves_the_parser_alone_at_whole_requests),
        cmocka_unit_test(resp_parse__counts_what_an_unfinished_request_holds),
    };
    return cmocka_run_group_tests_name("resp_parse", tests, NULL, NULL);
}
