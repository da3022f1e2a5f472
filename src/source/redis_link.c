/*
 * The states of redis_link.h. Whatever goes wrong ends in break_link(), which gives back all
 * requests and says so once. Opening and flushing report what fails through a fed event, because
 * their callers must not be called back.
 */
#include "redis_link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "redis_greeting.h"
#include "tarn/base/clock.h"

#define READ_BYTES     (64 * 1024)
#define READS_PER_TURN 8            /* so that one server cannot keep the loop */
#define REPLY_ROOM     (64 * 1024)  /* of protocol around a row */
#define GREETING_MAX   (256 * 1024) /* bytes of the replies before it is up */
#define OUT_KEEP_BYTES (64 * 1024)

/* ---- the end --------------------------------------------------------------------------------- */

static void forget_login(struct redis_link *l)
{
    explicit_bzero(l->user, sizeof(l->user));
    explicit_bzero(l->password, sizeof(l->password));
}

static void close_socket(struct redis_link *l)
{
    ev_io_stop(l->target->loop, &l->io);
    if (l->fd >= 0) {
        (void)close(l->fd);
    }
    l->fd = -1;
    if (l->reader != NULL) {
        redisReaderFree(l->reader);
    }
    l->reader = NULL;
    if (l->out.data != NULL) {
        explicit_bzero(l->out.data, l->out.cap); /* the password went through it */
    }
    buf_fini(&l->out);
}

void redis_link_close(struct redis_link *l)
{
    ev_timer_stop(l->target->loop, &l->deadline);
    if (l->ticket != 0) {
        resolver_cancel(l->target->resolver, l->ticket);
        l->ticket = 0;
    }
    close_socket(l);
    forget_login(l);
    l->state = REDIS_LINK_CLOSED;
    l->is_worn = false;
    while (l->slots_count > 0) {
        struct redis_request *r = l->slots[l->slots_at].request;
        l->slots_at = (l->slots_at + 1) % l->slots_cap;
        l->slots_count--;
        if (r != NULL) {
            l->events.lost(l->events.ctx, r);
        }
    }
}

static void break_link(struct redis_link *l, enum redis_failure failure, const char *text)
{
    struct errtext copy; /* `text` may be the reader's */
    errtext_set(&copy, "%s", text);
    redis_link_close(l);
    l->events.down(l->events.ctx, l, failure, copy.text);
}

/* ---- replies --------------------------------------------------------------------------------- */

/* False: the link is gone. */
static bool take_greeting(struct redis_link *l, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        const bool is_auth = l->is_auth_awaited || strncmp(reply->str, "NOAUTH", 6) == 0;
        break_link(l, is_auth ? REDIS_FAILURE_AUTH : REDIS_FAILURE_LINK, reply->str);
        return false;
    }
    l->is_auth_awaited = false;
    l->greetings--;
    if (l->greetings == 0) {
        l->state = REDIS_LINK_UP;
        l->up_us = clock_now_us();
        forget_login(l);
        l->answers = 0;
        ev_timer_stop(l->target->loop, &l->deadline);
        l->events.up(l->events.ctx, l);
    }
    return true;
}

static bool take_reply(struct redis_link *l, const redisReply *reply)
{
    if (l->state == REDIS_LINK_GREETING) {
        return take_greeting(l, reply);
    }
    if (l->slots_count == 0) {
        break_link(l, REDIS_FAILURE_LINK, "a reply that nobody asked for");
        return false;
    }
    struct redis_slot *slot = &l->slots[l->slots_at];
    struct redis_request *r = slot->request;
    if (r != NULL) {
        redis_request_take(r, reply, redis_request_replies(r) - slot->replies);
    }
    slot->replies--;
    l->answers++;
    if (slot->replies == 0) {
        l->slots_at = (l->slots_at + 1) % l->slots_cap;
        l->slots_count--;
        if (r != NULL) {
            l->events.finished(l->events.ctx, r);
        }
    }
    return true;
}

