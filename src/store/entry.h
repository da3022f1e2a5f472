/*
 * The entry: header, key and value in one piece of a segment. Private to the store.
 *
 *      0      1      2            8
 *     +------+------+------------+------+------+------+-----+-----------------+
 *     | flags| space| expiry (6) | klen | vlen | aux  | key | value           |  small entry
 *     +------+------+------------+------+------+------+-----+-----------------+
 *     | flags| space| expiry (6) | klen | vlen | aux  | key | struct large * |  large value: 8
 * bytes of pointer
 *     +------+------+------------+------+------+------+-----+-----------------+
 *     | flags| space| expiry (6) | klen | vlen | aux  | struct large *       |  large key: key and
 * value are outside
 *     +------+------+------------+------+------+------+----------------------+
 *     | 0x80 | bytes / 8 (24 bits)| ...              |  filler: room that an entry gave up, or an
 * abandoned write
 *     +------+--------------------+------------------+
 *
 * Lengths are variable: 7 bits per byte, low bits first, the high bit says "more". Expiry
 * (milliseconds of the monotonic clock, 48 bits) and aux (16 bytes) are there only when the flags
 * say so. Everything is rounded up to ENTRY_ALIGN, so a segment can be walked from its start to its
 * end: a dead entry keeps its header and lengths.
 *
 * An entry is live when it is not marked dead, and then exactly one slot of the index of its space
 * refers to it.
 */
#ifndef TARN_STORE_ENTRY_H
#define TARN_STORE_ENTRY_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "tarn/base/compiler.h"
#include "tarn/base/strview.h"
#include "tarn/base/varint.h"
#include "tarn/store/store.h"
#include "large.h"

#define ENTRY_ALIGN        8u
#define ENTRY_EXPIRY_BYTES 6u
/* An expiry further away than this (8 900 years) is cut to it. */
#define ENTRY_EXPIRY_MAX_MS ((INT64_C(1) << 48) - 2)
#define ENTRY_EXPIRY_NONE   ((INT64_C(1) << 48) - 1)
/* Flags, two varints of at most 5 bytes, expiry, aux and a pointer. */
#define ENTRY_HEAD_MAX (2 + ENTRY_EXPIRY_BYTES + 5 + 5 + STORE_AUX_BYTES + sizeof(struct large *))

enum entry_flag {
    ENTRY_TYPE_MASK = 0x03,
    ENTRY_HAS_EXPIRY = 0x04,
    ENTRY_HAS_AUX = 0x08,
    ENTRY_IS_LARGE = 0x10,
    ENTRY_IS_RELOADABLE = 0x20,
    ENTRY_IS_DEAD = 0x40,
    ENTRY_IS_FILLER = 0x80,
};

/* In the second byte. The last 8 bytes of a value that owns an object are its address. */
enum { ENTRY_SPACE_MASK = 0x1f, ENTRY_KEY_IS_LARGE = 0x20, ENTRY_OWNS_OBJECT = 0x40 };

static_assert((int)ENTRY_HASH <= (int)ENTRY_TYPE_MASK, "entry types fit their bits");

/* What an entry consists of, decoded. Pointers are into the segment (or the large block). */
struct entry_parts {
    unsigned char *head;
    const unsigned char *aux; /* NULL when there is none */
    char *key;
    char *value;
    struct large *large;         /* NULL for a small entry */
    struct store_object *object; /* NULL when it owns none */
    size_t key_len, value_len;
    int64_t expires_at_ms; /* STORE_NO_EXPIRY when there is none */
    uint32_t size;         /* in the segment, rounded */
    uint8_t flags;
    uint8_t space;
};

/* What is to become an entry. */
struct entry_shape {
    size_t key_len, value_len;
    int64_t expires_at_ms;    /* STORE_NO_EXPIRY: none */
    const unsigned char *aux; /* borrowed, or NULL */
    enum entry_type type;
    bool is_reloadable;
    bool leaves_first;
    bool is_large;     /* the value lies outside */
    bool is_key_large; /* the key as well */
    bool owns_object;
    uint8_t space;
};

static inline bool entry_is_filler(const unsigned char *e)
{
    return (e[0] & ENTRY_IS_FILLER) != 0;
}

static inline bool entry_is_dead(const unsigned char *e)
{
    return (e[0] & (ENTRY_IS_DEAD | ENTRY_IS_FILLER)) != 0;
}

static inline void entry_mark_dead(unsigned char *e)
{
    e[0] |= ENTRY_IS_DEAD;
}

static inline uint32_t filler_size(const unsigned char *e)
{
    return ((uint32_t)e[1] | (uint32_t)e[2] << 8 | (uint32_t)e[3] << 16) * ENTRY_ALIGN;
}

/* `size`: a multiple of ENTRY_ALIGN, at least one. */
static inline void filler_write(unsigned char *e, uint32_t size)
{
    uint32_t units = size / ENTRY_ALIGN;
    e[0] = ENTRY_IS_FILLER;
    e[1] = (unsigned char)units;
    e[2] = (unsigned char)(units >> 8);
    e[3] = (unsigned char)(units >> 16);
}

