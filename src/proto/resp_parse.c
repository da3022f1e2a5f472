/*
 * The parser, twice: once for requests that are there whole, once for all others.
 *
 * resp_parse_whole() is the hottest code of the server. It reads a well-formed array that lies
 * complete in the buffer straight into the caller's argv: no state, no copies, no calls. At
 * anything else (bytes missing, odd spelling, an error, a client that has not authenticated) it
 * gives up without having touched the parser and leaves the request to the second.
 *
 * The stepwise parser is a machine of one function per state. It keeps the arguments found so far
 * as spans, which are offsets because the caller may move the bytes, and for lines how much of them
 * has been looked at; nothing is read or copied again when more bytes arrive. Only the
 * first look may have been in vain, which happens once per request. Memory follows the arguments
 * that have arrived, never those that were announced.
 *
 * What is accepted, and in which order mistakes are found, is Redis 7's: the byte behind a line's
 * CR and the two behind a bulk are skipped unseen; an inline command ends at LF with or without CR;
 * numbers have no plus sign, blank or leading zero. Two things are not, on purpose. Where Redis's
 * answer depends on how the bytes were cut (lines of more than 64 KiB), the limit holds here
 * however they arrive. And a zero byte, behind which Redis waits in vain for the end of the line,
 * is a byte like any other.
 */
#include "tarn/proto/resp_parse.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "resp_request.h"
#include "tarn/base/num.h"

#define PROTOCOL_ERROR "ERR Protocol error: "
#define CRLF_LEN       2
#define ARRAY_MIN      4 /* "*1\r\n" */
#define BULK_MIN       6 /* "$0\r\n\r\n" */
#define DIGITS_MAX     9 /* what read_number() reads; fits into 32 bits */
#define SPANS_MIN      8
#define NOT_A_NUMBER   INT64_MAX /* no count and no length comes near */

struct resp_span {
    size_t offset, len;
};

static_assert(sizeof(struct resp_parser) == 40, "an idle connection holds one of these");

/* ---- requests that are there whole ---- */

/* The rest of a number whose first three digits are in *value. */
static NO_INLINE const char *read_long_number(const char *s, const char *end, size_t *value)
{
    for (int digits = 3; digits < DIGITS_MAX && end - s >= CRLF_LEN; digits++) {
        unsigned digit = (unsigned char)*s++ - (unsigned)'0';
        if (digit > 9) {
            return NULL;
        }
        *value = *value * 10 + digit;
        if (*s == '\r' && end - s >= CRLF_LEN) {
            return s + CRLF_LEN;
        }
    }
    return NULL;
}

/*
 * The number at `s` and the CR and LF behind it; returns what follows them, or NULL when it is not
 * a plain number. One to three digits are nearly all there is, and spelt out they cost a third of a
 * loop. At least 5 bytes are readable.
 */
static ALWAYS_INLINE const char *read_number(const char *s, const char *end, size_t *out)
{
    unsigned value = (unsigned char)s[0] - (unsigned)'0';
    if (UNLIKELY(value > 9)) {
        return NULL;
    }
    *out = value;
    if (s[1] == '\r') {
        return s + 3;
    }
    unsigned digit = (unsigned char)s[1] - (unsigned)'0';
    if (UNLIKELY(digit > 9 || value == 0)) {
        return NULL;
    }
    value = value * 10 + digit;
    *out = value;
    if (s[2] == '\r') {
        return s + 4;
    }
    digit = (unsigned char)s[2] - (unsigned)'0';
    if (UNLIKELY(digit > 9)) {
        return NULL;
    }
    *out = value * 10 + digit;
    if (s[3] == '\r') {
        return s + 5;
    }
    return read_long_number(s + 3, end, out);
}

/* The number of arguments that "*count" announces, 0: not for this parser. *at is then behind it.
 */
