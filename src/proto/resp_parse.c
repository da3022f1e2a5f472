/*
 * Requests out of bytes.
 *
 * A complete request is the common case and touches no parser state: its arguments go straight into
 * the caller's array. When bytes run out in the middle, the arguments found so far are moved, once,
 * into spans (offset and length, because the caller may move the bytes), and later calls go on from
 * there; the array is made from them when the request is complete. Nothing is allocated for an
 * announced number of arguments, only for those that have arrived.
 *
 * A count or length line is searched for its end anew when it arrives in pieces; it is at most
 * RESP_INLINE_MAX long. What is accepted and refused, and in which order errors are noticed, is
 * what Redis 7 does; like Redis, the two bytes behind a bulk are skipped without looking at them.
 */
#include "tarn/proto/resp_parse.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/base/num.h"

#define PROTOCOL_ERROR "ERR Protocol error: "
#define SPANS_MIN      8

struct resp_span {
    size_t at, len;
};

static_assert(sizeof(struct resp_parser) == 32, "an idle connection holds one of these");

/* One call's work. */
struct cut {
    struct resp_parser *parser;
    const struct resp_limits *limits;
    struct strview in;
    struct resp_request *out;
    const char *error;
    size_t at;
};

static enum resp_status fail(struct cut *c, const char *text)
{
    c->error = text;
    return RESP_ERROR;
}

/* ---- lines that hold a number
 * ---------------------------------------------------------------------------- */

/* The number between c->at + 1 and CR LF; c->at moves behind it. An ill-formed number gives
 * *is_valid_out false. */
static enum resp_status read_number_slow(struct cut *c, const char *too_big, int64_t *out,
                                         bool *is_valid_out)
{
    const char *line = c->in.data + c->at;
    size_t len = c->in.len - c->at;
    const char *end = memchr(line, '\r', len);
    if (end == NULL) {
        return len > RESP_INLINE_MAX ? fail(c, too_big) : RESP_MORE;
    }
    size_t line_len = (size_t)(end - line);
    if (line_len + 2 > len) {
        return RESP_MORE;
    }
    *is_valid_out = num_parse_i64(strview_of(line + 1, line_len - 1), out);
    c->at += line_len + 2;
    return RESP_REQUEST;
}

/* The same; numbers of one to four digits without leading zero, which nearly all are, are read in
 * place. */
static ALWAYS_INLINE enum resp_status read_number(struct cut *c, const char *too_big, int64_t *out,
                                                  bool *is_valid_out)
{
    const char *p = c->in.data + c->at + 1;
    const char *end = c->in.data + c->in.len;
    if (LIKELY(end - p >= 6)) {
        unsigned digit = (unsigned char)p[0] - (unsigned)'0';
        unsigned value = digit;
        int digits = 1;
        while (digits < 4 && (unsigned char)p[digits] - (unsigned)'0' < 10) {
            value = value * 10 + ((unsigned char)p[digits] - (unsigned)'0');
            digits++;
        }
        if (LIKELY(digit < 10 && p[digits] == '\r' && (digit > 0 || digits == 1))) {
            *out = value;
            *is_valid_out = true;
            c->at += (size_t)digits + 3;
            return RESP_REQUEST;
        }
    }
    return read_number_slow(c, too_big, out, is_valid_out);
}

/* ---- arguments
 * ------------------------------------------------------------------------------------------- */

static bool grow_argv(struct resp_request *out, int argc)
{
    int cap = out->argv_cap == 0 ? 16 : out->argv_cap;
    while (cap < argc) {
        cap *= 2;
    }
    struct strview *argv = realloc(out->argv, (size_t)cap * sizeof(*argv));
    if (argv == NULL) {
        return false;
    }
    out->argv = argv;
    out->argv_cap = cap;
    return true;
}

static NO_INLINE bool add_span(struct resp_parser *p, struct resp_span span)
{
    /* Full exactly when the number found is a power of two of at least SPANS_MIN. */
    if (p->args_found >= SPANS_MIN && (p->args_found & (p->args_found - 1)) == 0) {
        struct resp_span *spans = realloc(p->spans, 2 * (size_t)p->args_found * sizeof(*spans));
        if (spans == NULL) {
            return false;
        }
        p->spans = spans;
    }
    p->spans[p->args_found++] = span;
    return true;
}

