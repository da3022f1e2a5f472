/*
 * Network: listeners, connections, and the loop turn that takes requests through the command layer
 * in batches.
 *
 * One struct net per process, on one libev loop. It owns the sockets and their buffers; what a
 * request does is none of its business. The order of a turn is described in src/net/turn.c.
 */
#ifndef TARN_NET_NET_H
#define TARN_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/base/metric.h"
#include "tarn/base/option.h"

struct command_env;
struct ev_loop;
struct net; /* opaque */

/* Values of the option table; bound by the server. */
struct net_options {
    char *bind; /* addresses separated by blanks; "-" before one: may be missing on this machine */
    char *unixsocket;                 /* path, empty: none */
    char *unixsocketperm;             /* octal, "0": as the umask has it */
    char *client_output_buffer_limit; /* groups of: class hard soft seconds */
    int64_t port;                     /* 0: no TCP */
    int64_t tcp_backlog;
    int64_t maxclients;
    int64_t timeout_s;       /* 0: idle clients are kept */
    int64_t tcp_keepalive_s; /* 0: off */
    int64_t client_query_buffer_limit;
    int64_t maxmemory_clients; /* bytes; below 0: percent of maxmemory, negated */
    bool protected_mode;       /* without a password, only clients of this machine */
};
extern const struct option_table net_option_table;

struct net_metrics {
    uint64_t total_connections_received, rejected_connections;
    uint64_t total_net_input_bytes, total_net_output_bytes;
    uint64_t total_reads_processed, total_writes_processed;
    uint64_t client_query_buffer_limit_disconnections, client_output_buffer_limit_disconnections;
    uint64_t client_timeout_disconnections, evicted_clients;
};
extern const struct metric_table net_metric_table;

/* loop, options and env are borrowed for the life of the object. Raises or lowers the limit of open
 * files and maxclients to fit each other. 0 or -errno with text. */
int net_create(struct net **out, struct ev_loop *loop, struct net_options *options,
               struct command_env *env, struct errtext *err) WARN_UNUSED;

enum net_result {
    NET_OK = 0,
    NET_BIND_FAILED = 1, /* the text names the address */
    NET_BAD_OPTION = 2,  /* a value that only this layer can judge */
};

/* Opens all listeners; connections are accepted from the next turn on. enum net_result. */
int net_listen(struct net *net, struct errtext *err) WARN_UNUSED;

/* Fits option_apply_fn with ctx = struct net: takes over values changed at run time. */
int net_apply_option(void *ctx, const struct option *option, struct errtext *err);

/* Stops accepting and reading; every connection is closed once the requests it sent are answered.
 * `done` is called once, from the loop, when the last one is gone (perhaps during the next turn).
 */
void net_drain(struct net *net, void (*done)(void *ctx), void *ctx);

/* Closes everything at once. Accepts NULL. */
void net_destroy(struct net *net);

/* Bytes held for connections whatever they do, and bytes of their buffers, which maxmemory-clients
 * limits. O(1). */
size_t net_memory(const struct net *net);
size_t net_buffer_memory(const struct net *net);

/* What a percentage in maxmemory-clients refers to; 0: no limit, and so none for clients. */
void net_set_maxmemory(struct net *net, int64_t maxmemory);

struct net_metrics *net_metrics(struct net *net);

#endif