static ALWAYS_INLINE size_t read_count(const struct resp_limits *limits, struct strview in,
                                       const char **at)
{
    if (UNLIKELY(in.len < ARRAY_MIN + BULK_MIN || *in.data != '*' || !limits->is_authenticated)) {
        return 0;
    }
    size_t count;
    *at = read_number(in.data + 1, in.data + in.len, &count);
    return LIKELY(*at != NULL) ? count : 0;
}

/* Returns what follows the arguments, NULL: not for this parser. */
static ALWAYS_INLINE const char *read_bulks(const struct resp_limits *limits, const char *at,
                                            const char *end, struct strview *argv, size_t count)
{
    for (struct strview *arg = argv, *last = arg + count; arg < last; arg++) {
        if (UNLIKELY(end - at < BULK_MIN || *at != '$')) {
            return NULL;
        }
        size_t len;
        at = read_number(at + 1, end, &len);
        if (UNLIKELY(at == NULL || len + CRLF_LEN > (size_t)(end - at) ||
                     len > (uint64_t)limits->bulk_max)) {
            return NULL;
        }
        *arg = strview_of(at, len);
        at += len + CRLF_LEN;
    }
    return at;
}

size_t resp_parse_whole(const struct resp_limits *limits, struct strview in, struct strview *argv,
                        size_t argv_max, int *argc_out)
{
    const char *at;
    assert(argv_max <= (uint64_t)limits->args_max);
    size_t count = read_count(limits, in, &at);
    if (UNLIKELY(count - 1 >= argv_max)) {
        return 0;
    }
    const char *next = read_bulks(limits, at, in.data + in.len, argv, count);
    if (UNLIKELY(next == NULL)) {
        return 0;
    }
    *argc_out = (int)count;
    return (size_t)(next - in.data);
}

/* The same with the request's own argv, which grows. */
static size_t parse_whole(const struct resp_limits *limits, struct strview in,
                          struct resp_request *out)
{
    const char *at;
    size_t count = read_count(limits, in, &at);
    /* With so many bytes at hand, making room for the announced arguments amplifies nothing. */
    if (count == 0 || count > (size_t)(in.data + in.len - at) / BULK_MIN ||
        count > (uint64_t)limits->args_max || !resp_request_reserve(out, count)) {
        return 0;
    }
    const char *next = read_bulks(limits, at, in.data + in.len, out->argv, count);
    if (next == NULL) {
        return 0;
    }
    out->argc = (int)count;
    return (size_t)(next - in.data);
}

/* ---- all others, step by step ---- */

/* One call of the stepwise parser. */
struct run {
    struct resp_parser *parser;
    const struct resp_limits *limits;
    struct strview in;
    struct resp_request *out;
    enum resp_status status; /* set when a step returns false */
    const char *error;
};

/* A step returns true to go on with what is now the parser's state. */
typedef bool (*step_fn)(struct run *r);

static bool stop(struct run *r, enum resp_status status)
{
    r->status = status;
    return false;
}

static bool refuse(struct run *r, const char *error)
{
    r->error = error;
    return stop(r, RESP_ERROR);
}

/*
 * Looks for the CR or LF that ends the line at parser->at. True when all of the line is there, with
 * the byte behind a CR; *len_out is its length up to `terminator`. Looks at no byte twice, except
 * at a CR that is the last byte.
 */
static bool find_line_end(struct run *r, char terminator, const char *too_big, size_t *len_out)
{
    struct resp_parser *p = r->parser;
    size_t left = r->in.len - p->at;
    size_t have = size_min(left, RESP_INLINE_MAX + 1);
    const char *line = r->in.data + p->at;
    assert(p->line_seen <= have);

    const char *found = memchr(line + p->line_seen, terminator, have - p->line_seen);
    size_t len = found != NULL ? (size_t)(found - line) : have;
    if (found == NULL && have > RESP_INLINE_MAX) {
        return refuse(r, too_big);
    }
    if (found == NULL || (terminator == '\r' && left < len + CRLF_LEN)) {
        p->line_seen = (uint32_t)len;
        return stop(r, RESP_MORE);
    }
    p->line_seen = 0;
    *len_out = len;
    return true;
}

