/*
 * Fields of a hash without their names: HRANDFIELD and HSCAN.
 *
 * HRANDFIELD with a count gives different fields. When that is a good part of all, one walk takes
 * each with the chance that keeps the rest possible (so the result is a fair choice, in the order
 * of the hash); of a large hash a few fields are drawn one by one, and those drawn twice put back.
 */
#include <stdlib.h>

#include "args.h"
#include "keyspace.h"
#include "reply.h"
#include "table.h"
#include "tarn/base/glob.h"
#include "tarn/base/num.h"

#define SCAN_COUNT_DEFAULT 10
/* Fields drawn one by one at most, and not more than this part of all. */
#define DRAWN_MAX  1024
#define DRAWN_PART 3
/* The most that HRANDFIELD with a negative count repeats. */
#define REPEAT_MAX (INT64_C(1) << 24)

/* ---- HRANDFIELD ---- */

struct pick_args {
    int64_t count; /* negative: that many, each of all fields */
    bool with_values;
};

static void write_pick(struct cmd_ctx *ctx, const struct pick_args *args,
                       const struct hashmap_field *field)
{
    if (args->with_values && ctx->reply->version > 2) {
        resp_write_array(ctx->reply, 2);
    }
    resp_write_bulk(ctx->reply, field->name);
    if (args->with_values) {
        resp_write_bulk(ctx->reply, field->value);
    }
}

static void write_pick_head(struct cmd_ctx *ctx, const struct pick_args *args, size_t count)
{
    const bool is_flat = args->with_values && ctx->reply->version == 2;
    resp_write_array(ctx->reply, is_flat ? 2 * count : count);
}

static void pick_repeatedly(struct cmd_ctx *ctx, struct strview hash, const struct pick_args *args)
{
    struct hashmap_field field;
    const size_t wanted = (size_t)-args->count;
    write_pick_head(ctx, args, wanted);
    for (size_t i = 0; i < wanted; i++) {
        if (hashmap_random(ctx->env->types, hash, &ctx->env->rng, &field)) {
            write_pick(ctx, args, &field);
        }
    }
}

/* Fields of one walk, `wanted` of all. */
static void pick_by_walk(struct cmd_ctx *ctx, struct strview hash, const struct pick_args *args,
                         size_t wanted)
{
    struct hashmap_iter it;
    struct hashmap_field field;
    size_t left = hashmap_count(hash), count = 0;
    const size_t begin = reply_mark(ctx);
    hashmap_begin(&it, ctx->env->types, hash);
    while (count < wanted && hashmap_next(&it, &field)) {
        if (rng_below(&ctx->env->rng, left) < wanted - count) {
            write_pick(ctx, args, &field);
            count++;
        }
        left -= left > 1 ? 1 : 0;
    }
    const size_t end = reply_mark(ctx);
    write_pick_head(ctx, args, count);
    reply_head_first(ctx, begin, end);
}

/* A field is known by where its name lies: nothing moves meanwhile. */
static bool is_drawn(const char *const *drawn, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (drawn[i] == name) {
            return true;
        }
    }
    return false;
}

static void pick_by_drawing(struct cmd_ctx *ctx, struct strview hash, const struct pick_args *args,
                            size_t wanted)
{
    const char *drawn[DRAWN_MAX];
    size_t count = 0;
    write_pick_head(ctx, args, wanted);
    while (count < wanted) {
        struct hashmap_field field;
        if (hashmap_random(ctx->env->types, hash, &ctx->env->rng, &field) &&
            !is_drawn(drawn, count, field.name.data)) {
            write_pick(ctx, args, &field);
            drawn[count++] = field.name.data;
        }
    }
}

static void pick_several(struct cmd_ctx *ctx, const struct pick_args *args)
{
    const struct store_key key = key_at(ctx, 1);
    struct strview hash;
    const enum key_state state = key_read_hash(ctx, &key, &hash);
    if (state == KEY_WRONG_TYPE) {
        return;
    }
    if (state == KEY_ABSENT || args->count == 0) {
        resp_write_array(ctx->reply, 0);
        return;
    }
    if (args->count < 0) {
        pick_repeatedly(ctx, hash, args);
        return;
    }
    const size_t all = hashmap_count(hash);
    const size_t wanted = size_min((size_t)args->count, all);
    const bool may_have_dead = hashmap_due_ms(hash) <= ctx->env->clock->mono_ms;
    if (!hashmap_is_packed(hash) && wanted <= DRAWN_MAX && wanted < all / DRAWN_PART &&
        !may_have_dead) {
        pick_by_drawing(ctx, hash, args, wanted);
    } else {
        pick_by_walk(ctx, hash, args, wanted);
    }
}

