/*
 * Numbers, times and options out of arguments, with the checks and the error texts of Redis 7.
 *
 * Times to expire are checked in the unit and on the clock (wall or relative) that the client used,
 * because that is where Redis finds an overflow, and handed on as monotonic milliseconds. A sum on
 * the monotonic clock cannot overflow when the one on the wall clock did not: the monotonic clock
 * is behind it.
 */
#include "args.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reply.h"
#include "tarn/base/clock.h"
#include "tarn/base/num.h"

/* Longest cursor worth reading: 20 digits and what strtoull skips. */
#define CURSOR_CHARS 40

struct strview word_shown(struct strview word, size_t max)
{
    const size_t n = size_min(word.len, max);
    const char *nul = n > 0 ? memchr(word.data, '\0', n) : NULL;
    return strview_of(word.data, nul != NULL ? (size_t)(nul - word.data) : n);
}

bool arg_i64(struct cmd_ctx *ctx, int i, int64_t *out)
{
    if (!num_parse_i64(ctx->argv[i], out)) {
        reply_error(ctx, ERROR_NOT_INTEGER);
        return false;
    }
    return true;
}

bool arg_i64_range(struct cmd_ctx *ctx, int i, int64_t min, int64_t max, int64_t *out)
{
    int64_t value;
    if (!arg_i64(ctx, i, &value)) {
        return false;
    }
    if (value < min || value > max) {
        resp_write_errorf(ctx->reply, ERROR_OUT_OF_RANGE ", value must between %lld and %lld",
                          (long long)min, (long long)max);
        return false;
    }
    *out = value;
    return true;
}

bool arg_db(struct cmd_ctx *ctx, int i, unsigned *out)
{
    int64_t value;
    if (!arg_i64_range(ctx, i, INT32_MIN, INT32_MAX, &value)) {
        return false;
    }
    if (value < 0 || value >= STORE_DATABASES) {
        reply_error(ctx, ERROR_DB_INDEX);
        return false;
    }
    *out = (unsigned)value;
    return true;
}

bool arg_bit_offset(struct cmd_ctx *ctx, int i, unsigned bits, uint64_t *out)
{
    const struct strview arg = ctx->argv[i];
    const bool counts_fields = bits > 0 && arg.len > 0 && arg.data[0] == '#';
    const size_t skip = counts_fields ? 1 : 0;
    int64_t at;
    if (!num_parse_i64(strview_of(arg.data + skip, arg.len - skip), &at) ||
        (counts_fields && mul_overflow(at, (int64_t)bits, &at)) || at < 0 ||
        (at >> 3) >= ctx->env->command_options->proto_max_bulk_len) {
        reply_error(ctx, "ERR bit offset is not an integer or out of range");
        return false;
    }
    *out = (uint64_t)at;
    return true;
}

/* As Redis reads it: what strtoul takes up to the end or a NUL (so nothing at all is 0), but without
 * blanks in front. */
bool arg_cursor(struct cmd_ctx *ctx, int i, uint64_t *out)
{
    const struct strview arg = ctx->argv[i];
    char text[CURSOR_CHARS + 2] = {0};
    char *end;
    memcpy(text, arg.len > 0 ? arg.data : "", size_min(arg.len, CURSOR_CHARS + 1));
    errno = 0;
    const uint64_t cursor = strtoull(text, &end, 10);
    if (errno == 0 && *end == '\0' && end <= text + CURSOR_CHARS &&
        !isspace((unsigned char)text[0])) {
        *out = cursor;
        return true;
    }
    reply_error(ctx, "ERR invalid cursor");
    return false;
}

static void reply_expiry_error(struct cmd_ctx *ctx)
{
    resp_write_errorf(ctx->reply, "ERR invalid expire time in '%s' command",
                      ctx->command->full_name);
}

/* The moment a checked number of milliseconds means; times before the clock began are all one: the
 * past. */
static int64_t moment_of(const struct clock *clock, int64_t ms, bool is_absolute)
{
    if (!is_absolute) {
        return ms + clock->mono_ms;
    }
    return ms <= 0 ? 0 : clock_mono_from_wall(clock, ms);
}

