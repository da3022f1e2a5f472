/*
 * Commands about the connection itself: PING ECHO QUIT RESET SELECT HELLO AUTH.
 *
 * While no password is set, every session is authenticated from the start, and AUTH with a password
 * alone tells the user so. With a user's name it accepts any, as a Redis user without a password
 * does.
 */

#include <string.h>

#include "args.h"
#include "auth.h"
#include "reply.h"
#include "table.h"
#include "handler.h"
#include "identity.h"
#include "session_text.h"
#include "tarn/base/num.h"

void cmd_ping(struct cmd_ctx *ctx)
{
    const struct session *s = ctx->session;
    if (ctx->argc > 2) {
        reply_arity_error(ctx);
    } else if (s->resp_version == 2 && (s->flags & SESSION_SUBSCRIBER) != 0) {
        resp_write_array(ctx->reply,
                         2); /* in the form of a message, for clients that expect those */
        resp_write_bulk_str(ctx->reply, "pong");
        resp_write_bulk(ctx->reply, ctx->argc == 2 ? ctx->argv[1] : strview_str(""));
    } else if (ctx->argc == 2) {
        resp_write_bulk(ctx->reply, ctx->argv[1]);
    } else {
        resp_write_simple(ctx->reply, strview_str("PONG"));
    }
}

void cmd_echo(struct cmd_ctx *ctx)
{
    resp_write_bulk(ctx->reply, ctx->argv[1]);
}

void cmd_quit(struct cmd_ctx *ctx)
{
    resp_write_ok(ctx->reply);
    ctx->session->flags |= SESSION_CLOSING;
}

void cmd_reset(struct cmd_ctx *ctx)
{
    session_reset(ctx->env, ctx->session);
    ctx->reply->version = ctx->session->resp_version;
    resp_write_simple(ctx->reply, strview_str("RESET"));
}

void cmd_select(struct cmd_ctx *ctx)
{
    int64_t db;
    if (!arg_i64(ctx, 1, &db)) {
        return;
    }
    if (db < 0 || db >= STORE_DATABASES) {
        reply_error(ctx, "ERR DB index is out of range");
        return;
    }
    ctx->session->db = (unsigned)db;
    resp_write_ok(ctx->reply);
}

void cmd_auth(struct cmd_ctx *ctx)
{
    const bool has_user = ctx->argc == 3;
    if (ctx->argc > 3) {
        reply_error(ctx, ERROR_SYNTAX);
    } else if (!has_user && !auth_is_required(ctx->env)) {
        reply_error(ctx, "ERR AUTH <password> called without any password configured for the "
                         "default user. Are you "
                         "sure your configuration is correct?");
    } else if (auth_try(ctx->env, ctx->session, has_user ? ctx->argv[1] : strview_str("default"),
                        ctx->argv[ctx->argc - 1])) {
        resp_write_ok(ctx->reply);
    } else {
        reply_error(ctx, ERROR_WRONG_PASSWORD);
    }
}

static void write_hello(struct cmd_ctx *ctx)
{
    struct resp_writer *w = ctx->reply;
    resp_write_map(w, 7);
    resp_write_bulk_str(w, "server");
    resp_write_bulk_str(w, "redis");
    resp_write_bulk_str(w, "version");
    resp_write_bulk_str(w, IDENTITY_REDIS_VERSION);
    resp_write_bulk_str(w, "proto");
    resp_write_int(w, ctx->session->resp_version);
    resp_write_bulk_str(w, "id");
    resp_write_int(w, (int64_t)ctx->session->id);
    resp_write_bulk_str(w, "mode");
    resp_write_bulk_str(w, "standalone");
    resp_write_bulk_str(w, "role");
    resp_write_bulk_str(w, "master");
    resp_write_bulk_str(w, "modules");
    resp_write_array(w, 0);
}

/* HELLO [version [AUTH user password] [SETNAME name]]: nothing changes unless everything is in
 * order. */
void cmd_hello(struct cmd_ctx *ctx)
{
    int64_t version = ctx->session->resp_version;
    struct strview name = {0};
    bool has_name = false;

    if (ctx->argc >= 2) {
        if (!num_parse_i64(ctx->argv[1], &version)) {
            reply_error(ctx, "ERR Protocol version is not an integer or out of range");
            return;
        }
        if (version < 2 || version > 3) {
            reply_error(ctx, "NOPROTO unsupported protocol version");
            return;
        }
    }
    for (int i = 2; i < ctx->argc; i++) {
        int more = ctx->argc - i - 1;
        if (strview_eq_nocase(ctx->argv[i], "auth") && more >= 2) {
            if (!auth_try(ctx->env, ctx->session, ctx->argv[i + 1], ctx->argv[i + 2])) {
                reply_error(ctx, ERROR_WRONG_PASSWORD);
                return;
            }
            i += 2;
        } else if (strview_eq_nocase(ctx->argv[i], "setname") && more >= 1) {
            name = ctx->argv[++i];
            has_name = true;
            if (!session_text_is_valid(name)) {
                reply_error(ctx, ERROR_CLIENT_NAME);
                return;
            }
        } else {
            resp_write_errorf(ctx->reply, "ERR Syntax error in HELLO option '%.*s'",
                              STRVIEW_ARG(word_shown(ctx->argv[i], SHOWN_MAX)));
            return;
        }
    }
    if (!auth_admits(ctx->env, ctx->session)) {
        reply_error(ctx, "NOAUTH HELLO must be called with the client already authenticated, "
                         "otherwise the HELLO AUTH <user> <pass> option can be used to "
                         "authenticate the client and select the RESP protocol version at the "
                         "same time");
        return;
    }
    if (has_name && !session_text_set(&ctx->session->name, name)) {
        reply_error(ctx, ERROR_NO_MEMORY);
        return;
    }
    ctx->session->resp_version = (int)version;
    ctx->reply->version = (int)version;
    write_hello(ctx);
}
