/*
 * Life of a session: entering it in the list of all, and leaving without a trace. What commands set
 * on it is in the files of those commands.
 */
#include "tarn/command/session.h"

#include <stdlib.h>

#include "auth.h"
#include "loads.h"
#include "observers.h"
#include "tarn/command/command.h"
#include "transaction.h"

void session_init(struct session *s, struct command_env *env, const struct session_ops *ops,
                  struct buf *out)
{
    *s = (struct session){
        .ops = ops,
        .out = out,
        .id = ++env->next_session_id,
        .flags = auth_is_required(env) ? 0 : SESSION_AUTHENTICATED,
        .resp_version = 2,
        .fd = -1,
        .created_s = (uint32_t)(env->clock->mono_ms / 1000),
        .local_address = "",
        .active_ms = env->clock->mono_ms,
    };
    list_push_back(&env->sessions, &s->link);
    env->sessions_count++;
}

void session_fini(struct session *s, struct command_env *env)
{
    loads_drop(s);
    pause_forget(env, s);
    transaction_discard(env, s);
    observers_forget(env, s);
    list_remove(&s->link);
    env->sessions_count--;
    free(s->name);
    free(s->lib_name);
    free(s->lib_ver);
    s->name = s->lib_name = s->lib_ver = NULL;
}