static bool parse_expiry(struct cmd_ctx *ctx, int i, struct time_spec spec, int64_t min,
                         int64_t *at_out)
{
    const struct clock *clock = ctx->env->clock;
    const int64_t base_ms = spec.is_absolute ? 0 : clock->wall_ms;
    int64_t value, ms, wall_ms;
    if (!arg_i64(ctx, i, &value)) {
        return false;
    }
    ms = value;
    if (value < min || (spec.is_seconds && mul_overflow(value, 1000, &ms)) ||
        add_overflow(ms, base_ms, &wall_ms)) {
        reply_expiry_error(ctx);
        return false;
    }
    *at_out = moment_of(clock, ms, spec.is_absolute);
    return true;
}

bool arg_expiry(struct cmd_ctx *ctx, int i, struct time_spec spec, int64_t *at_out)
{
    return parse_expiry(ctx, i, spec, 1, at_out);
}

bool arg_expiry_any(struct cmd_ctx *ctx, int i, struct time_spec spec, int64_t *at_out)
{
    return parse_expiry(ctx, i, spec, INT64_MIN, at_out);
}

/* One option: its word, what it sets, what must not have been given before it, and whether a value
 * follows. */
struct set_option {
    const char *word;
    unsigned flag, excludes;
    bool has_value;
};

static const struct set_option set_options[] = {
    {"nx", SET_NX, SET_XX | SET_IFEQ, false},
    {"xx", SET_XX, SET_NX | SET_IFEQ, false},
    {"ifeq", SET_IFEQ, SET_NX | SET_XX | SET_IFEQ, true},
    {"get", SET_GET, 0, false},
    {"keepttl", SET_KEEPTTL, SET_PERSIST | SET_ANY_EXPIRY, false},
    {"persist", SET_PERSIST, SET_KEEPTTL | SET_ANY_EXPIRY, false},
    {"ex", SET_EX, SET_KEEPTTL | SET_PERSIST | SET_PX | SET_EXAT | SET_PXAT, true},
    {"px", SET_PX, SET_KEEPTTL | SET_PERSIST | SET_EX | SET_EXAT | SET_PXAT, true},
    {"exat", SET_EXAT, SET_KEEPTTL | SET_PERSIST | SET_EX | SET_PX | SET_PXAT, true},
    {"pxat", SET_PXAT, SET_KEEPTTL | SET_PERSIST | SET_EX | SET_PX | SET_EXAT, true},
};

static const struct set_option *find_set_option(const struct cmd_ctx *ctx, int i, unsigned allowed)
{
    for (size_t n = 0; n < ARRAY_LEN(set_options); n++) {
        if ((set_options[n].flag & allowed) != 0 && arg_is(ctx, i, set_options[n].word)) {
            return &set_options[n];
        }
    }
    return NULL;
}

bool args_parse_set(struct cmd_ctx *ctx, int first, unsigned allowed, struct set_args *out)
{
    struct set_args args = {0};
    for (int i = first; i < ctx->argc; i++) {
        const struct set_option *option = find_set_option(ctx, i, allowed);
        if (option == NULL || (args.flags & option->excludes) != 0 ||
            (option->has_value && i + 1 == ctx->argc)) {
            reply_error(ctx, ERROR_SYNTAX);
            return false;
        }
        args.flags |= option->flag;
        if (option->has_value) {
            *(option->flag == SET_IFEQ ? &args.ifeq_arg : &args.expiry_arg) = ++i;
        }
    }
    *out = args;
    return true;
}

bool set_args_expiry(struct cmd_ctx *ctx, const struct set_args *args, int64_t *at_out)
{
    assert(args->expiry_arg > 0);
    const struct time_spec spec = {
        .is_seconds = (args->flags & (SET_EX | SET_EXAT)) != 0,
        .is_absolute = (args->flags & (SET_EXAT | SET_PXAT)) != 0,
    };
    return arg_expiry(ctx, args->expiry_arg, spec, at_out);
}

static size_t digits_of(size_t n)
{
    size_t digits = 1;
    for (; n > 9; n /= 10) {
        digits++;
    }
    return digits;
}

size_t args_word_bytes(const struct cmd_ctx *ctx)
{
    size_t bytes = 0;
    for (int i = 0; i < ctx->argc; i++) {
        bytes += ctx->argv[i].len;
    }
    return bytes;
}

size_t args_request_bytes(const struct cmd_ctx *ctx)
{
    const size_t marks = 3; /* the type and the end of line */
    size_t bytes = marks + digits_of((size_t)ctx->argc);
    for (int i = 0; i < ctx->argc; i++) {
        bytes += marks + digits_of(ctx->argv[i].len) + 2;
    }
    return bytes + args_word_bytes(ctx);
}
