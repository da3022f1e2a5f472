/*
 * CLIENT PAUSE: for a while the commands of all clients, or those that write, wait. Private to the
 * command layer.
 */
#ifndef TARN_COMMAND_PAUSE_H
#define TARN_COMMAND_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "handler.h"

/* One pause is at most this long. */
#define PAUSE_MAX_MS (INT64_C(365) * 24 * 3600 * 1000)

struct pause {
    int64_t until_ms; /* monotonic */
    bool is_all;      /* every command, not only those that write */
};

/* Makes the command wait for the end of the pause. False: it need not. */
bool pause_holds(struct cmd_ctx *ctx);

/* Ends the pause when its time is over. */
void pause_tick(struct command_env *env);

/* A session ends, perhaps while it waits. */
void pause_forget(struct command_env *env, struct session *s);

#endif
