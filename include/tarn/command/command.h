/*
 * Commands: the table, the three steps a request takes through it, and the environment handlers
 * work in.
 *
 * Net queues requests from all connections and takes each through three steps, batch by batch:
 *
 *     command_prepare()   find the command, hash its first key
 *     command_prefetch()  for all calls: prefetch the index bucket, then the entry
 *     command_run()       check, run the handler, account; the only caller of handlers
 *
 * A handler whose keys have to be loaded first is rolled back and its session is suspended; net
 * keeps the request (it is not consumed), and runs the same call again after session_ops::resume.
 * Requests behind it on the same connection wait; other connections do not.
 */
#ifndef TARN_COMMAND_COMMAND_H
#define TARN_COMMAND_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/clock.h"
#include "tarn/base/hash.h"
#include "tarn/base/list.h"
#include "tarn/base/metric.h"
#include "tarn/base/option.h"
#include "tarn/base/strview.h"
#include "tarn/command/session.h"
#include "tarn/store/store.h"

struct histogram;
struct sources;
struct types;
struct command_table; /* opaque */
struct observers;     /* opaque: who wants to hear of changes */

/* One request on its way. Lives in net's batch, which sets the first three; the others are
 * command_prepare()'s. */
struct command_call {
    struct session *session;
    const struct strview *argv; /* borrowed until command_run() returns */
    int argc;
    const struct command *command; /* NULL: unknown */
    struct store_key key;          /* of the first key, when there is one */
    bool has_key;
};

enum command_result {
    COMMAND_DONE,      /* the reply is in session->out (or suppressed) */
    COMMAND_SUSPENDED, /* nothing was written; run the same request again after resume */
};

/* What is held beside the store, in bytes. */
struct command_memory {
    size_t connections;    /* what sockets need whether or not they are used */
    size_t client_buffers; /* input and output of clients: maxmemory-clients bounds them, and they
                              push no data out */
    size_t sources;        /* flights, results, drivers */
};

/* Facts about the process that INFO, SHUTDOWN and DEBUG need, given by the server layer. */
struct command_host {
    void *ctx;
    /* Begins an orderly shutdown: the loop drains and ends. */
    void (*shutdown)(void *ctx);
    /* Cheap. NULL: nothing beside the store and the commands. */
    void (*memory)(void *ctx, struct command_memory *out);
    /* Writes the options into the configuration file. 0, or -1 with text. */
    int (*rewrite_config)(void *ctx, struct errtext *err);
    int64_t started_wall_ms, started_mono_ms;
    char run_id[41];
    const char *config_file; /* borrowed; "" when there is none to be rewritten */
    const char *executable;  /* borrowed */
    int tcp_port;
};

enum permission {
    PERMISSION_NO,
    PERMISSION_LOCAL, /* to clients on a loopback address or a Unix socket */
    PERMISSION_YES,
};

struct command_options {
    int64_t proto_max_bulk_len; /* also the limit of a string value */
    bool enable_debug_command;
    int enable_source_command; /* enum permission */
    struct option_password requirepass;
    int64_t tracking_table_max_keys; /* 0: no limit */
    int64_t slowlog_log_slower_than; /* microseconds; negative: no slow log */
    int64_t slowlog_max_len;
    int64_t latency_monitor_threshold; /* milliseconds; 0: off */
    bool latency_tracking;
    char *latency_tracking_info_percentiles; /* numbers separated by blanks */
    char *notify_keyspace_events;            /* letters, see docs/configuration.md */
};
extern const struct option_table command_option_table;

struct command_metrics {
    uint64_t commands_processed, keyspace_hits, keyspace_misses, error_replies;
    uint64_t denied_auths;
    uint64_t blocked_clients; /* suspended now */
};
extern const struct metric_table command_metric_table;        /* section Stats */
extern const struct metric_table command_client_metric_table; /* section Clients */

/* What handlers work with; wired once by the server (or a test). All pointers are borrowed for its
 * life. */
struct command_env {
    struct store *store;
    struct types *types;
    struct sources *sources; /* may be NULL: no read-through */
    struct clock *clock;
    struct option_set *options;      /* may be NULL in tests that do not run CONFIG */
    struct metric_registry *metrics; /* may be NULL in tests that do not run INFO */
    const struct command_options *command_options;
    struct command_table *table;
    struct command_host host;
    struct rng rng;       /* for replies that are random */
    struct list sessions; /* struct session::link */
    size_t sessions_count;
    uint64_t next_session_id;
    struct session *running; /* borrowed: whose command is being run, NULL in between */
    struct observers *observers;
    unsigned observed;  /* enum observed: 0 while nobody cares for changes of keys */
    unsigned attention; /* enum attention: 0 unless commands are paused, shown or timed */
    struct command_metrics stats;
    struct histogram *turn_us; /* microseconds per turn of the loop; NULL in tests without a loop */
    size_t loads_bytes;        /* held by commands that wait for loads */
    size_t memory_startup;     /* used_memory at the first note */
    size_t memory_peak;        /* the most that was noted */
};

/* Builds the table of all commands; `env` is filled by the caller apart from table, observers and
 * sessions. 0, -ENOMEM, -EINVAL when notify-keyspace-events has letters that mean nothing, or
 * -ERANGE when latency-tracking-info-percentiles are none. */
int command_env_init(struct command_env *env) WARN_UNUSED;
void command_env_fini(struct command_env *env);

/* Fits option_apply_fn with ctx = struct command_env: takes over values changed at run time. */
int command_apply_option(void *ctx, const struct option *option, struct errtext *err);

/* Bytes the command layer itself holds: its table, the loads of waiting commands, transactions and
 * subscriptions. O(1). */
size_t command_memory(const struct command_env *env);

/* Looks at the memory in use: the first time when everything is built, then now and then, for the
 * peak. */
void command_note_memory(struct command_env *env);

/* At the end of every turn of the loop, before replies are sent: pushes that were gathered, and what
 * is held beside the store. */
void command_turn_end(struct command_env *env);

/* Ten times a second: what ends by time. */
void command_tick(struct command_env *env);

void command_prepare(struct command_env *env, struct command_call *call);
void command_prefetch(struct command_env *env, struct command_call *calls, unsigned count);
enum command_result command_run(struct command_env *env, struct command_call *call) WARN_UNUSED;

/* A request that waits behind a suspended one of its session: starts the loads that it will need.
 * False: what comes behind it cannot be judged yet. */
bool command_look_ahead(struct command_env *env, const struct session *s,
                        const struct strview *argv, int argc);

/* The number of commands with a row of their own; and the row's name, for tests that want one test
 * each. */
size_t command_count(void);
const char *command_name(size_t i);

#endif
