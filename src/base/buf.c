/*
 * The slow half of the buffer: making room, and text with a format. The fast half is inline in the
 * header.
 *
 * Room is made at a cost that is linear in the bytes that pass through: the readable part is moved
 * to the front only when at least as much has been consumed as must be moved, otherwise the
 * capacity doubles. Invariant: head <= tail <= cap <= BUF_MAX_BYTES.
 */
#include "tarn/base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tarn/base/num.h"

#define BUF_MIN_BYTES 64

void buf_fini(struct buf *b)
{
    free(b->data);
    buf_init(b);
}

/* Moves the readable part to memory of `cap` bytes; the old memory stays when there is none. */
static bool buf_set_cap(struct buf *b, size_t cap)
{
    size_t len = buf_len(b);
    assert(cap >= len);
    if (b->head == 0) {
        char *data = realloc(b->data, cap);
        if (data == NULL) {
            return false;
        }
        b->data = data;
        b->cap = cap;
        return true;
    }
    char *data = malloc(cap);
    if (data == NULL) {
        return false;
    }
    if (len > 0) {
        memcpy(data, b->data + b->head, len);
    }
    free(b->data);
    *b = (struct buf){.data = data, .tail = len, .cap = cap, .failed = b->failed};
    return true;
}

bool buf_reserve_slow(struct buf *b, size_t n)
{
    size_t len = buf_len(b);
    assert(b->head <= b->tail && b->tail <= b->cap);
    if (n > BUF_MAX_BYTES - len) {
        b->failed = true;
        return false;
    }
    if (b->head >= len && b->cap - len >= n && b->data != NULL) {
        memmove(b->data, b->data + b->head, len);
        b->head = 0;
        b->tail = len;
        return true;
    }
    size_t doubled = size_min(b->cap * 2, BUF_MAX_BYTES);
    size_t cap = size_max(size_max(doubled, len + n), BUF_MIN_BYTES);
    /* When memory is short, what is needed may still be had. */
    if (!buf_set_cap(b, cap) && !buf_set_cap(b, size_max(len + n, BUF_MIN_BYTES))) {
        b->failed = true;
        return false;
    }
    return true;
}

bool buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    size_t room = b->cap - b->tail;
    int n = vsnprintf(room > 0 ? buf_tail(b) : NULL, room, format, args);
    bool ok = n >= 0;
    if (ok && (size_t)n >= room) {
        ok = buf_reserve(b, (size_t)n + 1); /* vsnprintf writes a NUL */
        if (ok) {
            (void)vsnprintf(buf_tail(b), (size_t)n + 1, format, again);
        }
    }
    va_end(again);
    if (!ok) {
        b->failed = true;
        return false;
    }
    buf_commit(b, (size_t)n);
    return true;
}

bool buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool ok = buf_vprintf(b, format, args);
    va_end(args);
    return ok;
}

static bool is_plain(struct strview word)
{
    for (size_t i = 0; i < word.len; i++) {
        const char c = word.data[i];
        if (c <= ' ' || c > '~' || c == '"' || c == '\'' || c == '\\' || c == '#') {
            return false;
        }
    }
    return word.len > 0;
}

bool buf_append_word(struct buf *b, struct strview word)
{
    if (is_plain(word)) {
        return buf_append_view(b, word);
    }
    const size_t tail = buf_len(b);
    bool ok = buf_append_char(b, '"');
    for (size_t i = 0; i < word.len && ok; i++) {
        const unsigned char c = (unsigned char)word.data[i];
        if (c < ' ' || c == 0x7f) {
            ok = buf_printf(b, "\\x%02x", c);
        } else {
            ok = ((c != '"' && c != '\\') || buf_append_char(b, '\\')) &&
                 buf_append_char(b, (char)c);
        }
    }
    ok = ok && buf_append_char(b, '"');
    if (!ok) {
        buf_truncate(b, tail);
    }
    return ok;
}

bool buf_append_u64(struct buf *b, uint64_t value)
{
    if (!buf_reserve(b, NUM_I64_CHARS)) {
        return false;
    }
    buf_commit(b, num_format_u64(buf_tail(b), value));
    return true;
}

bool buf_append_i64(struct buf *b, int64_t value)
{
    if (!buf_reserve(b, NUM_I64_CHARS)) {
        return false;
    }
    buf_commit(b, num_format_i64(buf_tail(b), value));
    return true;
}

void buf_shrink(struct buf *b, size_t cap_max)
{
    if (b->head == b->tail && b->cap > cap_max) {
        bool failed = b->failed;
        buf_fini(b);
        b->failed = failed;
    }
}
