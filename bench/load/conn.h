/* One connection of the load generator: requests out, replies in, matched by their order. */
#ifndef BENCH_LOAD_CONN_H
#define BENCH_LOAD_CONN_H

#include "engine.h"

#define CONN_IN_BYTES ((size_t)256 << 10) /* what one receive takes at most */

struct conn {
    int fd;
    uint32_t number;
    bool waits_to_write;
    struct buf unsent;
    struct rng rng; /* its own stream of keys */
    struct reply_reader reader;
    uint64_t *asked; /* owned ring: key * 2 + is_write of each request under way */
    uint32_t capacity, head, under_way;
    uint64_t made, answered; /* in this phase */
    int64_t sent_ns;         /* closed loop: when the batch went out */
};

/* Takes over the connected socket, also when it returns false for want of memory. */
bool conn_init(struct conn *c, const struct engine *e, int fd, uint32_t number);

/* Accepts a zeroed connection. */
void conn_fini(struct conn *c);

/* Makes and sends what this connection should send now: the next batch, or what is due. */
bool conn_send(struct conn *c, struct engine *e);

/* Sends what the socket did not take before. */
bool conn_flush(struct conn *c, struct engine *e);

/* Receives once, counts the replies, and sends what they make room for. */
bool conn_receive(struct conn *c, struct engine *e);

/* Open loop: when the request after `made` others on this connection is due. */
int64_t conn_due_ns(const struct conn *c, const struct engine *e, uint64_t made);

#endif
