/*
 * Commands about things of Redis that a cache does not have: replicas, saved data, a cluster,
 * modules. They are here as far as clients and tools ask, and say that there is nothing.
 */
#include "identity.h"
#include "reply.h"
#include "table.h"
#include "version.h"

/* A master without replicas. */
void cmd_role(struct cmd_ctx *ctx)
{
    resp_write_array(ctx->reply, 3);
    resp_write_bulk_str(ctx->reply, "master");
    resp_write_int(ctx->reply, 0);
    resp_write_array(ctx->reply, 0);
}

/* As Redis answers before anything was saved: when it was started. */
void cmd_lastsave(struct cmd_ctx *ctx)
{
    resp_write_int(ctx->reply, ctx->env->host.started_wall_ms / 1000);
}

static void refuse_cluster(struct cmd_ctx *ctx)
{
    reply_error(ctx, "ERR This instance has cluster support disabled");
}

void cmd_cluster(struct cmd_ctx *ctx)
{
    refuse_cluster(ctx);
}

void cmd_readonly(struct cmd_ctx *ctx)
{
    refuse_cluster(ctx);
}

void cmd_readwrite(struct cmd_ctx *ctx)
{
    refuse_cluster(ctx);
}

void cmd_module_list(struct cmd_ctx *ctx)
{
    resp_write_array(ctx->reply, 0);
}

/* The drawings of each VERSION are left to Redis. */
void cmd_lolwut(struct cmd_ctx *ctx)
{
    resp_write_verbatim(ctx->reply, "txt",
                        strview_str("Redis ver. " IDENTITY_REDIS_VERSION " (Tarn " TARN_VERSION
                                    ": still waters)\n"));
}
