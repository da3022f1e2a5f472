/*
 * Walks over a database: KEYS, SCAN, DBSIZE, RANDOMKEY. Negative entries, expired ones, and cached
 * rows that their map has given up are not shown.
 */

#include "args.h"
#include "keyspace.h"
#include "reply.h"
#include "table.h"
#include "tarn/base/glob.h"
#include "tarn/base/num.h"

#define SCAN_COUNT_DEFAULT 10
/* KEYS goes through the store in steps of this many slots. */
#define KEYS_STEP 65536
/* RANDOMKEY gives up on finding a key that is not stale. */
#define RANDOM_TRIES 100

struct walk {
    struct cmd_ctx *ctx;
    struct strview pattern;
    struct strview type_name; /* data NULL: any */
    size_t count;
};

static void walk_visit(void *arg, const struct entry_view *e)
{
    struct walk *walk = arg;
    if (!glob_is_all(walk->pattern) && !glob_match(walk->pattern, e->key)) {
        return;
    }
    if (!key_is_visible(walk->ctx, e) ||
        (walk->type_name.data != NULL &&
         !strview_eq_nocase(walk->type_name, key_type_name(e->type)))) {
        return;
    }
    resp_write_bulk(walk->ctx->reply, e->key);
    walk->count++;
}

void cmd_keys(struct cmd_ctx *ctx)
{
    struct walk walk = {.ctx = ctx, .pattern = ctx->argv[1]};
    const size_t begin = reply_mark(ctx);
    uint64_t cursor = 0;
    do {
        cursor = store_scan(ctx->env->store, ctx->session->db, cursor, KEYS_STEP, walk_visit,
                            &walk);
    } while (cursor != 0);
    reply_array_of(ctx, begin, walk.count);
}

static bool parse_scan_options(struct cmd_ctx *ctx, struct walk *walk, int64_t *count_out)
{
    for (int i = 2; i < ctx->argc; i += 2) {
        const bool has_value = i + 1 < ctx->argc;
        if (has_value && arg_is(ctx, i, "count")) {
            if (!arg_i64(ctx, i + 1, count_out)) {
                return false;
            }
            if (*count_out < 1) {
                reply_error(ctx, ERROR_SYNTAX);
                return false;
            }
        } else if (has_value && arg_is(ctx, i, "match")) {
            walk->pattern = ctx->argv[i + 1];
        } else if (has_value && arg_is(ctx, i, "type")) {
            walk->type_name = ctx->argv[i + 1];
        } else {
            reply_error(ctx, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

void cmd_scan(struct cmd_ctx *ctx)
{
    struct walk walk = {.ctx = ctx, .pattern = strview_str("*")};
    uint64_t cursor;
    int64_t count = SCAN_COUNT_DEFAULT;
    if (!arg_cursor(ctx, 1, &cursor) || !parse_scan_options(ctx, &walk, &count)) {
        return;
    }
    const size_t begin = reply_mark(ctx);
    cursor = store_scan(ctx->env->store, ctx->session->db, cursor, (size_t)count, walk_visit,
                        &walk);
    const size_t end = reply_mark(ctx);
    char digits[NUM_I64_CHARS];
    resp_write_array(ctx->reply, 2);
    resp_write_bulk(ctx->reply, strview_of(digits, num_format_u64(digits, cursor)));
    resp_write_array(ctx->reply, walk.count);
    reply_head_first(ctx, begin, end);
}

void cmd_dbsize(struct cmd_ctx *ctx)
{
    resp_write_int(ctx->reply, (int64_t)store_count(ctx->env->store, ctx->session->db));
}

void cmd_randomkey(struct cmd_ctx *ctx)
{
    struct entry_view e;
    for (int i = 0; i < RANDOM_TRIES; i++) {
        if (!store_random(ctx->env->store, ctx->session->db, &e)) {
            break;
        }
        if (key_is_visible(ctx, &e)) {
            resp_write_bulk(ctx->reply, e.key);
            return;
        }
    }
    resp_write_null(ctx->reply);
}