/* Like find_line_end() for the number behind the first byte of the line; parser->at moves behind
 * the line. What is not a number gives NOT_A_NUMBER. */
static bool read_number_line(struct run *r, const char *too_big, int64_t *out)
{
    struct resp_parser *p = r->parser;
    const char *line = r->in.data + p->at;
    if (p->line_seen == 0 && r->in.len - p->at >= BULK_MIN) {
        size_t number;
        const char *next = read_number(line + 1, r->in.data + r->in.len, &number);
        if (next != NULL) {
            p->at = (size_t)(next - r->in.data);
            *out = (int64_t)number;
            return true;
        }
    }
    size_t len;
    if (!find_line_end(r, '\r', too_big, &len)) {
        return false;
    }
    if (len == 0 || !num_parse_i64(strview_of(line + 1, len - 1), out)) {
        *out = NOT_A_NUMBER;
    }
    p->at += len + CRLF_LEN;
    return true;
}

static bool step_start(struct run *r)
{
    if (r->in.len == 0) {
        return stop(r, RESP_MORE);
    }
    r->parser->state = r->in.data[0] == '*' ? RESP_ARRAY_LINE : RESP_INLINE_LINE;
    return true;
}

static bool step_array_line(struct run *r)
{
    struct resp_parser *p = r->parser;
    int64_t count;
    if (!read_number_line(r, PROTOCOL_ERROR "too big mbulk count string", &count)) {
        return false;
    }
    if (count == NOT_A_NUMBER || count > r->limits->args_max) {
        return refuse(r, PROTOCOL_ERROR "invalid multibulk length");
    }
    if (count > RESP_AUTH_ARGS_MAX && !r->limits->is_authenticated) {
        return refuse(r, PROTOCOL_ERROR "unauthenticated multibulk length");
    }
    if (count <= 0) {
        return stop(r, RESP_EMPTY);
    }
    assert(count <= INT_MAX);
    p->args_left = (uint32_t)count;
    p->state = RESP_BULK_LINE;
    return true;
}

static bool refuse_type(struct run *r, char c)
{
    static const char text[] = PROTOCOL_ERROR "expected '$', got '?'";
    static_assert(sizeof(text) <= sizeof(r->out->error_text), "the text fits");
    memcpy(r->out->error_text, text, sizeof(text));
    bool is_safe = c != '\r' && c != '\n' && c != '\0';
    r->out->error_text[sizeof(text) - 3] = is_safe ? c : ' ';
    return refuse(r, r->out->error_text);
}

static bool step_bulk_line(struct run *r)
{
    struct resp_parser *p = r->parser;
    const char *line = r->in.data + p->at;
    int64_t len;
    if (!read_number_line(r, PROTOCOL_ERROR "too big bulk count string", &len)) {
        return false;
    }
    if (*line != '$') {
        return refuse_type(r, *line);
    }
    if (len == NOT_A_NUMBER || len < 0 || len > r->limits->bulk_max) {
        return refuse(r, PROTOCOL_ERROR "invalid bulk length");
    }
    if (len > RESP_AUTH_BULK_MAX && !r->limits->is_authenticated) {
        return refuse(r, PROTOCOL_ERROR "unauthenticated bulk length");
    }
    p->bulk_len = (uint64_t)len;
    p->state = RESP_BULK_DATA;
    return true;
}

/* The array has room for SPANS_MIN spans, then for the next power of two: it is full exactly when
 * the number found is one of these. */
static bool add_span(struct resp_parser *p, struct resp_span span)
{
    uint32_t found = p->args_found;
    if (found == 0 || (found >= SPANS_MIN && (found & (found - 1)) == 0)) {
        size_t cap = found == 0 ? SPANS_MIN : (size_t)found * 2;
        struct resp_span *spans = realloc(p->spans, cap * sizeof(*spans));
        if (spans == NULL) {
            return false;
        }
        p->spans = spans;
    }
    p->spans[p->args_found++] = span;
    return true;
}

