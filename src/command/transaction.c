/*
 * The queue of a transaction. Each command is copied into one piece of memory, because the bytes it
 * came in are gone by the time of EXEC; all of it counts as memory of the server.
 */
#include "transaction.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "observers.h"
#include "reply.h"
#include "session_text.h"
#include "table.h"
#include "watch.h"

/* ---- the queue ---- */

static bool measure(const struct cmd_ctx *ctx, size_t *bytes_out)
{
    size_t bytes = sizeof(struct queued) + (size_t)ctx->argc * sizeof(struct strview);
    for (int i = 0; i < ctx->argc; i++) {
        if (add_overflow(bytes, ctx->argv[i].len, &bytes)) {
            return false;
        }
    }
    *bytes_out = bytes;
    return true;
}

static struct queued *copy_command(const struct cmd_ctx *ctx, size_t bytes)
{
    struct queued *q = malloc(bytes);
    if (q == NULL) {
        return NULL;
    }
    q->command = ctx->command;
    q->argc = ctx->argc;
    char *at = (char *)(q->argv + ctx->argc);
    for (int i = 0; i < ctx->argc; i++) {
        const struct strview arg = ctx->argv[i];
        if (arg.len > 0) {
            memcpy(at, arg.data, arg.len);
        }
        q->argv[i] = strview_of(at, arg.len);
        at += arg.len;
    }
    return q;
}

static bool make_room(struct transaction *t)
{
    if (t->count < t->cap) {
        return true;
    }
    const size_t cap = t->cap == 0 ? 8 : t->cap * 2;
    struct queued **more = realloc(t->commands, cap * sizeof(*more));
    if (more == NULL) {
        return false;
    }
    t->commands = more;
    t->cap = cap;
    return true;
}

static bool append(struct cmd_ctx *ctx, struct transaction *t)
{
    size_t bytes;
    if (t->count >= TRANSACTION_COMMANDS_MAX || !measure(ctx, &bytes) ||
        bytes > TRANSACTION_BYTES_MAX - t->bytes) {
        reply_error(ctx, "ERR the transaction is too large");
        return false;
    }
    struct queued *q = make_room(t) ? copy_command(ctx, bytes) : NULL;
    if (q == NULL) {
        reply_error(ctx, ERROR_NO_MEMORY);
        return false;
    }
    t->commands[t->count++] = q;
    t->bytes += bytes;
    t->flags |= ctx->command->flags;
    ctx->env->observers->transactions_bytes += bytes;
    return true;
}

void transaction_queue(struct cmd_ctx *ctx)
{
    assert((ctx->session->flags & SESSION_IN_MULTI) != 0);
    if ((ctx->session->flags & SESSION_SPOILT) != 0) {
        resp_write_simple(ctx->reply, strview_str("QUEUED")); /* but it will not run: not kept */
    } else if (append(ctx, ctx->session->transaction)) {
        resp_write_simple(ctx->reply, strview_str("QUEUED"));
    } else {
        transaction_spoil(ctx);
    }
}

void transaction_discard(struct command_env *env, struct session *s)
{
    struct transaction *t = s->transaction;
    s->flags &= ~(unsigned)(SESSION_IN_MULTI | SESSION_SPOILT);
    watch_drop(env, s);
    if (t == NULL) {
        return;
    }
    env->observers->transactions_bytes -= t->bytes;
    for (size_t i = 0; i < t->count; i++) {
        free(t->commands[i]);
    }
    free(t->commands);
    free(t);
    s->transaction = NULL;
}

void transaction_spoil(struct cmd_ctx *ctx)
{
    struct session *s = ctx->session;
    if ((s->flags & SESSION_IN_MULTI) != 0) {
        s->flags |= SESSION_SPOILT;
    }
    if (ctx->command == NULL || ctx->command->id != COMMAND_ID_exec) {
        return;
    }
    transaction_discard(ctx->env, s);
    struct buf *out = ctx->reply->out;
    struct strview reason = buf_view(out);
    struct buf text;
    buf_init(&text);
    buf_append_str(&text, "EXECABORT Transaction discarded because of: ");
    if (reason.len > ctx->reply_start + 3) { /* "-ERR ...\r\n" without its ends */
        reason = strview_of(reason.data + ctx->reply_start + 1, reason.len - ctx->reply_start - 3);
        const size_t code = strview_starts_with(reason, strview_str("ERR ")) ? 4 : 0;
        buf_append(&text, reason.data + code, reason.len - code);
    }
    buf_truncate(out, ctx->reply_start);
    resp_write_error(ctx->reply, buf_view(&text));
    buf_fini(&text);
}
