/*
 * The time to live of keys. The server's own time is monotonic; Unix times are converted when a
 * command brings or asks for them. A time in the past is no error: the key is removed.
 */
#include "args.h"
#include "keyspace.h"
#include "reply.h"
#include "table.h"
#include "tarn/base/clock.h"

enum expire_flag {
    EXPIRE_NX = 1 << 0, /* only when the key has no expiry */
    EXPIRE_XX = 1 << 1, /* only when it has one */
    EXPIRE_GT = 1 << 2, /* only to a later time; no expiry is the latest */
    EXPIRE_LT = 1 << 3, /* only to an earlier time */
};

static const struct {
    const char *word;
    unsigned flag;
} expire_words[] = {{"nx", EXPIRE_NX}, {"xx", EXPIRE_XX}, {"gt", EXPIRE_GT}, {"lt", EXPIRE_LT}};

static unsigned find_expire_flag(const struct cmd_ctx *ctx, int i)
{
    for (size_t n = 0; n < ARRAY_LEN(expire_words); n++) {
        if (arg_is(ctx, i, expire_words[n].word)) {
            return expire_words[n].flag;
        }
    }
    return 0;
}

static bool parse_expire_flags(struct cmd_ctx *ctx, unsigned *out)
{
    unsigned flags = 0;
    for (int i = 3; i < ctx->argc; i++) {
        const unsigned flag = find_expire_flag(ctx, i);
        if (flag == 0) {
            const struct strview word = word_shown(ctx->argv[i], SHOWN_MAX);
            resp_write_errorf(ctx->reply, "ERR Unsupported option %.*s", STRVIEW_ARG(word));
            return false;
        }
        flags |= flag;
    }
    if ((flags & EXPIRE_NX) != 0 && flags != EXPIRE_NX) {
        reply_error(ctx, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if ((flags & EXPIRE_GT) != 0 && (flags & EXPIRE_LT) != 0) {
        reply_error(ctx, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    *out = flags;
    return true;
}

/* STORE_NO_EXPIRY is the greatest time there is, which is just what GT and LT take it for. */
static bool expire_condition_holds(unsigned flags, int64_t present, int64_t wanted)
{
    const bool is_volatile = present != STORE_NO_EXPIRY;
    return !((flags & EXPIRE_NX) != 0 && is_volatile) &&
           !((flags & EXPIRE_XX) != 0 && !is_volatile) &&
           !((flags & EXPIRE_GT) != 0 && wanted <= present) &&
           !((flags & EXPIRE_LT) != 0 && wanted >= present);
}

static void expire(struct cmd_ctx *ctx, struct time_spec spec)
{
    const struct store_key key = key_at(ctx, 1);
    struct entry_view e;
    unsigned flags;
    int64_t at_ms;
    if (!parse_expire_flags(ctx, &flags) || !arg_expiry_any(ctx, 2, spec, &at_ms)) {
        return;
    }
    if (!key_find(ctx, &key, &e)) {
        key_void(ctx, &key);
        resp_write_int(ctx->reply, 0);
    } else if (!expire_condition_holds(flags, e.expires_at_ms, at_ms)) {
        resp_write_int(ctx->reply, 0);
    } else if (key_expire(ctx, &key, at_ms)) {
        resp_write_int(ctx->reply, 1);
    }
}

void cmd_expire(struct cmd_ctx *ctx)
{
    expire(ctx, (struct time_spec){.is_seconds = true, .is_absolute = false});
}

void cmd_pexpire(struct cmd_ctx *ctx)
{
    expire(ctx, (struct time_spec){.is_seconds = false, .is_absolute = false});
}

void cmd_expireat(struct cmd_ctx *ctx)
{
    expire(ctx, (struct time_spec){.is_seconds = true, .is_absolute = true});
}

void cmd_pexpireat(struct cmd_ctx *ctx)
{
    expire(ctx, (struct time_spec){.is_seconds = false, .is_absolute = true});
}

void cmd_persist(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct entry_view e;
    if (!key_find(ctx, &key, &e) || e.expires_at_ms == STORE_NO_EXPIRY || e.aux != NULL) {
        resp_write_int(ctx->reply, 0); /* a cached row always expires */
    } else if (key_expire(ctx, &key, STORE_NO_EXPIRY)) {
        resp_write_int(ctx->reply, 1);
    }
}

/* -2: no such key, -1: no expiry. */
static void reply_expiry(struct cmd_ctx *ctx, struct time_spec spec)
{
    const struct store_key key = key_at(ctx, 1);
    const struct clock *clock = ctx->env->clock;
    struct entry_view e;
    if (!key_look(ctx, &key, false, &e)) {
        resp_write_int(ctx->reply, -2);
        return;
    }
    if (e.expires_at_ms == STORE_NO_EXPIRY) {
        resp_write_int(ctx->reply, -1);
        return;
    }
    const int64_t ms = spec.is_absolute ? clock_wall_from_mono(clock, e.expires_at_ms)
                                        : e.expires_at_ms - clock->mono_ms;
    resp_write_int(ctx->reply, spec.is_seconds ? ms / 1000 + (ms % 1000 >= 500 ? 1 : 0) : ms);
}

void cmd_ttl(struct cmd_ctx *ctx)
{
    reply_expiry(ctx, (struct time_spec){.is_seconds = true, .is_absolute = false});
}

void cmd_pttl(struct cmd_ctx *ctx)
{
    reply_expiry(ctx, (struct time_spec){.is_seconds = false, .is_absolute = false});
}

void cmd_expiretime(struct cmd_ctx *ctx)
{
    reply_expiry(ctx, (struct time_spec){.is_seconds = true, .is_absolute = true});
}

void cmd_pexpiretime(struct cmd_ctx *ctx)
{
    reply_expiry(ctx, (struct time_spec){.is_seconds = false, .is_absolute = true});
}
