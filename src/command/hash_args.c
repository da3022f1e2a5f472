/* See hash_args.h. Limits and error texts are those of Redis 7.4. */
#include "hash_args.h"

#include "keyspace.h"
#include "reply.h"
#include "tarn/base/clock.h"
#include "tarn/base/num.h"

#define ERROR_FIELD_MATCH "ERR The `numfields` parameter must match the number of arguments"
#define ERROR_NEGATIVE    "ERR invalid expire time, must be >= 0"

/* The latest Unix time of a field, in milliseconds. */
#define FIELD_WALL_MAX_MS (HASHMAP_EXPIRY_MAX_MS >> 2)

bool hash_parse_fields(struct cmd_ctx *ctx, int at, const char *count_error,
                       struct hash_fields *out)
{
    int64_t count;
    if (at >= ctx->argc || !arg_is(ctx, at, "fields")) {
        reply_error(ctx, HASH_ERROR_NO_FIELDS);
        return false;
    }
    if (at + 1 >= ctx->argc || !num_parse_i64(ctx->argv[at + 1], &count) || count < 1) {
        reply_error(ctx, count_error);
        return false;
    }
    if (count != ctx->argc - at - 2) {
        reply_error(ctx, ERROR_FIELD_MATCH);
        return false;
    }
    *out = (struct hash_fields){.first = at + 2, .count = (size_t)count};
    return true;
}

bool hash_parse_time(struct cmd_ctx *ctx, int i, struct time_spec spec, int64_t *at_out)
{
    const struct clock *clock = ctx->env->clock;
    const int64_t base_ms = spec.is_absolute ? 0 : clock->wall_ms;
    const int64_t unit_ms = spec.is_seconds ? 1000 : 1;
    int64_t value;
    if (!arg_i64(ctx, i, &value)) {
        return false;
    }
    if (value < 0) {
        reply_error(ctx, ERROR_NEGATIVE);
        return false;
    }
    if (value > FIELD_WALL_MAX_MS / unit_ms || value * unit_ms > FIELD_WALL_MAX_MS - base_ms) {
        resp_write_errorf(ctx->reply, "ERR invalid expire time in '%s' command",
                          ctx->command->full_name);
        return false;
    }
    *at_out = clock_mono_from_wall(clock, value * unit_ms + base_ms);
    return true;
}

bool hash_or_absent(struct cmd_ctx *ctx, const struct store_key *key)
{
    struct entry_view e;
    if (key_find(ctx, key, &e) && e.type != ENTRY_HASH) {
        reply_error(ctx, ERROR_WRONG_TYPE);
        return false;
    }
    return true;
}

enum store_result hash_expire_field(struct cmd_ctx *ctx, struct hashmap_edit *edit,
                                    struct strview name, int64_t expires_at_ms)
{
    if (expires_at_ms <= ctx->env->clock->mono_ms) {
        (void)hashmap_remove(edit, name);
        return STORE_OK;
    }
    return hashmap_set_expiry(edit, name, expires_at_ms);
}
