/*
 * Memory of client buffers: unread and unfinished requests, unsent replies.
 *
 * Buffers are no reason to drop data, so they are not part of what maxmemory limits; they have a
 * budget of their own, maxmemory-clients. When all clients together are above it, those with the
 * largest buffers are closed until the rest fits, except those that said CLIENT NO-EVICT.
 *
 * To find them, connections are kept in lists by the power of two of what they hold. A connection
 * changes its list only when its memory is counted anew and falls into another class; one that
 * sends and reads in turn gives its buffers back before it is counted and is in no list at all.
 * Within a class, whoever got there first is closed first: it has held its memory longest.
 */
#include <assert.h>

#include "conn.h"
#include "state.h"
#include "tarn/base/compiler.h"
#include "tarn/base/log.h"

#define BUDGET_MIN (128 * 1024) /* a smaller one would close clients for a single request */

static unsigned class_of(size_t bytes)
{
    unsigned class = 0;
    while (bytes > 0 && class < NET_MEMORY_CLASSES - 1) {
        bytes >>= 1;
        class ++;
    }
    return class;
}

void conn_account(struct conn *c)
{
    struct net *net = c->net;
    size_t bytes = c->is_dead ? 0 : conn_buffer_bytes(c);
    if (LIKELY(bytes == c->accounted)) {
        return;
    }
    assert(net->buffers_bytes >= c->accounted);
    net->buffers_bytes = net->buffers_bytes - c->accounted + bytes;
    unsigned class = class_of(bytes);
    if (class != class_of(c->accounted)) {
        list_remove(&c->memory_link);
        if (class > 0) {
            list_push_back(&net->by_memory[class], &c->memory_link);
        }
    }
    c->accounted = bytes;
}

/* 0: there is none. */
static size_t budget_of(const struct net *net)
{
    int64_t budget = net->options->maxmemory_clients;
    if (budget < 0) {
        budget = (int64_t)((double)net->maxmemory / 100 * (double)-budget);
    }
    return budget > 0 ? size_max((size_t)budget, BUDGET_MIN) : 0;
}

static void close_largest(struct net *net, size_t budget)
{
    for (unsigned class = NET_MEMORY_CLASSES - 1; class > 0; class --) {
        list_for_each_safe (link, &net->by_memory[class]) {
            struct conn *c = container_of(link, struct conn, memory_link);
            if (net->buffers_bytes <= budget) {
                return;
            }
            if ((c->session.flags & SESSION_NO_EVICT) == 0) {
                log_verbose("closing client %s: %zu bytes of buffers, all clients together are "
                            "above maxmemory-clients",
                            c->session.address, c->accounted);
                net->stats.evicted_clients++;
                conn_kill(c);
            }
        }
    }
}

void budget_keep(struct net *net)
{
    size_t budget = budget_of(net);
    if (UNLIKELY(budget > 0 && net->buffers_bytes > budget)) {
        close_largest(net, budget);
    }
}

void net_set_maxmemory(struct net *net, int64_t maxmemory)
{
    net->maxmemory = maxmemory > 0 ? (size_t)maxmemory : 0;
}
