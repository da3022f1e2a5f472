/*
 * Replies, element by element.
 *
 * Each writer reserves the room for its whole element once and then writes without further checks;
 * a buffer without memory swallows the element and remembers it in buf.failed, which whoever sends
 * the buffer looks at once. An element is written whole or not at all.
 *
 * Most lengths and counts have one to three digits, so these are written in place; longer numbers
 * are left to base.
 */
#include "tarn/proto/resp_write.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "tarn/base/num.h"

#define CRLF_LEN            2
#define HEADER_MAX          (1 + NUM_I64_CHARS + CRLF_LEN)
#define VERBATIM_FORMAT_LEN 3

#define WRITE_LITERAL(w, literal) (void)buf_append((w)->out, (literal), sizeof(literal) - 1)

static inline char *put_crlf(char *to)
{
    memcpy(to, "\r\n", CRLF_LEN);
    return to + CRLF_LEN;
}

static inline char *put_number(char *to, uint64_t n)
{
    if (LIKELY(n < 10)) {
        *to = (char)('0' + n);
        return to + 1;
    }
    if (n < 100) {
        to[0] = (char)('0' + n / 10);
        to[1] = (char)('0' + n % 10);
        return to + 2;
    }
    if (n < 1000) {
        to[0] = (char)('0' + n / 100);
        to[1] = (char)('0' + n / 10 % 10);
        to[2] = (char)('0' + n % 10);
        return to + 3;
    }
    return to + num_format_u64(to, n);
}

/* `to` has HEADER_MAX bytes. */
static inline char *put_header(char *to, char type, uint64_t n)
{
    *to++ = type;
    return put_crlf(put_number(to, n));
}

static void write_header(struct resp_writer *w, char type, uint64_t n)
{
    if (LIKELY(buf_reserve(w->out, HEADER_MAX))) {
        char *start = buf_tail(w->out);
        buf_commit(w->out, (size_t)(put_header(start, type, n) - start));
    }
}

/* CR and LF would end the line, and what follows be taken for the next reply. */
static void blank_line_ends(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (UNLIKELY(text[i] == '\r' || text[i] == '\n')) {
            text[i] = ' ';
        }
    }
}

/* `type`, the text made safe, CR LF. */
static void write_line(struct resp_writer *w, char type, struct strview text)
{
    if (!buf_reserve(w->out, 1 + text.len + CRLF_LEN)) {
        return;
    }
    char *start = buf_tail(w->out);
    *start = type;
    if (text.len > 0) {
        memcpy(start + 1, text.data, text.len);
        blank_line_ends(start + 1, text.len);
    }
    (void)put_crlf(start + 1 + text.len);
    buf_commit(w->out, 1 + text.len + CRLF_LEN);
}

/* Writes all of a bulk but its bytes; returns where these go, NULL without memory. */
static inline char *reserve_bulk(struct resp_writer *w, char type, size_t len)
{
    size_t need;
    if (UNLIKELY(add_overflow(len, (size_t)(HEADER_MAX + CRLF_LEN), &need))) {
        w->out->failed = true;
        return NULL;
    }
    if (UNLIKELY(!buf_reserve(w->out, need))) {
        return NULL;
    }
    char *start = buf_tail(w->out);
    char *bytes = put_header(start, type, len);
    buf_commit(w->out, (size_t)(put_crlf(bytes + len) - start));
    return bytes;
}

void resp_write_raw(struct resp_writer *w, struct strview bytes)
{
    (void)buf_append_view(w->out, bytes);
}

void resp_write_simple(struct resp_writer *w, struct strview text)
{
    write_line(w, '+', text);
}

void resp_write_ok(struct resp_writer *w)
{
    WRITE_LITERAL(w, "+OK\r\n");
}

void resp_write_error(struct resp_writer *w, struct strview text)
{
    write_line(w, '-', text);
}

