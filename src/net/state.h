/*
 * struct net: everything the network layer holds. Private to the layer; each file works on its own
 * part, marked below.
 */
#ifndef TARN_NET_STATE_H
#define TARN_NET_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <ev.h>

#include "batch.h"
#include "conn.h"
#include "loans.h"
#include "spares.h"
#include "tarn/base/clock.h"
#include "tarn/base/list.h"
#include "tarn/base/log.h"
#include "tarn/command/command.h"
#include "tarn/net/net.h"
#include "tarn/proto/resp_parse.h"

#define NET_READ_BYTES \
    (32 * 1024) /* asked from a socket at once: what one client may have per turn */
#define NET_SEND_BYTES (1024 * 1024) /* sent at once: likewise */
#define NET_RING_BYTES \
    (256 * 1024) /* requests of one turn; small enough to stay in the second-level cache */
#define NET_OUT_SOFT_BYTES \
    (1024 * 1024) /* unsent output above which a connection's requests wait */
#define NET_OUT_EARLY_BYTES    (64 * 1024) /* are sent before the turn ends */
#define NET_OUT_STRANGER_BYTES (64 * 1024) /* unsent output of a client before authentication */
#define NET_HELD_IN_BYTES      (64 * 1024) /* input read for a connection whose requests wait */
#define NET_TURN_REQUESTS      4096        /* of one connection per turn */
#define NET_TURN_EARLY         (NET_OUT_SOFT_BYTES / NET_OUT_EARLY_BYTES) /* likewise, early sends */
#define NET_TURN_US \
    300 /* after which the rest waits for the next turn; 500 cost as much per request */
#define NET_ACCEPTS             64 /* per listener and turn */
#define NET_LISTENERS_MAX       32
#define NET_LOCAL_ADDRESSES_MAX 64 /* that are told apart */
#define NET_FDS_RESERVED        32 /* beside clients: listeners, logs, databases, the loop */
#define NET_TICK_S              0.1
#define NET_MEMORY_CLASSES      48 /* of connections, by the power of two of what their buffers hold */

/* Watcher priorities: in one turn, callbacks of higher priority run first. */
enum net_priority {
    NET_PRIORITY_CLOCK = 2,   /* ev_check: the time of this turn, before anybody asks for it */
    NET_PRIORITY_CLIENT = 0,  /* connections */
    NET_PRIORITY_ACCEPT = -1, /* those who are here come before those who arrive */
    NET_PRIORITY_BUSY = -2,   /* ev_idle: keeps the loop from sleeping while work is left */
};

struct output_limit {
    uint64_t hard, soft; /* bytes, 0: none */
    uint64_t soft_seconds;
};

/* Classes of client-output-buffer-limit. */
enum output_class { OUTPUT_NORMAL, OUTPUT_PUBSUB, OUTPUT_CLASSES };

struct listener {
    struct ev_io watcher;
    struct net *net; /* borrowed */
    bool is_unix;
    char name[128]; /* "127.0.0.1:6379" or the path, for messages and sessions */
};

struct net {
    struct ev_loop *loop;        /* borrowed */
    struct net_options *options; /* borrowed */
    struct command_env *env;     /* borrowed */
    struct net_metrics stats;

    /* turn.c, batch.c */
    struct ev_check clock_watcher;
    struct ev_prepare turn_watcher;
    struct ev_idle busy_watcher;
    struct list work;      /* struct conn::work_link */
    int64_t turn_began_us; /* on the clock of `env` */
    bool is_behind;        /* connections wait in `work` to be read: others queue up behind them */
    struct conn *running;  /* whose request is being run, or NULL */
    struct conn *parsing;  /* whose bytes are being parsed, or NULL */
    const char *held_at;   /* where requests of `parsing` that wait begin, NULL: none do */
    struct batch batch;
    struct loans loans;

    /* conn_read.c */
    struct resp_request request; /* the parser's result */
    char *ring;                  /* owned; NET_RING_BYTES */
    size_t ring_at;              /* bytes in use by queued requests */

    /* conn.c, conn_write.c, idle.c */
    struct list conns;   /* struct conn::idle_link; all of them, longest idle first */
    struct list waiting; /* struct conn::wait_link */
    size_t conns_count;  /* without the dead ones */
    struct spares spares;
    struct output_limit output_limits[OUTPUT_CLASSES];
    int64_t strangers_at_s; /* the second of the last log line about a client of another protocol */
    unsigned strangers_logged; /* in that second */

    /* budget.c */
    size_t buffers_bytes;                      /* of all connections but the dead ones */
    size_t maxmemory;                          /* what a percentage refers to, 0: nothing */
    struct list by_memory[NET_MEMORY_CLASSES]; /* struct conn::memory_link; [0]: not used */

    /* idle.c */
    struct ev_timer tick_watcher;
    struct ev_timer delay_watcher; /* the earliest end of a delay */

    /* listener.c */
    struct listener listeners[NET_LISTENERS_MAX];
    unsigned listeners_count;
    char local_addresses[NET_LOCAL_ADDRESSES_MAX][SESSION_ADDRESS_MAX]; /* of connections */
    unsigned local_addresses_count;
    struct ev_timer retry_watcher; /* accept again after the process ran out of something */
    struct log_limit accept_log;
    int spare_fd; /* given up for a moment to refuse a client when there are no descriptors left */
    bool is_unix_bound;
    char unix_path[108];

    /* net.c */
    bool is_draining;
    void (*drained)(void *ctx); /* NULL once called */
    void *drained_ctx;
};

/* turn.c */
void turn_start(struct net *net);
void turn_stop(struct net *net);
/* True when requests have taken NET_TURN_US, by the clock as the latest batch left it. */
static inline bool turn_is_long(const struct net *net)
{
    return net->env->clock->mono_us - net->turn_began_us > NET_TURN_US;
}

/* idle.c */
void idle_start(struct net *net);
void idle_stop(struct net *net);
/* The client did something: its place among the idle ones is last. */
void idle_touch(struct conn *c);
/* A connection was delayed until `until_ms`. */
void idle_delay_until(struct net *net, int64_t until_ms);

/* budget.c: closes the clients with the largest buffers while all together are above
 * maxmemory-clients. At the end of a turn. */
void budget_keep(struct net *net);

/* listener.c */
int listeners_open(struct net *net, struct errtext *err) WARN_UNUSED;
void listeners_close(struct net *net);
/* tcp-keepalive for connections to come. */
void listeners_apply_keepalive(struct net *net);
/* A peer on the same machine by its address: the loopback network, or a Unix socket. */
bool address_is_local(const struct sockaddr_storage *a);
bool unix_perm_parse(const char *text, unsigned *mode_out);

/* net.c: the last connection of a drain may have gone. */
void net_check_drained(struct net *net);

#endif
