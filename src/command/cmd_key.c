/*
 * Commands on keys whatever they hold: removing, counting, renaming, copying, and looking at their
 * type.
 */
#include "args.h"
#include "keyspace.h"
#include "reply.h"
#include "table.h"
#include "tarn/base/num.h"

/* Longest string that Redis keeps in one piece with its header. */
#define EMBSTR_MAX 44

/* Applies `step` to all keys of the command, in batches that are prefetched, and replies with how
 * many it held for. */
static void count_keys(struct cmd_ctx *ctx,
                       bool (*step)(struct cmd_ctx *ctx, const struct store_key *k))
{
    struct store_key keys[KEY_BATCH];
    int64_t count = 0;
    for (int i = 1; i < ctx->argc; i += KEY_BATCH) {
        const size_t n = key_batch(ctx, i, 1, keys);
        for (size_t k = 0; k < n; k++) {
            count += step(ctx, &keys[k]) ? 1 : 0;
        }
    }
    resp_write_int(ctx->reply, count);
}

void cmd_del(struct cmd_ctx *ctx)
{
    count_keys(ctx, key_remove);
}

void cmd_unlink(struct cmd_ctx *ctx)
{
    count_keys(ctx, key_remove);
}

static bool is_there(struct cmd_ctx *ctx, const struct store_key *k)
{
    struct entry_view e;
    return key_look(ctx, k, false, &e);
}

void cmd_exists(struct cmd_ctx *ctx)
{
    count_keys(ctx, is_there);
}

static bool touch(struct cmd_ctx *ctx, const struct store_key *k)
{
    struct entry_view e;
    return key_look(ctx, k, true, &e);
}

void cmd_touch(struct cmd_ctx *ctx)
{
    count_keys(ctx, touch);
}

void cmd_type(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct entry_view e;
    const char *name = key_look(ctx, &key, false, &e) ? key_type_name(e.type) : "none";
    resp_write_simple(ctx->reply, strview_str(name));
}

/* 1 done, 0 the new name is taken (RENAMENX only), -1 an error was written. */
static int rename_key(struct cmd_ctx *ctx, bool may_replace)
{
    const struct store_key from = key_at(ctx, 1), to = key_at(ctx, 2);
    struct entry_view e;
    if (!key_find(ctx, &from, &e)) {
        reply_error(ctx, ERROR_NO_KEY);
        return -1;
    }
    if (strview_eq(from.key, to.key)) {
        return may_replace ? 1 : 0;
    }
    if (!may_replace && key_find(ctx, &to, &e)) {
        return 0;
    }
    return key_rename(ctx, &from, &to) ? 1 : -1;
}

void cmd_rename(struct cmd_ctx *ctx)
{
    if (rename_key(ctx, true) == 1) {
        resp_write_ok(ctx->reply);
    }
}

void cmd_renamenx(struct cmd_ctx *ctx)
{
    const int result = rename_key(ctx, false);
    if (result >= 0) {
        resp_write_int(ctx->reply, result);
    }
}

struct copy_args {
    unsigned db;
    bool may_replace;
};

static bool parse_copy(struct cmd_ctx *ctx, struct copy_args *out)
{
    *out = (struct copy_args){.db = ctx->session->db};
    for (int i = 3; i < ctx->argc; i++) {
        if (arg_is(ctx, i, "replace")) {
            out->may_replace = true;
        } else if (arg_is(ctx, i, "db") && i + 1 < ctx->argc) {
            if (!arg_db(ctx, ++i, &out->db)) {
                return false;
            }
        } else {
            reply_error(ctx, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

void cmd_copy(struct cmd_ctx *ctx)
{
    struct copy_args args;
    struct entry_view e;
    if (!parse_copy(ctx, &args)) {
        return;
    }
    const struct store_key from = key_at(ctx, 1);
    struct store_key to = key_at(ctx, 2);
    store_key_use_db(&to, args.db);
    if (from.db == to.db && strview_eq(from.key, to.key)) {
        reply_error(ctx, ERROR_SAME_OBJECT);
        return;
    }
    if (!key_look(ctx, &from, true, &e) || (!args.may_replace && key_find(ctx, &to, &e))) {
        resp_write_int(ctx->reply, 0);
        return;
    }
    if (key_copy(ctx, &from, &to)) {
        resp_write_int(ctx->reply, 1);
    }
}

void cmd_move(struct cmd_ctx *ctx)
{
    const struct store_key from = key_at(ctx, 1);
    struct store_key to = from;
    struct entry_view e;
    unsigned db;
    if (!arg_db(ctx, 2, &db)) {
        return;
    }
    store_key_use_db(&to, db);
    if (from.db == to.db) {
        reply_error(ctx, ERROR_SAME_OBJECT);
        return;
    }
    if (!key_find(ctx, &from, &e) || key_find(ctx, &to, &e)) {
        resp_write_int(ctx->reply, 0);
        return;
    }
    if (key_move(ctx, &from, &to)) {
        resp_write_int(ctx->reply, 1);
    }
}

/* ---- OBJECT ---- */

const char *key_encoding_name(const struct cmd_ctx *ctx, const struct entry_view *e)
{
    int64_t number;
    if (e->type != ENTRY_STRING) {
        return hashmap_encoding_name(ctx->env->types, e->value);
    }
    if (num_parse_i64(e->value, &number)) {
        return "int";
    }
    return e->value.len <= EMBSTR_MAX ? "embstr" : "raw";
}

/* Null when the key is absent, as all subcommands of OBJECT answer. */
static bool find_object(struct cmd_ctx *ctx, struct store_key *key_out, struct entry_view *e)
{
    *key_out = key_at(ctx, 2);
    if (!key_look(ctx, key_out, false, e)) {
        resp_write_null(ctx->reply);
        return false;
    }
    return true;
}

void cmd_object_encoding(struct cmd_ctx *ctx)
{
    struct store_key key;
    struct entry_view e;
    if (find_object(ctx, &key, &e)) {
        resp_write_bulk_str(ctx->reply, key_encoding_name(ctx, &e));
    }
}

void cmd_object_refcount(struct cmd_ctx *ctx)
{
    struct store_key key;
    struct entry_view e;
    if (find_object(ctx, &key, &e)) {
        resp_write_int(ctx->reply, 1);
    }
}

void cmd_object_idletime(struct cmd_ctx *ctx)
{
    struct store_key key;
    struct entry_view e;
    int64_t idle_ms = -1;
    int freq = -1;
    if (!find_object(ctx, &key, &e)) {
        return;
    }
    if (!store_idle(ctx->env->store, &key, &idle_ms, &freq) || idle_ms < 0) {
        reply_error(ctx,
                    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note "
                    "that when switching between policies at runtime LRU and LFU data will "
                    "take some time to "
                    "adjust.");
        return;
    }
    resp_write_int(ctx->reply, idle_ms / 1000);
}

void cmd_object_freq(struct cmd_ctx *ctx)
{
    struct store_key key;
    struct entry_view e;
    int64_t idle_ms = -1;
    int freq = -1;
    if (!find_object(ctx, &key, &e)) {
        return;
    }
    if (!store_idle(ctx->env->store, &key, &idle_ms, &freq) || freq < 0) {
        reply_error(ctx, "ERR An LFU maxmemory policy is not selected, access frequency not "
                         "tracked. Please note "
                         "that when switching between policies at runtime LRU and LFU data will "
                         "take some time to "
                         "adjust.");
        return;
    }
    resp_write_int(ctx->reply, freq);
}
