/*
 * Bytes that are sent from where they lie: those of large values in the store.
 *
 *     out     ... $4096\r\n \r\n $4096\r\n \r\n            one sendmsg() gathers
 *                          ^              ^                the pieces in their order
 *     loans              4096 B         4096 B
 *
 * What lies in the store stays in place until something changes the store. So loans are of one
 * connection and of a run of the same command, which only reads; they are settled before any other
 * request is run, and at the end of the batch at the latest. Between two batches there are none.
 */
#ifndef TARN_NET_LOANS_H
#define TARN_NET_LOANS_H

#include <stdbool.h>
#include <stddef.h>

#include "tarn/base/strview.h"
#include "tarn/command/command.h"

struct conn;
struct net;

#define LOANS_MAX 16

struct loan {
    size_t at; /* so many bytes of the connection's output go before it */
    struct strview bytes;
};

struct loans {
    struct conn *conn;             /* borrowed; whose they are while there are any */
    const struct command *command; /* the command that lent */
    unsigned count;
    size_t bytes;
    struct loan of[LOANS_MAX];
};

/* session_ops::lend_bulk. */
bool loans_lend(struct conn *c, struct strview bytes, bool stays);

/* Sends what the connection has, with all that was lent to it; what the socket does not take is
 * copied to its output. */
void loans_settle(struct net *net);

/* May this request run while there are loans? */
static inline bool loans_allow(const struct loans *l, const struct conn *c,
                               const struct command_call *call)
{
    return l->conn == c && l->command == call->command;
}

#endif
