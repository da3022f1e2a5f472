/*
 * Replies shared by commands: errors that are worded from the running command, help texts, and
 * arrays whose length is known only after their elements were written.
 */
#include "reply.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "args.h"
#include "keyspace.h"
#include "table.h"
#include "tarn/base/buf.h"
#include "tarn/base/compiler.h"

/* REPLY_LENT_MIN for bytes that have to be sent at once. (Not copying saves 4 us of a GET of 64 KiB.) */
#define SENT_AT_ONCE_MIN (32 * 1024)

/* Headers of aggregates and a number or two. */
#define HEAD_MAX 128

void reply_arity_error(struct cmd_ctx *ctx)
{
    resp_write_errorf(ctx->reply, "ERR wrong number of arguments for '%s' command",
                      ctx->command->full_name);
}

void reply_subcommand_error(struct cmd_ctx *ctx)
{
    const char *container = ctx->command->parent->name;
    char upper[COMMAND_NAME_MAX + 1] = "";
    for (size_t i = 0; container[i] != '\0'; i++) {
        upper[i] = (char)toupper((unsigned char)container[i]);
    }
    const struct strview word = word_shown(ctx->argv[1], SHOWN_MAX);
    resp_write_errorf(ctx->reply,
                      "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s "
                      "HELP.",
                      STRVIEW_ARG(word), upper);
}

static NO_INLINE bool lend(const struct cmd_ctx *ctx, struct strview bytes)
{
    struct session *s = ctx->session;
    const unsigned unusual = SESSION_REPLY_OFF | SESSION_REPLY_SKIP | SESSION_TRACKING;
    /* What was loaded for this command goes with it, and where there are maps the next read may
     * have to load. */
    const bool stays = s->loads == NULL && !keyspace_has_maps(ctx->env);
    if (ctx->is_in_exec || (s->flags & unusual) != 0 || s->ops->lend_bulk == NULL ||
        (!stays && bytes.len < SENT_AT_ONCE_MIN)) {
        return false;
    }
    return s->ops->lend_bulk(s, bytes, stays);
}

void reply_stored_bulk(struct cmd_ctx *ctx, struct strview bytes)
{
    if (LIKELY(bytes.len < REPLY_LENT_MIN) || !lend(ctx, bytes)) {
        resp_write_bulk(ctx->reply, bytes);
    } else {
        ctx->sent = bytes.len;
        ctx->reply_start = buf_len(ctx->reply->out); /* what is left there is no whole reply */
    }
}

void reply_store_error(struct cmd_ctx *ctx, enum store_result result)
{
    assert(result != STORE_OK);
    buf_truncate(ctx->reply->out, ctx->reply_start);
    reply_error(ctx, result == STORE_TOO_BIG ? ERROR_TOO_LONG : ERROR_OUT_OF_MEMORY);
}

void reply_head_first(struct cmd_ctx *ctx, size_t begin, size_t elements_end)
{
    struct buf *out = ctx->reply->out;
    if (out->failed) {
        return; /* parts are missing; the connection will be closed */
    }
    const size_t head_len = buf_len(out) - elements_end;
    assert(head_len <= HEAD_MAX);
    char head[HEAD_MAX];
    char *elements = out->data + out->head + begin;
    memcpy(head, out->data + out->head + elements_end, head_len);
    memmove(elements + head_len, elements, elements_end - begin);
    memcpy(elements, head, head_len);
}

void reply_array_of(struct cmd_ctx *ctx, size_t begin, size_t count)
{
    const size_t elements_end = reply_mark(ctx);
    resp_write_array(ctx->reply, count);
    reply_head_first(ctx, begin, elements_end);
}
