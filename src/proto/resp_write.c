/*
 * Replies, element by element.
 *
 * Each writer reserves the room for its whole element once and then copies; a buffer without memory
 * swallows the element and remembers it in buf.failed, which the connection looks at before it
 * sends.
 */
#include "tarn/proto/resp_write.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "tarn/base/num.h"

#define HEADER_MAX      (1 + NUM_I64_CHARS + 2)
#define ERROR_TEXT_MAX  1024
#define VERBATIM_FORMAT 3

static void write_bytes(struct resp_writer *w, const char *literal, size_t len)
{
    (void)buf_append(w->out, literal, len); /* remembered in buf.failed */
}

#define WRITE_LITERAL(w, literal) write_bytes((w), (literal), sizeof(literal) - 1)

static char *put_crlf(char *p)
{
    *p++ = '\r';
    *p++ = '\n';
    return p;
}

/* `type`, the number, CR LF: `p` has HEADER_MAX bytes. Lengths below 10 are most of all there are.
 */
static char *put_header(char *p, char type, int64_t n)
{
    *p++ = type;
    if (n >= 0 && n < 10) {
        *p++ = (char)('0' + n);
    } else {
        p += num_format_i64(p, n);
    }
    return put_crlf(p);
}

static void write_header(struct resp_writer *w, char type, int64_t n)
{
    if (buf_reserve(w->out, HEADER_MAX)) {
        char *start = buf_tail(w->out);
        buf_commit(w->out, (size_t)(put_header(start, type, n) - start));
    }
}

/* One line: `type`, the text with CR and LF as blanks, CR LF. */
static void write_line(struct resp_writer *w, char type, struct strview text)
{
    if (!buf_reserve(w->out, text.len + 3)) {
        return;
    }
    char *p = buf_tail(w->out);
    *p++ = type;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        *p++ = c == '\r' || c == '\n' ? ' ' : c;
    }
    (void)put_crlf(p);
    buf_commit(w->out, text.len + 3);
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
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert(len >= 0);
    write_line(w, '-', strview_of(text, size_min((size_t)len, sizeof(text) - 1)));
}

void resp_write_int(struct resp_writer *w, int64_t value)
{
    write_header(w, ':', value);
}

char *resp_write_bulk_uninit(struct resp_writer *w, size_t len)
{
    if (!buf_reserve(w->out, HEADER_MAX + len + 2)) {
        return NULL;
    }
    char *start = buf_tail(w->out);
    char *bytes = put_header(start, '$', (int64_t)len);
    char *end = put_crlf(bytes + len);
    buf_commit(w->out, (size_t)(end - start));
    return bytes;
}

void resp_write_bulk(struct resp_writer *w, struct strview v)
{
    char *bytes = resp_write_bulk_uninit(w, v.len);
    if (bytes != NULL && v.len > 0) {
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
    write_header(w, '*', (int64_t)count);
}

void resp_write_map(struct resp_writer *w, size_t pairs)
{
    if (w->version >= 3) {
        write_header(w, '%', (int64_t)pairs);
    } else {
        write_header(w, '*', (int64_t)pairs * 2);
    }
}

void resp_write_set(struct resp_writer *w, size_t count)
{
    write_header(w, w->version >= 3 ? '~' : '*', (int64_t)count);
}

void resp_write_push(struct resp_writer *w, size_t count)
{
    write_header(w, w->version >= 3 ? '>' : '*', (int64_t)count);
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
    if (w->version < 3) {
        resp_write_bulk(w, v);
        return;
    }
    assert(strlen(format) == VERBATIM_FORMAT);
    write_header(w, '=', (int64_t)(v.len + VERBATIM_FORMAT + 1));
    write_bytes(w, format, VERBATIM_FORMAT);
    write_bytes(w, ":", 1);
    write_bytes(w, v.data, v.len);
    write_bytes(w, "\r\n", 2);
}