/* The present reply is larger than it may be: its request fails, and what follows on this connection
 * is worthless. */
static void cut_off(struct redis_link *l)
{
    struct redis_slot *slot = l->slots_count > 0 ? &l->slots[l->slots_at] : NULL;
    struct redis_request *r = slot != NULL ? slot->request : NULL;
    if (r != NULL) {
        slot->request = NULL;
        redis_request_fail(r, DRIVER_TOO_BIG, "the reply is larger than max-row");
        l->events.finished(l->events.ctx, r);
    }
    l->answers++; /* the server did its part */
    break_link(l, REDIS_FAILURE_LINK, "cut off in a reply that is too large");
}

static bool is_too_large(const struct redis_link *l)
{
    const struct redis_slot *slot = l->slots_count > 0 ? &l->slots[l->slots_at] : NULL;
    return l->is_array_too_long || l->reply_bytes > (slot != NULL ? slot->bytes_max : GREETING_MAX);
}

/* False: the link is gone. */
static bool take_replies(struct redis_link *l)
{
    for (;;) {
        void *reply = NULL;
        const bool is_readable = redisReaderGetReply(l->reader, &reply) == REDIS_OK;
        if (reply == NULL && is_too_large(l)) {
            cut_off(l);
            return false;
        }
        if (!is_readable) {
            break_link(l, REDIS_FAILURE_LINK, l->reader->errstr);
            return false;
        }
        if (reply == NULL) {
            return true;
        }
        const bool is_open = take_reply(l, reply);
        freeReplyObject(reply);
        if (!is_open || l->state == REDIS_LINK_CLOSED) {
            return false;
        }
        l->reply_bytes = l->reader->len - l->reader->pos;
    }
}

static void on_readable(struct redis_link *l)
{
    char bytes[READ_BYTES];
    for (unsigned i = 0; i < READS_PER_TURN; i++) {
        const ssize_t n = recv(l->fd, bytes, sizeof(bytes), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            break_link(l, REDIS_FAILURE_CUT,
                       n < 0 ? strerror(errno) : "the server closed the connection");
            return;
        }
        l->read_us = clock_now_us();
        l->reply_bytes += (size_t)n;
        if (redisReaderFeed(l->reader, bytes, (size_t)n) != REDIS_OK) {
            break_link(l, REDIS_FAILURE_LINK, l->reader->errstr);
            return;
        }
        if (!take_replies(l) || (size_t)n < sizeof(bytes)) {
            return;
        }
    }
}

/* hiredis allocates for the elements before they come. */
static void *create_array(const redisReadTask *task, int elements)
{
    struct redis_link *l = task->privdata;
    l->is_array_too_long = l->is_array_too_long || elements > REDIS_ELEMENTS_MAX;
    return l->is_array_too_long ? NULL : l->create_array(task, elements);
}

