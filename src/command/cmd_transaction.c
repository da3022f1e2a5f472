/*
 * MULTI EXEC DISCARD WATCH UNWATCH.
 *
 * EXEC runs its commands in one go: between the first and the last no other client's command runs,
 * and nothing waits. So whatever a source has to be asked for is asked for first: EXEC looks at the
 * keys that its commands read, or read before they write, starts the loads of those that are
 * missing, and suspends like any command; when it comes back with the results it looks at the
 * watched keys again and runs the block. A load that failed is the error of the command that wanted
 * it, not of the block. A mapped key that the block itself removes and then reads could only be
 * loaded by waiting in the middle: that read is an error.
 */
#include <stdlib.h>

#include "keyspace.h"
#include "observers.h"
#include "reply.h"
#include "session_text.h"
#include "table.h"
#include "tarn/base/num.h"
#include "transaction.h"
#include "watch.h"

void cmd_multi(struct cmd_ctx *ctx)
{
    struct session *s = ctx->session;
    if ((s->flags & SESSION_IN_MULTI) != 0) {
        reply_error(ctx, "ERR MULTI calls can not be nested");
        return;
    }
    s->transaction = calloc(1, sizeof(*s->transaction));
    if (s->transaction == NULL) {
        reply_error(ctx, ERROR_NO_MEMORY);
        return;
    }
    s->flags |= SESSION_IN_MULTI;
    resp_write_ok(ctx->reply);
}

void cmd_discard(struct cmd_ctx *ctx)
{
    if ((ctx->session->flags & SESSION_IN_MULTI) == 0) {
        reply_error(ctx, "ERR DISCARD without MULTI");
        return;
    }
    transaction_discard(ctx->env, ctx->session);
    resp_write_ok(ctx->reply);
}

void cmd_watch(struct cmd_ctx *ctx)
{
    if ((ctx->session->flags & SESSION_IN_MULTI) != 0) {
        reply_error(ctx, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    for (int i = 1; i < ctx->argc; i++) {
        const struct store_key key = key_at(ctx, i);
        if (!watch_add(ctx, &key)) {
            reply_error(ctx, "ERR too many watched keys");
            return;
        }
    }
    resp_write_ok(ctx->reply);
}

void cmd_unwatch(struct cmd_ctx *ctx)
{
    watch_drop(ctx->env, ctx->session);
    resp_write_ok(ctx->reply);
}

/* ---- EXEC ---- */

static void preload_keys(struct cmd_ctx *ctx, const struct queued *q, unsigned db)
{
    const struct command *c = q->command;
    const bool is_use = c->id != COMMAND_ID_exists;
    const int last = command_last_key(c, q->argv, q->argc);
    for (int i = c->keys.first; i > 0 && i <= last; i += c->keys.step) {
        const struct store_key key = store_key_init(ctx->env->store, db, q->argv[i]);
        key_preload(ctx, c, &key, is_use);
    }
}

/* The database after a queued SELECT. */
static unsigned db_after(const struct queued *q, unsigned db)
{
    int64_t wanted;
    const bool is_valid = q->command->id == COMMAND_ID_select &&
                          num_parse_i64(q->argv[1], &wanted) && wanted >= 0 &&
                          wanted < STORE_DATABASES;
    return is_valid ? (unsigned)wanted : db;
}

/* False: there is something to wait for. */
static bool preload(struct cmd_ctx *ctx, const struct transaction *t)
{
    unsigned db = ctx->session->db;
    if ((t->flags & (CMD_LOADS | CMD_MAPPED_WRITE)) == 0 || !keyspace_has_maps(ctx->env)) {
        return true;
    }
    for (size_t i = 0; i < t->count; i++) {
        if (keyspace_reads_first(t->commands[i]->command, t->commands[i]->argc)) {
            preload_keys(ctx, t->commands[i], db);
        }
        db = db_after(t->commands[i], db);
    }
    return ctx->loads_pending == 0;
}

/* True when the block may run; otherwise the reply is written and the transaction is over. */
static bool may_run(struct cmd_ctx *ctx)
{
    struct session *s = ctx->session;
    if ((s->flags & SESSION_SPOILT) != 0) {
        reply_error(ctx, "EXECABORT Transaction discarded because of previous errors.");
    } else if ((s->flags & SESSION_TOUCHED) != 0 || watch_is_broken(ctx->env, s)) {
        resp_write_null_array(ctx->reply);
    } else if ((s->transaction->flags & CMD_DENYOOM) != 0 && !keyspace_make_room(ctx->env)) {
        reply_error(ctx, ERROR_OUT_OF_MEMORY);
        transaction_spoil(ctx);
        return false;
    } else {
        return true;
    }
    transaction_discard(ctx->env, s);
    return false;
}

void cmd_exec(struct cmd_ctx *ctx)
{
    struct session *s = ctx->session;
    if ((s->flags & SESSION_IN_MULTI) == 0) {
        reply_error(ctx, "ERR EXEC without MULTI");
        return;
    }
    if (!may_run(ctx) || !preload(ctx, s->transaction)) {
        return;
    }
    const struct transaction *t = s->transaction;
    watch_drop(ctx->env, s); /* its own writes are not to touch it */
    s->flags &= ~(unsigned)SESSION_IN_MULTI;
    resp_write_array(ctx->reply, t->count);
    for (size_t i = 0; i < t->count; i++) {
        dispatch_queued(ctx, t->commands[i]);
    }
    transaction_discard(ctx->env, s);
}
