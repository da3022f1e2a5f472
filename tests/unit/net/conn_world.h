/*
 * A net with a loop and fake commands, for tests that talk to connections over socket pairs.
 */
#ifndef TARN_TESTS_UNIT_NET_CONN_WORLD_H
#define TARN_TESTS_UNIT_NET_CONN_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_commands.h"
#include "src/net/state.h"
#include "tarn/base/clock.h"
#include "tarn/base/log.h"
#include "tarn/base/option.h"

#define CASE(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

#define TURNS_MAX 20000

struct world {
    struct ev_loop *loop;
    struct clock clock;
    struct option_set *set;
    struct net_options options;
    struct command_options command_options;
    struct command_env env;
    struct net *net;
};

static inline int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    log_set_level(LOG_NOTHING);
    w->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    assert_non_null(w->loop);
    clock_update(&w->clock);
    assert_int_equal(option_set_create(&w->set), 0);
    assert_int_equal(option_set_add(w->set, &net_option_table, &w->options, NULL, NULL), 0);
    w->command_options.proto_max_bulk_len = 64 << 20;
    w->env.clock = &w->clock;
    w->env.command_options = &w->command_options;
    list_init(&w->env.sessions);
    struct errtext err;
    w->options.maxclients = 100;
    assert_int_equal(net_create(&w->net, w->loop, &w->options, &w->env, &err), 0);
    *state = w;
    return 0;
}

static inline int world_teardown(void **state)
{
    struct world *w = *state;
    net_destroy(w->net);
    assert_int_equal(w->env.sessions_count, 0);
    option_set_destroy(w->set);
    ev_loop_destroy(w->loop);
    free(w);
    return 0;
}

static inline size_t all_memory(const struct world *w)
{
    return net_memory(w->net) + net_buffer_memory(w->net);
}

static inline void turns(struct world *w, int n)
{
    for (int i = 0; i < n; i++) {
        (void)ev_run(w->loop, EVRUN_NOWAIT);
    }
}

/* The client's end of a new connection. */
static inline int open_client(struct world *w)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(conn_open(w->net, fds[0], 0, "client:1", "server:1"), 0);
    return fds[1];
}

static inline void say(int fd, const char *bytes)
{
    size_t len = strlen(bytes);
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

/* What arrives in a few turns, as a string. */
static inline const char *heard(struct world *w, int fd)
{
    static char text[65536];
    size_t len = 0;
    for (int i = 0; i < 6; i++) {
        turns(w, 1);
        ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, 0);
        len += n > 0 ? (size_t)n : 0;
    }
    text[len] = '\0';
    return text;
}

/* Sends as much of the rest as fits. */
static inline void push(int fd, struct buf *rest)
{
    ssize_t n = send(fd, rest->data + rest->head, buf_len(rest), MSG_NOSIGNAL);
    buf_consume(rest, n > 0 ? (size_t)n : 0);
}

#endif
