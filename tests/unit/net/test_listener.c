/*
 * Listeners: the addresses and modes they are given, and clients that arrive.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/net/state.h"
#include "fake_commands.h"
#include "tarn/base/clock.h"
#include "tarn/base/log.h"
#include "tarn/base/option.h"

struct world {
    struct ev_loop *loop;
    struct clock clock;
    struct option_set *set;
    struct net_options options;
    struct command_options command_options;
    struct command_env env;
    struct net *net;
    char folder[64];
    char path[96];
};

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    log_set_level(LOG_NOTHING);
    (void)snprintf(w->folder, sizeof(w->folder), "/tmp/tarn-test-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    (void)snprintf(w->path, sizeof(w->path), "%s/socket", w->folder);
    w->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    assert_non_null(w->loop);
    clock_update(&w->clock);
    assert_int_equal(option_set_create(&w->set), 0);
    assert_int_equal(option_set_add(w->set, &net_option_table, &w->options, NULL, NULL), 0);
    struct errtext err;
    assert_int_equal(option_set_load(w->set, strview_str("unixsocket"), strview_str(w->path), &err),
                     0);
    w->options.port = 0;
    w->options.maxclients = 2;
    w->env.clock = &w->clock;
    w->env.command_options = &w->command_options;
    list_init(&w->env.sessions);
    assert_int_equal(net_create(&w->net, w->loop, &w->options, &w->env, &err), 0);
    *state = w;
    return 0;
}

static int world_teardown(void **state)
{
    struct world *w = *state;
    net_destroy(w->net);
    (void)unlink(w->path);
    assert_int_equal(rmdir(w->folder), 0);
    option_set_destroy(w->set);
    ev_loop_destroy(w->loop);
    free(w);
    return 0;
}

static void turns(struct world *w, int n)
{
    for (int i = 0; i < n; i++) {
        (void)ev_run(w->loop, EVRUN_NOWAIT);
    }
}

static struct sockaddr_un address_of(const struct world *w)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, w->path, strlen(w->path) + 1);
    return a;
}

static int connect_client(struct world *w)
{
    struct sockaddr_un a = address_of(w);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    turns(w, 3);
    return fd;
}

static void ask(struct world *w, int fd, const char *request, const char *reply)
{
    char text[256] = "";
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    turns(w, 3);
    ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
    assert_true(n >= 0);
    text[n] = '\0';
    assert_string_equal(text, reply);
}

static void listener__serves_a_unix_socket_with_its_mode(void **state)
{
    struct world *w = *state;
    struct errtext err;
    struct stat st;
    assert_int_equal(
        option_set_load(w->set, strview_str("unixsocketperm"), strview_str("640"), &err), 0);
    assert_int_equal(net_listen(w->net, &err), NET_OK);
    assert_int_equal(stat(w->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    int fd = connect_client(w);
    ask(w, fd, "PING\r\n", "+PONG\r\n");
    close(fd);
    net_destroy(w->net);
    w->net = NULL;
    assert_int_equal(stat(w->path, &st), -1);
}

static void listener__replaces_a_dead_socket_but_not_a_live_one(void **state)
{
    struct world *w = *state;
    struct errtext err;
    struct sockaddr_un a = address_of(w);
    int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(other, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(other, 1), 0);
    assert_int_equal(net_listen(w->net, &err), NET_BIND_FAILED);
    assert_non_null(strstr(err.text, w->path));
    close(other);
    assert_int_equal(net_listen(w->net, &err), NET_OK);
}

static void listener__leaves_a_file_that_is_no_socket(void **state)
{
    struct world *w = *state;
    struct errtext err;
    struct stat st;
    FILE *f = fopen(w->path, "we");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(net_listen(w->net, &err), NET_BIND_FAILED);
    assert_int_equal(stat(w->path, &st), 0);
}

static void listener__refuses_one_client_too_many(void **state)
{
    struct world *w = *state;
    struct errtext err;
    assert_int_equal(net_listen(w->net, &err), NET_OK);
    int first = connect_client(w);
    int second = connect_client(w);
    int third = connect_client(w);
    ask(w, first, "PING\r\n", "+PONG\r\n");
    char text[64] = "";
    assert_int_equal(recv(third, text, sizeof(text), MSG_DONTWAIT), 36);
    assert_string_equal(text, "-ERR max number of clients reached\r\n");
    assert_int_equal(recv(third, text, sizeof(text), MSG_DONTWAIT), 0);
    close(third);
    close(first);
    third = connect_client(w); /* in the very turn in which the place becomes free */
    ask(w, third, "PING\r\n", "+PONG\r\n");
    ask(w, second, "PING\r\n", "+PONG\r\n");
    assert_int_equal(net_metrics(w->net)->rejected_connections, 1);
    close(second);
    close(third);
}

