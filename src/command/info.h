/* The text of INFO. Private to the command layer. */
#ifndef TARN_COMMAND_INFO_H
#define TARN_COMMAND_INFO_H

#include "tarn/base/buf.h"
#include "tarn/base/strview.h"
#include "tarn/command/command.h"

/* Appends the sections that `names` select, in a fixed order; none: the default ones. "all" and
 * "everything" add command statistics. Unknown names select nothing. */
void info_append(struct command_env *env, const struct strview *names, int count, struct buf *out);

#endif
