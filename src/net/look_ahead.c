/*
 * A connection whose command waits for a load has more requests behind it. They are not run, but
 * what they will have to load can be loaded meanwhile: a hundred misses in a pipeline then wait for
 * their database once and not a hundred times.
 *
 * Once per hold, at the end of the turn, so that all of it reaches the database together. The bytes
 * are only looked at; they are parsed again when their turn comes.
 */
#include "conn.h"
#include "state.h"
#include "tarn/command/command.h"
#include "tarn/proto/resp_parse.h"

#define LOOK_AHEAD_REQUESTS 1024

void conn_look_ahead(struct conn *c)
{
    struct net *net = c->net;
    struct strview in = buf_view(&c->in);
    struct resp_parser parser = {0};
    const struct resp_limits limits = {
        .bulk_max = net->env->command_options->proto_max_bulk_len,
        .args_max = RESP_ARGS_MAX,
        .is_authenticated = (c->session.flags & SESSION_AUTHENTICATED) != 0,
    };
    bool goes_on = true;
    c->is_looked_ahead = true;
    for (unsigned i = 0; i <= LOOK_AHEAD_REQUESTS && goes_on && in.len > 0; i++) {
        size_t used = 0;
        const char *error = NULL;
        const enum resp_status status = resp_parse(&parser, &limits, in, &net->request, &used,
                                                   &error);
        if (status != RESP_REQUEST && status != RESP_EMPTY) {
            break;
        }
        if (status == RESP_REQUEST && i > 0) { /* the first is the one that waits */
            goes_on = command_look_ahead(net->env, &c->session, net->request.argv,
                                         net->request.argc);
        }
        in = strview_of(in.data + used, in.len - used);
    }
    resp_parser_fini(&parser);
}
