/*
 * SOURCE: looking at and steering the read-through. Everything known about sources and maps comes
 * from the source layer as name/value fields; this file only turns them into replies.
 */

#include <errno.h>
#include <string.h>

#include "args.h"
#include "fields.h"
#include "observers.h"
#include "reply.h"
#include "table.h"
#include "handler.h"
#include "loads.h"
#include "tarn/base/glob.h"
#include "tarn/base/num.h"
#include "tarn/source/source.h"

static bool has_sources(struct cmd_ctx *ctx)
{
    if (ctx->env->sources == NULL) {
        reply_error(ctx, "ERR no source is configured");
        return false;
    }
    return true;
}

static void reply_no_source(struct cmd_ctx *ctx, struct strview name)
{
    resp_write_errorf(ctx->reply, "ERR no source named '%.*s'",
                      STRVIEW_ARG(word_shown(name, SHOWN_MAX)));
}

static void reply_no_map(struct cmd_ctx *ctx, struct strview name)
{
    resp_write_errorf(ctx->reply, "ERR no map named '%.*s'",
                      STRVIEW_ARG(word_shown(name, SHOWN_MAX)));
}

/* ---- LIST, INFO, MAPS ------------------------------------------------------------------------ */

struct walk {
    struct cmd_ctx *ctx;
    struct strview pattern;
    bool is_counting;
    size_t count;
};

static void list_source(void *arg, struct strview name)
{
    struct walk *walk = arg;
    walk->count++;
    if (!walk->is_counting) {
        struct fields f;
        fields_init(&f, walk->ctx->reply->version);
        fields_add(&f, "name", name);
        (void)sources_describe(walk->ctx->env->sources, name, fields_add, &f);
        fields_reply(walk->ctx, &f);
    }
}

void cmd_source_list(struct cmd_ctx *ctx)
{
    struct walk walk = {.ctx = ctx, .is_counting = true};
    if (ctx->env->sources == NULL) {
        resp_write_array(ctx->reply, 0);
        return;
    }
    sources_walk(ctx->env->sources, list_source, &walk);
    resp_write_array(ctx->reply, walk.count);
    walk.is_counting = false;
    sources_walk(ctx->env->sources, list_source, &walk);
}

/* The name of a source or of a map: the counters of either. */
void cmd_source_info(struct cmd_ctx *ctx)
{
    struct fields f;
    if (!has_sources(ctx)) {
        return;
    }
    fields_init(&f, ctx->reply->version);
    if (sources_describe(ctx->env->sources, ctx->argv[2], fields_add, &f) ||
        sources_describe_map(ctx->env->sources, ctx->argv[2], fields_add, &f)) {
        fields_reply(ctx, &f);
    } else {
        buf_fini(&f.bytes);
        reply_no_source(ctx, ctx->argv[2]);
    }
}

static void list_map(void *arg, struct strview name)
{
    struct walk *walk = arg;
    if (!glob_match(walk->pattern, name)) {
        return;
    }
    walk->count++;
    if (!walk->is_counting) {
        struct fields f;
        fields_init(&f, walk->ctx->reply->version);
        fields_add(&f, "name", name);
        (void)sources_define_map(walk->ctx->env->sources, name, fields_add, &f);
        (void)sources_describe_map(walk->ctx->env->sources, name, fields_add, &f);
        fields_reply(walk->ctx, &f);
    }
}

void cmd_source_maps(struct cmd_ctx *ctx)
{
    struct walk walk = {.ctx = ctx,
                        .pattern = ctx->argc > 2 ? ctx->argv[2] : strview_str("*"),
                        .is_counting = true};
    if (ctx->env->sources == NULL) {
        resp_write_array(ctx->reply, 0);
        return;
    }
    sources_walk_maps(ctx->env->sources, list_map, &walk);
    resp_write_array(ctx->reply, walk.count);
    walk.is_counting = false;
    sources_walk_maps(ctx->env->sources, list_map, &walk);
}

void cmd_source_explain(struct cmd_ctx *ctx)
{
    struct fields f;
    if (!has_sources(ctx)) {
        return;
    }
    struct store_key key = store_key_init(ctx->env->store, ctx->session->db, ctx->argv[2]);
    fields_init(&f, ctx->reply->version);
    if (!sources_explain(ctx->env->sources, &key, fields_add, &f)) {
        fields_add(&f, "map", strview_str(""));
        fields_add(
            &f, "why",
            strview_str("no map matches the key in its canonical spelling: an ordinary key"));
    }
    fields_reply(ctx, &f);
}

/* ---- TEST, PING: answered when the database has answered ------------------------------------- */

struct test {
    struct sources *sources;
    struct source_map *map;
    struct strview name; /* the key, or the source */
};

static enum load_start start_test(void *arg, struct load_waiter *w, struct load_result *now)
{
    const struct test *test = arg;
    return sources_test(test->sources, test->map, test->name, w, now);
}

static enum load_start start_ping(void *arg, struct load_waiter *w, struct load_result *now)
{
    const struct test *test = arg;
    return sources_ping(test->sources, test->name, w, now);
}

