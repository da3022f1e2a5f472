/*
 * What a request that has not been run yet will have to load, as far as it can be told from its
 * words. Only loads are started: whatever runs in between (a DEL, say) voids them as it would any
 * other.
 */
#include "keyspace.h"
#include "table.h"
#include "tarn/command/command.h"
#include "tarn/source/source.h"

/* Commands after which keys may mean something else, or nothing at all: of a connection, of a
 * transaction. */
static bool ends_look(const struct command *c)
{
    return c == NULL || c->handler == NULL || c->keys.first == 0;
}

bool command_look_ahead(struct command_env *env, const struct session *s,
                        const struct strview *argv, int argc)
{
    const struct command *c = command_table_resolve(env->table, argv, argc);
    if (ends_look(c) || !keyspace_has_maps(env) ||
        (s->flags & (SESSION_IN_MULTI | SESSION_NO_LOAD | SESSION_CLOSING)) != 0) {
        return false;
    }
    if (!keyspace_reads_first(c, argc) || (c->arity >= 0 ? argc != c->arity : argc < -c->arity)) {
        return true;
    }
    const bool is_use = c->id != COMMAND_ID_exists;
    const int last = command_last_key(c, argv, argc);
    for (int i = c->keys.first; i > 0 && i <= last; i += c->keys.step) {
        const struct store_key key = store_key_init(env->store, s->db, argv[i]);
        if (!keyspace_prefetch(env, c, &key, is_use)) {
            return false;
        }
    }
    return true;
}
