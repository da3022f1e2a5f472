/* Statistics per command, as INFO shows them. Private to the command layer. */
#ifndef TARN_COMMAND_COMMAND_STATS_H
#define TARN_COMMAND_COMMAND_STATS_H

#include "tarn/base/buf.h"
#include "tarn/command/command.h"

void command_stats_append_commands(struct command_env *env, struct buf *out);
void command_stats_reset(struct command_env *env);

#endif
