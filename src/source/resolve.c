/*
 * A pool of one helper thread that looks up names and reads small files. The asker may go away at
 * any time: then its job runs to its end and nobody hears of it. Secrets are wiped with their job.
 */
#include "resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "tarn/base/list.h"
#include "worker.h"

struct resolve_job {
    struct worker_job base;
    struct list link; /* resolver::jobs; the loop's thread only */
    resolve_fn fn;    /* NULL: nobody asks any more; the loop's thread only */
    void *ctx;
    char hosts[RESOLVE_HOSTS_BYTES_MAX];
    char user_file[RESOLVE_PATH_MAX], password_file[RESOLVE_PATH_MAX];
    struct resolve_result result;
};

struct resolver {
    struct worker_pool *pool;
    struct list jobs;
    uint64_t next_ticket;
    void *states[1]; /* the thread needs none */
};

/* ---- the helper thread ----------------------------------------------------------------------- */

static bool add_address(struct resolve_result *r, unsigned host, const struct addrinfo *info)
{
    const void *bytes;
    if (info->ai_family == AF_INET) {
        bytes = &((const struct sockaddr_in *)(const void *)info->ai_addr)->sin_addr;
    } else if (info->ai_family == AF_INET6) {
        bytes = &((const struct sockaddr_in6 *)(const void *)info->ai_addr)->sin6_addr;
    } else {
        return false;
    }
    struct resolve_address *a = &r->addresses[r->addresses_count];
    a->host = host;
    if (inet_ntop(info->ai_family, bytes, a->text, sizeof(a->text)) == NULL) {
        return false;
    }
    r->addresses_count++;
    return true;
}

/* False: the name has no address. */
static bool look_up(struct resolve_result *r, const char *name, unsigned host)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    bool is_found = false;
    if (name[0] == '/' || name[0] == '@') {
        r->addresses[r->addresses_count++] = (struct resolve_address){.host = host};
        return true;
    }
    int code = getaddrinfo(name, NULL, &hints, &list);
    if (code != 0) {
        errtext_set(&r->problem, "cannot find the address of host '%s': %s", name,
                    gai_strerror(code));
        return false;
    }
    for (struct addrinfo *i = list; i != NULL && r->addresses_count < RESOLVE_ADDRESSES_MAX;
         i = i->ai_next) {
        is_found = add_address(r, host, i) || is_found;
    }
    freeaddrinfo(list);
    return is_found;
}

/* One host that is found is enough: the others may be down together with their names. */
static bool look_up_all(struct resolve_job *job)
{
    struct resolve_result *r = &job->result;
    char *rest = job->hosts;
    unsigned host = 0;
    for (char *name; (name = strsep(&rest, ",")) != NULL; host++) {
        if (r->addresses_count < RESOLVE_ADDRESSES_MAX && name[0] != '\0') {
            (void)look_up(r, name, host);
        }
    }
    return r->addresses_count > 0;
}

static void run(void *state, struct worker_job *base)
{
    (void)state;
    struct resolve_job *job = container_of(base, struct resolve_job, base);
    struct resolve_result *r = &job->result;
    r->is_found = (job->hosts[0] == '\0' || look_up_all(job)) &&
                  secret_read(r->user, job->user_file, &r->problem) &&
                  secret_read(r->password, job->password_file, &r->problem);
}

/* ---- the loop's thread ----------------------------------------------------------------------- */

static void drop(struct worker_job *base)
{
    struct resolve_job *job = container_of(base, struct resolve_job, base);
    explicit_bzero(&job->result, sizeof(job->result));
    free(job);
}

static void on_done(void *ctx, struct worker_job *base)
{
    struct resolver *r = ctx;
    struct resolve_job *job = container_of(base, struct resolve_job, base);
    list_remove(&job->link);
    if (job->fn != NULL) {
        job->fn(job->ctx, &job->result);
    }
    worker_release(r->pool, base);
    drop(base);
}

static bool copy_text(char *out, size_t size, const char *text)
{
    size_t len = strlen(text);
    if (len >= size) {
        return false;
    }
    memcpy(out, text, len + 1);
    return true;
}

uint64_t resolver_start(struct resolver *r, const struct resolve_query *query, resolve_fn fn,
                        void *ctx)
{
    struct resolve_job *job = malloc(sizeof(*job));
    if (job == NULL) {
        return 0;
    }
    *job = (struct resolve_job){
        .base = {.id = r->next_ticket, .bytes = sizeof(*job)}, .fn = fn, .ctx = ctx};
    if (!copy_text(job->hosts, sizeof(job->hosts), query->hosts) ||
        !copy_text(job->user_file, sizeof(job->user_file), query->user_file) ||
        !copy_text(job->password_file, sizeof(job->password_file), query->password_file)) {
        free(job);
        return 0;
    }
    list_push_back(&r->jobs, &job->link);
    worker_pool_submit(r->pool, &job->base);
    return r->next_ticket++;
}

void resolver_cancel(struct resolver *r, uint64_t ticket)
{
    list_for_each (it, &r->jobs) {
        struct resolve_job *job = container_of(it, struct resolve_job, link);
        if (job->base.id == ticket) {
            job->fn = NULL;
        }
    }
}

int resolver_create(struct resolver **out, struct ev_loop *loop)
{
    struct resolver *r = malloc(sizeof(*r));
    if (r == NULL) {
        return -ENOMEM;
    }
    *r = (struct resolver){.next_ticket = 1};
    list_init(&r->jobs);
    struct worker_config config = {
        .loop = loop,
        .count = 1,
        .states = r->states,
        .bytes_max = SIZE_MAX,
        .ctx = r,
        .run = run,
        .done = on_done,
        .drop = drop,
    };
    int code = worker_pool_create(&r->pool, &config);
    if (code != 0) {
        free(r);
        return code;
    }
    *out = r;
    return 0;
}

void resolver_destroy(struct resolver *r, int64_t wait_ms)
{
    if (r != NULL && worker_pool_destroy(r->pool, wait_ms)) {
        free(r);
    }
}
