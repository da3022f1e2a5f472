/* The Memory section of INFO. Private to the command layer. */
#ifndef TARN_COMMAND_INFO_MEMORY_H
#define TARN_COMMAND_INFO_MEMORY_H

#include "tarn/base/buf.h"
#include "tarn/command/command.h"

void info_memory(struct command_env *env, struct buf *out);

#endif
