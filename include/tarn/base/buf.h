/*
 * A growable byte buffer with a read end and a write end: bytes are appended at the tail and
 * consumed from the head. Used for replies, for the unread part of a request and for text that is
 * being built.
 *
 *     data          head             tail            cap
 *      | consumed    | readable       | writable      |
 *
 * Append functions return false when memory could not be had; the buffer then holds what it held
 * and `failed` stays set until buf_clear(), so a writer of many small pieces checks once at the
 * end.
 */
#ifndef TARN_BASE_BUF_H
#define TARN_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"
#include "tarn/base/strview.h"

/* The most a buffer holds: far above every limit of the protocol, so that a sum of lengths cannot
 * wrap. */
#define BUF_MAX_BYTES ((size_t)1 << 40)

struct buf {
    char *data; /* owned; NULL until the first append */
    size_t head, tail, cap;
    bool failed; /* an append did not get its memory */
};

static inline void buf_init(struct buf *b)
{
    *b = (struct buf){0};
}

/* Frees the memory; accepts a zeroed buffer. The buffer is empty and usable afterwards. */
void buf_fini(struct buf *b);

static inline size_t buf_len(const struct buf *b)
{
    return b->tail - b->head;
}

static inline struct strview buf_view(const struct buf *b)
{
    /* As integers, because `data` may be NULL, and NULL + 0 is undefined. */
    return strview_of((const char *)((uintptr_t)b->data + b->head), b->tail - b->head);
}

/* Makes room for `n` more bytes at the tail (moving the readable part to the front or growing). */
bool buf_reserve_slow(struct buf *b, size_t n);

static inline bool buf_reserve(struct buf *b, size_t n)
{
    return LIKELY(b->cap - b->tail >= n) || buf_reserve_slow(b, n);
}

/* After buf_reserve(n): the place to write to; buf_commit(m) with m <= n makes the bytes readable.
 */
static inline char *buf_tail(struct buf *b)
{
    return b->data + b->tail;
}

static inline void buf_commit(struct buf *b, size_t n)
{
    b->tail += n;
}

static inline bool buf_append(struct buf *b, const void *data, size_t n)
{
    if (UNLIKELY(!buf_reserve(b, n))) {
        return false;
    }
    if (n > 0) {
        memcpy(b->data + b->tail, data, n);
    }
    b->tail += n;
    return true;
}

static inline bool buf_append_view(struct buf *b, struct strview v)
{
    return buf_append(b, v.data, v.len);
}

static inline bool buf_append_str(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

static inline bool buf_append_char(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}

/* A word of a configuration line: in quotes, with escapes, where the line would be read otherwise. */
bool buf_append_word(struct buf *b, struct strview word);

/* For texts that people read (INFO, logs, errors), never on the hot path. */
bool buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
bool buf_vprintf(struct buf *b, const char *format, va_list args) PRINTF_LIKE(2, 0);

bool buf_append_u64(struct buf *b, uint64_t value);
bool buf_append_i64(struct buf *b, int64_t value);

/* Drops `n` readable bytes from the head; n <= buf_len(). An emptied buffer starts again at the
 * front. */
static inline void buf_consume(struct buf *b, size_t n)
{
    b->head += n;
    if (b->head == b->tail) {
        b->head = b->tail = 0;
    }
}

/* Shortens the readable part to `len` bytes; len <= buf_len(). Undoes appends. */
static inline void buf_truncate(struct buf *b, size_t len)
{
    b->tail = b->head + len;
}

/* Empties, keeps the memory, forgets a failure. */
static inline void buf_clear(struct buf *b)
{
    b->head = b->tail = 0;
    b->failed = false;
}

/* Gives memory above `cap_max` back when the buffer is empty, so that an idle owner costs little.
 */
void buf_shrink(struct buf *b, size_t cap_max);

#endif
