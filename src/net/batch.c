/*
 * Requests are queued as they are parsed and run together: queueing hashes the key and prefetches
 * its bucket of the index, then all entries are prefetched, then all requests run. A look-up in a
 * large store waits a quarter of a microsecond for memory; in a batch those waits overlap.
 *
 * Order: requests run in the order they were queued, so those of one connection run in the order
 * they came. A request that cannot run now (it suspends, its client does not read, its client is
 * delayed) puts a hold on its connection: the requests queued behind it for the same connection are
 * passed over here and found again in the bytes that conn_hold() keeps.
 *
 * Nothing is allocated: arguments are copied (16 bytes each) into an array of the batch. Requests
 * with very many of them, and inline ones, whose words lie in the parser's scratch, are not kept
 * past the next parse: they run at once.
 */
#include "batch.h"

#include <assert.h>
#include <string.h>

#include "state.h"
#include "tarn/base/clock.h"
#include "tarn/base/compiler.h"

static void run_call(struct net *net, struct batch_call *b)
{
    struct conn *c = conn_of(b->call.session);
    if (UNLIKELY(!conn_may_run(c))) {
        return;
    }
    if (UNLIKELY(buf_len(&c->out) > NET_OUT_SOFT_BYTES)) {
        conn_hold(c, CONN_HOLD_OUTPUT, b->start);
        return;
    }
    spares_take(&net->spares, &c->out);
    net->running = c;
    enum command_result result = command_run(net->env, &b->call);
    net->running = NULL;
    if (UNLIKELY(result == COMMAND_SUSPENDED)) {
        conn_hold(c, CONN_HOLD_LOAD, b->start);
    } else if (UNLIKELY(c->session.blocked_until_ms != 0)) {
        conn_hold(c, CONN_HOLD_DELAY, b->start + b->len);
    }
}

void batch_run(struct net *net)
{
    struct batch *batch = &net->batch;
    assert(net->running == NULL);
    if (batch->count > 1) {
        for (unsigned i = 0; i < batch->count; i++) {
            command_prefetch(net->env, &batch->calls[i].call);
        }
    }
    for (unsigned i = 0; i < batch->count; i++) {
        run_call(net, &batch->calls[i]);
    }
    batch->count = 0;
    batch->args_used = 0;
}

void batch_add(struct net *net, struct conn *c, const char *start, size_t len)
{
    struct batch *batch = &net->batch;
    const struct resp_request *r = &net->request;
    assert(batch->count < BATCH_CALLS);
    assert(r->argc > 0);

    const struct strview *argv = r->argv;
    bool is_kept = *start == '*' && r->argc <= BATCH_CALL_ARGS;
    if (LIKELY(is_kept)) {
        struct strview *copy = &batch->args[batch->args_used];
        for (int i = 0; i < r->argc; i++) {
            copy[i] = argv[i];
        }
        batch->args_used += (unsigned)r->argc;
        argv = copy;
    }
    struct batch_call *b = &batch->calls[batch->count++];
    *b = (struct batch_call){
        .call = {.session = &c->session, .argv = argv, .argc = r->argc},
        .start = start,
        .len = len,
    };
    c->queued_end = start + len;
    command_prepare(net->env, &b->call);
    if (batch->count == BATCH_CALLS || batch->args_used > BATCH_ARGS - BATCH_CALL_ARGS ||
        !is_kept || len > BATCH_CALL_BYTES) {
        batch_run(net);
        clock_update(
            net->env->clock); /* a full batch is a few microseconds: the turn may become long */
    }
}