static ALWAYS_INLINE bool add_argument(struct cut *c, size_t len)
{
    struct resp_request *out = c->out;
    if (UNLIKELY(c->parser->spans != NULL)) {
        return add_span(c->parser, (struct resp_span){.at = c->at, .len = len});
    }
    if (UNLIKELY(out->argc == out->argv_cap) && !grow_argv(out, out->argc + 1)) {
        return false;
    }
    out->argv[out->argc++] = strview_of(c->in.data + c->at, len);
    return true;
}

/* The bytes ran out: what is known goes into the parser. */
static enum resp_status keep(struct cut *c, uint32_t args_left, int64_t bulk_len)
{
    struct resp_parser *p = c->parser;
    if (p->spans == NULL) {
        size_t cap = SPANS_MIN;
        while (cap < (size_t)c->out->argc) {
            cap *= 2;
        }
        p->spans = malloc(cap * sizeof(*p->spans));
        if (p->spans == NULL) {
            return RESP_NOMEM;
        }
        p->args_found = 0;
        for (int i = 0; i < c->out->argc; i++) {
            p->spans[p->args_found++] = (struct resp_span){
                .at = (size_t)(c->out->argv[i].data - c->in.data),
                .len = c->out->argv[i].len,
            };
        }
    }
    p->scan_at = c->at;
    p->args_left = args_left;
    p->bulk_len = bulk_len;
    return RESP_MORE;
}

/* All arguments are there: the array is made from the spans, if any were kept. */
static enum resp_status finish(struct cut *c)
{
    struct resp_parser *p = c->parser;
    if (p->spans == NULL) {
        return RESP_REQUEST;
    }
    if ((int)p->args_found > c->out->argv_cap && !grow_argv(c->out, (int)p->args_found)) {
        return RESP_NOMEM;
    }
    for (uint32_t i = 0; i < p->args_found; i++) {
        c->out->argv[i] = strview_of(c->in.data + p->spans[i].at, p->spans[i].len);
    }
    c->out->argc = (int)p->args_found;
    resp_parser_fini(p);
    return RESP_REQUEST;
}

static enum resp_status expected_dollar(struct cut *c)
{
    enum { TEXT_MAX = 64 };
    struct resp_request *out = c->out;
    if (out->scratch_cap < TEXT_MAX) {
        char *scratch = realloc(out->scratch, TEXT_MAX);
        if (scratch == NULL) {
            return RESP_NOMEM;
        }
        out->scratch = scratch;
        out->scratch_cap = TEXT_MAX;
    }
    snprintf(out->scratch, TEXT_MAX, PROTOCOL_ERROR "expected '$', got '%c'", c->in.data[c->at]);
    return fail(c, out->scratch);
}

static ALWAYS_INLINE enum resp_status read_bulk_len(struct cut *c, int64_t *out)
{
    bool is_valid;
    size_t line_at = c->at;
    enum resp_status status = read_number(c, PROTOCOL_ERROR "too big bulk count string", out,
                                          &is_valid);
    if (UNLIKELY(status != RESP_REQUEST)) {
        return status;
    }
    if (UNLIKELY(c->in.data[line_at] != '$')) {
        c->at = line_at;
        return expected_dollar(c);
    }
    if (UNLIKELY(!is_valid || *out < 0 || *out > c->limits->bulk_max)) {
        return fail(c, PROTOCOL_ERROR "invalid bulk length");
    }
    if (UNLIKELY(*out > RESP_AUTH_BULK_MAX && !c->limits->is_authenticated)) {
        return fail(c, PROTOCOL_ERROR "unauthenticated bulk length");
    }
    return RESP_REQUEST;
}

