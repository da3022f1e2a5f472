/*
 * The two forms in which Redis packs a small hash: elements one after the other in a string of
 * bytes, which may come from anywhere. Private to the types layer.
 *
 *      listpack
 *      +-----------+-----------+---------+- - - - -+------+
 *      | bytes (4) | count (2) | element |         | 0xff |
 *      +-----------+-----------+---------+- - - - -+------+
 *                                  |
 *          +----------+- - - - -+---------+          the length of form and data, 7 bits a byte,
 *          | form (1) | data    | backlen |          high ones first, to be read from the end
 *          +----------+- - - - -+---------+
 *
 *      form  0nnnnnnn                       the number n
 *            10llllll                       l bytes follow
 *            110nnnnn n                     a signed number of 13 bits, high byte first
 *            1110llll l                     l (12 bits) bytes follow
 *            11110000 l l l l               l bytes follow, low byte of l first
 *            11110001 ... 11110100          a signed number of 2, 3, 4, 8 bytes, low byte first
 *
 *      ziplist
 *      +-----------+-----------+-----------+---------+- - - - -+------+
 *      | bytes (4) | last (4)  | count (2) | element |         | 0xff |
 *      +-----------+-----------+-----------+---------+- - - - -+------+
 *                                             |
 *           +----------------------+----------+- - - -+
 *           | prevlen (1), or      | form (1) | data  |     prevlen: bytes of the element before
 *           | 0xfe and prevlen (4) |          |       |
 *           +----------------------+----------+- - - -+
 *
 *      form  00llllll                       l bytes follow
 *            01llllll l                     l (14 bits) bytes follow, high byte of l first
 *            10000000 l l l l               l bytes follow, high byte of l first
 *            11000000, 11010000, 11100000   a signed number of 2, 4, 8 bytes, low byte first,
 *            11110000, 11111110             of 3, of 1
 *            1111nnnn                       the number n - 1, 1 <= n <= 13
 *
 * All other numbers have their low byte first; a count of 0xffff says nothing.
 */
#ifndef TARN_TYPES_RDB_LIST_H
#define TARN_TYPES_RDB_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"
#include "tarn/base/num.h"
#include "tarn/base/strview.h"
#include "rdb_string.h"

struct rdb_list {
    struct rdb_reader rest; /* borrowed: elements not read yet */
    uint32_t count, read;   /* elements by its head; those read */
    size_t before;          /* ziplist: bytes of the element before */
    bool is_ziplist;
};

/* An element; numbers are spelt out. */
struct rdb_element {
    struct strview text; /* borrowed from the list, or from `digits` */
    char digits[NUM_I64_CHARS];
};

/* False: the head or the end is wrong. `bytes` is borrowed as long as the list is read. */
bool rdb_list_open(struct rdb_list *l, struct strview bytes, bool is_ziplist) WARN_UNUSED;

/* False: not well-formed. At the end *is_end_out is set, and *out is not. */
bool rdb_list_read(struct rdb_list *l, struct rdb_element *out, bool *is_end_out) WARN_UNUSED;

#endif
