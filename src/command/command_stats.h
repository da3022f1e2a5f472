/* Statistics per command, as INFO shows them. Private to the command layer. */
#ifndef TARN_COMMAND_COMMAND_STATS_H
#define TARN_COMMAND_COMMAND_STATS_H

#include "handler.h"
#include "tarn/base/buf.h"
#include "tarn/command/command.h"

void command_stats_append_commands(struct command_env *env, struct buf *out);
void command_stats_append_latencies(struct command_env *env, struct buf *out);
void command_stats_append_errors(struct command_env *env, struct buf *out);

/* The reply of `ctx` is an error. */
void command_stats_count_error(const struct cmd_ctx *ctx);

/* Why latency-tracking-info-percentiles is no list of percentiles; NULL when it is one. */
const char *command_stats_misfit_of_percentiles(const struct command_env *env);

void command_stats_reset(struct command_env *env);

#endif
