/*
 * The HELP subcommand of every container, made from the rows of the table.
 */
#include <ctype.h>

#include "reply.h"
#include "table.h"

static void write_line(struct cmd_ctx *ctx, struct buf *line)
{
    resp_write_simple(ctx->reply, buf_view(line));
    buf_clear(line);
}

static void append_upper(struct buf *out, const char *word)
{
    for (; *word != '\0'; word++) {
        buf_append_char(out, (char)toupper((unsigned char)*word));
    }
}

static void write_help(struct cmd_ctx *ctx)
{
    const struct command *container = ctx->command->parent;
    struct buf line;
    buf_init(&line);
    resp_write_array(ctx->reply, 1 + 2 * (size_t)container->subcommands_count);
    append_upper(&line, container->name);
    buf_append_str(&line, " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    write_line(ctx, &line);
    for (int i = 0; i < container->subcommands_count; i++) {
        const struct command *sub = &container->subcommands[i];
        append_upper(&line, sub->name);
        if (sub->arguments != NULL) {
            buf_printf(&line, " %s", sub->arguments);
        }
        write_line(ctx, &line);
        buf_printf(&line, "    %s.", sub->summary);
        write_line(ctx, &line);
    }
    buf_fini(&line);
}

void cmd_acl_help(struct cmd_ctx *ctx)
{
    write_help(ctx);
}

void cmd_module_help(struct cmd_ctx *ctx)
{
    write_help(ctx);
}

void cmd_client_help(struct cmd_ctx *ctx)
{
    write_help(ctx);
}

void cmd_command_help(struct cmd_ctx *ctx)
{
    write_help(ctx);
}

void cmd_config_help(struct cmd_ctx *ctx)
{
    write_help(ctx);
}

void cmd_debug_help(struct cmd_ctx *ctx)
{
    write_help(ctx);
}

void cmd_hotkeys_help(struct cmd_ctx *ctx)
{
    write_help(ctx);
}

void cmd_memory_help(struct cmd_ctx *ctx)
{
    write_help(ctx);
}

void cmd_object_help(struct cmd_ctx *ctx)
{
    write_help(ctx);
}

void cmd_pubsub_help(struct cmd_ctx *ctx)
{
    write_help(ctx);
}

void cmd_slowlog_help(struct cmd_ctx *ctx)
{
    write_help(ctx);
}

void cmd_latency_help(struct cmd_ctx *ctx)
{
    write_help(ctx);
}

void cmd_source_help(struct cmd_ctx *ctx)
{
    write_help(ctx);
}
