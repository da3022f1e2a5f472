/*
 * The batch: requests of all connections on their way from parsing to execution.
 */
#ifndef TARN_NET_BATCH_H
#define TARN_NET_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "tarn/base/strview.h"
#include "tarn/command/command.h"

struct conn;
struct net;

#define BATCH_CALLS 64  /* more than the memory system can overlap gains nothing */
#define BATCH_ARGS  512 /* views of all queued requests together */
#define BATCH_CALL_BYTES                                                                          \
    (8 * 1024) /* a longer request ends the batch: running it takes its time, which is then known \
                */
#define BATCH_CALL_ARGS 64 /* a request with more is run at once, from the parser's array */

struct batch_call {
    struct command_call call;
    const char *start; /* the request's bytes, borrowed until it has run: where to go back to when
                          it suspends */
    size_t len;
};

struct batch {
    unsigned count;
    unsigned args_used;
    struct strview args[BATCH_ARGS];
    struct batch_call calls[BATCH_CALLS];
};

/* Queues net->request for the connection; its bytes [start, start + len) must stay where they are
 * until batch_run(). Runs the batch when it is full, or when the request cannot be queued because
 * its arguments are the parser's own. */
void batch_add(struct net *net, struct conn *c, const char *start, size_t len);

/* Runs everything queued, in order. Afterwards no byte of a request is referred to any more. */
void batch_run(struct net *net);

#endif
