/*
 * Helper threads for databases whose client library blocks. A job goes to a thread and comes back
 * to the loop's thread; whoever holds it owns it, so nothing is shared but the two queues.
 *
 *     loop's thread                     pool (mutex)                   helper threads
 *     worker_pool_submit(job)  ──>  queue ── condition ──>   ops.run(state, job)
 *     ops.done(ctx, job)       <──  done  <── ev_async_send ──┘
 *
 * Each thread has a state of its own (a connection) that only it uses, with one exception:
 * ops.interrupt().
 */
#ifndef TARN_SOURCE_WORKER_H
#define TARN_SOURCE_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"
#include "tarn/base/list.h"

#define WORKERS_MAX 128

struct ev_loop;
struct worker_pool;

/* Embedded in what a job is. */
struct worker_job {
    struct list link;
    uint64_t id;
    size_t bytes; /* held by the job, its results included; grows through worker_reserve() */
    atomic_bool is_cancelled;
};

struct worker_config {
    struct ev_loop *loop;
    unsigned count;
    void **states;    /* one per thread; borrowed until the pool is destroyed, or for ever when that
                         fails */
    size_t bytes_max; /* of all jobs that were not freed yet */
    void *ctx;
    void (*run)(void *state, struct worker_job *job); /* on a helper thread */
    /* On any thread, while run() is under way; NULL: it cannot be. */
    void (*interrupt)(void *state);
    void (*done)(void *ctx, struct worker_job *job); /* on the loop's thread; takes the job */
    void (*drop)(struct worker_job *job); /* the pool ends: frees a job; NULL: its owner does */
};

int worker_pool_create(struct worker_pool **out, const struct worker_config *config) WARN_UNUSED;

/* Ends the threads, interrupting what they do; `done` is not called any more. False: a thread did
 * not end within `wait_ms` and was left behind with the pool and its states, which must not be
 * freed. */
bool worker_pool_destroy(struct worker_pool *p, int64_t wait_ms);

/* Takes the job; its `id` and `bytes` are set. */
void worker_pool_submit(struct worker_pool *p, struct worker_job *job);

/* Marks and interrupts the job of that id, if it has not come back yet; `done` still follows. */
void worker_pool_cancel(struct worker_pool *p, uint64_t id);

/* Waits until all jobs are done, at most so long, and calls `done` for them. */
void worker_pool_settle(struct worker_pool *p, int64_t wait_ms);

/* The job is about to hold `bytes` more. False: that would go over bytes_max. From any thread. */
bool worker_reserve(struct worker_pool *p, struct worker_job *job, size_t bytes);
/* The job is about to be freed. */
void worker_release(struct worker_pool *p, struct worker_job *job);

size_t worker_pool_memory(const struct worker_pool *p);

#endif
