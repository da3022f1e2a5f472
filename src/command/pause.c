/*
 * A paused command is suspended like one that waits for a load, and run again when the pause ends:
 * by CLIENT UNPAUSE, or by the tick, so up to a tenth of a second late. CLIENT UNPAUSE itself is
 * never paused.
 *
 * Also here, as the other way to end a wait: CLIENT UNBLOCK.
 */
#include "pause.h"

#include "args.h"
#include "loads.h"
#include "observers.h"
#include "reply.h"
#include "table.h"
#include "tarn/base/num.h"
#include "transaction.h"

/* EXEC writes when one of its commands does; messages count as writes, as in Redis. */
static bool is_writing(const struct cmd_ctx *ctx)
{
    unsigned flags = ctx->command->flags;
    const struct transaction *t = ctx->session->transaction;
    if (ctx->command->id == COMMAND_ID_exec && t != NULL) {
        flags |= t->flags;
    }
    return (flags & CMD_WRITE) != 0 || ctx->command->id == COMMAND_ID_publish ||
           ctx->command->id == COMMAND_ID_spublish;
}

bool pause_holds(struct cmd_ctx *ctx)
{
    struct session *s = ctx->session;
    const struct pause *p = &ctx->env->observers->pause;
    if (ctx->env->clock->mono_ms >= p->until_ms || ctx->is_rerun || s->loads != NULL ||
        ctx->command->id == COMMAND_ID_client_unpause || (!p->is_all && !is_writing(ctx))) {
        return false;
    }
    s->flags |= SESSION_PAUSED | SESSION_BLOCKED;
    ctx->env->stats.blocked_clients++;
    return true;
}

static void resume(struct command_env *env, struct session *s)
{
    s->flags &= ~(unsigned)(SESSION_PAUSED | SESSION_BLOCKED);
    env->stats.blocked_clients--;
    s->ops->resume(s);
}

static void end_pause(struct command_env *env)
{
    env->observers->pause = (struct pause){0};
    env->attention &= ~(unsigned)ATTENTION_PAUSE;
    list_for_each (link, &env->sessions) {
        struct session *s = container_of(link, struct session, link);
        if ((s->flags & SESSION_PAUSED) != 0) {
            resume(env, s);
        }
    }
}

void pause_tick(struct command_env *env)
{
    if ((env->attention & ATTENTION_PAUSE) != 0 &&
        env->clock->mono_ms >= env->observers->pause.until_ms) {
        end_pause(env);
    }
}

void pause_forget(struct command_env *env, struct session *s)
{
    if ((s->flags & SESSION_PAUSED) != 0) {
        s->flags &= ~(unsigned)(SESSION_PAUSED | SESSION_BLOCKED);
        env->stats.blocked_clients--;
    }
}

/* A second pause makes the first longer or stricter, never the other way round. */
void cmd_client_pause(struct cmd_ctx *ctx)
{
    struct pause *p = &ctx->env->observers->pause;
    int64_t ms;
    bool is_all = true;
    if (ctx->argc == 4) {
        is_all = arg_is(ctx, 3, "all");
        if (!is_all && !arg_is(ctx, 3, "write")) {
            reply_error(ctx, "ERR CLIENT PAUSE mode must be WRITE or ALL");
            return;
        }
    } else if (ctx->argc > 4) {
        reply_subcommand_error(ctx);
        return;
    }
    if (!num_parse_i64(ctx->argv[2], &ms)) {
        reply_error(ctx, "ERR timeout is not an integer or out of range");
        return;
    }
    if (ms < 0) {
        reply_error(ctx, "ERR timeout is negative");
        return;
    }
    pause_tick(ctx->env);
    const int64_t until_ms = ctx->env->clock->mono_ms + (ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS);
    p->is_all = p->is_all || is_all;
    p->until_ms = until_ms > p->until_ms ? until_ms : p->until_ms;
    ctx->env->attention |= ATTENTION_PAUSE;
    resp_write_ok(ctx->reply);
}

void cmd_client_unpause(struct cmd_ctx *ctx)
{
    end_pause(ctx->env);
    resp_write_ok(ctx->reply);
}

/* ---- UNBLOCK ---- */

static struct session *find_blocked(const struct command_env *env, int64_t id)
{
    list_for_each (link, &env->sessions) {
        struct session *s = container_of(link, struct session, link);
        if (id > 0 && s->id == (uint64_t)id) {
            return (s->flags & SESSION_BLOCKED) != 0 && s->loads != NULL ? s : NULL;
        }
    }
    return NULL;
}

void cmd_client_unblock(struct cmd_ctx *ctx)
{
    int64_t id;
    const char *why = "SOURCETIMEOUT the wait was ended by CLIENT UNBLOCK";
    if (ctx->argc > 4) {
        reply_subcommand_error(ctx);
        return;
    }
    if (ctx->argc == 4) {
        if (arg_is(ctx, 3, "error")) {
            why = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
        } else if (!arg_is(ctx, 3, "timeout")) {
            reply_error(ctx, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
            return;
        }
    }
    if (!arg_i64(ctx, 2, &id)) {
        return;
    }
    struct session *s = find_blocked(ctx->env, id);
    if (s != NULL) {
        loads_fail_all(s, why);
    }
    resp_write_int(ctx->reply, s != NULL);
}
