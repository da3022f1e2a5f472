/*
 * CONFIG GET SET REWRITE RESETSTAT, over the option set and the metric registry: both know nothing
 * of commands, and a new option or counter needs nothing here. The server layer knows the file.
 */

#include "args.h"
#include "command_stats.h"
#include "rates.h"
#include "reply.h"
#include "table.h"
#include "handler.h"
#include "tarn/base/glob.h"
#include "tarn/base/histogram.h"
#include "tarn/source/source.h"

#define CONFIG_SET_MAX 64 /* pairs in one CONFIG SET */

struct get_walk {
    struct cmd_ctx *ctx;
    bool is_counting;
    size_t count;
};

static bool any_pattern_matches(const struct cmd_ctx *ctx, struct strview name)
{
    for (int i = 2; i < ctx->argc; i++) {
        if (glob_match_nocase(ctx->argv[i], name)) {
            return true;
        }
    }
    return false;
}

static int get_visit(void *arg, const struct option_table *table, const struct option *option,
                     struct strview value)
{
    struct get_walk *walk = arg;
    if (!any_pattern_matches(walk->ctx, strview_str(option->name))) {
        return 0;
    }
    walk->count++;
    if (!walk->is_counting) {
        resp_write_bulk_str(walk->ctx->reply, option->name);
        resp_write_bulk(walk->ctx->reply, value);
    }
    return 0;
}

void cmd_config_get(struct cmd_ctx *ctx)
{
    struct get_walk walk = {.ctx = ctx, .is_counting = true};
    (void)option_set_walk(ctx->env->options, get_visit, &walk);
    resp_write_map(ctx->reply, walk.count);
    walk.is_counting = false;
    (void)option_set_walk(ctx->env->options, get_visit, &walk);
}

static void collect_changes(struct cmd_ctx *ctx, struct option_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        changes[i] = (struct option_change){.name = ctx->argv[2 + 2 * i],
                                            .value = ctx->argv[3 + 2 * i]};
    }
}

static const char *reason_of(int result, const struct errtext *err)
{
    switch (result) {
    case OPTION_IS_FIXED:
        return "can't set immutable config";
    case OPTION_BAD:
    case OPTION_REFUSED:
        return err->text;
    default:
        return "Failed";
    }
}

void cmd_config_set(struct cmd_ctx *ctx)
{
    struct option_change changes[CONFIG_SET_MAX];
    size_t count = (size_t)(ctx->argc - 2) / 2;
    struct errtext err = {.text = ""};
    size_t failed_at = 0;

    if (ctx->argc % 2 != 0) {
        reply_error(ctx, ERROR_SYNTAX);
        return;
    }
    if (count > CONFIG_SET_MAX) {
        resp_write_errorf(ctx->reply, "ERR CONFIG SET takes at most %d parameters at once",
                          CONFIG_SET_MAX);
        return;
    }
    collect_changes(ctx, changes, count);
    int result = option_set_change(ctx->env->options, changes, count, &failed_at, &err);
    struct strview name = word_shown(changes[failed_at].name, SHOWN_MAX);
    if (result == OPTION_OK) {
        resp_write_ok(ctx->reply);
    } else if (result == OPTION_UNKNOWN) {
        resp_write_errorf(ctx->reply,
                          "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                          STRVIEW_ARG(name));
    } else {
        resp_write_errorf(ctx->reply,
                          "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
                          STRVIEW_ARG(name), reason_of(result, &err));
    }
}

void cmd_config_rewrite(struct cmd_ctx *ctx)
{
    struct errtext err = {.text = ""};
    const struct command_host *host = &ctx->env->host;
    if (host->config_file == NULL || host->config_file[0] == '\0') {
        reply_error(ctx, "ERR The server is running without a config file");
    } else if (host->rewrite_config(host->ctx, &err) != 0) {
        resp_write_errorf(ctx->reply, "ERR Rewriting config file: %s", err.text);
    } else {
        resp_write_ok(ctx->reply);
    }
}

void cmd_config_resetstat(struct cmd_ctx *ctx)
{
    metric_registry_reset(ctx->env->metrics);
    command_stats_reset(ctx->env);
    rates_reset(ctx->env);
    if (ctx->env->turn_us != NULL) {
        histogram_reset(ctx->env->turn_us);
    }
    if (ctx->env->sources != NULL) {
        sources_reset_stats(ctx->env->sources);
    }
    resp_write_ok(ctx->reply);
}
