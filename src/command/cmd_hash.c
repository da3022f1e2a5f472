/*
 * Hashes: fields with values under one key. What a hash is made of is the types layer's affair; the
 * expiry of fields is in cmd_hash_expire.c, random ones and HSCAN in cmd_hash_walk.c.
 *
 * Commands that change a hash open it with key_edit_hash() and end with key_end_hash(), which also
 * takes the key away with its last field; what they reply of old values is written before.
 */
#include <math.h>
#include <string.h>

#include "args.h"
#include "keyspace.h"
#include "reply.h"
#include "table.h"
#include "tarn/base/num.h"

/* ---- setting ---- */

/* Sets all pairs from argument 2 on; false: the error reply was written. */
static bool set_fields(struct cmd_ctx *ctx, int64_t *created_out)
{
    const struct store_key key = key_at(ctx, 1);
    struct hashmap_edit edit;
    enum store_result result;
    int64_t created = 0;
    if (ctx->argc % 2 != 0) {
        reply_arity_error(ctx);
        return false;
    }
    if (key_edit_hash(ctx, &key, &edit) == KEY_WRONG_TYPE) {
        return false;
    }
    result = hashmap_expect(&edit, ctx->argv + 2, (size_t)(ctx->argc - 2) / 2);
    for (int i = 2; i < ctx->argc && result == STORE_OK; i += 2) {
        bool is_new;
        result = hashmap_set(&edit, ctx->argv[i], ctx->argv[i + 1], false, &is_new);
        created += is_new ? 1 : 0;
    }
    *created_out = created;
    return key_end_hash(ctx, &edit, result, NULL);
}

void cmd_hset(struct cmd_ctx *ctx)
{
    int64_t created;
    if (set_fields(ctx, &created)) {
        resp_write_int(ctx->reply, created);
    }
}

void cmd_hmset(struct cmd_ctx *ctx)
{
    int64_t created;
    if (set_fields(ctx, &created)) {
        resp_write_ok(ctx->reply);
    }
}

/* The field of a hash that is open for changes. */
static bool find_in(const struct hashmap_edit *edit, struct strview name, struct hashmap_field *out)
{
    return edit->is_present && hashmap_find(edit->types, edit->hash, name, out);
}

void cmd_hsetnx(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct hashmap_edit edit;
    struct hashmap_field field;
    enum store_result result = STORE_OK;
    if (key_edit_hash(ctx, &key, &edit) == KEY_WRONG_TYPE) {
        return;
    }
    const bool is_there = find_in(&edit, ctx->argv[2], &field);
    if (!is_there) {
        bool is_new;
        result = hashmap_set(&edit, ctx->argv[2], ctx->argv[3], false, &is_new);
    }
    if (key_end_hash(ctx, &edit, result, NULL)) {
        resp_write_int(ctx->reply, is_there ? 0 : 1);
    }
}

void cmd_hdel(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct hashmap_edit edit;
    int64_t removed = 0;
    if (key_edit_hash(ctx, &key, &edit) == KEY_WRONG_TYPE) {
        return;
    }
    for (int i = 2; i < ctx->argc && edit.is_present; i++) {
        removed += hashmap_remove(&edit, ctx->argv[i]) ? 1 : 0;
    }
    if (key_end_hash(ctx, &edit, STORE_OK, NULL)) {
        resp_write_int(ctx->reply, removed);
    }
}

/* ---- counting ---- */

/* Opens the hash of argument 1 and finds the field of argument 2, as text. False: an error was
 * written. */
static bool open_number(struct cmd_ctx *ctx, const struct store_key *key, struct hashmap_edit *edit,
                        struct strview *text_out)
{
    struct hashmap_field field;
    if (key_edit_hash(ctx, key, edit) == KEY_WRONG_TYPE) {
        return false;
    }
    *text_out = find_in(edit, ctx->argv[2], &field) ? field.value : strview_str("0");
    return true;
}

/* Stores the new number under argument 2; the field keeps its expiry. */
static bool store_number(struct cmd_ctx *ctx, struct hashmap_edit *edit, struct strview text)
{
    bool is_new;
    return key_end_hash(ctx, edit, hashmap_set(edit, ctx->argv[2], text, true, &is_new), NULL);
}

static void refuse_number(struct cmd_ctx *ctx, struct hashmap_edit *edit, const char *error)
{
    if (key_end_hash(ctx, edit, STORE_OK, NULL)) {
        reply_error(ctx, error);
    }
}

void cmd_hincrby(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct hashmap_edit edit;
    struct strview text;
    int64_t increment, value;
    if (!arg_i64(ctx, 3, &increment) || !open_number(ctx, &key, &edit, &text)) {
        return;
    }
    if (!num_parse_i64(text, &value)) {
        refuse_number(ctx, &edit, "ERR hash value is not an integer");
        return;
    }
    if (add_overflow(value, increment, &value)) {
        refuse_number(ctx, &edit, "ERR increment or decrement would overflow");
        return;
    }
    char digits[NUM_I64_CHARS];
    if (store_number(ctx, &edit, strview_of(digits, num_format_i64(digits, value)))) {
        resp_write_int(ctx->reply, value);
    }
}

