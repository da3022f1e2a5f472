/*
 * One client of the application: a thread that reads through the cache and now and then writes to
 * the database, as fast as the answers come.
 *
 * The same application is written in two ways:
 *
 *     APP_TARN    GET; the server does the rest
 *     APP_ASIDE   GET; on nil SELECT, then SET with a TTL. After a commit DEL
 */
#ifndef BENCH_READTHROUGH_CLIENT_H
#define BENCH_READTHROUGH_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "keys.h"
#include "tarn/base/hash.h"
#include "tarn/base/histogram.h"
#include "truth.h"

#define APP_SECONDS_MAX 3600

enum app_mode { APP_TARN, APP_ASIDE };

/* What happened in one second of the run. */
struct second {
    _Atomic uint64_t reads, errors, stale, queries, slowest_us;
};

/* Shared by all clients. */
struct app {
    enum app_mode mode;
    int cache_port;
    const char *database; /* libpq connection string; borrowed */
    uint64_t rows;
    double write_share, report_share; /* 0..1 of all operations */
    uint64_t item_ttl_s, report_ttl_s;
    struct zipf zipf;
    struct truth truth;
    struct second *seconds; /* owned, APP_SECONDS_MAX of them */
    uint64_t start_us;
    _Atomic bool is_over;
};

/* Microseconds since the start of the run. */
uint64_t app_now(const struct app *app);

struct client {
    struct app *app; /* borrowed */
    pthread_t thread;
    struct rng rng;
    void *cache, *database; /* connections; NULL: none */
    struct histogram reads; /* us, of those that were answered */
    struct histogram stale; /* us: how long before the read the newer version was committed */
    uint64_t errors, writes, write_errors, queries, report_queries;
};

/* The body of the thread; the argument is a struct client. */
void *client_run(void *client);

#endif
