/*
 * Bits of strings: SETBIT GETBIT BITCOUNT BITPOS BITOP.
 *
 * A string is a row of bits, the highest bit of its first byte being bit 0; behind its end all bits
 * are 0. Ranges are resolved to bits, both ends included, whatever unit the client counted in; then
 * counting and searching have one form each and go eight bytes at a time between the ends.
 *
 * Arguments are looked at in the order in which Redis 7.0 does, which decides what a request with
 * two mistakes, or one on an absent key, is answered.
 */
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "keyspace.h"
#include "reply.h"
#include "table.h"
#include "tarn/base/num.h"

#define WORD_BYTES     sizeof(uint64_t)
#define ERROR_BIT      "ERR bit is not an integer or out of range"
#define ERROR_ONE_OF   "ERR The bit argument must be 1 or 0."
#define ERROR_NOT_KEYS "ERR BITOP NOT must be called with a single source key."

/* ---- one bit ---- */

static unsigned bit_of(struct strview value, uint64_t at)
{
    const uint64_t byte = at >> 3;
    return byte < value.len ? (unsigned char)value.data[byte] >> (7 - (at & 7)) & 1u : 0;
}

void cmd_setbit(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct strview value = {0};
    uint64_t at;
    int64_t bit;
    if (!arg_bit_offset(ctx, 2, 0, &at)) {
        return;
    }
    if (!num_parse_i64(ctx->argv[3], &bit) || (bit & ~INT64_C(1)) != 0) {
        reply_error(ctx, ERROR_BIT);
        return;
    }
    const enum key_state state = key_find_string(ctx, &key, &value);
    if (state == KEY_WRONG_TYPE) {
        return;
    }
    const unsigned old = bit_of(value, at);
    const size_t len = size_max(value.len, (size_t)(at >> 3) + 1);
    char *bytes;
    if (!key_resize(ctx, &key, len, state == KEY_FOUND, &bytes)) {
        return;
    }
    const unsigned mask = 1u << (7 - (at & 7));
    const unsigned byte = (unsigned char)bytes[at >> 3] & ~mask;
    bytes[at >> 3] = (char)(unsigned char)(byte | (bit != 0 ? mask : 0));
    resp_write_int(ctx->reply, old);
}

void cmd_getbit(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct strview value = {0};
    uint64_t at;
    if (arg_bit_offset(ctx, 2, 0, &at) && key_read_string(ctx, &key, &value) != KEY_WRONG_TYPE) {
        resp_write_int(ctx->reply, bit_of(value, at));
    }
}

/* ---- ranges ---- */

/* As given: in bytes or bits, negative ones counted from the end. */
struct range_args {
    int64_t start, end;
    bool in_bits;
};

/* Bits first..last; empty when first > last. */
struct bit_range {
    int64_t first, last;
};

static struct bit_range resolve(const struct range_args *args, size_t bytes)
{
    const int64_t units = (int64_t)bytes * (args->in_bits ? 8 : 1);
    int64_t start = args->start < 0 ? args->start + units : args->start;
    int64_t end = args->end < 0 ? args->end + units : args->end;
    start = start < 0 ? 0 : start;
    end = end < 0 ? 0 : end;
    end = end >= units ? units - 1 : end;
    if (start > end) {
        return (struct bit_range){.first = 0, .last = -1};
    }
    return args->in_bits ? (struct bit_range){.first = start, .last = end}
                         : (struct bit_range){.first = start * 8, .last = end * 8 + 7};
}

static bool arg_unit(struct cmd_ctx *ctx, int i, bool *in_bits_out)
{
    *in_bits_out = arg_is(ctx, i, "bit");
    if (!*in_bits_out && !arg_is(ctx, i, "byte")) {
        reply_error(ctx, ERROR_SYNTAX);
        return false;
    }
    return true;
}

