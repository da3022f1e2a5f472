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

/* What a store that would not write means for the client: OOM, or too long. `result` is not
 * STORE_OK. */
void reply_store_error(struct cmd_ctx *ctx, enum store_result result);

/* The HELP subcommand of a container: `lines` in upper case words, one per line of output. */
void reply_help(struct cmd_ctx *ctx, const char *container, const char *const *lines, size_t count);

/* An array whose length is known only when it is written: begin, append elements, end with their
 * number. Nests as the calls do. */
size_t reply_array_begin(struct cmd_ctx *ctx);
void reply_array_end(struct cmd_ctx *ctx, size_t begin, size_t count);

#endif
