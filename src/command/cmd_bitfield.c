/*
 * BITFIELD and BITFIELD_RO: integers of 1 to 64 bits anywhere in a string.
 *
 * The request is read twice: first to find its mistakes and how long the string must become, then
 * to run it; so nothing is changed when any part is wrong, and no list of operations is kept.
 *
 * A value is computed as base plus increment on 64 bits, with the side on which it leaves the range
 * of its type: SET has the new value as base and no increment.
 */
#include <string.h>

#include "args.h"
#include "keyspace.h"
#include "reply.h"
#include "table.h"
#include "tarn/base/num.h"

#define ERROR_TYPE                                                            \
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is " \
    "not supported but i64 is."
#define ERROR_OVERFLOW  "ERR Invalid OVERFLOW type specified"
#define ERROR_READ_ONLY "ERR BITFIELD_RO only supports the GET subcommand"

enum overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL };

enum field_kind { FIELD_GET, FIELD_SET, FIELD_INCRBY };

struct field_op {
    enum field_kind kind;
    enum overflow overflow;
    bool is_signed;
    unsigned bits;  /* 1..64 */
    uint64_t at;    /* its first bit */
    int64_t number; /* new value or increment */
};

/* ---- reading the request ---- */

static bool parse_type(struct cmd_ctx *ctx, int i, struct field_op *op)
{
    const struct strview arg = ctx->argv[i];
    int64_t bits;
    const bool is_signed = arg.len > 0 && arg.data[0] == 'i';
    if (arg.len < 2 || (!is_signed && arg.data[0] != 'u') ||
        !num_parse_i64(strview_of(arg.data + 1, arg.len - 1), &bits) || bits < 1 ||
        bits > (is_signed ? 64 : 63)) {
        reply_error(ctx, ERROR_TYPE);
        return false;
    }
    op->is_signed = is_signed;
    op->bits = (unsigned)bits;
    return true;
}

static bool parse_overflow(struct cmd_ctx *ctx, int i, enum overflow *out)
{
    if (arg_is(ctx, i, "wrap")) {
        *out = OVERFLOW_WRAP;
    } else if (arg_is(ctx, i, "sat")) {
        *out = OVERFLOW_SAT;
    } else if (arg_is(ctx, i, "fail")) {
        *out = OVERFLOW_FAIL;
    } else {
        reply_error(ctx, ERROR_OVERFLOW);
        return false;
    }
    return true;
}

/* Reads the next operation at *i, with the OVERFLOWs before it, and steps over it. 1: there is one;
 * 0: the request ends; -1: an error was written. `op->overflow` stays for the next. */
static int next_op(struct cmd_ctx *ctx, int *i, struct field_op *op)
{
    while (*i + 1 < ctx->argc && arg_is(ctx, *i, "overflow")) {
        if (!parse_overflow(ctx, *i + 1, &op->overflow)) {
            return -1;
        }
        *i += 2;
    }
    const int left = ctx->argc - *i;
    if (left == 0) {
        return 0;
    }
    if (left >= 3 && arg_is(ctx, *i, "get")) {
        op->kind = FIELD_GET;
    } else if (left >= 4 && arg_is(ctx, *i, "set")) {
        op->kind = FIELD_SET;
    } else if (left >= 4 && arg_is(ctx, *i, "incrby")) {
        op->kind = FIELD_INCRBY;
    } else {
        reply_error(ctx, ERROR_SYNTAX);
        return -1;
    }
    if (!parse_type(ctx, *i + 1, op) || !arg_bit_offset(ctx, *i + 2, op->bits, &op->at) ||
        (op->kind != FIELD_GET && !arg_i64(ctx, *i + 3, &op->number))) {
        return -1;
    }
    *i += op->kind == FIELD_GET ? 3 : 4;
    return 1;
}

/* What the whole request comes to. */
struct field_plan {
    size_t count;
    bool has_writes;
    size_t bytes; /* that writes need */
};

static bool make_plan(struct cmd_ctx *ctx, struct field_plan *out)
{
    struct field_op op = {.overflow = OVERFLOW_WRAP};
    int i = 2, got;
    *out = (struct field_plan){0};
    while ((got = next_op(ctx, &i, &op)) > 0) {
        out->count++;
        if (op.kind != FIELD_GET) {
            out->has_writes = true;
            out->bytes = size_max(out->bytes, (size_t)((op.at + op.bits - 1) >> 3) + 1);
        }
    }
    return got == 0;
}

/* ---- bits of a string ---- */

static uint64_t read_field(struct strview value, const struct field_op *op)
{
    uint64_t bits = 0;
    for (uint64_t at = op->at; at < op->at + op->bits; at++) {
        const uint64_t byte = at >> 3;
        const unsigned b = byte < value.len ? (unsigned char)value.data[byte] : 0;
        bits = bits << 1 | (b >> (7 - (at & 7)) & 1u);
    }
    return bits;
}