void resp_write_errorf(struct resp_writer *w, const char *format, ...)
{
    struct buf *out = w->out;
    size_t start = buf_len(out);
    va_list args;
    va_start(args, format);
    bool ok = buf_append_char(out, '-') && buf_vprintf(out, format, args);
    va_end(args);
    size_t len = buf_len(out) - start;
    if (!ok || !buf_reserve(out, CRLF_LEN)) {
        buf_truncate(out, start);
        return;
    }
    blank_line_ends(buf_tail(out) - len, len);
    (void)put_crlf(buf_tail(out));
    buf_commit(out, CRLF_LEN);
}

void resp_write_int(struct resp_writer *w, int64_t value)
{
    if (LIKELY(value >= 0)) {
        write_header(w, ':', (uint64_t)value);
    } else if (buf_reserve(w->out, HEADER_MAX)) {
        char *start = buf_tail(w->out);
        *start = ':';
        char *end = put_crlf(start + 1 + num_format_i64(start + 1, value));
        buf_commit(w->out, (size_t)(end - start));
    }
}

char *resp_write_bulk_uninit(struct resp_writer *w, size_t len)
{
    return reserve_bulk(w, '$', len);
}

void resp_write_bulk_head(struct resp_writer *w, size_t len)
{
    write_header(w, '$', len);
}

void resp_write_bulk(struct resp_writer *w, struct strview v)
{
    char *bytes = reserve_bulk(w, '$', v.len);
    if (LIKELY(bytes != NULL && v.len > 0)) {
        memcpy(bytes, v.data, v.len);
    }
}

void resp_write_bulk_str(struct resp_writer *w, const char *s)
{
    resp_write_bulk(w, strview_str(s));
}

void resp_write_bulk_i64(struct resp_writer *w, int64_t value)
{
    char digits[NUM_I64_CHARS];
    resp_write_bulk(w, strview_of(digits, num_format_i64(digits, value)));
}

void resp_write_null(struct resp_writer *w)
{
    if (w->version >= 3) {
        WRITE_LITERAL(w, "_\r\n");
    } else {
        WRITE_LITERAL(w, "$-1\r\n");
    }
}

void resp_write_null_array(struct resp_writer *w)
{
    if (w->version >= 3) {
        WRITE_LITERAL(w, "_\r\n");
    } else {
        WRITE_LITERAL(w, "*-1\r\n");
    }
}

void resp_write_array(struct resp_writer *w, size_t count)
{
    write_header(w, '*', count);
}

void resp_write_map(struct resp_writer *w, size_t pairs)
{
    assert(pairs <= SIZE_MAX / 2);
    if (w->version >= 3) {
        write_header(w, '%', pairs);
    } else {
        write_header(w, '*', pairs * 2);
    }
}

void resp_write_set(struct resp_writer *w, size_t count)
{
    write_header(w, w->version >= 3 ? '~' : '*', count);
}

void resp_write_push(struct resp_writer *w, size_t count)
{
    write_header(w, w->version >= 3 ? '>' : '*', count);
}

void resp_write_bool(struct resp_writer *w, bool value)
{
    if (w->version < 3) {
        write_header(w, ':', value);
    } else if (value) {
        WRITE_LITERAL(w, "#t\r\n");
    } else {
        WRITE_LITERAL(w, "#f\r\n");
    }
}

void resp_write_double(struct resp_writer *w, double value)
{
    char digits[NUM_DOUBLE_CHARS];
    struct strview text = strview_of(digits, num_format_double(digits, value));
    if (w->version >= 3) {
        write_line(w, ',', text);
    } else {
        resp_write_bulk(w, text);
    }
}

void resp_write_verbatim(struct resp_writer *w, const char *format, struct strview v)
{
    assert(strlen(format) == VERBATIM_FORMAT_LEN);
    if (w->version < 3) {
        resp_write_bulk(w, v);
        return;
    }
    char *bytes = reserve_bulk(w, '=', VERBATIM_FORMAT_LEN + 1 + v.len);
    if (bytes != NULL) {
        memcpy(bytes, format, VERBATIM_FORMAT_LEN);
        bytes[VERBATIM_FORMAT_LEN] = ':';
        if (v.len > 0) {
            memcpy(bytes + VERBATIM_FORMAT_LEN + 1, v.data, v.len);
        }
    }
}
