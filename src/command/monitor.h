/*
 * MONITOR: a session that is shown every command. Private to the command layer.
 */
#ifndef TARN_COMMAND_MONITOR_H
#define TARN_COMMAND_MONITOR_H

#include "handler.h"
#include "tarn/base/buf.h"

/* Longest argument that is shown whole. */
#define MONITOR_ARG_MAX 65536

/* Shows the command, which has just run, to all monitors. */
void monitor_feed(const struct cmd_ctx *ctx);

/* The session stops monitoring, if it does. */
void monitor_leave(struct command_env *env, struct session *s);

/* The first argument that must not be shown (it is, or is followed by, a password); argc: none. */
int monitor_first_secret(const struct cmd_ctx *ctx);

#endif
