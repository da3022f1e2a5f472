/*
 * Counters: strings that hold a number. A value is parsed strictly (one spelling per number),
 * changed with overflow checked, and written back as text; the expiry stays.
 */
#include <math.h>
#include <string.h>

#include "args.h"
#include "keyspace.h"
#include "reply.h"
#include "table.h"
#include "tarn/base/num.h"

static bool write_text(struct cmd_ctx *ctx, const struct store_key *key, bool is_present,
                       struct strview text)
{
    char *bytes;
    if (!is_present) {
        return key_set(ctx, key, text, STORE_NO_EXPIRY);
    }
    if (!key_resize(ctx, key, text.len, true, &bytes)) {
        return false;
    }
    memcpy(bytes, text.data, text.len);
    return true;
}

static void add_integer(struct cmd_ctx *ctx, int64_t increment)
{
    const struct store_key key = key_at(ctx, 1);
    struct strview text;
    int64_t value = 0;
    const enum key_state state = key_find_string(ctx, &key, &text);
    if (state == KEY_WRONG_TYPE) {
        return;
    }
    if (state == KEY_FOUND && !num_parse_i64(text, &value)) {
        reply_error(ctx, ERROR_NOT_INTEGER);
        return;
    }
    if (add_overflow(value, increment, &value)) {
        reply_error(ctx, "ERR increment or decrement would overflow");
        return;
    }
    char digits[NUM_I64_CHARS];
    const size_t len = num_format_i64(digits, value);
    if (write_text(ctx, &key, state == KEY_FOUND, strview_of(digits, len))) {
        resp_write_int(ctx->reply, value);
    }
}

void cmd_incr(struct cmd_ctx *ctx)
{
    add_integer(ctx, 1);
}

void cmd_decr(struct cmd_ctx *ctx)
{
    add_integer(ctx, -1);
}

void cmd_incrby(struct cmd_ctx *ctx)
{
    int64_t increment;
    if (arg_i64(ctx, 2, &increment)) {
        add_integer(ctx, increment);
    }
}

void cmd_decrby(struct cmd_ctx *ctx)
{
    int64_t decrement;
    if (!arg_i64(ctx, 2, &decrement)) {
        return;
    }
    if (decrement == INT64_MIN) {
        reply_error(ctx, "ERR decrement would overflow");
        return;
    }
    add_integer(ctx, -decrement);
}

void cmd_incrbyfloat(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct strview text;
    long double value = 0, increment;
    const enum key_state state = key_find_string(ctx, &key, &text);
    if (state == KEY_WRONG_TYPE) {
        return;
    }
    if ((state == KEY_FOUND && !num_parse_ldouble(text, &value)) ||
        !num_parse_ldouble(ctx->argv[2], &increment)) {
        reply_error(ctx, ERROR_NOT_FLOAT);
        return;
    }
    value += increment;
    if (isnan(value) || isinf(value)) {
        reply_error(ctx, "ERR increment would produce NaN or Infinity");
        return;
    }
    char digits[NUM_DOUBLE_CHARS];
    const struct strview result = strview_of(digits, num_format_ldouble(digits, value));
    if (write_text(ctx, &key, state == KEY_FOUND, result)) {
        resp_write_bulk(ctx->reply, result);
    }
}
