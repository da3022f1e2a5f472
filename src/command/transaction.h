/*
 * The commands between MULTI and EXEC. Private to the command layer.
 */
#ifndef TARN_COMMAND_TRANSACTION_H
#define TARN_COMMAND_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>

#include "handler.h"

/* Of one transaction; what goes beyond makes EXEC fail. */
#define TRANSACTION_COMMANDS_MAX (1 << 20)
#define TRANSACTION_BYTES_MAX    ((size_t)512 * 1024 * 1024)

/* One queued command; the views and their bytes follow the struct. */
struct queued {
    const struct command *command;
    int argc;
    struct strview argv[];
};

struct transaction {
    struct queued **commands; /* owned, and each of them */
    size_t count, cap;
    size_t bytes;
    unsigned flags; /* of all commands together: enum cmd_flag */
};

/* Queues the command of `ctx` and replies QUEUED, or with an error after which EXEC refuses. */
void transaction_queue(struct cmd_ctx *ctx);

/* dispatch.c: runs one of the commands of `exec`, which writes one reply. */
void dispatch_queued(struct cmd_ctx *exec, const struct queued *q);

/* A command was refused; its error is the reply. Inside of MULTI, EXEC will refuse to run; if that
 * command was EXEC itself, the transaction ends here. */
void transaction_spoil(struct cmd_ctx *ctx);

/* Forgets the queue and the watched keys; the session is out of MULTI. */
void transaction_discard(struct command_env *env, struct session *s);

#endif
