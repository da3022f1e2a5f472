/*
 * Getting and setting fields together with their expiry, as Redis 8 has it: HGETEX HSETEX HGETDEL.
 * The replies of values are written before anything changes.
 */
#include "hash_args.h"
#include "keyspace.h"
#include "notify.h"
#include "observers.h"
#include "reply.h"
#include "table.h"
#include "tarn/base/num.h"

#define ERROR_EXPIRIES   "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
#define ERROR_CONDITIONS "ERR Only one of FXX or FNX arguments can be specified"
#define ERROR_NO_TIME    "ERR missing expire time"

/* An option with a time behind it; false: argument `i` is none. */
static bool expiry_option(const struct cmd_ctx *ctx, int i, struct time_spec *out)
{
    static const struct {
        const char *word;
        struct time_spec spec;
    } options[] = {
        {"ex", {.is_seconds = true}},
        {"px", {.is_seconds = false}},
        {"exat", {.is_seconds = true, .is_absolute = true}},
        {"pxat", {.is_absolute = true}},
    };
    for (size_t k = 0; k < ARRAY_LEN(options); k++) {
        if (arg_is(ctx, i, options[k].word)) {
            *out = options[k].spec;
            return true;
        }
    }
    return false;
}

/* Writes the value of a field, null when there is none. */
static bool reply_field(struct cmd_ctx *ctx, const struct hashmap_edit *edit, struct strview name)
{
    struct hashmap_field field;
    if (edit->is_present && hashmap_find(edit->types, edit->hash, name, &field)) {
        resp_write_bulk(ctx->reply, field.value);
        return true;
    }
    resp_write_null(ctx->reply);
    return false;
}

void cmd_hgetdel(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct hashmap_edit edit;
    struct hash_fields fields;
    if (!hash_or_absent(ctx, &key) || !hash_parse_fields(ctx, 2, HASH_ERROR_FIELD_COUNT, &fields) ||
        key_edit_hash(ctx, &key, &edit) == KEY_WRONG_TYPE) {
        return;
    }
    resp_write_array(ctx->reply, fields.count);
    for (int i = fields.first; i < ctx->argc; i++) {
        if (reply_field(ctx, &edit, ctx->argv[i])) {
            (void)hashmap_remove(&edit, ctx->argv[i]);
        }
    }
    (void)key_end_hash(ctx, &edit, STORE_OK, NULL);
}

/* ---- HGETEX ---- */

struct getex_args {
    struct hash_fields fields;
    bool changes; /* an expiry is to be set, or with STORE_NO_EXPIRY taken away */
    int64_t expires_at_ms;
};

static bool parse_hgetex(struct cmd_ctx *ctx, struct getex_args *out)
{
    struct time_spec spec;
    int at = 2;
    *out = (struct getex_args){.expires_at_ms = STORE_NO_EXPIRY};
    if (expiry_option(ctx, at, &spec)) {
        if (!hash_parse_time(ctx, at + 1, spec, &out->expires_at_ms)) {
            return false;
        }
        out->changes = true;
        at += 2;
    } else if (arg_is(ctx, at, "persist")) {
        out->changes = true;
        at += 1;
    }
    return hash_parse_fields(ctx, at, HASH_ERROR_FIELD_COUNT, &out->fields);
}

void cmd_hgetex(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct hashmap_edit edit;
    struct getex_args args;
    if (!hash_or_absent(ctx, &key) || !parse_hgetex(ctx, &args) ||
        key_edit_hash(ctx, &key, &edit) == KEY_WRONG_TYPE) {
        return;
    }
    enum store_result result = STORE_OK;
    resp_write_array(ctx->reply, args.fields.count);
    for (int i = args.fields.first; i < ctx->argc; i++) {
        if (reply_field(ctx, &edit, ctx->argv[i]) && args.changes && result == STORE_OK) {
            result = hash_expire_field(ctx, &edit, ctx->argv[i], args.expires_at_ms);
        }
    }
    const bool is_over = args.expires_at_ms <= ctx->env->clock->mono_ms;
    const char *event = is_over                                 ? "hdel"
                        : args.expires_at_ms == STORE_NO_EXPIRY ? "hpersist"
                                                                : "hexpire";
    (void)key_end_hash(ctx, &edit, result, event); /* its error replaces the reply */
}

/* ---- HSETEX ---- */

enum { HSETEX_FXX = 1 << 0, HSETEX_FNX = 1 << 1, HSETEX_KEEPTTL = 1 << 2, HSETEX_TIME = 1 << 3 };
#define HSETEX_CONDITION (HSETEX_FXX | HSETEX_FNX)
#define HSETEX_EXPIRY    (HSETEX_KEEPTTL | HSETEX_TIME)

struct setex_args {
    unsigned flags;
    int first; /* of the pairs, up to the end */
    int64_t expires_at_ms;
};

