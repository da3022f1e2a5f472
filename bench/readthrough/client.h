/*
 * One client of the application: a thread that reads through the cache and now and then writes to
 * the database, at a rate of its own, so that all ways make the same number of requests: who was
 * held up sends the next ones without a pause.
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

enum app_mode { APP_TARN, APP_ASIDE };

enum app_phase { PHASE_BEFORE, PHASE_DOWN, PHASE_AFTER, PHASES }; /* of the database */

/* Reads that missed a commit. */
enum stale_kind {
    STALE_TOLD,   /* although the cache had been told: the notice was processed, DEL was answered */
    STALE_UNTOLD, /* the cache had not been told yet */
    STALE_OUTAGE, /* the same, while the database was down */
    STALE_KINDS
};

enum error_kind {
    ERROR_CACHED,   /* the cache must have had a value: read before, and not written since */
    ERROR_UNCACHED, /* it need not, and the database was down */
    ERROR_UP,       /* the database was up */
    ERROR_KINDS
};

/* Shared by all clients. */
struct app {
    enum app_mode mode;
    int cache_port;
    const char *database; /* libpq connection string; borrowed */
    uint64_t rows;
    double write_share, report_share; /* 0..1 of all operations */
    uint64_t item_ttl_s, report_ttl_s;
    uint64_t period_us; /* between two operations of a client */
    struct zipf zipf;
    struct truth truth; /* of all rows, and behind them the report */
    uint64_t start_us;
    _Atomic int phase;
    _Atomic uint64_t back_us;       /* when the database was back */
    _Atomic uint64_t cache_lost_us; /* when a connection to the cache last broke */
    _Atomic uint64_t told_us;       /* of commits up to here the notices were processed */
    _Atomic bool is_over;
};

/* Microseconds since the start of the run. */
uint64_t app_now(const struct app *app);

struct client {
    struct app *app; /* borrowed */
    pthread_t thread;
    struct rng rng;
    void *cache, *database;              /* connections; NULL: none */
    struct histogram reads;              /* us, of those that were answered */
    struct histogram window;             /* us between a commit and the answer to its DEL */
    struct histogram stale[STALE_KINDS]; /* us: how long before the read the commit was */
    uint64_t errors[ERROR_KINDS];
    uint64_t last_error_us; /* after the database was back */
    uint64_t writes, write_errors;
};

/* The body of the thread; the argument is a struct client. */
void *client_run(void *client);

#endif