/* `left` bulks from c->at on; the first one's length is known when bulk_len >= 0. */
static enum resp_status read_bulks(struct cut *c, uint32_t left, int64_t bulk_len)
{
    for (; left > 0; left--) {
        if (bulk_len < 0) {
            if (c->at == c->in.len) {
                return keep(c, left, -1);
            }
            enum resp_status status = read_bulk_len(c, &bulk_len);
            if (UNLIKELY(status != RESP_REQUEST)) {
                return status == RESP_MORE ? keep(c, left, -1) : status;
            }
        }
        if (UNLIKELY(c->in.len - c->at < (size_t)bulk_len + 2)) {
            return keep(c, left, bulk_len);
        }
        if (UNLIKELY(!add_argument(c, (size_t)bulk_len))) {
            return RESP_NOMEM;
        }
        c->at += (size_t)bulk_len + 2;
        bulk_len = -1;
    }
    return finish(c);
}

static enum resp_status read_array(struct cut *c)
{
    int64_t count;
    bool is_valid;
    enum resp_status status = read_number(c, PROTOCOL_ERROR "too big mbulk count string", &count,
                                          &is_valid);
    if (UNLIKELY(status != RESP_REQUEST)) {
        return status;
    }
    if (UNLIKELY(!is_valid || count > c->limits->args_max)) {
        return fail(c, PROTOCOL_ERROR "invalid multibulk length");
    }
    if (UNLIKELY(count > RESP_AUTH_ARGS_MAX && !c->limits->is_authenticated)) {
        return fail(c, PROTOCOL_ERROR "unauthenticated multibulk length");
    }
    if (UNLIKELY(count <= 0)) {
        return RESP_EMPTY;
    }
    return read_bulks(c, (uint32_t)count, -1);
}

/* ---- inline commands
 * ------------------------------------------------------------------------------------- */

static enum resp_status read_inline(struct cut *c)
{
    const char *end = memchr(c->in.data, '\n', c->in.len);
    if (end == NULL) {
        return c->in.len > RESP_INLINE_MAX ? fail(c, PROTOCOL_ERROR "too big inline request")
                                           : RESP_MORE;
    }
    size_t len = (size_t)(end - c->in.data);
    c->at = len + 1;
    if (len > 0 && c->in.data[len - 1] == '\r') {
        len--;
    }
    int words = resp_split_words(strview_of(c->in.data, len), c->out);
    if (words == -1) {
        return fail(c, PROTOCOL_ERROR "unbalanced quotes in request");
    }
    if (words < 0) {
        return RESP_NOMEM;
    }
    return words == 0 ? RESP_EMPTY : RESP_REQUEST;
}

/* ---- public
 * ---------------------------------------------------------------------------------------------- */

enum resp_status resp_parse(struct resp_parser *p, const struct resp_limits *limits,
                            struct strview in, struct resp_request *out, size_t *used_out,
                            const char **error_out)
{
    struct cut c = {.parser = p, .limits = limits, .in = in, .out = out};
    enum resp_status status;
    out->argc = 0;
    if (UNLIKELY(p->args_left > 0)) {
        assert(p->scan_at <= in.len);
        c.at = p->scan_at;
        status = read_bulks(&c, p->args_left, p->bulk_len);
    } else if (UNLIKELY(in.len == 0)) {
        return RESP_MORE;
    } else if (LIKELY(in.data[0] == '*')) {
        status = read_array(&c);
    } else {
        status = read_inline(&c);
    }
    if (status == RESP_REQUEST || status == RESP_EMPTY) {
        *used_out = c.at;
    } else if (status == RESP_ERROR) {
        *error_out = c.error;
    }
    return status;
}

size_t resp_parser_wants(const struct resp_parser *p, size_t have)
{
    if (p->args_left == 0 || p->bulk_len < 0) {
        return 0;
    }
    size_t need = p->scan_at + (size_t)p->bulk_len + 2;
    return need > have ? need - have : 0;
}

void resp_parser_fini(struct resp_parser *p)
{
    free(p->spans);
    *p = (struct resp_parser){0};
}

void resp_request_fini(struct resp_request *r)
{
    free(r->argv);
    free(r->scratch);
    *r = (struct resp_request){0};
}