/* All arguments are there. */
static bool finish_array(struct run *r)
{
    struct resp_parser *p = r->parser;
    if (!resp_request_reserve(r->out, p->args_found)) {
        return stop(r, RESP_NOMEM);
    }
    for (uint32_t i = 0; i < p->args_found; i++) {
        r->out->argv[i] = strview_of(r->in.data + p->spans[i].offset, p->spans[i].len);
    }
    r->out->argc = (int)p->args_found;
    return stop(r, RESP_REQUEST);
}

static bool step_bulk_data(struct run *r)
{
    struct resp_parser *p = r->parser;
    if (r->in.len - p->at < p->bulk_len + CRLF_LEN) {
        return stop(r, RESP_MORE);
    }
    if (!add_span(p, (struct resp_span){.offset = p->at, .len = p->bulk_len})) {
        return stop(r, RESP_NOMEM);
    }
    p->at += p->bulk_len + CRLF_LEN;
    p->args_left--;
    p->state = RESP_BULK_LINE;
    return p->args_left > 0 || finish_array(r);
}

static bool step_inline_line(struct run *r)
{
    size_t len;
    if (!find_line_end(r, '\n', PROTOCOL_ERROR "too big inline request", &len)) {
        return false;
    }
    r->parser->at = len + 1;
    if (len > 0 && r->in.data[len - 1] == '\r') {
        len--;
    }
    int words = resp_split_words(strview_of(r->in.data, len), r->out);
    if (words == -1) {
        return refuse(r, PROTOCOL_ERROR "unbalanced quotes in request");
    }
    if (words < 0) {
        return stop(r, RESP_NOMEM);
    }
    return stop(r, words > 0 ? RESP_REQUEST : RESP_EMPTY);
}

static NO_INLINE enum resp_status parse_stepwise(struct run *r, size_t *used_out)
{
    static const step_fn steps[] = {
        [RESP_AT_START] = step_start,          [RESP_ARRAY_LINE] = step_array_line,
        [RESP_BULK_LINE] = step_bulk_line,     [RESP_BULK_DATA] = step_bulk_data,
        [RESP_INLINE_LINE] = step_inline_line,
    };
    struct resp_parser *p = r->parser;
    assert(p->at + p->line_seen <= r->in.len);
    while (steps[p->state](r)) {
        continue;
    }
    if (r->status == RESP_REQUEST || r->status == RESP_EMPTY) {
        *used_out = p->at;
        resp_parser_fini(p);
    }
    return r->status;
}

/* ---- public ---- */

enum resp_status resp_parse(struct resp_parser *p, const struct resp_limits *limits,
                            struct strview in, struct resp_request *out, size_t *used_out,
                            const char **error_out)
{
    if (p->state == RESP_AT_START) {
        size_t used = parse_whole(limits, in, out);
        if (used > 0) {
            *used_out = used;
            return RESP_REQUEST;
        }
    }
    struct run r = {.parser = p, .limits = limits, .in = in, .out = out};
    enum resp_status status = parse_stepwise(&r, used_out);
    if (status == RESP_ERROR) {
        *error_out = r.error;
    }
    return status;
}

size_t resp_parser_wants(const struct resp_parser *p, size_t have)
{
    if (p->state != RESP_BULK_DATA) {
        return 0;
    }
    size_t need = p->at + p->bulk_len + CRLF_LEN;
    return need > have ? need - have : 0;
}

size_t resp_parser_memory(const struct resp_parser *p)
{
    size_t cap = SPANS_MIN; /* see add_span() */
    while (cap < p->args_found) {
        cap *= 2;
    }
    return p->spans != NULL ? cap * sizeof(*p->spans) : 0;
}

void resp_parser_fini(struct resp_parser *p)
{
    free(p->spans);
    *p = (struct resp_parser){0};
}