static bool parse_pick(struct cmd_ctx *ctx, struct pick_args *out)
{
    *out = (struct pick_args){.with_values = ctx->argc == 4};
    if (!arg_i64_range(ctx, 2, -INT64_MAX, INT64_MAX, &out->count)) {
        return false;
    }
    if (ctx->argc > 4 || (ctx->argc == 4 && !arg_is(ctx, 3, "withvalues"))) {
        reply_error(ctx, ERROR_SYNTAX);
        return false;
    }
    if (out->count < -REPEAT_MAX || (out->with_values && out->count > INT64_MAX / 2)) {
        reply_error(ctx, ERROR_OUT_OF_RANGE);
        return false;
    }
    return true;
}

void cmd_hrandfield(struct cmd_ctx *ctx)
{
    struct pick_args args;
    struct strview hash;
    struct hashmap_field field;
    if (ctx->argc > 2) {
        if (parse_pick(ctx, &args)) {
            pick_several(ctx, &args);
        }
        return;
    }
    const struct store_key key = key_at(ctx, 1);
    const enum key_state state = key_read_hash(ctx, &key, &hash);
    if (state == KEY_FOUND && hashmap_random(ctx->env->types, hash, &ctx->env->rng, &field)) {
        resp_write_bulk(ctx->reply, field.name);
    } else if (state != KEY_WRONG_TYPE) {
        resp_write_null(ctx->reply);
    }
}

/* ---- HSCAN ---- */

struct scan {
    struct cmd_ctx *ctx;
    struct strview pattern;
    int64_t count;
    bool no_values;
    size_t written;
};

static bool parse_hscan(struct cmd_ctx *ctx, struct scan *out)
{
    for (int i = 3; i < ctx->argc; i++) {
        const bool has_value = i + 1 < ctx->argc;
        if (has_value && arg_is(ctx, i, "count")) {
            if (!arg_i64(ctx, ++i, &out->count)) {
                return false;
            }
            if (out->count < 1) {
                reply_error(ctx, ERROR_SYNTAX);
                return false;
            }
        } else if (has_value && arg_is(ctx, i, "match")) {
            out->pattern = ctx->argv[++i];
        } else if (arg_is(ctx, i, "novalues")) {
            out->no_values = true;
        } else {
            reply_error(ctx, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

static void scan_visit(void *arg, const struct hashmap_field *field)
{
    struct scan *scan = arg;
    if (!glob_is_all(scan->pattern) && !glob_match(scan->pattern, field->name)) {
        return;
    }
    resp_write_bulk(scan->ctx->reply, field->name);
    scan->written++;
    if (!scan->no_values) {
        resp_write_bulk(scan->ctx->reply, field->value);
        scan->written++;
    }
}

void cmd_hscan(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct scan scan = {.ctx = ctx, .pattern = strview_str("*"), .count = SCAN_COUNT_DEFAULT};
    struct strview hash;
    uint64_t cursor;
    if (!arg_cursor(ctx, 2, &cursor)) {
        return;
    }
    const enum key_state state = key_read_hash(ctx, &key, &hash);
    if (state == KEY_WRONG_TYPE || (state == KEY_FOUND && !parse_hscan(ctx, &scan))) {
        return;
    }
    const size_t begin = reply_mark(ctx);
    cursor = state == KEY_FOUND ? hashmap_scan(ctx->env->types, hash, cursor, (size_t)scan.count,
                                               scan_visit, &scan)
                                : 0;
    const size_t end = reply_mark(ctx);
    char digits[NUM_I64_CHARS];
    resp_write_array(ctx->reply, 2);
    resp_write_bulk(ctx->reply, strview_of(digits, num_format_u64(digits, cursor)));
    resp_write_array(ctx->reply, scan.written);
    reply_head_first(ctx, begin, end);
}
