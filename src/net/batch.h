/*
 * The batch: requests of all connections on their way from parsing to execution.
 */
#ifndef TARN_NET_BATCH_H
#define TARN_NET_BATCH_H

#include <stddef.h>

#include "tarn/base/strview.h"
#include "tarn/command/command.h"

struct conn;
struct net;

#define BATCH_CALLS 64  /* more than the memory system can overlap gains nothing */
#define BATCH_ARGS  512 /* views of all queued requests together */
/* A longer request ends the batch: running it takes its time, which is then known. */
#define BATCH_CALL_BYTES (8 * 1024)
#define BATCH_CALL_ARGS  64 /* a request with more is run at once, from the parser's array */

/* The bytes of a queued request, borrowed until it has run: where to go back to when it suspends.
 */
struct batch_bytes {
    const char *start;
    size_t len;
};

struct batch {
    unsigned count;
    unsigned args_used;
    struct strview args[BATCH_ARGS];
    struct command_call calls[BATCH_CALLS];
    struct batch_bytes bytes[BATCH_CALLS]; /* of calls[] at the same place */
};

/* Where the arguments of the next request go: room for BATCH_CALL_ARGS. */
static inline struct strview *batch_args(struct batch *b)
{
    return &b->args[b->args_used];
}

/* Queues a request of the connection, whose `argc` arguments are at batch_args(); its bytes [start,
 * start + len) must stay where they are until batch_run(). Runs the batch when it is full. */
void batch_add(struct net *net, struct conn *c, int argc, const char *start, size_t len);

/* The same with the arguments in net->request. A request whose arguments cannot be kept is run at
 * once, after those that are queued. */
void batch_add_parsed(struct net *net, struct conn *c, const char *start, size_t len);

/* Runs everything queued, in order. Afterwards no byte of a request is referred to any more. */
void batch_run(struct net *net);

#endif
