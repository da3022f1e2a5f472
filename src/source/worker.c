/*
 * The pool of helper threads. One mutex guards both queues and what each thread is doing; it is
 * held for a few instructions at a time, never while a job runs or `done` is called.
 *
 * A thread is interrupted under the mutex and only while its job is under way, so its connection
 * cannot be closed between the decision and the interrupt. An interrupt that comes before the
 * query's first step would be lost; the flag in the job, which the thread asks at every chance, is
 * not.
 */
#include "worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include <ev.h>

#include "tarn/base/log.h"

struct worker {
    struct worker_pool *pool;
    pthread_t thread;
    void *state;                /* borrowed */
    struct worker_job *current; /* NULL: idle */
};

struct worker_pool {
    struct worker_config config;
    pthread_mutex_t mutex;
    pthread_cond_t work;     /* the queue is not empty, or stopping */
    pthread_cond_t progress; /* a job is done, or a thread has ended */
    struct list queue;       /* struct worker_job::link */
    struct list done;        /* struct worker_job::link */
    unsigned running;        /* jobs at a thread */
    unsigned alive;          /* threads */
    bool is_stopping;
    atomic_size_t bytes;
    ev_async wake;
    struct worker workers[];
};

/* ---- memory ---------------------------------------------------------------------------------- */

bool worker_reserve(struct worker_pool *p, struct worker_job *job, size_t bytes)
{
    size_t before = atomic_fetch_add_explicit(&p->bytes, bytes, memory_order_relaxed);
    if (before > p->config.bytes_max || bytes > p->config.bytes_max - before) {
        atomic_fetch_sub_explicit(&p->bytes, bytes, memory_order_relaxed);
        return false;
    }
    job->bytes += bytes;
    return true;
}

void worker_release(struct worker_pool *p, struct worker_job *job)
{
    atomic_fetch_sub_explicit(&p->bytes, job->bytes, memory_order_relaxed);
    job->bytes = 0;
}

size_t worker_pool_memory(const struct worker_pool *p)
{
    return atomic_load_explicit(&p->bytes, memory_order_relaxed);
}

/* ---- a thread -------------------------------------------------------------------------------- */

static struct worker_job *job_of(struct list *link)
{
    return container_of(link, struct worker_job, link);
}

/* With the mutex held. NULL: the pool ends. */
static struct worker_job *next_job(struct worker *w)
{
    struct worker_pool *p = w->pool;
    while (list_is_empty(&p->queue) && !p->is_stopping) {
        pthread_cond_wait(&p->work, &p->mutex);
    }
    if (p->is_stopping) {
        return NULL;
    }
    w->current = job_of(list_pop_front(&p->queue));
    p->running++;
    return w->current;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct worker_pool *p = w->pool;
    pthread_mutex_lock(&p->mutex);
    for (struct worker_job *job; (job = next_job(w)) != NULL;) {
        pthread_mutex_unlock(&p->mutex);
        p->config.run(w->state, job);
        pthread_mutex_lock(&p->mutex);
        w->current = NULL;
        p->running--;
        list_push_back(&p->done, &job->link);
        pthread_cond_broadcast(&p->progress);
        if (!p->is_stopping) {
            ev_async_send(p->config.loop, &p->wake);
        }
    }
    p->alive--;
    pthread_cond_broadcast(&p->progress);
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

/* ---- the loop's side ------------------------------------------------------------------------- */

static void deliver(struct worker_pool *p)
{
    for (;;) {
        pthread_mutex_lock(&p->mutex);
        struct list *link = list_pop_front(&p->done);
        pthread_mutex_unlock(&p->mutex);
        if (link == NULL) {
            return;
        }
        p->config.done(p->config.ctx, job_of(link));
    }
}

static void on_wake(struct ev_loop *loop, ev_async *wake, int events)
{
    (void)loop;
    (void)events;
    deliver(container_of(wake, struct worker_pool, wake));
}

void worker_pool_submit(struct worker_pool *p, struct worker_job *job)
{
    atomic_fetch_add_explicit(&p->bytes, job->bytes, memory_order_relaxed);
    pthread_mutex_lock(&p->mutex);
    assert(!p->is_stopping);
    list_push_back(&p->queue, &job->link);
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->mutex);
}

