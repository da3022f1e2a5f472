/*
 * Values in the form in which Redis's DUMP gives them and RESTORE takes them: a value as it would
 * stand in an RDB file, with a footer.
 *
 *      +------+- - - - - - -+-------------+-----------+
 *      | type | value       | version (2) | crc64 (8) |
 *      +------+- - - - - - -+-------------+-----------+
 *
 * Version and checksum (of all before it) have their low byte first. What is written is a type that
 * Redis 7.0 and all later ones read, except that fields with an expiry need Redis 7.4:
 *
 *       0  string
 *       4  hash:   count, then for each field name and value
 *      24  hash with expiries (7.4): the first expiry (8, Unix ms), count, then for each field its
 *          expiry less the first plus 1, or 0 for none; name; value
 *
 * and read are also
 *
 *      13  hash as a ziplist,  16  as a listpack (rdb_list.h): name, value, name, value, ...
 *      22  hash with expiries (Valkey 9): count, then name, value, expiry (8, Unix ms, or -1)
 *      25  hash with expiries as a listpack (7.4): the first expiry (8), then a listpack of name,
 *          value, expiry (Unix ms, or 0 for none)
 *
 * where counts and small expiries are lengths and names and values strings of rdb_string.h.
 */
#ifndef TARN_TYPES_RDB_VALUE_H
#define TARN_TYPES_RDB_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "tarn/base/buf.h"
#include "tarn/base/compiler.h"
#include "tarn/base/strview.h"
#include "tarn/store/store.h"
#include "tarn/types/hashmap_build.h"
#include "tarn/types/types.h"

enum rdb_result {
    RDB_OK = 0,
    RDB_BAD_FOOTER = 1, /* too short, a version from the future, or the checksum is wrong */
    RDB_BAD_DATA = 2,   /* not well-formed, or of a type that is not known here */
    RDB_NO_MEMORY = 3,
};

/* Appends the payload of a live value, as the store has it. False: no memory. */
bool rdb_value_write(const struct types *t, enum entry_type type, struct strview value,
                     struct buf *out) WARN_UNUSED;

/* A value that was read and is whole, though it belongs to no key yet. */
struct rdb_value {
    enum entry_type type;
    bool is_over;              /* a hash all of whose fields are over: there is nothing to keep */
    struct strview string;     /* borrowed from the payload or from `unpacked` */
    struct buf unpacked;       /* owned */
    struct hashmap_build hash; /* owned */
};

/* *out, which is filled in only when this returns RDB_OK, ends with rdb_value_fini(). */
enum rdb_result rdb_value_read(struct types *t, struct strview payload,
                               struct rdb_value *out) WARN_UNUSED;
void rdb_value_fini(struct rdb_value *v);

/* The same without a footer: for tests of what is in front of it. */
enum rdb_result rdb_value_read_body(struct types *t, struct strview body,
                                    struct rdb_value *out) WARN_UNUSED;

/* Puts the value, which is not over, under the key in place of what is there. Afterwards nothing
 * but rdb_value_fini() may follow. */
enum store_result rdb_value_put(struct types *t, struct rdb_value *v, const struct store_key *key,
                                int64_t expires_at_ms) WARN_UNUSED;

#endif
