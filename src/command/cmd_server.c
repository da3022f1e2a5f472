/*
 * Commands about the server: FLUSHDB FLUSHALL SWAPDB TIME SHUTDOWN INFO WAIT.
 */
#include "args.h"
#include "reply.h"
#include "table.h"
#include "handler.h"
#include "info.h"
#include "keyspace.h"
#include "tarn/base/num.h"

#include <time.h>

/* ASYNC and SYNC are accepted: memory always follows in slices, keys are always gone at once. */
static bool parse_flush_mode(struct cmd_ctx *ctx)
{
    if (ctx->argc == 1 || (ctx->argc == 2 && (strview_eq_nocase(ctx->argv[1], "async") ||
                                              strview_eq_nocase(ctx->argv[1], "sync")))) {
        return true;
    }
    reply_error(ctx, ERROR_SYNTAX);
    return false;
}

void cmd_flushdb(struct cmd_ctx *ctx)
{
    if (parse_flush_mode(ctx)) {
        keyspace_flush(ctx, ctx->session->db);
        resp_write_ok(ctx->reply);
    }
}

void cmd_flushall(struct cmd_ctx *ctx)
{
    if (parse_flush_mode(ctx)) {
        keyspace_flush(ctx, STORE_DATABASES);
        resp_write_ok(ctx->reply);
    }
}

/* There are no replicas, and none can come while a client waits: the answer is known at once. */
void cmd_wait(struct cmd_ctx *ctx)
{
    int64_t replicas, timeout_ms;
    if (!arg_i64(ctx, 1, &replicas)) {
        return;
    }
    if (!num_parse_i64(ctx->argv[2], &timeout_ms)) {
        reply_error(ctx, "ERR timeout is not an integer or out of range");
    } else if (timeout_ms < 0) {
        reply_error(ctx, "ERR timeout is negative");
    } else {
        resp_write_int(ctx->reply, 0);
    }
}

void cmd_swapdb(struct cmd_ctx *ctx)
{
    int64_t db[2];
    if (!num_parse_i64(ctx->argv[1], &db[0])) {
        reply_error(ctx, "ERR invalid first DB index");
        return;
    }
    if (!num_parse_i64(ctx->argv[2], &db[1])) {
        reply_error(ctx, "ERR invalid second DB index");
        return;
    }
    for (int i = 0; i < 2; i++) {
        if (db[i] < 0 || db[i] >= STORE_DATABASES) {
            reply_error(ctx, "ERR DB index is out of range");
            return;
        }
    }
    keyspace_swap(ctx, (unsigned)db[0], (unsigned)db[1]);
    resp_write_ok(ctx->reply);
}

void cmd_time(struct cmd_ctx *ctx)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    resp_write_array(ctx->reply, 2);
    resp_write_bulk_i64(ctx->reply, now.tv_sec);
    resp_write_bulk_i64(ctx->reply, now.tv_nsec / 1000);
}

void cmd_info(struct cmd_ctx *ctx)
{
    struct buf text;
    buf_init(&text);
    info_append(ctx->env, ctx->argv + 1, ctx->argc - 1, &text);
    resp_write_verbatim(ctx->reply, "txt", buf_view(&text));
    buf_fini(&text);
}

/* Saving means nothing here; the words are accepted so that scripts written for Redis end the
 * server too. */
void cmd_shutdown(struct cmd_ctx *ctx)
{
    bool is_abort = false, is_save = false, is_nosave = false;
    for (int i = 1; i < ctx->argc; i++) {
        if (strview_eq_nocase(ctx->argv[i], "abort")) {
            is_abort = true;
        } else if (strview_eq_nocase(ctx->argv[i], "nosave")) {
            is_nosave = true;
        } else if (strview_eq_nocase(ctx->argv[i], "save")) {
            is_save = true;
        } else if (!strview_eq_nocase(ctx->argv[i], "now") &&
                   !strview_eq_nocase(ctx->argv[i], "force")) {
            reply_error(ctx, ERROR_SYNTAX);
            return;
        }
    }
    if ((is_abort && ctx->argc > 2) || (is_save && is_nosave)) {
        reply_error(ctx, ERROR_SYNTAX);
    } else if (is_abort) {
        reply_error(ctx, "ERR No shutdown in progress.");
    } else {
        ctx->session->flags |= SESSION_CLOSING;
        ctx->env->host.shutdown(ctx->env->host.ctx);
    }
}