/* "FIELDS numfields field value ..." from argument `at` on. */
static bool parse_pairs(struct cmd_ctx *ctx, int at, struct setex_args *out)
{
    int64_t count;
    if (at + 3 >= ctx->argc) {
        reply_arity_error(ctx);
        return false;
    }
    if (!num_parse_i64(ctx->argv[at + 1], &count) || count < 1 || count > INT32_MAX) {
        reply_error(ctx, "ERR invalid number of fields");
        return false;
    }
    if (2 * count != ctx->argc - at - 2) {
        reply_arity_error(ctx);
        return false;
    }
    out->first = at + 2;
    return true;
}

/* The option at *i, and steps over it; false: an error was written. */
static bool parse_setex_option(struct cmd_ctx *ctx, int *i, struct setex_args *out)
{
    struct time_spec spec;
    const bool has_time = expiry_option(ctx, *i, &spec);
    if (has_time || arg_is(ctx, *i, "keepttl")) {
        if ((out->flags & HSETEX_EXPIRY) != 0) {
            reply_error(ctx, ERROR_EXPIRIES);
            return false;
        }
        out->flags |= has_time ? HSETEX_TIME : HSETEX_KEEPTTL;
        if (has_time && *i + 1 >= ctx->argc) {
            reply_error(ctx, ERROR_NO_TIME);
            return false;
        }
        *i += has_time ? 2 : 1;
        return !has_time || hash_parse_time(ctx, *i - 1, spec, &out->expires_at_ms);
    }
    const unsigned condition = arg_is(ctx, *i, "fxx")   ? HSETEX_FXX
                               : arg_is(ctx, *i, "fnx") ? HSETEX_FNX
                                                        : 0;
    if (condition == 0) {
        const struct strview shown = word_shown(ctx->argv[*i], SHOWN_MAX);
        resp_write_errorf(ctx->reply, "ERR unknown argument: %.*s", STRVIEW_ARG(shown));
        return false;
    }
    if ((out->flags & HSETEX_CONDITION) != 0) {
        reply_error(ctx, ERROR_CONDITIONS);
        return false;
    }
    out->flags |= condition;
    (*i)++;
    return true;
}

static bool parse_hsetex(struct cmd_ctx *ctx, struct setex_args *out)
{
    *out = (struct setex_args){.expires_at_ms = STORE_NO_EXPIRY};
    int i = 2;
    while (i < ctx->argc) {
        if (arg_is(ctx, i, "fields")) {
            return parse_pairs(ctx, i, out);
        }
        if (!parse_setex_option(ctx, &i, out)) {
            return false;
        }
    }
    reply_error(ctx, HASH_ERROR_NO_FIELDS);
    return false;
}

/* FXX: all fields are there; FNX: none is. */
static bool setex_condition_holds(const struct cmd_ctx *ctx, const struct hashmap_edit *edit,
                                  const struct setex_args *args)
{
    for (int i = args->first; i < ctx->argc && (args->flags & HSETEX_CONDITION) != 0; i += 2) {
        struct hashmap_field field;
        const bool is_there = edit->is_present &&
                              hashmap_find(edit->types, edit->hash, ctx->argv[i], &field);
        if (is_there != ((args->flags & HSETEX_FXX) != 0)) {
            return false;
        }
    }
    return true;
}

static enum store_result set_field(struct cmd_ctx *ctx, struct hashmap_edit *edit,
                                   const struct setex_args *args, int i)
{
    const bool has_time = (args->flags & HSETEX_TIME) != 0;
    bool is_new;
    if (has_time && args->expires_at_ms <= ctx->env->clock->mono_ms) {
        (void)hashmap_remove(edit, ctx->argv[i]); /* set and over in the same moment */
        return STORE_OK;
    }
    const enum store_result r = hashmap_set(edit, ctx->argv[i], ctx->argv[i + 1],
                                            (args->flags & HSETEX_EXPIRY) != 0, &is_new);
    return r == STORE_OK && has_time ? hashmap_set_expiry(edit, ctx->argv[i], args->expires_at_ms)
                                     : r;
}

void cmd_hsetex(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct hashmap_edit edit;
    struct setex_args args;
    if (!parse_hsetex(ctx, &args) || key_edit_hash(ctx, &key, &edit) == KEY_WRONG_TYPE) {
        return;
    }
    const bool is_allowed = setex_condition_holds(ctx, &edit, &args);
    enum store_result result = STORE_OK;
    for (int i = args.first; i < ctx->argc && is_allowed && result == STORE_OK; i += 2) {
        result = set_field(ctx, &edit, &args, i);
    }
    if (!key_end_hash(ctx, &edit, result, NULL)) {
        return;
    }
    if (UNLIKELY(ctx->env->observed != 0) && edit.is_present && is_allowed &&
        (args.flags & HSETEX_TIME) != 0) {
        observers_key_changed_as(ctx, &key, NOTIFY_HASH, "hexpire");
    }
    resp_write_int(ctx->reply, is_allowed ? 1 : 0);
}
