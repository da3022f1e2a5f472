/*
 * Requests are queued as they are parsed and run together, in phases: all keys are hashed, then all
 * their buckets of the index are prefetched, then all entries, then all requests run. A look-up in
 * a large store waits a quarter of a microsecond for memory; in a batch those waits overlap, if
 * nothing else is done between one prefetch and the next. (Prefetching each bucket as soon as its
 * key was parsed, and probing twice, cost 120 ns more per GET of a million keys: its page is not in
 * the TLB, and few such misses were under way at once.)
 *
 * Order: requests run in the order they were queued, so those of one connection run in the order
 * they came. A request that cannot run now (it suspends, its client does not read, its client is
 * delayed) puts a hold on its connection: the requests queued behind it for the same connection are
 * passed over here and found again in the bytes that conn_hold() keeps.
 *
 * Nothing is allocated: the parser writes arguments into an array of the batch. Requests with very
 * many of them, and inline ones, whose words lie in the parser's scratch, are not kept past the
 * next parse: they run at once.
 */
#include "batch.h"

#include <assert.h>
#include <string.h>

#include "state.h"
#include "tarn/base/clock.h"
#include "tarn/base/compiler.h"

static void run_call(struct net *net, struct command_call *call, const struct batch_bytes *bytes)
{
    struct conn *c = conn_of(call->session);
    if (UNLIKELY(!conn_may_run(c))) {
        return;
    }
    if (UNLIKELY(net->loans.count > 0 && !loans_allow(&net->loans, c, call))) {
        loans_settle(net);
    }
    if (UNLIKELY(buf_len(&c->out) > NET_OUT_SOFT_BYTES || c->early >= NET_TURN_EARLY)) {
        conn_hold(c, CONN_HOLD_OUTPUT, bytes->start);
        return;
    }
    spares_take(&net->spares, &c->out);
    net->running = c;
    enum command_result result = command_run(net->env, call);
    net->running = NULL;
    if (UNLIKELY(result == COMMAND_SUSPENDED)) {
        conn_hold(c, CONN_HOLD_LOAD, bytes->start);
    } else if (UNLIKELY(c->session.blocked_until_ms != 0)) {
        conn_hold(c, CONN_HOLD_DELAY, bytes->start + bytes->len);
    } else if (UNLIKELY(buf_len(&c->out) > NET_OUT_EARLY_BYTES)) {
        conn_send_early(c);
    }
}

void batch_run(struct net *net)
{
    struct batch *batch = &net->batch;
    assert(net->running == NULL);
    if (batch->count > 1) {
        command_prefetch(net->env, batch->calls, batch->count);
    }
    for (unsigned i = 0; i < batch->count; i++) {
        run_call(net, &batch->calls[i], &batch->bytes[i]);
    }
    loans_settle(net);
    batch->count = 0;
    batch->args_used = 0;
}

/* A full batch is a few microseconds: the turn may become long. */
static void run_in_turn(struct net *net)
{
    batch_run(net);
    clock_update(net->env->clock);
}

static void queue(struct net *net, struct conn *c, const struct strview *argv, int argc,
                  const struct batch_bytes *bytes)
{
    struct batch *batch = &net->batch;
    assert(batch->count < BATCH_CALLS);
    assert(argc > 0);
    batch->bytes[batch->count] = *bytes;
    struct command_call *call = &batch->calls[batch->count++];
    call->session = &c->session;
    call->argv = argv;
    call->argc = argc;
    c->queued_end = bytes->start + bytes->len;
    command_prepare(net->env, call);
}

void batch_add(struct net *net, struct conn *c, int argc, const char *start, size_t len)
{
    struct batch *batch = &net->batch;
    assert(argc <= BATCH_CALL_ARGS);
    queue(net, c, batch_args(batch), argc, &(struct batch_bytes){start, len});
    batch->args_used += (unsigned)argc;
    if (batch->count == BATCH_CALLS || batch->args_used > BATCH_ARGS - BATCH_CALL_ARGS ||
        len > BATCH_CALL_BYTES) {
        run_in_turn(net);
    }
}

void batch_add_parsed(struct net *net, struct conn *c, const char *start, size_t len)
{
    const struct resp_request *r = &net->request;
    if (*start == '*' && r->argc <= BATCH_CALL_ARGS) {
        memcpy(batch_args(&net->batch), r->argv, (size_t)r->argc * sizeof(*r->argv));
        batch_add(net, c, r->argc, start, len);
    } else {
        queue(net, c, r->argv, r->argc, &(struct batch_bytes){start, len});
        run_in_turn(net);
    }
}
