/*
 * The expiry of single fields: HEXPIRE and its family, HTTL and its, HPERSIST, as Redis 7.4 has
 * them.
 *
 * All answer with one number for each field. A time that is over already removes the field.
 */
#include "hash_args.h"
#include "keyspace.h"
#include "reply.h"
#include "table.h"
#include "tarn/base/clock.h"

#define ERROR_FIELD_COUNT2 "ERR Parameter `numFields` should be greater than 0"

/* Replies for single fields. */
enum {
    FIELD_ABSENT = -2,
    FIELD_WITHOUT_EXPIRY = -1,
    FIELD_UNCHANGED = 0,
    FIELD_DONE = 1,
    FIELD_REMOVED = 2,
};

/* ---- HEXPIRE and its family ---- */

enum condition { CONDITION_NONE, CONDITION_NX, CONDITION_XX, CONDITION_GT, CONDITION_LT };

static enum condition parse_condition(const struct cmd_ctx *ctx, int i)
{
    static const char *const words[] = {"", "nx", "xx", "gt", "lt"};
    unsigned c = CONDITION_LT;
    while (c > CONDITION_NONE && !arg_is(ctx, i, words[c])) {
        c--;
    }
    return (enum condition)c;
}

/* No expiry is later than any. */
static bool condition_holds(enum condition c, int64_t now_at_ms, int64_t then_at_ms)
{
    const bool has_expiry = now_at_ms != STORE_NO_EXPIRY;
    switch (c) {
    case CONDITION_NX:
        return !has_expiry;
    case CONDITION_XX:
        return has_expiry;
    case CONDITION_GT:
        return has_expiry && then_at_ms > now_at_ms;
    case CONDITION_LT:
        return then_at_ms < now_at_ms;
    case CONDITION_NONE:
        break;
    }
    return true;
}

static void expire_fields(struct cmd_ctx *ctx, struct time_spec spec)
{
    const struct store_key key = key_at(ctx, 1);
    struct hashmap_edit edit;
    struct hash_fields fields;
    int64_t at_ms;
    if (!hash_or_absent(ctx, &key) || !hash_parse_time(ctx, 2, spec, &at_ms)) {
        return;
    }
    const enum condition condition = parse_condition(ctx, 3);
    if (!hash_parse_fields(ctx, condition == CONDITION_NONE ? 3 : 4, ERROR_FIELD_COUNT2, &fields) ||
        key_edit_hash(ctx, &key, &edit) == KEY_WRONG_TYPE) {
        return;
    }
    const bool is_over = at_ms <= ctx->env->clock->mono_ms;
    enum store_result result = STORE_OK;
    resp_write_array(ctx->reply, fields.count);
    for (int i = fields.first; i < ctx->argc; i++) {
        struct hashmap_field field;
        int reply = FIELD_ABSENT;
        if (edit.is_present && hashmap_find(edit.types, edit.hash, ctx->argv[i], &field)) {
            reply = FIELD_UNCHANGED;
            if (result == STORE_OK && condition_holds(condition, field.expires_at_ms, at_ms)) {
                reply = is_over ? FIELD_REMOVED : FIELD_DONE;
                result = hash_expire_field(ctx, &edit, ctx->argv[i], at_ms);
            }
        }
        resp_write_int(ctx->reply, reply);
    }
    /* An error replaces the reply. */
    (void)key_end_hash(ctx, &edit, result, is_over ? "hdel" : "hexpire");
}

void cmd_hexpire(struct cmd_ctx *ctx)
{
    expire_fields(ctx, (struct time_spec){.is_seconds = true});
}

void cmd_hpexpire(struct cmd_ctx *ctx)
{
    expire_fields(ctx, (struct time_spec){.is_seconds = false});
}

void cmd_hexpireat(struct cmd_ctx *ctx)
{
    expire_fields(ctx, (struct time_spec){.is_seconds = true, .is_absolute = true});
}

void cmd_hpexpireat(struct cmd_ctx *ctx)
{
    expire_fields(ctx, (struct time_spec){.is_absolute = true});
}

void cmd_hpersist(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct hashmap_edit edit;
    struct hash_fields fields;
    if (!hash_or_absent(ctx, &key) || !hash_parse_fields(ctx, 2, HASH_ERROR_FIELD_COUNT, &fields) ||
        key_edit_hash(ctx, &key, &edit) == KEY_WRONG_TYPE) {
        return;
    }
    enum store_result result = STORE_OK;
    resp_write_array(ctx->reply, fields.count);
    for (int i = fields.first; i < ctx->argc; i++) {
        struct hashmap_field field;
        int reply = FIELD_ABSENT;
        if (edit.is_present && hashmap_find(edit.types, edit.hash, ctx->argv[i], &field)) {
            reply = FIELD_WITHOUT_EXPIRY;
            if (field.expires_at_ms != STORE_NO_EXPIRY) {
                reply = FIELD_DONE;
                result = hashmap_set_expiry(&edit, ctx->argv[i], STORE_NO_EXPIRY);
            }
        }
        resp_write_int(ctx->reply, reply);
    }
    (void)key_end_hash(ctx, &edit, result, NULL);
}

/* ---- HTTL and its family ---- */

static int64_t shown_time(const struct cmd_ctx *ctx, int64_t at_ms, struct time_spec spec)
{
    const struct clock *clock = ctx->env->clock;
    const int64_t ms = at_ms - clock->mono_ms + (spec.is_absolute ? clock->wall_ms : 0);
    return spec.is_seconds ? (ms + 999) / 1000 : ms;
}

static void show_times(struct cmd_ctx *ctx, struct time_spec spec)
{
    const struct store_key key = key_at(ctx, 1);
    struct strview hash;
    struct hash_fields fields;
    const enum key_state state = key_read_hash(ctx, &key, &hash);
    if (state == KEY_WRONG_TYPE || !hash_parse_fields(ctx, 2, HASH_ERROR_FIELD_COUNT, &fields)) {
        return;
    }
    resp_write_array(ctx->reply, fields.count);
    for (int i = fields.first; i < ctx->argc; i++) {
        struct hashmap_field field;
        int64_t reply = FIELD_ABSENT;
        if (state == KEY_FOUND && hashmap_find(ctx->env->types, hash, ctx->argv[i], &field)) {
            reply = field.expires_at_ms == STORE_NO_EXPIRY
                        ? FIELD_WITHOUT_EXPIRY
                        : shown_time(ctx, field.expires_at_ms, spec);
        }
        resp_write_int(ctx->reply, reply);
    }
}

void cmd_httl(struct cmd_ctx *ctx)
{
    show_times(ctx, (struct time_spec){.is_seconds = true});
}

void cmd_hpttl(struct cmd_ctx *ctx)
{
    show_times(ctx, (struct time_spec){.is_seconds = false});
}

void cmd_hexpiretime(struct cmd_ctx *ctx)
{
    show_times(ctx, (struct time_spec){.is_seconds = true, .is_absolute = true});
}

void cmd_hpexpiretime(struct cmd_ctx *ctx)
{
    show_times(ctx, (struct time_spec){.is_absolute = true});
}
