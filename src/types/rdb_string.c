/*
 * Reading and writing the strings of RDB, see rdb_string.h. Reading trusts nothing: a length is
 * compared with what is there before anything is allocated for it, and what a packed string says of
 * its own length with what LZF can make of so few bytes.
 */
#include "rdb_string.h"

#include <lzf.h>

#include "tarn/base/num.h"
#include "tarn/store/store.h"

#define FORM_LEN_6   0x00u
#define FORM_LEN_14  0x40u
#define FORM_LEN_32  0x80u
#define FORM_LEN_64  0x81u
#define FORM_MASK    0xc0u
#define FORM_OTHER   0xc0u
#define FORM_INT8    0xc0u
#define FORM_INT16   0xc1u
#define FORM_INT32   0xc2u
#define FORM_PACKED  0xc3u
#define LEN_6_BITS   0x3fu
#define LEN_14_MAX   0x3fffu
#define INT_TEXT_MAX 11 /* digits and sign of 32 bits */

/* Strings worth packing; packing longer ones would hold up everybody else. */
#define PACK_MIN 21u
#define PACK_MAX (1024u * 1024)
/* What LZF needs to win for it to be worth it. */
#define PACK_GAIN 4u
/* LZF makes at most 264 bytes of 3. */
#define UNPACK_RATIO 88u

void rdb_string_fini(struct rdb_string *s)
{
    buf_fini(&s->own);
}

/* ---- reading ---- */

bool rdb_read_bytes(struct rdb_reader *r, size_t n, const unsigned char **out)
{
    if (n > rdb_left(r)) {
        return false;
    }
    *out = r->at;
    r->at += n;
    return true;
}

bool rdb_read_u64(struct rdb_reader *r, uint64_t *out)
{
    const unsigned char *p;
    if (!rdb_read_bytes(r, sizeof(*out), &p)) {
        return false;
    }
    *out = 0;
    for (size_t i = 0; i < sizeof(*out); i++) {
        *out |= (uint64_t)p[i] << 8 * i;
    }
    return true;
}

/* A number of n bytes, the high one first. */
static bool read_big_endian(struct rdb_reader *r, size_t n, uint64_t *out)
{
    const unsigned char *p;
    uint64_t value = 0;
    if (!rdb_read_bytes(r, n, &p)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        value = value << 8 | p[i];
    }
    *out = value;
    return true;
}

/* The rest of a length whose first byte was `form`. */
static bool read_len_of(struct rdb_reader *r, unsigned form, uint64_t *out)
{
    uint64_t low;
    switch (form & FORM_MASK) {
    case FORM_LEN_6:
        *out = form & LEN_6_BITS;
        return true;
    case FORM_LEN_14:
        if (!read_big_endian(r, 1, &low)) {
            return false;
        }
        *out = (uint64_t)(form & LEN_6_BITS) << 8 | low;
        return true;
    case FORM_LEN_32:
        if (form == FORM_LEN_32) {
            return read_big_endian(r, 4, out);
        }
        return form == FORM_LEN_64 && read_big_endian(r, 8, out);
    default:
        return false;
    }
}

bool rdb_read_len(struct rdb_reader *r, uint64_t *out)
{
    const unsigned char *form;
    return rdb_read_bytes(r, 1, &form) && read_len_of(r, *form, out);
}

/* The digits of a signed number of n bytes, the low one first. */
static enum rdb_result read_digits(struct rdb_reader *r, size_t n, struct rdb_string *s)
{
    const unsigned char *p;
    uint32_t bits = 0;
    if (!rdb_read_bytes(r, n, &p)) {
        return RDB_BAD_DATA;
    }
    for (size_t i = 0; i < n; i++) {
        bits |= (uint32_t)p[i] << 8 * i;
    }
    const int32_t value = n == 1 ? (int8_t)bits : n == 2 ? (int16_t)bits : (int32_t)bits;
    buf_clear(&s->own);
    if (!buf_append_i64(&s->own, value)) {
        return RDB_NO_MEMORY;
    }
    s->text = buf_view(&s->own);
    return RDB_OK;
}

