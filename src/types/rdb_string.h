/*
 * Lengths and strings as Redis writes them to its RDB files. Private to the types layer.
 *
 * A length begins with a byte whose first two bits say how it goes on:
 *
 *      00|pppppp                          6 bits
 *      01|pppppp qqqqqqqq                 14 bits, high byte first
 *      10|000000 and 4 bytes              32 bits, high byte first
 *      10|000001 and 8 bytes              64 bits, high byte first
 *      11|tttttt                          not a length: a string of another form
 *
 * A string is a length and as many bytes, or in another form:
 *
 *      11|000000 n                        the digits of a signed number of 1 byte,
 *      11|000001 n n                      of 2,
 *      11|000010 n n n n                  of 4 bytes, low byte first
 *      11|000011 packed-len len bytes     packed by LZF: both lengths as above
 */
#ifndef TARN_TYPES_RDB_STRING_H
#define TARN_TYPES_RDB_STRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/buf.h"
#include "tarn/base/compiler.h"
#include "tarn/base/strview.h"
#include "tarn/types/rdb_value.h"

struct rdb_reader {
    const unsigned char *at, *end; /* borrowed: what is not read yet */
};

static inline size_t rdb_left(const struct rdb_reader *r)
{
    return (size_t)(r->end - r->at);
}

/* A string that was read: borrowed from the reader's bytes, or from `own`, where what was written
 * in another form is spelt out. Begins zeroed, serves for any number of strings, and ends with
 * rdb_string_fini(). */
struct rdb_string {
    struct strview text;
    struct buf own;
};
void rdb_string_fini(struct rdb_string *s);

/* False: there are not so many bytes. *out is borrowed. */
bool rdb_read_bytes(struct rdb_reader *r, size_t n, const unsigned char **out) WARN_UNUSED;
/* The low byte comes first. */
bool rdb_read_u64(struct rdb_reader *r, uint64_t *out) WARN_UNUSED;
bool rdb_read_len(struct rdb_reader *r, uint64_t *out) WARN_UNUSED;
enum rdb_result rdb_read_string(struct rdb_reader *r, struct rdb_string *s) WARN_UNUSED;

/* These note a failure in the buffer. Strings that are numbers are written as such, longer ones are
 * packed when that saves something. */
void rdb_write_u64(struct buf *out, uint64_t value);
void rdb_write_len(struct buf *out, uint64_t len);
void rdb_write_string(struct buf *out, struct strview text);

#endif
