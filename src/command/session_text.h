/* What a client says about itself, and RESET. Private to the command layer. */
#ifndef TARN_COMMAND_SESSION_TEXT_H
#define TARN_COMMAND_SESSION_TEXT_H

#include <stdbool.h>

#include "tarn/base/strview.h"
#include "tarn/command/session.h"

#define ERROR_CLIENT_NAME "ERR Client names cannot contain spaces, newlines or special characters."
#define ERROR_NO_MEMORY   "ERR not enough memory"

/* Printable, no blanks, at most SESSION_NAME_MAX: fit for one column of CLIENT LIST. */
bool session_text_is_valid(struct strview text);

/* Replaces an owned text; an empty one clears it. False without memory, the old one is kept. */
bool session_text_set(char **field, struct strview text);

/* Back to how a new connection starts: RESP2, database 0, no name, no transaction, no
 * subscriptions, no flags but those of the socket; with a password set, not authenticated. */
void session_reset(struct command_env *env, struct session *s);

#endif
