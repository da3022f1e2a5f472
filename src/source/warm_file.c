/*
 * One thread and one job, which goes to and fro. Only regular files are read: others might not end,
 * or wait for somebody to write.
 */
#include "warm_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker.h"

#define SLICE_BYTES   16384
#define CLOSE_WAIT_MS 20 /* the loop stands still meanwhile */
#define JOB_ID        1

struct warm_file {
    struct worker_pool *pool;
    void *state;
    warm_file_fn fn;
    void *ctx;
    bool is_reading;
    /* Of whoever has the job: */
    struct worker_job job;
    int fd; /* -1: not open */
    int error;
    bool is_end;
    size_t len;
    char bytes[SLICE_BYTES];
    char path[];
};

static int open_file(struct warm_file *f)
{
    struct stat st;
    f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (f->fd < 0 || fstat(f->fd, &st) != 0) {
        return errno;
    }
    return S_ISREG(st.st_mode) ? 0 : EINVAL;
}

static void run(void *state, struct worker_job *job)
{
    (void)job;
    struct warm_file *f = state;
    f->len = 0;
    f->error = f->fd < 0 ? open_file(f) : 0;
    if (f->error != 0) {
        return;
    }
    const ssize_t n = read(f->fd, f->bytes, sizeof(f->bytes));
    f->error = n < 0 ? errno : 0;
    f->len = n > 0 ? (size_t)n : 0;
    f->is_end = n == 0;
}

static void on_done(void *ctx, struct worker_job *job)
{
    struct warm_file *f = ctx;
    worker_release(f->pool, job);
    f->is_reading = false;
    f->fn(f->ctx, strview_of(f->bytes, f->len), f->is_end, f->error);
}

int warm_file_open(struct warm_file **out, struct ev_loop *loop, const char *path, warm_file_fn fn,
                   void *ctx)
{
    const size_t path_len = strlen(path);
    struct warm_file *f = calloc(1, sizeof(*f) + path_len + 1);
    if (f == NULL) {
        return -ENOMEM;
    }
    f->state = f;
    f->fn = fn;
    f->ctx = ctx;
    f->fd = -1;
    memcpy(f->path, path, path_len + 1);
    const struct worker_config workers = {.loop = loop,
                                          .count = 1,
                                          .states = &f->state,
                                          .bytes_max = SIZE_MAX,
                                          .ctx = f,
                                          .run = run, /* ends by itself, or never */
                                          .done = on_done};
    const int r = worker_pool_create(&f->pool, &workers);
    if (r != 0) {
        free(f);
        return r;
    }
    *out = f;
    return 0;
}

void warm_file_read(struct warm_file *f)
{
    if (f->is_reading) {
        return;
    }
    f->is_reading = true;
    f->job = (struct worker_job){.id = JOB_ID};
    worker_pool_submit(f->pool, &f->job);
}

void warm_file_close(struct warm_file *f)
{
    if (f == NULL || !worker_pool_destroy(f->pool, CLOSE_WAIT_MS)) {
        return;
    }
    if (f->fd >= 0) {
        (void)close(f->fd);
    }
    free(f);
}