static int64_t count_bytes(const char *p, size_t len)
{
    int64_t count = 0;
    for (; len >= WORD_BYTES; p += WORD_BYTES, len -= WORD_BYTES) {
        uint64_t word;
        memcpy(&word, p, WORD_BYTES);
        count += bits_set(word);
    }
    for (; len > 0; p++, len--) {
        count += bits_set((unsigned char)*p);
    }
    return count;
}

/* The range lies within the string and is not empty. */
static int64_t count_range(struct strview value, struct bit_range range)
{
    const size_t first = (size_t)range.first >> 3, last = (size_t)range.last >> 3;
    const unsigned before = (unsigned char)value.data[first] & ~(0xffu >> (range.first & 7));
    const unsigned behind = (unsigned char)value.data[last] & (0x7fu >> (range.last & 7));
    return count_bytes(value.data + first, last - first + 1) - bits_set(before) - bits_set(behind);
}

void cmd_bitcount(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct range_args args = {.start = 0, .end = -1};
    struct strview value;
    const enum key_state state = key_read_string(ctx, &key, &value);
    if (state != KEY_FOUND) {
        if (state == KEY_ABSENT) {
            resp_write_int(ctx->reply, 0);
        }
        return;
    }
    if (ctx->argc == 3 || ctx->argc > 5) {
        reply_error(ctx, ERROR_SYNTAX);
        return;
    }
    if (ctx->argc > 3) {
        if (!arg_i64(ctx, 2, &args.start) || !arg_i64(ctx, 3, &args.end)) {
            return;
        }
        if (args.start < 0 && args.end < 0 && args.start > args.end) {
            resp_write_int(ctx->reply, 0);
            return;
        }
        if (ctx->argc == 5 && !arg_unit(ctx, 4, &args.in_bits)) {
            return;
        }
    }
    const struct bit_range range = resolve(&args, value.len);
    resp_write_int(ctx->reply, range.first > range.last ? 0 : count_range(value, range));
}

static unsigned highest_bit(unsigned byte)
{
    unsigned at = 0;
    while ((byte & 0x80) == 0) {
        byte <<= 1;
        at++;
    }
    return at;
}

/* The first bit of that kind within the range, which lies within the string; -1: none. */
static int64_t find_bit(struct strview value, struct bit_range range, bool wanted)
{
    const size_t first = (size_t)range.first >> 3, last = (size_t)range.last >> 3;
    const uint64_t nothing = wanted ? 0 : UINT64_MAX;
    for (size_t at = first; range.first <= range.last && at <= last; at++) {
        uint64_t word;
        while (at > first && at + WORD_BYTES <= last &&
               memcmp(value.data + at, &nothing, WORD_BYTES) == 0) {
            at += WORD_BYTES;
        }
        word = (unsigned char)value.data[at] ^ (wanted ? 0 : 0xffu);
        word &= at == first ? 0xffu >> (range.first & 7) : 0xffu;
        word &= at == last ? 0xffu << (7 - (range.last & 7)) : 0xffu;
        if (word != 0) {
            return (int64_t)(at * 8 + highest_bit((unsigned)word));
        }
    }
    return -1;
}

/* Start, end and unit of BITPOS; false: an error was written. */
static bool parse_bitpos(struct cmd_ctx *ctx, struct range_args *args)
{
    if (ctx->argc > 6) {
        reply_error(ctx, ERROR_SYNTAX);
        return false;
    }
    return (ctx->argc < 4 || arg_i64(ctx, 3, &args->start)) &&
           (ctx->argc < 6 || arg_unit(ctx, 5, &args->in_bits)) &&
           (ctx->argc < 5 || arg_i64(ctx, 4, &args->end));
}

