/*
 * A small hash as bytes. Private to the types layer.
 *
 *      0       1        3           9
 *     +-------+--------+-----------+--------+--------+--- - - ---+- - - - -
 *     | flags | fields | due (6)   | field  | field  |           |  slack
 *     +-------+--------+-----------+--------+--------+--- - - ---+- - - - -
 *                                 /          \
 *                 +--------------+-----+------+-----+-------+
 *                 | expiry (6)   | len | name | len | value |
 *                 +--------------+-----+------+-----+-------+
 *
 * Lengths are varints. Fields are in the order in which they came. `due` (the earliest expiry, or
 * an earlier time) and the expiries are there only when the flag says so: milliseconds of the
 * monotonic clock in 48 bits, all ones for none. Slack is what a change could not give back; nobody
 * reads it.
 *
 * The value of a hash that became a table is
 *
 *      0       1
 *     +-------+--------------------------+
 *     | flags | struct field_table * (8) |
 *     +-------+--------------------------+
 */
#ifndef TARN_TYPES_PACKED_H
#define TARN_TYPES_PACKED_H

#include <assert.h>
#include <string.h>

#include "tarn/base/varint.h"
#include "tarn/types/hashmap.h"

enum packed_flag {
    PACKED_IS_TABLE = 0x01,
    PACKED_HAS_EXPIRIES = 0x02,
};

#define PACKED_COUNT_AT     1u
#define PACKED_COUNT_BYTES  2u
#define PACKED_HEAD_BYTES   3u /* without due */
#define PACKED_EXPIRY_BYTES 6u
#define PACKED_EXPIRY_NONE  ((INT64_C(1) << 48) - 1)
#define PACKED_TABLE_BYTES  (1 + sizeof(struct field_table *))

/* The work of a change is the size of the hash. */
#define PACKED_COUNT_MAX 256u
#define PACKED_BYTES_MAX (16u * 1024)

static_assert(PACKED_HEAD_BYTES == PACKED_COUNT_AT + PACKED_COUNT_BYTES, "count follows flags");
static_assert(PACKED_COUNT_MAX < 1u << 8 * PACKED_COUNT_BYTES, "count fits");
static_assert(HASHMAP_EXPIRY_MAX_MS < PACKED_EXPIRY_NONE, "none is no time");
static_assert(PACKED_EXPIRY_NONE < INT64_C(1) << 8 * PACKED_EXPIRY_BYTES, "expiry fits");

/* A field and its place. */
struct packed_field {
    struct hashmap_field field;
    size_t at, size; /* in the bytes of the hash */
};

static inline bool packed_has_expiries(struct strview hash)
{
    return (hash.data[0] & PACKED_HAS_EXPIRIES) != 0;
}

static inline unsigned packed_count(struct strview hash)
{
    uint16_t count;
    memcpy(&count, hash.data + PACKED_COUNT_AT, sizeof(count));
    return count;
}

static inline void packed_write_count(char *hash, unsigned count)
{
    const uint16_t n = (uint16_t)count;
    memcpy(hash + PACKED_COUNT_AT, &n, sizeof(n));
}

static inline size_t packed_head_bytes(bool has_expiries)
{
    return PACKED_HEAD_BYTES + (has_expiries ? PACKED_EXPIRY_BYTES : 0);
}

static inline int64_t packed_read_expiry(const unsigned char *p)
{
    uint64_t ms = 0;
    memcpy(&ms, p, PACKED_EXPIRY_BYTES); /* little-endian, as the store assumes */
    return (int64_t)ms == PACKED_EXPIRY_NONE ? STORE_NO_EXPIRY : (int64_t)ms;
}

static inline void packed_write_expiry(char *p, int64_t at_ms)
{
    const int64_t cut = at_ms < HASHMAP_EXPIRY_MAX_MS ? at_ms : HASHMAP_EXPIRY_MAX_MS;
    const uint64_t ms = (uint64_t)(at_ms == STORE_NO_EXPIRY ? PACKED_EXPIRY_NONE : cut);
    memcpy(p, &ms, PACKED_EXPIRY_BYTES);
}

/* Bytes a field takes. */
static inline size_t packed_field_bytes(bool has_expiries, size_t name_len, size_t value_len)
{
    return (has_expiries ? PACKED_EXPIRY_BYTES : 0) + varint_bytes(name_len) + name_len +
           varint_bytes(value_len) + value_len;
}

/* Reads the field at `p`; returns the place behind it. */
static inline const unsigned char *packed_read(const unsigned char *p, bool has_expiries,
                                               struct hashmap_field *out)
{
    size_t len;
    out->expires_at_ms = STORE_NO_EXPIRY;
    if (has_expiries) {
        out->expires_at_ms = packed_read_expiry(p);
        p += PACKED_EXPIRY_BYTES;
    }
    p = varint_read(p, &len);
    out->name = strview_of(p, len);
    p = varint_read(p + len, &len);
    out->value = strview_of(p, len);
    return p + len;
}

/* The field of that name, over or not. False: *out says where the fields end. */
bool packed_find(struct strview hash, struct strview name, struct packed_field *out);

/* Writes a field; returns the place behind it. */
char *packed_write(char *p, bool has_expiries, const struct hashmap_field *field);

#endif