static enum rdb_result read_packed(struct rdb_reader *r, struct rdb_string *s)
{
    const unsigned char *packed;
    uint64_t packed_len, len;
    if (!rdb_read_len(r, &packed_len) || !rdb_read_len(r, &len) || packed_len > rdb_left(r) ||
        len == 0 || len > STORE_VALUE_MAX || len / UNPACK_RATIO > packed_len ||
        !rdb_read_bytes(r, packed_len, &packed)) {
        return RDB_BAD_DATA;
    }
    buf_clear(&s->own);
    if (!buf_reserve(&s->own, len)) {
        return RDB_NO_MEMORY;
    }
    const unsigned n = lzf_decompress(packed, (unsigned)packed_len, buf_tail(&s->own),
                                      (unsigned)len);
    if (n != len) {
        return RDB_BAD_DATA;
    }
    buf_commit(&s->own, len);
    s->text = buf_view(&s->own);
    return RDB_OK;
}

enum rdb_result rdb_read_string(struct rdb_reader *r, struct rdb_string *s)
{
    const unsigned char *form, *bytes;
    uint64_t len;
    if (!rdb_read_bytes(r, 1, &form)) {
        return RDB_BAD_DATA;
    }
    switch (*form) {
    case FORM_INT8:
        return read_digits(r, 1, s);
    case FORM_INT16:
        return read_digits(r, 2, s);
    case FORM_INT32:
        return read_digits(r, 4, s);
    case FORM_PACKED:
        return read_packed(r, s);
    default:
        break;
    }
    if (!read_len_of(r, *form, &len) || !rdb_read_bytes(r, len, &bytes)) {
        return RDB_BAD_DATA;
    }
    s->text = strview_of(bytes, len);
    return RDB_OK;
}

/* ---- writing ---- */

void rdb_write_u64(struct buf *out, uint64_t value)
{
    unsigned char bytes[sizeof(value)];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(value >> 8 * i);
    }
    (void)buf_append(out, bytes, sizeof(bytes));
}

void rdb_write_len(struct buf *out, uint64_t len)
{
    unsigned char bytes[9];
    size_t n = 0;
    size_t low = 0; /* whole bytes of the length behind the first */
    if (len <= LEN_6_BITS) {
        bytes[n++] = (unsigned char)len;
    } else if (len <= LEN_14_MAX) {
        bytes[n++] = (unsigned char)(FORM_LEN_14 | len >> 8);
        low = 1;
    } else {
        low = len <= UINT32_MAX ? 4 : 8;
        bytes[n++] = low == 4 ? FORM_LEN_32 : FORM_LEN_64;
    }
    while (low > 0) {
        bytes[n++] = (unsigned char)(len >> 8 * --low);
    }
    (void)buf_append(out, bytes, n);
}

static void write_number(struct buf *out, int32_t value)
{
    const size_t n = value == (int8_t)value ? 1 : value == (int16_t)value ? 2 : 4;
    const uint32_t bits = (uint32_t)value;
    const unsigned char bytes[5] = {
        (unsigned char)(n == 1   ? FORM_INT8
                        : n == 2 ? FORM_INT16
                                 : FORM_INT32),
        (unsigned char)bits,
        (unsigned char)(bits >> 8),
        (unsigned char)(bits >> 16),
        (unsigned char)(bits >> 24),
    };
    (void)buf_append(out, bytes, 1 + n);
}

/* Room for the packed bytes is taken behind the longest head, and they are moved up to it. False:
 * nothing was written, because it would not have been shorter. */
static bool write_packed(struct buf *out, struct strview text)
{
    const size_t head_max = 1 + 5 + 5;
    const size_t packed_max = text.len - PACK_GAIN;
    if (!buf_reserve(out, head_max + packed_max)) {
        return false;
    }
    const size_t packed_at = out->tail + head_max;
    const unsigned packed_len = lzf_compress(text.data, (unsigned)text.len, out->data + packed_at,
                                             (unsigned)packed_max);
    if (packed_len == 0) {
        return false;
    }
    (void)buf_append_char(out, (char)FORM_PACKED);
    rdb_write_len(out, packed_len);
    rdb_write_len(out, text.len);
    memmove(buf_tail(out), out->data + packed_at, packed_len);
    buf_commit(out, packed_len);
    return true;
}

void rdb_write_string(struct buf *out, struct strview text)
{
    int64_t value;
    if (text.len <= INT_TEXT_MAX && num_parse_i64(text, &value) && value == (int32_t)value) {
        write_number(out, (int32_t)value);
        return;
    }
    if (text.len >= PACK_MIN && text.len <= PACK_MAX && write_packed(out, text)) {
        return;
    }
    rdb_write_len(out, text.len);
    (void)buf_append_view(out, text);
}
