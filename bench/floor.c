/*
 * The floor: a server that keeps nothing and only receives and sends. It answers every GET with the
 * same value, of the size that it saw last in a SET, and every SET with OK. What the kernel takes
 * for that is what no server on sockets stays below, so script/bench can show it beside the others:
 *
 *     script/bench --peer floor=build-bench/bench/floor get-p1 get-p16
 *
 * One recv and one send per connection and turn, all receives before the sends, level-triggered
 * epoll: that is also how Tarn's loop meets the kernel. Requests are counted by their asterisks,
 * which the values of tarn-load do not have; what begins a buffer decides what is answered.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tarn/base/num.h"

#define IN_BYTES    (64 * 1024)
#define EVENTS_MAX  64
#define REPLIES_MAX 64 /* sent at once */
#define VALUE_MAX   (64 * 1024)
#define HEAD_MAX    32

struct replies {
    char *bytes; /* owned: REPLIES_MAX times the same */
    size_t each;
};

/* What is to be sent at the end of the turn. */
struct answer {
    int fd;
    size_t count;
    const struct replies *replies;
};

static char in[IN_BYTES];
static struct replies ok, value;
static size_t value_len;

static void repeat(struct replies *r, const char *head, size_t body)
{
    const size_t head_len = strlen(head);
    const size_t tail_len = body > 0 ? 2 : 0;
    r->each = head_len + body + tail_len;
    r->bytes = realloc(r->bytes, r->each * REPLIES_MAX);
    if (r->bytes == NULL) {
        perror("floor");
        exit(1);
    }
    for (size_t i = 0; i < REPLIES_MAX; i++) {
        char *at = r->bytes + i * r->each;
        memcpy(at, head, head_len);
        memset(at + head_len, 'v', body);
        memcpy(at + head_len + body, "\r\n", tail_len);
    }
}

/* "*3 $3 SET $16 key $100 ...": the size of the value. */
static void note_value(const char *request, size_t len)
{
    const char *at = request;
    const char *end = request + len;
    for (int line = 0; line < 5 && at != NULL; line++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at != NULL ? at + 1 : NULL;
    }
    const size_t n = at != NULL && at < end && *at == '$' ? strtoul(at + 1, NULL, 10) : 0;
    if (n > 0 && n <= VALUE_MAX && n != value_len) {
        char head[HEAD_MAX];
        (void)snprintf(head, sizeof(head), "$%zu\r\n", n);
        value_len = n;
        repeat(&value, head, n);
    }
}

static size_t count_requests(const char *bytes, size_t len)
{
    size_t count = 0;
    for (const char *at = bytes; (at = memchr(at, '*', len - (size_t)(at - bytes))) != NULL; at++) {
        count++;
    }
    return count;
}

static void say(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0) {
        perror("floor");
    }
}

/* What is asked outside of the load. */
static bool answer_question(int fd, size_t len)
{
    if (memmem(in, len, "PING", 4) != NULL) {
        say(fd, "+PONG\r\n");
        return true;
    }
    if (memmem(in, len, "INFO", 4) != NULL) {
        char info[64], text[128];
        const int n = snprintf(info, sizeof(info), "process_id:%d\r\n", (int)getpid());
        (void)snprintf(text, sizeof(text), "$%d\r\n%s\r\n", n, info);
        say(fd, text);
        return true;
    }
    return false;
}

/* True when there is something to answer at the end of the turn. */
static bool receive(int fd, struct answer *out)
{
    const ssize_t n = recv(fd, in, sizeof(in), 0);
    if (n <= 0) {
        (void)close(fd);
        return false;
    }
    const bool is_set = n > 1 && in[0] == '*' && in[1] == '3';
    if (is_set) {
        note_value(in, (size_t)n);
    } else if (n < 64 && answer_question(fd, (size_t)n)) {
        return false;
    }
    *out = (struct answer){fd, count_requests(in, (size_t)n), is_set ? &ok : &value};
    return out->count > 0;
}

static void answer(const struct answer *a)
{
    for (size_t left = a->count; left > 0;) {
        const size_t n = left < REPLIES_MAX ? left : REPLIES_MAX;
        if (send(a->fd, a->replies->bytes, n * a->replies->each, MSG_NOSIGNAL) < 0) {
            return;
        }
        left -= n;
    }
}

static void open_connection(int epoll, int listener)
{
    const int one = 1;
    const int fd = accept(listener, NULL, NULL);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    if (fd >= 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        (void)epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    }
}

static void serve(int listener)
{
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e) != 0) {
        perror("floor");
        exit(1);
    }
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        struct answer answers[EVENTS_MAX];
        size_t count = 0;
        const int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener) {
                open_connection(epoll, listener);
            } else if (receive(events[i].data.fd, &answers[count])) {
                count++;
            }
        }
        for (size_t i = 0; i < count; i++) {
            answer(&answers[i]);
        }
    }
}

int main(int argc, char **argv)
{
    int64_t port;
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("floor 1.0");
        return 0;
    }
    if (argc != 2 || !num_parse_i64(strview_str(argv[1]), &port) || port < 1 || port > UINT16_MAX) {
        fputs("usage: floor PORT\n", stderr);
        return 64;
    }
    const int one = 1;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    repeat(&ok, "+OK\r\n", 0);
    repeat(&value, "$1\r\n", 1);
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(listener, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, SOMAXCONN) != 0) {
        perror("floor");
        return 1;
    }
    serve(listener);
    return 0;
}
