/*
 * Connections over socket pairs: what is answered, in which order, when it is not answered yet, and
 * what it costs.
 */
#include <errno.h>
#include <fcntl.h>

#include "conn_world.h"

static bool is_closed(struct world *w, int fd)
{
    char byte;
    turns(w, 4);
    ssize_t n = recv(fd, &byte, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* ---- order ----------------------------------------------------------------------------------- */

static void conn__answers_a_pipeline_in_order(void **state)
{
    struct world *w = *state;
    int fd = open_client(w);
    struct buf request = {0};
    struct buf reply = {0};
    for (int i = 100; i < 999; i++) { /* more than one batch */
        assert_true(buf_printf(&request, "*2\r\n$4\r\nECHO\r\n$3\r\n%d\r\n", i));
        assert_true(buf_printf(&reply, "$3\r\n%d\r\n", i));
    }
    assert_true(buf_append_char(&request, '\0'));
    assert_true(buf_append_char(&reply, '\0'));
    say(fd, request.data);
    assert_string_equal(heard(w, fd), reply.data);
    buf_fini(&request);
    buf_fini(&reply);
    close(fd);
}

static void conn__is_read_later_when_the_turn_is_long(void **state)
{
    struct world *w = *state;
    int a = open_client(w), b = open_client(w), gone = open_client(w);
    turns(w, 1);
    w->net->is_behind = true; /* as after a turn that had no time for somebody */
    say(gone, "PING\r\n");
    say(a, "ECHO 1\r\nECHO 2\r\n");
    say(b, "ECHO 3\r\n");
    close(gone);
    for (int i = 0; i < 100 && w->net->is_behind; i++) {
        turns(w, 1); /* one is enough, unless the machine is so slow that it is long again */
    }
    assert_false(w->net->is_behind);
    assert_string_equal(heard(w, a), "$1\r\n1\r\n$1\r\n2\r\n");
    assert_string_equal(heard(w, b), "$1\r\n3\r\n");
    close(a);
    close(b);
}

static void conn__answers_a_request_cut_at_every_byte(void **state)
{
    struct world *w = *state;
    const char *request = "*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\nPING\r\n*1\r\n$4\r\nPING\r\n";
    int fd = open_client(w);
    for (size_t cut = 1; cut < strlen(request); cut++) {
        assert_int_equal(send(fd, request, cut, 0), cut);
        turns(w, 2);
        say(fd, request + cut);
        assert_string_equal(heard(w, fd), "$5\r\nhello\r\n+PONG\r\n+PONG\r\n");
    }
    for (size_t i = 0; i < strlen(request); i++) {
        assert_int_equal(send(fd, request + i, 1, 0), 1);
        turns(w, 1);
    }
    assert_string_equal(heard(w, fd), "$5\r\nhello\r\n+PONG\r\n+PONG\r\n");
    close(fd);
}

static void conn__runs_nothing_after_quit(void **state)
{
    struct world *w = *state;
    int fd = open_client(w);
    say(fd, "PING\r\n*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nPING\r\nPING\r\n");
    assert_string_equal(heard(w, fd), "+PONG\r\n+OK\r\n");
    assert_true(is_closed(w, fd));
    assert_int_equal(w->env.stats.commands_processed, 2);
    close(fd);
}

static void conn__answers_what_came_before_a_protocol_error(void **state)
{
    struct world *w = *state;
    int fd = open_client(w);
    say(fd, "*1\r\n$4\r\nPING\r\n*1\r\nx\r\n*1\r\n$4\r\nPING\r\n");
    assert_string_equal(heard(w, fd), "+PONG\r\n-ERR Protocol error: expected '$', got 'x'\r\n");
    assert_true(is_closed(w, fd));
    close(fd);
}

static void conn__answers_everything_after_a_half_close(void **state)
{
    struct world *w = *state;
    int fd = open_client(w);
    say(fd, "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nWAIT\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_string_equal(heard(w, fd), "+PONG\r\n");
    struct session *s = container_of(w->env.sessions.next, struct session, link);
    s->ops->resume(s);
    assert_string_equal(heard(w, fd), "+LOADED\r\n+PONG\r\n");
    assert_true(is_closed(w, fd));
    close(fd);
}

static void conn__http_is_closed_without_an_answer(void **state)
{
    struct world *w = *state;
    const char *const lines[] = {"POST / HTTP/1.1\r\nPING\r\n", "get /x HTTP/1.0\r\nPING\r\n",
                                 "Host: x\r\nPING\r\n", "\x16\x03\x01\x02"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        int fd = open_client(w);
        say(fd, lines[i]);
        assert_string_equal(heard(w, fd), "");
        assert_true(is_closed(w, fd));
        close(fd);
    }
    assert_int_equal(w->env.stats.commands_processed, 0);
}

/* ---- holds ----------------------------------------------------------------------------------- */

static void conn__a_suspended_request_holds_only_its_own_connection(void **state)
{
    struct world *w = *state;
    int held = open_client(w);
    struct session *s = container_of(w->env.sessions.next, struct session, link);
    int other = open_client(w);
    say(held,
        "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nWAIT\r\n*2\r\n$4\r\nECHO\r\n$1\r\na\r\n*2\r\n$4\r\nEC");
    say(other, "*1\r\n$4\r\nPING\r\n");
    assert_string_equal(heard(w, held), "+PONG\r\n");
    assert_string_equal(heard(w, other), "+PONG\r\n");
    say(held, "HO\r\n$1\r\nb\r\n*1\r\n$4\r\nWAIT\r\nPING\r\n");
    assert_string_equal(heard(w, held), "");
    s->ops->resume(s);
    assert_string_equal(heard(w, held), "+LOADED\r\n$1\r\na\r\n$1\r\nb\r\n");
    s->ops->resume(s);
    assert_string_equal(heard(w, held), "+LOADED\r\n+PONG\r\n");
    say(held, "PING\r\n");
    assert_string_equal(heard(w, held), "+PONG\r\n");
    close(held);
    close(other);
}

static void conn__input_of_a_suspended_client_is_bounded(void **state)
{
    struct world *w = *state;
    static char junk[1 << 16];
    memset(junk, '\n', sizeof(junk));
    int fd = open_client(w);
    size_t before = all_memory(w);
    say(fd, "WAIT\r\n");
    turns(w, 4);
    for (int i = 0; i < 1000; i++) {
        (void)send(fd, junk, sizeof(junk), MSG_NOSIGNAL);
        turns(w, 1);
    }
    assert_true(all_memory(w) - before < 4 * (size_t)NET_HELD_IN_BYTES);
    close(fd);
    turns(w, 4);
}

static void conn__can_be_closed_while_suspended(void **state)
{
    struct world *w = *state;
    int fd = open_client(w);
    say(fd, "WAIT\r\n");
    turns(w, 4);
    struct session *s = container_of(w->env.sessions.next, struct session, link);
    s->ops->close(s);
    turns(w, 4);
    assert_int_equal(w->env.sessions_count, 0);
    close(fd);
}

static void conn__a_client_that_left_is_not_waited_for_long(void **state)
{
    struct world *w = *state;
    int fd = open_client(w);
    say(fd, "WAIT\r\n");
    turns(w, 4);
    close(fd);
    int64_t begin_ms = w->clock.mono_ms;
    while (w->env.sessions_count > 0 && w->clock.mono_ms - begin_ms < 20000) {
        (void)ev_run(w->loop, EVRUN_ONCE);
    }
    assert_int_equal(w->env.sessions_count, 0);
}

static void conn__a_delayed_reply_comes_late(void **state)
{
    struct world *w = *state;
    int fd = open_client(w);
    say(fd, "*2\r\n$5\r\nDELAY\r\n$2\r\n30\r\n*1\r\n$4\r\nPING\r\n");
    int64_t begin_ms = w->clock.mono_ms;
    assert_string_equal(heard(w, fd), "");
    char text[64] = "";
    for (int i = 0; i < TURNS_MAX && text[0] == '\0'; i++) {
        (void)ev_run(w->loop, EVRUN_ONCE);
        ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
        text[n > 0 ? n : 0] = '\0';
    }
    assert_true(w->clock.mono_ms - begin_ms >= 30);
    assert_string_equal(text, "+OK\r\n+PONG\r\n");
    close(fd);
}

static void conn__can_be_killed_while_its_requests_are_queued(void **state)
{
    struct world *w = *state;
    int killer = open_client(w);
    int victim = open_client(w);
    say(killer, "*1\r\n$4\r\nKILL\r\n");
    say(victim, "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n");
    assert_string_equal(heard(w, killer), "+OK\r\n");
    assert_true(is_closed(w, victim));
    assert_int_equal(w->env.sessions_count, 1);
    close(killer);
    close(victim);
}

/* ---- cost ------------------------------------------------------------------------------------ */

static void conn__replies_not_read_stop_its_requests(void **state)
{
    struct world *w = *state;
    int fd = open_client(w);
    struct buf requests = {0};
    for (int i = 0; i < 2000; i++) {
        assert_true(buf_append_str(&requests, "*2\r\n$3\r\nBIG\r\n$5\r\n10000\r\n"));
    }
    size_t most = 0;
    for (int i = 0; i < 200; i++) { /* sends and does not read */
        push(fd, &requests);
        turns(w, 1);
        most = size_max(most, all_memory(w));
    }
    assert_true(most < 4 * (size_t)NET_OUT_SOFT_BYTES);
    assert_true(w->env.stats.commands_processed < 2000);
    const size_t all = 2000 * strlen("$10000\r\n\r\n") + 2000 * 10000;
    size_t read = 0;
    static char sink[1 << 16];
    for (int i = 0; i < TURNS_MAX && read < all; i++) { /* now reads: everything comes */
        push(fd, &requests);
        turns(w, 1);
        ssize_t n = recv(fd, sink, sizeof(sink), 0);
        read += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(read, all);
    buf_fini(&requests);
    close(fd);
}

static void conn__takes_and_gives_large_values(void **state)
{
    struct world *w = *state;
    const size_t size = 5 << 20;
    int fd = open_client(w);
    struct buf value = {0};
    struct buf request = {0};
    struct buf reply = {0};
    for (size_t i = 0; i < size; i++) {
        assert_true(buf_append_char(&value, (char)('a' + i % 23)));
    }
    assert_true(buf_append_str(&request, "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$5242880\r\n"));
    assert_true(buf_append_view(&request, buf_view(&value)));
    assert_true(buf_append_str(&request, "\r\n"));
    const size_t expected = strlen("+PONG\r\n$5242880\r\n\r\n") + size;
    assert_true(buf_reserve(&reply, expected));
    for (int i = 0; i < TURNS_MAX && buf_len(&reply) < expected; i++) {
        push(fd, &request);
        turns(w, 1);
        ssize_t n = recv(fd, buf_tail(&reply), expected - buf_len(&reply), 0);
        buf_commit(&reply, n > 0 ? (size_t)n : 0);
    }
    assert_int_equal(buf_len(&reply), expected);
    assert_memory_equal(reply.data, "+PONG\r\n$5242880\r\n", 17);
    assert_memory_equal(reply.data + 17, value.data, size);
    turns(w, 4);
    assert_int_equal(w->net->buffers_bytes, 0);
    buf_fini(&value);
    buf_fini(&request);
    buf_fini(&reply);
    close(fd);
}

static void conn__an_idle_one_owns_no_buffers(void **state)
{
    struct world *w = *state;
    int fds[10];
    for (int i = 0; i < 10; i++) {
        fds[i] = open_client(w);
        say(fds[i], "*1\r\n$4\r\nPI");
    }
    turns(w, 2);
    assert_true(w->net->buffers_bytes > 0);
    assert_true(w->net->buffers_bytes <= 10 * 128);
    for (int i = 0; i < 10; i++) {
        say(fds[i], "NG\r\n");
        assert_string_equal(heard(w, fds[i]), "+PONG\r\n");
    }
    assert_int_equal(w->net->buffers_bytes, 0);
    for (int i = 0; i < 10; i++) {
        close(fds[i]);
    }
    turns(w, 4);
    assert_int_equal(w->net->conns_count, 0);
    assert_true(list_is_empty(&w->net->conns));
}

static void conn__announced_bytes_cost_nothing_before_they_come(void **state)
{
    struct world *w = *state;
    int fd = open_client(w);
    say(fd, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$60000000\r\nabc");
    turns(w, 4);
    assert_true(w->net->buffers_bytes < 1024);
    close(fd);
}

static void conn__too_much_unfinished_input_closes_it(void **state)
{
    struct world *w = *state;
    w->options.client_query_buffer_limit = 1 << 20;
    int fd = open_client(w);
    static char bytes[1 << 16];
    say(fd, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$60000000\r\n");
    for (int i = 0; i < 100; i++) {
        (void)send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        turns(w, 2);
    }
    assert_true(is_closed(w, fd));
    assert_int_equal(net_metrics(w->net)->client_query_buffer_limit_disconnections, 1);
    close(fd);
}

static void count_call(void *ctx)
{
    ++*(int *)ctx;
}

static void net__drain_answers_what_was_sent_and_ends_once(void **state)
{
    struct world *w = *state;
    int drained = 0;
    int idle = open_client(w);
    int waiting = open_client(w);
    struct session *s = container_of(w->env.sessions.prev, struct session, link);
    say(waiting, "*1\r\n$4\r\nWAIT\r\n*1\r\n$4\r\nPING\r\n");
    turns(w, 3);
    net_drain(w->net, count_call, &drained);
    assert_true(is_closed(w, idle));
    assert_int_equal(drained, 0);
    s->ops->resume(s);
    assert_string_equal(heard(w, waiting), "+LOADED\r\n+PONG\r\n");
    assert_true(is_closed(w, waiting));
    assert_int_equal(drained, 1);
    close(idle);
    close(waiting);
}

/* ---- the budget of buffers ---- */

/* Sends the beginning of a request, `bytes` of it; the rest never comes. */
static int open_holder(struct world *w, size_t bytes)
{
    int fd = open_client(w);
    struct buf request = {0};
    assert_true(buf_append_str(&request, "*2\r\n$4\r\nECHO\r\n$60000000\r\n"));
    assert_true(buf_reserve(&request, bytes));
    memset(buf_tail(&request), 'x', bytes);
    buf_commit(&request, bytes);
    for (int i = 0; i < TURNS_MAX && buf_len(&request) > 0; i++) {
        push(fd, &request);
        turns(w, 1);
    }
    buf_fini(&request);
    turns(w, 2);
    return fd;
}

static void conn__buffers_are_counted_apart(void **state)
{
    struct world *w = *state;
    int idle = open_client(w);
    say(idle, "PING\r\n"); /* what all share is there after the first request */
    assert_string_equal(heard(w, idle), "+PONG\r\n");
    size_t before = net_memory(w->net);
    int fd = open_holder(w, 300000);
    assert_int_equal(net_memory(w->net) - before, sizeof(struct conn));
    assert_true(net_buffer_memory(w->net) >= 300000);
    assert_true(net_buffer_memory(w->net) < 4 * 300000);
    close(fd);
    turns(w, 4);
    assert_int_equal(net_memory(w->net), before);
    assert_int_equal(w->net->buffers_bytes, 0);
    close(idle);
}

static void conn__largest_buffers_are_closed_above_the_budget(void **state)
{
    struct world *w = *state;
    int small = open_holder(w, 10000);
    int large = open_holder(w, 900000);
    int middle = open_holder(w, 200000);
    int idle = open_client(w);
    turns(w, 4);
    assert_int_equal(w->net->stats.evicted_clients, 0); /* no budget */
    w->options.maxmemory_clients = (int64_t)w->net->buffers_bytes - 1;
    turns(w, 4);
    assert_true(is_closed(w, large));
    assert_int_equal(w->net->stats.evicted_clients, 1);
    assert_int_equal(w->net->conns_count, 3);
    w->options.maxmemory_clients = 1; /* the least there can be is more */
    turns(w, 4);
    assert_true(is_closed(w, middle));
    assert_int_equal(w->net->stats.evicted_clients, 2);
    assert_int_equal(w->net->conns_count, 2);
    say(idle, "PING\r\n");
    assert_string_equal(heard(w, idle), "+PONG\r\n");
    close(small);
    close(large);
    close(middle);
    close(idle);
}

static void conn__no_evict_is_spared_by_the_budget(void **state)
{
    struct world *w = *state;
    int spared = open_holder(w, 900000);
    container_of(w->env.sessions.prev, struct session, link)->flags |= SESSION_NO_EVICT;
    int other = open_holder(w, 300000);
    w->options.maxmemory_clients = 200000;
    turns(w, 4);
    assert_true(is_closed(w, other));
    assert_int_equal(w->net->conns_count, 1);
    turns(w, 20); /* still above, nobody left to close */
    assert_int_equal(w->net->stats.evicted_clients, 1);
    close(spared);
    close(other);
}

static void conn__budget_can_be_a_share_of_maxmemory(void **state)
{
    struct world *w = *state;
    int fd = open_holder(w, 300000);
    w->options.maxmemory_clients = -10;
    turns(w, 4);
    assert_int_equal(w->net->conns_count, 1); /* of nothing */
    net_set_maxmemory(w->net, 100 << 20);
    turns(w, 4);
    assert_int_equal(w->net->conns_count, 1);
    net_set_maxmemory(w->net, 2 << 20);
    turns(w, 4);
    assert_int_equal(w->net->conns_count, 0);
    assert_int_equal(w->net->stats.evicted_clients, 1);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(conn__answers_a_pipeline_in_order),
        CASE(conn__is_read_later_when_the_turn_is_long),
        CASE(conn__answers_a_request_cut_at_every_byte),
        CASE(conn__runs_nothing_after_quit),
        CASE(conn__answers_what_came_before_a_protocol_error),
        CASE(conn__answers_everything_after_a_half_close),
        CASE(conn__http_is_closed_without_an_answer),
        CASE(conn__a_suspended_request_holds_only_its_own_connection),
        CASE(conn__input_of_a_suspended_client_is_bounded),
        CASE(conn__can_be_closed_while_suspended),
        CASE(conn__a_client_that_left_is_not_waited_for_long),
        CASE(conn__a_delayed_reply_comes_late),
        CASE(conn__can_be_killed_while_its_requests_are_queued),
        CASE(conn__replies_not_read_stop_its_requests),
        CASE(conn__takes_and_gives_large_values),
        CASE(conn__an_idle_one_owns_no_buffers),
        CASE(conn__announced_bytes_cost_nothing_before_they_come),
        CASE(conn__too_much_unfinished_input_closes_it),
        CASE(conn__buffers_are_counted_apart),
        CASE(conn__largest_buffers_are_closed_above_the_budget),
        CASE(conn__no_evict_is_spared_by_the_budget),
        CASE(conn__budget_can_be_a_share_of_maxmemory),
        CASE(net__drain_answers_what_was_sent_and_ends_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