void cmd_source_test(struct cmd_ctx *ctx)
{
    if (!has_sources(ctx)) {
        return;
    }
    struct test test = {
        .sources = ctx->env->sources,
        .map = sources_map_by_name(ctx->env->sources, ctx->argv[2]),
        .name = ctx->argv[3],
    };
    if (test.map == NULL) {
        reply_no_map(ctx, ctx->argv[2]);
        return;
    }
    const struct session_load *load = loads_await(ctx, test.name, start_test, &test);
    if (load != NULL && load->status == LOAD_FOUND) {
        resp_write_bulk(ctx->reply, strview_of(load->bytes, load->bytes_len));
    } else {
        resp_write_null(ctx->reply);
    }
}

void cmd_source_ping(struct cmd_ctx *ctx)
{
    if (!has_sources(ctx)) {
        return;
    }
    struct test test = {.sources = ctx->env->sources, .name = ctx->argv[2]};
    (void)loads_await(ctx, test.name, start_ping, &test); /* a failure replaces this reply */
    resp_write_simple(ctx->reply, strview_str("PONG"));
}

/* ---- steering -------------------------------------------------------------------------------- */

struct invalidation {
    struct cmd_ctx *ctx;
    bool is_soft;
};

static void invalidate_map(void *arg, struct strview name)
{
    const struct invalidation *i = arg;
    struct sources *sources = i->ctx->env->sources;
    struct source_map *map = sources_map_by_name(sources, name);
    if (i->is_soft) {
        sources_soften_map(sources, map);
    } else {
        sources_invalidate_map(sources, map);
    }
    observers_map_invalidated(i->ctx->env, map);
}

static void invalidate_keys(struct cmd_ctx *ctx, int end, bool is_soft)
{
    int64_t removed = 0;
    for (int i = 3; i < end; i++) {
        removed += sources_invalidate_key(ctx->env->sources, ctx->argv[i], is_soft);
    }
    resp_write_int(ctx->reply, removed);
}

void cmd_source_ddl(struct cmd_ctx *ctx)
{
    if (!has_sources(ctx)) {
        return;
    }
    struct buf text;
    struct errtext err = {0};
    buf_init(&text);
    int r = sources_ddl(ctx->env->sources, ctx->argv[2], &text, &err);
    if (r == 0) {
        resp_write_bulk(ctx->reply, buf_view(&text));
    } else {
        resp_write_errorf(ctx->reply, "ERR %s", r == -ENOMEM ? "out of memory" : err.text);
    }
    buf_fini(&text);
}

static void invalidate_tags(struct cmd_ctx *ctx, int end, bool is_soft)
{
    int64_t removed = 0;
    for (int i = 3; i < end; i++) {
        removed += sources_invalidate_tag(ctx->env->sources, ctx->argv[i], is_soft);
    }
    resp_write_int(ctx->reply, removed);
}

/* SOURCE INVALIDATE KEY key... | TAG tag... | MAP name | ALL, each with SOFT at the end */
void cmd_source_invalidate(struct cmd_ctx *ctx)
{
    struct strview what = ctx->argv[2];
    if (!has_sources(ctx)) {
        return;
    }
    const bool is_soft = ctx->argc > 3 && arg_is(ctx, ctx->argc - 1, "soft");
    const int end = ctx->argc - is_soft;
    struct invalidation invalidation = {.ctx = ctx, .is_soft = is_soft};
    if (strview_eq_nocase(what, "key") && end > 3) {
        invalidate_keys(ctx, end, is_soft);
    } else if (strview_eq_nocase(what, "tag") && end > 3) {
        invalidate_tags(ctx, end, is_soft);
    } else if (strview_eq_nocase(what, "map") && end == 4) {
        if (sources_map_by_name(ctx->env->sources, ctx->argv[3]) == NULL) {
            reply_no_map(ctx, ctx->argv[3]);
            return;
        }
        invalidate_map(&invalidation, ctx->argv[3]);
        resp_write_ok(ctx->reply);
    } else if (strview_eq_nocase(what, "all") && end == 3) {
        sources_walk_maps(ctx->env->sources, invalidate_map, &invalidation);
        resp_write_ok(ctx->reply);
    } else {
        reply_error(ctx, ERROR_SYNTAX);
    }
}

static void pause_source(struct cmd_ctx *ctx, bool is_paused)
{
    if (!has_sources(ctx)) {
        return;
    }
    if (sources_pause(ctx->env->sources, ctx->argv[2], is_paused)) {
        resp_write_ok(ctx->reply);
    } else {
        reply_no_source(ctx, ctx->argv[2]);
    }
}

void cmd_source_pause(struct cmd_ctx *ctx)
{
    pause_source(ctx, true);
}

void cmd_source_resume(struct cmd_ctx *ctx)
{
    pause_source(ctx, false);
}

void cmd_source_resetstat(struct cmd_ctx *ctx)
{
    if (has_sources(ctx)) {
        sources_reset_stats(ctx->env->sources);
        resp_write_ok(ctx->reply);
    }
}