static bool make_reader(struct redis_link *l)
{
    l->reader = redisReaderCreate();
    if (l->reader == NULL) {
        return false;
    }
    l->functions = *l->reader->fn;
    l->create_array = l->functions.createArray;
    l->functions.createArray = create_array;
    l->reader->fn = &l->functions;
    l->reader->privdata = l;
    l->reply_bytes = 0;
    l->is_array_too_long = false;
    return true;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void watch(struct redis_link *l, int events)
{
    if (ev_is_active(&l->io) && (l->io.events & (EV_READ | EV_WRITE)) == events) {
        return;
    }
    ev_io_stop(l->target->loop, &l->io);
    ev_io_set(&l->io, l->fd, events);
    ev_io_start(l->target->loop, &l->io);
}

void redis_link_flush(struct redis_link *l)
{
    if (l->state < REDIS_LINK_GREETING) {
        return;
    }
    while (buf_len(&l->out) > 0) {
        const struct strview rest = buf_view(&l->out);
        const ssize_t n = send(l->fd, rest.data, rest.len, MSG_NOSIGNAL);
        if (n <= 0) {
            break;
        }
        buf_consume(&l->out, (size_t)n);
    }
    if (l->out.failed) { /* a request is not in it, and so all replies would be off by one */
        (void)shutdown(l->fd, SHUT_RDWR);
    }
    /* A connection that broke is readable, and tells why there. */
    watch(l, buf_len(&l->out) > 0 ? EV_READ | EV_WRITE : EV_READ);
    buf_shrink(&l->out, OUT_KEEP_BYTES);
}

void redis_link_send(struct redis_link *l, struct redis_request *r)
{
    assert(redis_link_has_room(l));
    l->slots[(l->slots_at + l->slots_count) % l->slots_cap] = (struct redis_slot){
        .request = r,
        .replies = redis_request_replies(r),
        .bytes_max = r->row_bytes_max + REPLY_ROOM};
    l->slots_count++;
    r->sent_us = clock_now_us();
    buf_append_view(&l->out, buf_view(&r->wire));
}

bool redis_link_is_dead(const struct redis_link *l)
{
    char byte;
    const ssize_t n = recv(l->fd, &byte, 1, MSG_PEEK);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

struct redis_request *redis_link_find(const struct redis_link *l, uint64_t id)
{
    for (unsigned i = 0; i < l->slots_count; i++) {
        struct redis_request *r = l->slots[(l->slots_at + i) % l->slots_cap].request;
        if (r != NULL && r->id == id) {
            return r;
        }
    }
    return NULL;
}

/* ---- connecting ------------------------------------------------------------------------------ */

static void greet(struct redis_link *l)
{
    const struct redis_login files = {.user = l->user, .password = l->password};
    l->greetings = redis_greeting_write(&l->out, l->target->dsn, &files, &l->is_auth_awaited);
    if (l->out.failed || !make_reader(l)) {
        break_link(l, REDIS_FAILURE_LINK, "out of memory");
        return;
    }
    l->state = REDIS_LINK_GREETING;
    redis_link_flush(l);
}

/* Where address `l->address_at` is. Its length, or 0: the text is no address. */
static socklen_t fill_address(const struct redis_link *l, struct sockaddr_storage *out)
{
    const struct redis_dsn *d = l->target->dsn;
    struct sockaddr_un *local = (struct sockaddr_un *)(void *)out;
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
    *out = (struct sockaddr_storage){0};
    if (d->path[0] != '\0') {
        local->sun_family = AF_UNIX;
        memcpy(local->sun_path, d->path, strlen(d->path)); /* redis_dsn_parse() measured it */
        return sizeof(*local);
    }
    const char *text = l->addresses[l->address_at].text;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)d->port);
        return sizeof(*v4);
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)d->port);
        return sizeof(*v6);
    }
    return 0;
}

/* Begins to connect to the present address. 0 or the error's number. */
static int start_connect(struct redis_link *l)
{
    struct sockaddr_storage address;
    const int on = 1;
    const socklen_t len = fill_address(l, &address);
    if (len == 0) {
        return EADDRNOTAVAIL;
    }
    l->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0) {
        return errno;
    }
    if (address.ss_family != AF_UNIX) {
        (void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void)setsockopt(l->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
    if (connect(l->fd, (const struct sockaddr *)&address, len) != 0 && errno != EINPROGRESS) {
        return errno;
    }
    watch(l, EV_WRITE);
    return 0;
}

/* The present address does not answer; there may be more. */
static void connect_from(struct redis_link *l, int error)
{
    while (error != 0 && l->address_at + 1 < l->addresses_count) {
        close_socket(l);
        l->address_at++;
        error = start_connect(l);
    }
    if (error != 0) {
        struct errtext text;
        errtext_set(&text, "cannot connect: %s", strerror(error));
        break_link(l, REDIS_FAILURE_LINK, text.text);
    }
}

static void on_connected(struct redis_link *l)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        error = errno;
    }
    if (error != 0) {
        connect_from(l, error);
        return;
    }
    greet(l);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    struct redis_link *l = container_of(io, struct redis_link, io);
    (void)loop;
    if (l->state == REDIS_LINK_CONNECTING) {
        on_connected(l);
        return;
    }
    if ((events & EV_WRITE) != 0) {
        redis_link_flush(l);
    }
    if ((events & EV_READ) != 0) {
        on_readable(l);
    }
}