/* With the mutex held. */
static void interrupt(struct worker *w)
{
    atomic_store(&w->current->is_cancelled, true);
    if (w->pool->config.interrupt != NULL) {
        w->pool->config.interrupt(w->state);
    }
}

void worker_pool_cancel(struct worker_pool *p, uint64_t id)
{
    pthread_mutex_lock(&p->mutex);
    list_for_each (it, &p->queue) {
        if (job_of(it)->id == id) {
            atomic_store(&job_of(it)->is_cancelled, true);
        }
    }
    for (unsigned i = 0; i < p->config.count; i++) {
        if (p->workers[i].current != NULL && p->workers[i].current->id == id) {
            interrupt(&p->workers[i]);
        }
    }
    pthread_mutex_unlock(&p->mutex);
}

static struct timespec monotonic_in(int64_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

void worker_pool_settle(struct worker_pool *p, int64_t wait_ms)
{
    struct timespec until = monotonic_in(wait_ms);
    pthread_mutex_lock(&p->mutex);
    int r = 0;
    while (r == 0 && (p->running > 0 || !list_is_empty(&p->queue))) {
        r = pthread_cond_timedwait(&p->progress, &p->mutex, &until);
    }
    pthread_mutex_unlock(&p->mutex);
    deliver(p);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* Helper threads take no signals: those are the loop's. */
static int start_threads(struct worker_pool *p)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = 0;
    pthread_mutex_lock(&p->mutex);
    for (unsigned i = 0; i < p->config.count && r == 0; i++) {
        struct worker *w = &p->workers[i];
        *w = (struct worker){.pool = p, .state = p->config.states[i]};
        r = -pthread_create(&w->thread, NULL, work, w);
        p->alive += r == 0;
    }
    p->config.count = p->alive;
    pthread_mutex_unlock(&p->mutex);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

static void init_locks(struct worker_pool *p)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->progress, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

int worker_pool_create(struct worker_pool **out, const struct worker_config *config)
{
    assert(config->count > 0);
    assert(config->count <= WORKERS_MAX);
    struct worker_pool *p = calloc(1, sizeof(*p) + config->count * sizeof(p->workers[0]));
    if (p == NULL) {
        return -ENOMEM;
    }
    p->config = *config;
    list_init(&p->queue);
    list_init(&p->done);
    init_locks(p);
    ev_async_init(&p->wake, on_wake);
    ev_async_start(config->loop, &p->wake);
    int r = start_threads(p);
    if (r != 0) {
        (void)worker_pool_destroy(p, 1000); /* idle threads end at once */
        return r;
    }
    *out = p;
    return 0;
}

/* With the mutex held. True: all threads have ended. */
static bool end_threads(struct worker_pool *p, int64_t wait_ms)
{
    struct timespec until = monotonic_in(wait_ms);
    p->is_stopping = true;
    for (unsigned i = 0; i < p->config.count; i++) {
        if (p->workers[i].current != NULL) {
            interrupt(&p->workers[i]);
        }
    }
    pthread_cond_broadcast(&p->work);
    int r = 0;
    while (r == 0 && p->alive > 0) {
        r = pthread_cond_timedwait(&p->progress, &p->mutex, &until);
    }
    return p->alive == 0;
}

static void drop_all(struct worker_pool *p, struct list *jobs)
{
    for (struct list *link; (link = list_pop_front(jobs)) != NULL;) {
        if (p->config.drop != NULL) {
            p->config.drop(job_of(link));
        }
    }
}

bool worker_pool_destroy(struct worker_pool *p, int64_t wait_ms)
{
    ev_async_stop(p->config.loop, &p->wake);
    pthread_mutex_lock(&p->mutex);
    bool has_ended = end_threads(p, wait_ms);
    pthread_mutex_unlock(&p->mutex);
    if (!has_ended) {
        log_warning("a helper thread hangs in its database and is left behind");
    }
    for (unsigned i = 0; i < p->config.count; i++) {
        if (has_ended) {
            pthread_join(p->workers[i].thread, NULL);
        } else {
            pthread_detach(p->workers[i].thread);
        }
    }
    if (!has_ended) {
        return false;
    }
    drop_all(p, &p->queue);
    drop_all(p, &p->done);
    pthread_cond_destroy(&p->progress);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->mutex);
    free(p);
    return true;
}
