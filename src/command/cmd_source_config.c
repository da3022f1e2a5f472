/*
 * SOURCE ADD, MAP, SET, DEL: the configuration of sources and maps while the server runs, word for
 * word as in the configuration file. Whoever may do that can reach other databases and read files,
 * so it is refused unless enable-source-command says otherwise.
 */
#include "args.h"
#include "reply.h"
#include "source_permission.h"
#include "table.h"
#include "tarn/source/source.h"

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

void cmd_source_map(struct cmd_ctx *ctx)
{
    change(ctx, "map");
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
