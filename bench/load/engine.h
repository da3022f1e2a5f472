/*
 * The hot path of the load generator: connections on one epoll set, requests written straight into
 * a send buffer, replies read as a stream and checked.
 *
 * Closed loop: each connection sends a batch of `pipeline` requests, waits until all are answered,
 * and sends the next. Latency counts from the send.
 *
 * Open loop: requests are due at fixed times whether or not the server keeps up; request n of
 * connection c is due at start + (n * connections + c) / rate. Latency counts from that time, so a
 * server that stalls is charged for every request that should have been sent meanwhile.
 */
#ifndef BENCH_LOAD_ENGINE_H
#define BENCH_LOAD_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys.h"
#include "options.h"
#include "payload.h"
#include "protocol.h"
#include "tarn/base/histogram.h"

/* What came of the requests of a phase. */
struct tally {
    uint64_t replies, reads, hits, misses;
    uint64_t errors; /* the server refused */
    uint64_t wrong;  /* another value than was written */
    int64_t first_ns, last_ns;
    char first_error[REPLY_LINE_MAX];
    struct histogram latency;
};

/* A stretch of load with one set of parameters; it ends when all requests are answered. */
struct phase {
    uint64_t requests; /* 0: no limit */
    double seconds;    /* 0: no limit */
    double rate;       /* 0: closed loop */
    uint64_t pipeline;
    double read_share, hit_share;
    uint64_t ttl_ms;
    struct key_space *keys;
};

/* Called about once a second while a phase runs. */
typedef void (*progress_fn)(void *arg, const struct tally *tally);

struct conn;

struct engine {
    const struct options *options;
    struct payload payload;
    struct conn *conns; /* owned, options->connections of them */
    int epoll;
    struct buf out; /* requests on their way into a socket */
    char *in;       /* owned; what a socket just gave */
    progress_fn progress;
    void *progress_arg;

    /* The phase that runs. */
    const struct phase *phase;
    struct tally *tally;
    int64_t now_ns;
    int64_t start_ns, end_ns; /* end_ns: no more requests from then on */
    uint64_t left;            /* requests still to be made */
    uint64_t under_way;       /* made and not answered */
    uint64_t turn;            /* open loop: how many times a connection's turn has come */
};

/* Connects. False after a message on standard error; engine_fini() is due all the same. */
bool engine_init(struct engine *e, const struct options *o);
void engine_fini(struct engine *e);

/* Runs a phase to its end and fills `tally`. False, after a message, when the server is gone,
 * answers something that is not the protocol, or stops answering. */
bool engine_run(struct engine *e, const struct phase *phase, struct tally *tally);

#endif
