/*
 * DUMP and RESTORE: a value as bytes, in the form of Redis's own (rdb_value.h), so that keys can go
 * from one server to another, of either kind.
 *
 * RESTORE checks the payload whole before it touches the key. The order of its checks is Redis's.
 */
#include "args.h"
#include "keyspace.h"
#include "reply.h"
#include "table.h"

#define ERROR_BUSY_KEY "BUSYKEY Target key name already exists."
#define FREQ_MAX       255
/* A time to live that is as good as for ever; the store cuts it further. */
#define TTL_FAR_MS (INT64_C(1) << 52)

void cmd_dump(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct entry_view e;
    struct buf payload;
    if (!key_look(ctx, &key, true, &e)) {
        resp_write_null(ctx->reply);
        return;
    }
    buf_init(&payload);
    if (rdb_value_write(ctx->env->types, e.type, e.value, &payload)) {
        resp_write_bulk(ctx->reply, buf_view(&payload));
    } else {
        reply_error(ctx, ERROR_OUT_OF_MEMORY);
    }
    buf_fini(&payload);
}

struct restore_args {
    bool may_replace, is_absolute;
    int64_t idle_s, freq; /* -1: not given */
};

/* The option at *at, and its value; leaves *at on the last argument it took. */
static bool parse_option(struct cmd_ctx *ctx, int *at, struct restore_args *out)
{
    const bool has_value = *at + 1 < ctx->argc;
    if (arg_is(ctx, *at, "replace")) {
        out->may_replace = true;
    } else if (arg_is(ctx, *at, "absttl")) {
        out->is_absolute = true;
    } else if (arg_is(ctx, *at, "idletime") && has_value && out->freq < 0) {
        if (!arg_i64(ctx, ++*at, &out->idle_s)) {
            return false;
        }
        if (out->idle_s < 0) {
            reply_error(ctx, "ERR Invalid IDLETIME value, must be >= 0");
            return false;
        }
    } else if (arg_is(ctx, *at, "freq") && has_value && out->idle_s < 0) {
        if (!arg_i64(ctx, ++*at, &out->freq)) {
            return false;
        }
        if (out->freq < 0 || out->freq > FREQ_MAX) {
            reply_error(ctx, "ERR Invalid FREQ value, must be >= 0 and <= 255");
            return false;
        }
    } else {
        reply_error(ctx, ERROR_SYNTAX);
        return false;
    }
    return true;
}

/* The time to live, 0 for none, as a moment of the monotonic clock. */
static bool parse_ttl(struct cmd_ctx *ctx, bool is_absolute, int64_t *at_out)
{
    const struct clock *clock = ctx->env->clock;
    int64_t ttl_ms;
    if (!arg_i64(ctx, 2, &ttl_ms)) {
        return false;
    }
    if (ttl_ms < 0) {
        reply_error(ctx, "ERR Invalid TTL value, must be >= 0");
        return false;
    }
    if (ttl_ms == 0) {
        *at_out = STORE_NO_EXPIRY;
        return true;
    }
    ttl_ms = ttl_ms < TTL_FAR_MS ? ttl_ms : TTL_FAR_MS;
    *at_out = is_absolute ? clock_mono_from_wall(clock, ttl_ms) : clock->mono_ms + ttl_ms;
    return true;
}

static bool read_payload(struct cmd_ctx *ctx, struct rdb_value *out)
{
    switch (rdb_value_read(ctx->env->types, ctx->argv[3], out)) {
    case RDB_OK:
        return true;
    case RDB_BAD_FOOTER:
        reply_error(ctx, "ERR DUMP payload version or checksum are wrong");
        break;
    case RDB_BAD_DATA:
        reply_error(ctx, "ERR Bad data format");
        break;
    case RDB_NO_MEMORY:
        reply_error(ctx, ERROR_OUT_OF_MEMORY);
        break;
    }
    return false;
}

void cmd_restore(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct restore_args args = {.idle_s = -1, .freq = -1};
    struct rdb_value value;
    struct entry_view e;
    int64_t expires_at_ms;
    for (int i = 4; i < ctx->argc; i++) {
        if (!parse_option(ctx, &i, &args)) {
            return;
        }
    }
    if (!args.may_replace && key_find(ctx, &key, &e)) {
        reply_error(ctx, ERROR_BUSY_KEY);
        return;
    }
    if (!parse_ttl(ctx, args.is_absolute, &expires_at_ms) || !read_payload(ctx, &value)) {
        return;
    }
    if (key_restore(ctx, &key, &value, expires_at_ms)) {
        const int64_t idle_s = args.idle_s < INT64_MAX / 1000 ? args.idle_s : INT64_MAX / 1000;
        store_set_use(ctx->env->store, &key, idle_s < 0 ? -1 : idle_s * 1000, (int)args.freq);
        resp_write_ok(ctx->reply);
    }
    rdb_value_fini(&value);
}
