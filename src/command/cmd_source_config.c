/*
 * SOURCE ADD, MAP, SET, DEL: the configuration of sources and maps while the server runs, word for
 * word as in the configuration file. Whoever may do that can reach other databases and read files,
 * so it is refused unless enable-source-command says otherwise.
 */
#include "args.h"
#include "loads.h"
#include "reply.h"
#include "source_permission.h"
#include "table.h"
#include "tarn/source/source.h"

#include <assert.h>

bool may_configure_sources(struct cmd_ctx *ctx)
{
    const unsigned near = SESSION_UNIX | SESSION_LOOPBACK;
    const int permission = ctx->env->command_options->enable_source_command;
    if (permission == PERMISSION_YES ||
        (permission == PERMISSION_LOCAL && (ctx->session->flags & near) != 0)) {
        return true;
    }
    reply_error(ctx, permission == PERMISSION_LOCAL
                         ? "ERR refused to clients of other machines; see enable-source-command"
                         : "ERR refused to clients; set enable-source-command");
    return false;
}

static bool may_change(struct cmd_ctx *ctx)
{
    if (ctx->env->sources == NULL) {
        reply_error(ctx, "ERR no source is configured");
        return false;
    }
    return may_configure_sources(ctx);
}

static void reply_result(struct cmd_ctx *ctx, int result, const struct errtext *err)
{
    if (result == 0) {
        resp_write_ok(ctx->reply);
    } else {
        resp_write_errorf(ctx->reply, "ERR %s", err->text);
    }
}

static void change(struct cmd_ctx *ctx, const char *directive)
{
    struct errtext err;
    if (may_change(ctx)) {
        const int r = sources_change(ctx->env->sources, directive, ctx->argv + 2, ctx->argc - 2,
                                     &err);
        reply_result(ctx, r, &err);
    }
}

void cmd_source_add(struct cmd_ctx *ctx)
{
    change(ctx, "source");
}

/* ---- MAP: added at once, and kept unless the database has a word against it ---- */

#define BULK_CHECK " bulk" /* no map's name */

struct new_map {
    struct cmd_ctx *ctx;
    struct errtext err;
};

static enum load_start start_map(void *arg, struct load_waiter *w, struct load_result *now)
{
    struct new_map *new = arg;
    struct cmd_ctx *ctx = new->ctx;
    struct sources *sources = ctx->env->sources;
    struct errtext why;
    if (sources_change(sources, "map", ctx->argv + 2, ctx->argc - 2, &why) != 0) {
        errtext_set(&new->err, "ERR %s", why.text);
        *now = (struct load_result){.status = LOAD_FAILED, .error = strview_str(new->err.text)};
        return LOAD_AT_ONCE;
    }
    return sources_check(sources, sources_map_by_name(sources, ctx->argv[2]), false, w, now);
}

static enum load_start start_bulk_check(void *arg, struct load_waiter *w, struct load_result *now)
{
    const struct new_map *new = arg;
    struct sources *sources = new->ctx->env->sources;
    struct source_map *map = sources_map_by_name(sources, new->ctx->argv[2]);
    if (map == NULL) {
        *now = (struct load_result){.status = LOAD_FAILED,
                                    .error = strview_str("ERR the map was deleted meanwhile")};
        return LOAD_AT_ONCE;
    }
    return sources_check(sources, map, true, w, now);
}

static void take_back(struct cmd_ctx *ctx)
{
    struct errtext err;
    struct sources *sources = ctx->env->sources;
    if (sources_map_by_name(sources, ctx->argv[2]) != NULL) {
        const int r = sources_delete(sources, ctx->argv[2], &err);
        assert(r == 0); /* a map can always go */
        (void)r;        /* without assertions */
    }
}

void cmd_source_map(struct cmd_ctx *ctx)
{
    struct new_map new = {.ctx = ctx};
    if (!may_change(ctx)) {
        return;
    }
    if (loads_await(ctx, ctx->argv[2], start_map, &new) != NULL) {
        (void)loads_await(ctx, strview_str(BULK_CHECK), start_bulk_check, &new);
    }
    if (strview_starts_with(ctx->load_error, strview_str("SOURCEERR"))) {
        take_back(ctx);
    } else if (strview_starts_with(ctx->load_error, strview_str("SOURCE"))) {
        ctx->load_error = strview_str(""); /* not now: as with a map of the file */
    }
    resp_write_ok(ctx->reply);
}

/* A map, or else a source. */
void cmd_source_set(struct cmd_ctx *ctx)
{
    const bool is_map = ctx->env->sources != NULL &&
                        sources_map_by_name(ctx->env->sources, ctx->argv[2]) != NULL;
    change(ctx, is_map ? "map-set" : "source-set");
}

void cmd_source_del(struct cmd_ctx *ctx)
{
    struct errtext err;
    if (may_change(ctx)) {
        const int r = sources_delete(ctx->env->sources, ctx->argv[2], &err);
        reply_result(ctx, r, &err);
    }
}