static void begin(struct redis_link *l)
{
    l->state = REDIS_LINK_CONNECTING;
    l->address_at = 0;
    const int error = start_connect(l);
    if (error != 0) {
        connect_from(l, error);
    }
}

static void on_resolved(void *ctx, const struct resolve_result *result)
{
    struct redis_link *l = ctx;
    l->ticket = 0;
    if (!result->is_found) {
        break_link(l, REDIS_FAILURE_LINK, result->problem.text);
        return;
    }
    if (result->addresses_count > 0) {
        l->addresses_count = result->addresses_count;
        memcpy(l->addresses, result->addresses, sizeof(l->addresses));
    }
    memcpy(l->user, result->user, sizeof(l->user));
    memcpy(l->password, result->password, sizeof(l->password));
    begin(l);
}

/* Also called, fed, when it was just opened: there is nothing to look up, or that could not begin.
 */
static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct redis_link *l = container_of(timer, struct redis_link, deadline);
    (void)loop;
    if ((events & EV_CUSTOM) == 0) {
        break_link(l, REDIS_FAILURE_LINK, "no answer within connect-timeout");
    } else if (l->state == REDIS_LINK_RESOLVING && l->ticket == 0 && l->addresses_count > 0) {
        begin(l);
    } else if (l->state == REDIS_LINK_RESOLVING && l->ticket == 0) {
        break_link(l, REDIS_FAILURE_LINK, "out of memory");
    }
}

/* Asks the helper thread for what only blocking can tell. */
static void look_up(struct redis_link *l, const char *host)
{
    const struct resolve_query query = {.hosts = host,
                                        .user_file = l->target->options->user_file,
                                        .password_file = l->target->options->password_file};
    l->ticket = resolver_start(l->target->resolver, &query, on_resolved, l);
    if (l->ticket == 0) {
        l->addresses_count = 0; /* and so it cannot begin */
    }
}

void redis_link_open(struct redis_link *l)
{
    const struct redis_dsn *d = l->target->dsn;
    const struct driver_options *o = l->target->options;
    const bool is_known = redis_dsn_has_address(d);
    assert(l->state == REDIS_LINK_CLOSED);
    l->state = REDIS_LINK_RESOLVING;
    l->addresses_count = is_known;
    l->up_us = 0;
    if (is_known) {
        l->addresses[0] = (struct resolve_address){0};
        memcpy(l->addresses[0].text, d->host,
               size_min(strlen(d->host), sizeof(l->addresses[0].text) - 1));
    }
    if (!is_known || o->user_file[0] != '\0' || o->password_file[0] != '\0') {
        look_up(l, is_known ? "" : d->host);
    }
    const double seconds = (double)l->target->options->connect_timeout_ms / 1000;
    ev_timer_set(&l->deadline, seconds, 0.0);
    ev_timer_start(l->target->loop, &l->deadline);
    ev_feed_event(l->target->loop, &l->deadline, EV_CUSTOM);
}

/* ---- life ------------------------------------------------------------------------------------ */

int redis_link_init(struct redis_link *l, const struct redis_target *target,
                    const struct redis_link_events *events)
{
    const unsigned cap = (unsigned)target->options->pipeline;
    *l = (struct redis_link){.target = target,
                             .events = *events,
                             .slots = calloc(cap, sizeof(l->slots[0])),
                             .slots_cap = cap,
                             .fd = -1};
    ev_init(&l->io, on_io);
    ev_init(&l->deadline, on_deadline);
    return l->slots != NULL ? 0 : -ENOMEM;
}

void redis_link_fini(struct redis_link *l)
{
    redis_link_close(l);
    free(l->slots);
    l->slots = NULL;
}
