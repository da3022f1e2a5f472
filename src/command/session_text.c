/*
 * Names that clients give themselves. They end up in CLIENT LIST, one line per client with blanks
 * between the columns, so nothing may be in them that breaks a line.
 */
#include "session_text.h"

#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "observers.h"
#include "transaction.h"

bool session_text_is_valid(struct strview text)
{
    if (text.len > SESSION_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '!' || text.data[i] > '~') {
            return false;
        }
    }
    return true;
}

bool session_text_set(char **field, struct strview text)
{
    char *copy = NULL;
    if (text.len > 0) {
        copy = malloc(text.len + 1);
        if (copy == NULL) {
            return false;
        }
        memcpy(copy, text.data, text.len);
        copy[text.len] = '\0';
    }
    free(*field);
    *field = copy;
    return true;
}

void session_reset(struct command_env *env, struct session *s)
{
    (void)session_text_set(&s->name, (struct strview){0}); /* clearing cannot fail */
    transaction_discard(env, s);
    observers_quiet(env, s);
    s->flags &= (unsigned)(SESSION_UNIX | SESSION_LOOPBACK | SESSION_CLOSING);
    s->flags |= auth_is_required(env) ? 0 : SESSION_AUTHENTICATED;
    s->db = 0;
    s->resp_version = 2;
}
