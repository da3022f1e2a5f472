/*
 * SOURCE WARM, HOT, SLOWLOG: filling the cache before it is asked, and what is asked most.
 */
#include "args.h"
#include "fields.h"
#include "reply.h"
#include "source_permission.h"
#include "table.h"
#include "tarn/base/buf.h"
#include "tarn/source/source.h"

#define RATE_DEFAULT 1000
#define RATE_MAX     10000000
#define HOT_DEFAULT  10
#define SLOW_DEFAULT 10

static bool has_sources(struct cmd_ctx *ctx)
{
    if (ctx->env->sources == NULL) {
        reply_error(ctx, "ERR no source is configured");
        return false;
    }
    return true;
}

/* RATE n at the end. False: the error is written. */
static bool parse_rate(struct cmd_ctx *ctx, int *end, int64_t *rate_out)
{
    *rate_out = RATE_DEFAULT;
    if (*end < 7 || !arg_is(ctx, *end - 2, "rate")) {
        return true;
    }
    *end -= 2;
    return arg_i64_range(ctx, *end + 1, 1, RATE_MAX, rate_out);
}

static void warm(struct cmd_ctx *ctx)
{
    struct errtext err;
    struct sources *sources = ctx->env->sources;
    struct source_map *map = sources_map_by_name(sources, ctx->argv[2]);
    int end = ctx->argc;
    int64_t rate;
    int r = 0;
    if (map == NULL) {
        resp_write_errorf(ctx->reply, "ERR no map named '%.*s'",
                          STRVIEW_ARG(word_shown(ctx->argv[2], SHOWN_MAX)));
        return;
    }
    if (!parse_rate(ctx, &end, &rate)) {
        return;
    }
    if (arg_is(ctx, 3, "keys")) {
        r = sources_warm_keys(sources, map, ctx->argv + 4, (size_t)(end - 4), rate, &err);
    } else if (arg_is(ctx, 3, "query") && end == 5) {
        if (!may_configure_sources(ctx)) {
            return;
        }
        r = sources_warm_query(sources, map, ctx->argv[4], rate, &err);
    } else if (arg_is(ctx, 3, "file") && end == 5) {
        if (!may_configure_sources(ctx)) {
            return;
        }
        r = sources_warm_file(sources, map, ctx->argv[4], rate, &err);
    } else {
        reply_error(ctx, ERROR_SYNTAX);
        return;
    }
    if (r == 0) {
        resp_write_ok(ctx->reply);
    } else {
        resp_write_errorf(ctx->reply, "ERR %s", err.text);
    }
}

/* SOURCE WARM map <KEYS key... | QUERY sql | FILE path> [RATE n] | STATUS | STOP */
void cmd_source_warm(struct cmd_ctx *ctx)
{
    struct fields f;
    if (!has_sources(ctx)) {
        return;
    }
    if (ctx->argc == 3 && arg_is(ctx, 2, "status")) {
        fields_init(&f, ctx->reply->version);
        sources_warm_status(ctx->env->sources, fields_add, &f);
        fields_reply(ctx, &f);
    } else if (ctx->argc == 3 && arg_is(ctx, 2, "stop")) {
        resp_write_int(ctx->reply, sources_warm_stop(ctx->env->sources));
    } else if (ctx->argc > 4) {
        warm(ctx);
    } else {
        reply_error(ctx, ERROR_SYNTAX);
    }
}

/* ---- HOT, SLOWLOG ---------------------------------------------------------------------------- */

/* Elements are collected first: their number precedes them. */
struct elements {
    struct buf bytes;
    struct resp_writer writer;
    size_t count;
};

static void elements_init(struct elements *e, int version)
{
    *e = (struct elements){.count = 0};
    buf_init(&e->bytes);
    e->writer = (struct resp_writer){.out = &e->bytes, .version = version};
}

static void elements_reply(struct cmd_ctx *ctx, struct elements *e)
{
    resp_write_array(ctx->reply, e->count);
    buf_append_view(ctx->reply->out, buf_view(&e->bytes));
    buf_fini(&e->bytes);
}

static void add_hot(void *arg, struct strview key, int64_t score)
{
    struct elements *e = arg;
    resp_write_array(&e->writer, 2);
    resp_write_bulk(&e->writer, key);
    resp_write_int(&e->writer, score);
    e->count++;
}

/* SOURCE HOT [map] [n] */
void cmd_source_hot(struct cmd_ctx *ctx)
{
    int64_t n = HOT_DEFAULT;
    struct elements e;
    if (!has_sources(ctx)) {
        return;
    }
    const struct source_map *map = ctx->argc > 2
                                       ? sources_map_by_name(ctx->env->sources, ctx->argv[2])
                                       : NULL;
    const int at = map != NULL ? 3 : 2;
    if (ctx->argc > at + 1) {
        reply_error(ctx, ERROR_SYNTAX);
        return;
    }
    if (ctx->argc > at && !arg_i64_range(ctx, at, 1, SOURCE_HOT_MAX, &n)) {
        return;
    }
    elements_init(&e, ctx->reply->version);
    sources_hot(ctx->env->sources, map, (size_t)n, add_hot, &e);
    elements_reply(ctx, &e);
}

static void add_slow(void *arg, const struct source_slow_load *load)
{
    struct elements *e = arg;
    resp_write_array(&e->writer, 4);
    resp_write_int(&e->writer, load->wall_ms / 1000);
    resp_write_int(&e->writer, load->took_us);
    resp_write_bulk(&e->writer, load->map);
    resp_write_bulk(&e->writer, load->key);
    e->count++;
}

/* SOURCE SLOWLOG [n] */
void cmd_source_slowlog(struct cmd_ctx *ctx)
{
    int64_t n = SLOW_DEFAULT;
    struct elements e;
    if (!has_sources(ctx) || (ctx->argc > 2 && !arg_i64_range(ctx, 2, 1, 1000, &n))) {
        return;
    }
    elements_init(&e, ctx->reply->version);
    sources_slow(ctx->env->sources, (size_t)n, add_slow, &e);
    elements_reply(ctx, &e);
}
