/*
 * Replies into a buffer, in RESP2 or RESP3. A writer is the pair of buffer and protocol version;
 * each function appends one complete element, and aggregates are a header followed by that many
 * elements.
 *
 * Nothing returns an error: an element that gets no memory is left out and buf.failed is set, which
 * the owner of the buffer checks once before it sends.
 *
 * Text of errors and simple strings is made safe here: CR and LF become blanks, so that no key or
 * message can forge a reply.
 */
#ifndef TARN_PROTO_RESP_WRITE_H
#define TARN_PROTO_RESP_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/buf.h"
#include "tarn/base/compiler.h"
#include "tarn/base/strview.h"

struct resp_writer {
    struct buf *out; /* borrowed */
    int version;     /* 2 or 3 */
};

/* Bytes that are a reply (or part of one) already. */
void resp_write_raw(struct resp_writer *w, struct strview bytes);
void resp_write_simple(struct resp_writer *w, struct strview text);
void resp_write_ok(struct resp_writer *w);
/* `text` starts with the code: "ERR no such key", "WRONGTYPE ...". */
void resp_write_error(struct resp_writer *w, struct strview text);
void resp_write_errorf(struct resp_writer *w, const char *format, ...) PRINTF_LIKE(2, 3);
void resp_write_int(struct resp_writer *w, int64_t value);
void resp_write_bulk(struct resp_writer *w, struct strview v);
void resp_write_bulk_str(struct resp_writer *w, const char *s);
void resp_write_bulk_i64(struct resp_writer *w, int64_t value); /* the digits as a bulk string */
/* Writes a bulk of `len` bytes but leaves these to the caller: returns where they go, until the
 * next append; NULL without memory. */
char *resp_write_bulk_uninit(struct resp_writer *w, size_t len);
/* Announces a bulk: its bytes and CR LF are to follow. */
void resp_write_bulk_head(struct resp_writer *w, size_t len);
void resp_write_null(struct resp_writer *w);       /* $-1 or _ */
void resp_write_null_array(struct resp_writer *w); /* *-1 or _ */
void resp_write_array(struct resp_writer *w, size_t count);
void resp_write_map(struct resp_writer *w, size_t pairs);    /* % or an array of twice as many */
void resp_write_set(struct resp_writer *w, size_t count);    /* ~ or an array */
void resp_write_push(struct resp_writer *w, size_t count);   /* > or an array */
void resp_write_bool(struct resp_writer *w, bool value);     /* #t or :1 */
void resp_write_double(struct resp_writer *w, double value); /* ,1.5 or a bulk */
/* Text with a format of three letters ("txt"): = or a bulk. */
void resp_write_verbatim(struct resp_writer *w, const char *format, struct strview v);

#endif