void cmd_bitpos(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct range_args args = {.start = 0, .end = -1};
    struct strview value;
    int64_t bit;
    if (!arg_i64(ctx, 2, &bit)) {
        return;
    }
    if (bit != 0 && bit != 1) {
        reply_error(ctx, ERROR_ONE_OF);
        return;
    }
    const enum key_state state = key_read_string(ctx, &key, &value);
    if (state != KEY_FOUND) {
        if (state == KEY_ABSENT) {
            resp_write_int(ctx->reply, bit == 1 ? -1 : 0);
        }
        return;
    }
    if (!parse_bitpos(ctx, &args)) {
        return;
    }
    const struct bit_range range = resolve(&args, value.len);
    int64_t found = find_bit(value, range, bit == 1);
    if (found < 0 && bit == 0 && ctx->argc < 5 && range.first <= range.last) {
        found = (int64_t)value.len * 8; /* without an end, what is behind the string counts */
    }
    resp_write_int(ctx->reply, found);
}

/* ---- BITOP ---- */

enum bit_operation { BIT_AND, BIT_OR, BIT_XOR, BIT_NOT, BIT_OPERATIONS };

static enum bit_operation parse_operation(const struct cmd_ctx *ctx, int i)
{
    static const char *const names[BIT_OPERATIONS] = {"and", "or", "xor", "not"};
    unsigned op = 0;
    while (op < BIT_OPERATIONS && !arg_is(ctx, i, names[op])) {
        op++;
    }
    return (enum bit_operation)op;
}

/* Length of the longest source; false: one is no string, and the error was written. */
static bool longest_source(struct cmd_ctx *ctx, size_t *len_out)
{
    size_t longest = 0;
    for (int i = 3; i < ctx->argc; i++) {
        const struct store_key key = key_at(ctx, i);
        struct strview value = {0};
        if (key_read_string(ctx, &key, &value) == KEY_WRONG_TYPE) {
            return false;
        }
        longest = size_max(longest, value.len);
    }
    *len_out = longest;
    return true;
}

/* result = result op source, where the source is followed by zeros. */
static void combine(enum bit_operation op, unsigned char *result, size_t len, struct strview source)
{
    const unsigned char *from = (const unsigned char *)source.data;
    switch (op) {
    case BIT_AND:
        for (size_t i = 0; i < source.len; i++) {
            result[i] &= from[i];
        }
        memset(result + source.len, 0, len - source.len);
        break;
    case BIT_OR:
        for (size_t i = 0; i < source.len; i++) {
            result[i] |= from[i];
        }
        break;
    case BIT_XOR:
    case BIT_NOT: /* on all ones */
        for (size_t i = 0; i < source.len; i++) {
            result[i] ^= from[i];
        }
        break;
    case BIT_OPERATIONS:
        break;
    }
}

static void combine_sources(struct cmd_ctx *ctx, enum bit_operation op, unsigned char *result,
                            size_t len)
{
    memset(result, op == BIT_AND || op == BIT_NOT ? 0xff : 0, len);
    for (int i = 3; i < ctx->argc; i++) {
        const struct store_key key = key_at(ctx, i);
        struct strview value = {0};
        (void)key_find_string(ctx, &key, &value); /* they are strings or absent, it was looked at */
        combine(op, result, len, value);
    }
}

void cmd_bitop(struct cmd_ctx *ctx)
{
    const struct store_key to = key_at(ctx, 2);
    const enum bit_operation op = parse_operation(ctx, 1);
    size_t len;
    if (op == BIT_OPERATIONS) {
        reply_error(ctx, ERROR_SYNTAX);
        return;
    }
    if (op == BIT_NOT && ctx->argc != 4) {
        reply_error(ctx, ERROR_NOT_KEYS);
        return;
    }
    if (!longest_source(ctx, &len)) {
        return;
    }
    if (len == 0) {
        (void)key_remove(ctx, &to);
        resp_write_int(ctx->reply, 0);
        return;
    }
    unsigned char *result = malloc(len); /* the destination may be one of the sources */
    if (result == NULL) {
        reply_store_error(ctx, STORE_FULL);
        return;
    }
    combine_sources(ctx, op, result, len);
    if (key_set(ctx, &to, strview_of(result, len), STORE_NO_EXPIRY)) {
        resp_write_int(ctx->reply, (int64_t)len);
    }
    free(result);
}