static void write_field(char *bytes, const struct field_op *op, uint64_t value)
{
    for (unsigned i = 0; i < op->bits; i++) {
        const uint64_t at = op->at + i;
        const unsigned mask = 1u << (7 - (at & 7));
        const unsigned byte = (unsigned char)bytes[at >> 3] & ~mask;
        const bool is_one = (value >> (op->bits - 1 - i) & 1) != 0;
        bytes[at >> 3] = (char)(unsigned char)(byte | (is_one ? mask : 0));
    }
}

/* ---- numbers ---- */

static uint64_t mask_of(unsigned bits)
{
    return UINT64_MAX >> (64 - bits);
}

/* The bits of a field as the number that clients see. */
static int64_t number_of(uint64_t field, const struct field_op *op)
{
    const uint64_t sign = UINT64_C(1) << (op->bits - 1);
    return op->is_signed ? (int64_t)((field ^ sign) - sign) : (int64_t)field;
}

/* Where base + increment leaves the range of the type: 1 above, -1 below, 0 not at all. */
static int side_signed(int64_t base, int64_t increment, unsigned bits)
{
    const int64_t max = (int64_t)(mask_of(bits) >> 1);
    int64_t sum;
    if (add_overflow(base, increment, &sum)) {
        return increment > 0 ? 1 : -1;
    }
    return sum > max ? 1 : sum < -max - 1 ? -1 : 0;
}

static int side_unsigned(uint64_t base, int64_t increment, unsigned bits)
{
    const uint64_t max = mask_of(bits);
    if (base > max || (increment > 0 && (uint64_t)increment > max - base)) {
        return 1;
    }
    return increment < 0 && 0 - (uint64_t)increment > base ? -1 : 0;
}

/* The field's new bits; false: it overflows and must stay. */
static bool compute(const struct field_op *op, uint64_t old, uint64_t *out)
{
    const bool is_set = op->kind == FIELD_SET;
    const int64_t base = is_set ? op->number : number_of(old, op);
    const int64_t increment = is_set ? 0 : op->number;
    const int side = op->is_signed ? side_signed(base, increment, op->bits)
                                   : side_unsigned((uint64_t)base, increment, op->bits);
    const uint64_t max = op->is_signed ? mask_of(op->bits) >> 1 : mask_of(op->bits);
    const uint64_t min = op->is_signed ? max + 1 : 0;
    *out = ((uint64_t)base + (uint64_t)increment) & mask_of(op->bits);
    if (side != 0 && op->overflow == OVERFLOW_SAT) {
        *out = side > 0 ? max : min;
    }
    return side == 0 || op->overflow != OVERFLOW_FAIL;
}

/* ---- running ---- */

/* `bytes`: the value again, writable; NULL when nothing is to be written. */
static void run_plan(struct cmd_ctx *ctx, const struct field_plan *plan, struct strview value,
                     char *bytes)
{
    struct field_op op = {.overflow = OVERFLOW_WRAP};
    int i = 2;
    resp_write_array(ctx->reply, plan->count);
    while (next_op(ctx, &i, &op) > 0) {
        const uint64_t old = read_field(value, &op);
        uint64_t changed = old;
        if (op.kind == FIELD_GET) {
            resp_write_int(ctx->reply, number_of(old, &op));
        } else if (compute(&op, old, &changed)) {
            write_field(bytes, &op, changed);
            resp_write_int(ctx->reply, number_of(op.kind == FIELD_SET ? old : changed, &op));
        } else {
            resp_write_null(ctx->reply);
        }
    }
}

static void bitfield(struct cmd_ctx *ctx, bool is_read_only)
{
    const struct store_key key = key_at(ctx, 1);
    struct field_plan plan;
    struct strview value = {0};
    char *bytes = NULL;
    if (!make_plan(ctx, &plan)) {
        return;
    }
    if (!plan.has_writes) {
        if (key_read_string(ctx, &key, &value) != KEY_WRONG_TYPE) {
            run_plan(ctx, &plan, value, NULL);
        }
        return;
    }
    if (is_read_only) {
        reply_error(ctx, ERROR_READ_ONLY);
        return;
    }
    const enum key_state state = key_find_string(ctx, &key, &value);
    const size_t len = size_max(value.len, plan.bytes);
    if (state != KEY_WRONG_TYPE && key_resize(ctx, &key, len, state == KEY_FOUND, &bytes)) {
        run_plan(ctx, &plan, strview_of(bytes, len), bytes);
    }
}

void cmd_bitfield(struct cmd_ctx *ctx)
{
    bitfield(ctx, false);
}

void cmd_bitfield_ro(struct cmd_ctx *ctx)
{
    bitfield(ctx, true);
}