/* STORE_NO_EXPIRY when there is none. */
static inline int64_t entry_expiry(const unsigned char *e)
{
    if ((e[0] & ENTRY_HAS_EXPIRY) == 0) {
        return STORE_NO_EXPIRY;
    }
    uint64_t ms = 0;
    memcpy(&ms, e + 2, ENTRY_EXPIRY_BYTES); /* little-endian, as the rest of the file assumes */
    return (int64_t)ms == ENTRY_EXPIRY_NONE ? STORE_NO_EXPIRY : (int64_t)ms;
}

/* The entry must have room for an expiry (ENTRY_HAS_EXPIRY). */
static inline void entry_write_expiry(unsigned char *e, int64_t expires_at_ms)
{
    uint64_t ms = (uint64_t)ENTRY_EXPIRY_NONE;
    if (expires_at_ms != STORE_NO_EXPIRY) {
        ms = (uint64_t)(expires_at_ms < ENTRY_EXPIRY_MAX_MS ? expires_at_ms : ENTRY_EXPIRY_MAX_MS);
    }
    memcpy(e + 2, &ms, ENTRY_EXPIRY_BYTES);
}

static inline size_t entry_rounded(size_t n)
{
    return (n + ENTRY_ALIGN - 1) & ~(size_t)(ENTRY_ALIGN - 1);
}

/* Bytes an entry of that shape takes in a segment. */
static inline size_t entry_shape_size(const struct entry_shape *shape)
{
    size_t n = 2 + varint_bytes(shape->key_len) + varint_bytes(shape->value_len);
    n += shape->expires_at_ms != STORE_NO_EXPIRY ? ENTRY_EXPIRY_BYTES : 0;
    n += shape->aux != NULL ? STORE_AUX_BYTES : 0;
    n += shape->is_key_large ? 0 : shape->key_len;
    n += shape->is_large ? sizeof(struct large *) : shape->value_len;
    return entry_rounded(n);
}

/* Writes header, lengths and aux; returns the place where key (or pointer) and value follow. */
unsigned char *entry_write_head(unsigned char *e, const struct entry_shape *shape);

/* Changes the length; it must need as many bytes as the old one. */
void entry_write_value_len(unsigned char *e, size_t value_len);
/* Points a large entry at its block. */
void entry_write_large(unsigned char *e, struct large *large);

/* A live or dead entry, not a filler. The large block of a dead entry is gone: `key`, `value` and
 * `large` of a dead large entry must not be followed. */
void entry_parse(unsigned char *e, struct entry_parts *out);

/* Size in the segment of whatever lies at `e`. */
uint32_t entry_size(const unsigned char *e);

/* Key of a live entry: what a look-up compares. */
static inline struct strview entry_key(const unsigned char *e)
{
    size_t key_len, value_len;
    const unsigned char *p = e + 2 + ((e[0] & ENTRY_HAS_EXPIRY) != 0 ? ENTRY_EXPIRY_BYTES : 0);
    p = varint_read(p, &key_len);
    p = varint_read(p, &value_len);
    p += (e[0] & ENTRY_HAS_AUX) != 0 ? STORE_AUX_BYTES : 0;
    if (UNLIKELY((e[1] & ENTRY_KEY_IS_LARGE) != 0)) {
        struct large *large;
        memcpy(&large, p, sizeof(large));
        return strview_of(large->data, key_len);
    }
    return strview_of(p, key_len);
}

/* What a live entry owns outside the log. */
static inline size_t entry_outside(const struct entry_parts *e)
{
    return (e->large != NULL ? e->large->bytes : 0) + (e->object != NULL ? e->object->bytes : 0);
}

/* The object leaves the entry, which goes on as if its value were plain bytes; or comes back. */
static inline void entry_disown(unsigned char *e)
{
    e[1] = (unsigned char)(e[1] & ~(unsigned)ENTRY_OWNS_OBJECT);
}

static inline void entry_own(unsigned char *e)
{
    e[1] = (unsigned char)(e[1] | ENTRY_OWNS_OBJECT);
}

/* Fills the view that callers of the store see. */
void entry_view_fill_any(unsigned char *e, struct entry_view *out);

/* Most entries are small and have no aux: they need a third of the instructions. */
static inline void entry_view_fill(unsigned char *e, struct entry_view *out)
{
    if (UNLIKELY((e[0] & (ENTRY_HAS_AUX | ENTRY_IS_LARGE)) != 0)) {
        entry_view_fill_any(e, out);
        return;
    }
    size_t key_len, value_len;
    const unsigned char *p = e + 2 + ((e[0] & ENTRY_HAS_EXPIRY) != 0 ? ENTRY_EXPIRY_BYTES : 0);
    p = varint_read(p, &key_len);
    p = varint_read(p, &value_len);
    *out = (struct entry_view){
        .key = strview_of(p, key_len),
        .value = strview_of(p + key_len, value_len),
        .expires_at_ms = entry_expiry(e),
        .type = (enum entry_type)(e[0] & ENTRY_TYPE_MASK),
    };
}

#endif
