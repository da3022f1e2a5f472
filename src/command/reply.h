/*
 * Replies that many commands give, on top of proto's writers. Each is one complete reply.
 */
#ifndef TARN_COMMAND_REPLY_H
#define TARN_COMMAND_REPLY_H

#include <stddef.h>

#include "errors.h"
#include "handler.h"
#include "tarn/proto/resp_write.h"
#include "tarn/store/store.h"

/* `text` starts with the code: one of errors.h or a literal. */
static inline void reply_error(struct cmd_ctx *ctx, const char *text)
{
    resp_write_error(ctx->reply, strview_str(text));
}

/* "ERR wrong number of arguments for 'x' command", for handlers with rules an arity cannot state.
 */
void reply_arity_error(struct cmd_ctx *ctx);

/* "ERR unknown subcommand or wrong number of arguments ...", for subcommands of the same kind. */
void reply_subcommand_error(struct cmd_ctx *ctx);

/* Below this a copy costs less than gathering: with values of 3 KiB the two are level. */
#define REPLY_LENT_MIN 4000

/* A bulk that is the whole reply of a command that ends with it and changes nothing, with bytes of
 * the store (or of a load). A large one goes to the socket from where it lies. */
void reply_stored_bulk(struct cmd_ctx *ctx, struct strview bytes);

/* What a store that would not write means for the client: OOM, or too long. `result` is not
 * STORE_OK. Takes the place of what was written of the reply so far. */
void reply_store_error(struct cmd_ctx *ctx, enum store_result result);

/* Replies whose head is known only after their elements: elements are written from `begin`, then
 * the head, and then the head is turned to the front. */
static inline size_t reply_mark(const struct cmd_ctx *ctx)
{
    return buf_len(ctx->reply->out);
}
void reply_head_first(struct cmd_ctx *ctx, size_t begin, size_t elements_end);

/* The plain case: the elements from `begin` are an array of `count`. */
void reply_array_of(struct cmd_ctx *ctx, size_t begin, size_t count);

#endif