void cmd_hincrbyfloat(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct hashmap_edit edit;
    struct strview text;
    long double increment, value;
    if (!num_parse_ldouble(ctx->argv[3], &increment)) {
        reply_error(ctx, ERROR_NOT_FLOAT);
        return;
    }
    if (isnan(increment) || isinf(increment)) {
        reply_error(ctx, "ERR value is NaN or Infinity");
        return;
    }
    if (!open_number(ctx, &key, &edit, &text)) {
        return;
    }
    if (!num_parse_ldouble(text, &value)) {
        refuse_number(ctx, &edit, "ERR hash value is not a float");
        return;
    }
    value += increment;
    if (isnan(value) || isinf(value)) {
        refuse_number(ctx, &edit, "ERR increment would produce NaN or Infinity");
        return;
    }
    char digits[NUM_DOUBLE_CHARS];
    const struct strview result = strview_of(digits, num_format_ldouble(digits, value));
    if (store_number(ctx, &edit, result)) {
        resp_write_bulk(ctx->reply, result);
    }
}

/* ---- getting ---- */

void cmd_hget(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct strview hash;
    struct hashmap_field field;
    const enum key_state state = key_read_hash(ctx, &key, &hash);
    if (state == KEY_FOUND && hashmap_find(ctx->env->types, hash, ctx->argv[2], &field)) {
        resp_write_bulk(ctx->reply, field.value);
    } else if (state != KEY_WRONG_TYPE) {
        resp_write_null(ctx->reply);
    }
}

void cmd_hmget(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct strview hash;
    struct hashmap_field field;
    const enum key_state state = key_read_hash(ctx, &key, &hash);
    if (state == KEY_WRONG_TYPE) {
        return;
    }
    resp_write_array(ctx->reply, (size_t)ctx->argc - 2);
    for (int i = 2; i < ctx->argc; i++) {
        if (state == KEY_FOUND && hashmap_find(ctx->env->types, hash, ctx->argv[i], &field)) {
            resp_write_bulk(ctx->reply, field.value);
        } else {
            resp_write_null(ctx->reply);
        }
    }
}

enum { PART_NAME = 1, PART_VALUE = 2 };

/* All names, all values, or both as a map. */
static void reply_all(struct cmd_ctx *ctx, unsigned parts)
{
    const struct store_key key = key_at(ctx, 1);
    struct hashmap_iter it;
    struct hashmap_field field;
    struct strview hash;
    size_t count = 0;
    const enum key_state state = key_read_hash(ctx, &key, &hash);
    if (state == KEY_WRONG_TYPE) {
        return;
    }
    const size_t begin = reply_mark(ctx);
    if (state == KEY_FOUND) {
        hashmap_begin(&it, ctx->env->types, hash);
        while (hashmap_next(&it, &field)) {
            if ((parts & PART_NAME) != 0) {
                resp_write_bulk(ctx->reply, field.name);
            }
            if ((parts & PART_VALUE) != 0) {
                resp_write_bulk(ctx->reply, field.value);
            }
            count++;
        }
    }
    const size_t end = reply_mark(ctx);
    if (parts == (PART_NAME | PART_VALUE)) {
        resp_write_map(ctx->reply, count);
    } else {
        resp_write_array(ctx->reply, count);
    }
    reply_head_first(ctx, begin, end);
}

void cmd_hgetall(struct cmd_ctx *ctx)
{
    reply_all(ctx, PART_NAME | PART_VALUE);
}

void cmd_hkeys(struct cmd_ctx *ctx)
{
    reply_all(ctx, PART_NAME);
}

void cmd_hvals(struct cmd_ctx *ctx)
{
    reply_all(ctx, PART_VALUE);
}

void cmd_hlen(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct strview hash;
    const enum key_state state = key_read_hash(ctx, &key, &hash);
    if (state != KEY_WRONG_TYPE) {
        resp_write_int(ctx->reply, state == KEY_FOUND ? (int64_t)hashmap_count(hash) : 0);
    }
}

/* The field of argument 2, if it is there. False: an error was written. */
static bool read_field(struct cmd_ctx *ctx, struct hashmap_field *out, bool *is_there_out)
{
    const struct store_key key = key_at(ctx, 1);
    struct strview hash;
    const enum key_state state = key_read_hash(ctx, &key, &hash);
    *is_there_out = state == KEY_FOUND && hashmap_find(ctx->env->types, hash, ctx->argv[2], out);
    return state != KEY_WRONG_TYPE;
}

void cmd_hstrlen(struct cmd_ctx *ctx)
{
    struct hashmap_field field;
    bool is_there;
    if (read_field(ctx, &field, &is_there)) {
        resp_write_int(ctx->reply, is_there ? (int64_t)field.value.len : 0);
    }
}

void cmd_hexists(struct cmd_ctx *ctx)
{
    struct hashmap_field field;
    bool is_there;
    if (read_field(ctx, &field, &is_there)) {
        resp_write_int(ctx->reply, is_there ? 1 : 0);
    }
}