/* Many clients that arrive at once are let in a few at a time, behind those who are here. */
static void listener__takes_a_storm_in_shares(void **state)
{
    struct world *w = *state;
    struct errtext err;
    int fds[3 * NET_ACCEPTS];
    w->options.maxclients = 1000;
    assert_int_equal(net_listen(w->net, &err), NET_OK);
    int first = connect_client(w);
    struct sockaddr_un a = address_of(w);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&a, sizeof(a)), 0);
    }
    char pong[16];
    for (size_t turn = 1; turn <= ARRAY_LEN(fds) / NET_ACCEPTS; turn++) {
        assert_int_equal(send(first, "PING\r\n", 6, MSG_NOSIGNAL), 6);
        turns(w, 1);
        assert_int_equal(w->net->conns_count, 1 + turn * NET_ACCEPTS);
        /* A turn begins with the replies to what the one before has read. */
        assert_int_equal(recv(first, pong, sizeof(pong), MSG_DONTWAIT), turn > 1 ? 7 : -1);
    }
    turns(w, 1);
    assert_int_equal(recv(first, pong, sizeof(pong), MSG_DONTWAIT), 7);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        ask(w, fds[i], "PING\r\n", "+PONG\r\n");
        close(fds[i]);
    }
    close(first);
}

static void listener__needs_something_to_listen_on(void **state)
{
    struct world *w = *state;
    struct errtext err;
    assert_int_equal(option_set_load(w->set, strview_str("unixsocket"), strview_str(""), &err), 0);
    assert_int_equal(net_listen(w->net, &err), NET_BAD_OPTION);
}

static void listener__modes_are_octal(void **state)
{
    (void)state;
    unsigned mode = 1;
    assert_true(unix_perm_parse("0", &mode));
    assert_int_equal(mode, 0);
    assert_true(unix_perm_parse("0755", &mode));
    assert_int_equal(mode, 0755);
    assert_false(unix_perm_parse("", &mode));
    assert_false(unix_perm_parse("8", &mode));
    assert_false(unix_perm_parse("1777", &mode));
    assert_false(unix_perm_parse("00777", &mode));
}

static void net__judges_output_limits(void **state)
{
    struct world *w = *state;
    struct errtext err;
    size_t at = 0;
    while (strcmp(net_option_table.rows[at].name, "client-output-buffer-limit") != 0) {
        at++;
        assert_true(at < net_option_table.count);
    }
    const struct option *row = &net_option_table.rows[at];
    const struct strview name = strview_str(row->name);
    assert_int_equal(
        option_set_load(w->set, name, strview_str("normal 1mb 2kb 3 pubsub 0 0 0"), &err), 0);
    assert_int_equal(net_apply_option(w->net, row, &err), 0);
    assert_int_equal(w->net->output_limits[OUTPUT_NORMAL].hard, 1 << 20);
    assert_int_equal(w->net->output_limits[OUTPUT_NORMAL].soft, 2 << 10);
    assert_int_equal(w->net->output_limits[OUTPUT_NORMAL].soft_seconds, 3);
    const char *const bad[] = {"normal", "normal 1mb 2mb", "normal 1mb 2mb x", "nobody 1 2 3"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(option_set_load(w->set, name, strview_str(bad[i]), &err), 0);
        assert_int_equal(net_apply_option(w->net, row, &err), NET_BAD_OPTION);
    }
    assert_int_equal(w->net->output_limits[OUTPUT_NORMAL].hard, 1 << 20);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

static struct sockaddr_storage peer_of(const char *text)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in *v4 = (void *)&a;
    struct sockaddr_in6 *v6 = (void *)&a;
    if (strchr(text, ':') != NULL) {
        a.ss_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    } else {
        a.ss_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, text, &v4->sin_addr), 1);
    }
    return a;
}

/* Protected mode lets in nobody else while there is no password. */
static void listener__knows_peers_on_the_same_machine(void **state)
{
    static const char *const inside[] = {"127.0.0.1", "127.255.0.3", "::1", "::ffff:127.0.0.1"};
    static const char *const outside[] = {"192.0.2.1",   "128.0.0.1",        "10.0.0.1", "0.0.0.0",
                                          "2001:db8::1", "::ffff:192.0.2.1", "::"};
    for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
        const struct sockaddr_storage peer = peer_of(inside[i]);
        assert_true(address_is_local(&peer));
    }
    for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
        const struct sockaddr_storage peer = peer_of(outside[i]);
        assert_false(address_is_local(&peer));
    }
    const struct sockaddr_storage socket_file = {.ss_family = AF_UNIX};
    assert_true(address_is_local(&socket_file));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listener__knows_peers_on_the_same_machine),
        CASE(listener__serves_a_unix_socket_with_its_mode),
        CASE(listener__replaces_a_dead_socket_but_not_a_live_one),
        CASE(listener__leaves_a_file_that_is_no_socket),
        CASE(listener__refuses_one_client_too_many),
        CASE(listener__takes_a_storm_in_shares),
        CASE(listener__needs_something_to_listen_on),
        CASE(listener__modes_are_octal),
        CASE(net__judges_output_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
