/*
 * Time is read once per turn, after the wait. hiredis makes the connections; from then on the
 * sockets are ours.
 */
#include "engine.h"

#include "conn.h"

#include "tarn/base/compiler.h"

#include <hiredis/hiredis.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S        INT64_C(1000000000)
#define EVENTS          256
#define STALL_NS        (30 * NS_PER_S) /* no reply for so long: give up */
#define PROGRESS_NS     NS_PER_S
#define SPIN_NS         50000 /* a shorter wait than this is not worth a sleep */
#define CONNECT_SECONDS 10

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* A connected socket, or -1 after a message. */
static int connect_one(const struct options *o)
{
    struct timeval limit = {.tv_sec = CONNECT_SECONDS};
    redisContext *context = redisConnectWithTimeout(o->host, o->port, limit);
    int on = 1;
    if (context == NULL || context->err != 0) {
        fprintf(stderr, "tarn-load: %s:%d: %s\n", o->host, o->port,
                context != NULL ? context->errstr : "no memory");
        redisFree(context);
        return -1;
    }
    int fd = redisFreeKeepFd(context);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0) {
        fprintf(stderr, "tarn-load: socket: %s\n", strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

static bool connect_all(struct engine *e)
{
    for (uint32_t i = 0; i < e->options->connections; i++) {
        struct conn *c = &e->conns[i];
        int fd = connect_one(e->options);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (fd < 0) {
            return false;
        }
        if (!conn_init(c, e, fd, i) || epoll_ctl(e->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
            fprintf(stderr, "tarn-load: connection %u: %s\n", i, strerror(errno));
            return false;
        }
    }
    return true;
}

bool engine_init(struct engine *e, const struct options *o)
{
    *e = (struct engine){
        .options = o,
        .conns = calloc(o->connections, sizeof(struct conn)),
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .in = malloc(CONN_IN_BYTES),
    };
    bool has_payload = payload_init(&e->payload, o->value_min, o->value_max);
    if (e->conns == NULL || e->in == NULL || !has_payload || e->epoll < 0) {
        fprintf(stderr, "tarn-load: no memory\n");
        return false;
    }
    /* The kernel may otherwise make every sleep 50 us longer. */
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    return connect_all(e);
}

void engine_fini(struct engine *e)
{
    for (uint64_t i = 0; e->conns != NULL && i < e->options->connections; i++) {
        conn_fini(&e->conns[i]);
    }
    if (e->epoll >= 0) {
        close(e->epoll);
    }
    payload_fini(&e->payload);
    buf_fini(&e->out);
    free(e->in);
    free(e->conns);
}

/* ---- a phase ---- */

static bool is_sending(const struct engine *e)
{
    return e->left > 0 && e->now_ns < e->end_ns;
}

/* Gives a turn to every connection that has a request due. One whose window is full is passed over;
 * it sends when its replies come. */
static bool send_due(struct engine *e)
{
    uint64_t connections = e->options->connections;
    bool fine = true;
    while (fine && is_sending(e)) {
        struct conn *c = &e->conns[e->turn % connections];
        if (conn_due_ns(c, e, e->turn / connections) > e->now_ns) {
            break;
        }
        fine = conn_send(c, e);
        e->turn++;
    }
    return fine;
}

/* How long to wait for events: not at all (0), at most so many nanoseconds, or until the next event
 * with a look at the clock now and then. */
static int64_t wait_ns(const struct engine *e)
{
    int64_t wait = NS_PER_S / 10;
    if (e->phase->rate > 0 && is_sending(e)) {
        const struct conn *c = &e->conns[e->turn % e->options->connections];
        int64_t due = conn_due_ns(c, e, e->turn / e->options->connections) - e->now_ns;
        wait = due < wait ? due : wait;
    }
    return wait < SPIN_NS ? 0 : wait;
}

static bool handle(struct engine *e, const struct epoll_event *event)
{
    struct conn *c = event->data.ptr;
    if ((event->events & EPOLLOUT) != 0 && !conn_flush(c, e)) {
        return false;
    }
    return (event->events & ~(uint32_t)EPOLLOUT) == 0 || conn_receive(c, e);
}

static bool turn(struct engine *e)
{
    struct epoll_event events[EVENTS];
    int64_t wait = wait_ns(e);
    struct timespec timeout = {.tv_sec = wait / NS_PER_S, .tv_nsec = wait % NS_PER_S};
    int n = epoll_pwait2(e->epoll, events, EVENTS, &timeout, NULL);
    bool fine = true;
    if (n < 0 && errno != EINTR) {
        fprintf(stderr, "tarn-load: epoll: %s\n", strerror(errno));
        return false;
    }
    e->now_ns = now_ns();
    for (int i = 0; fine && i < n; i++) {
        fine = handle(e, &events[i]);
    }
    if (n > 0) {
        e->tally->last_ns = e->now_ns;
    }
    return fine && (e->phase->rate <= 0 || send_due(e));
}

static bool is_stalled(const struct engine *e)
{
    if (e->under_way > 0 && e->now_ns - e->tally->last_ns > STALL_NS) {
        fprintf(stderr, "tarn-load: no reply for %d s\n", (int)(STALL_NS / NS_PER_S));
        return true;
    }
    return false;
}

static void begin(struct engine *e, const struct phase *phase, struct tally *tally)
{
    *tally = (struct tally){.replies = 0};
    e->phase = phase;
    e->tally = tally;
    e->turn = 0;
    e->left = phase->requests > 0 ? phase->requests : UINT64_MAX;
    e->start_ns = e->now_ns = now_ns();
    e->end_ns = phase->seconds > 0 ? e->start_ns + (int64_t)(phase->seconds * (double)NS_PER_S)
                                   : INT64_MAX;
    tally->first_ns = tally->last_ns = e->start_ns;
    for (uint64_t i = 0; i < e->options->connections; i++) {
        e->conns[i].made = e->conns[i].answered = 0;
    }
}

bool engine_run(struct engine *e, const struct phase *phase, struct tally *tally)
{
    begin(e, phase, tally);
    int64_t progress_ns = e->start_ns + PROGRESS_NS;
    bool fine = true;
    for (uint64_t i = 0; fine && phase->rate <= 0 && i < e->options->connections; i++) {
        fine = conn_send(&e->conns[i], e);
    }
    while (fine && (e->under_way > 0 || is_sending(e))) {
        fine = turn(e) && !is_stalled(e);
        if (e->now_ns >= progress_ns && e->progress != NULL) {
            e->progress(e->progress_arg, tally);
            progress_ns = e->now_ns + PROGRESS_NS;
        }
    }
    return fine;
}
