/* What happens to every command: refusals, suppressed replies, statistics, the memory limit. */
#include "../../support/command_fixture.h"

#include <stdio.h>
#include <string.h>

static void dispatch__unknown_command(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "foo", "-ERR unknown command 'foo', with args beginning with: \r\n");
    assert_reply(f, "foo a 'b c'",
                 "-ERR unknown command 'foo', with args beginning with: 'a' 'b c' \r\n");
    assert_reply(f, "\"a\\r\\nb\" \"c\\r\\nd\"",
                 "-ERR unknown command 'a  b', with args beginning with: 'c  d' \r\n");
    assert_reply(f, "\"foo\\x00bar\" \"a\\x00b\"",
                 "-ERR unknown command 'foo', with args beginning with: 'a' \r\n");
    assert_int_equal(f->env.stats.error_replies, 4);
    assert_int_equal(f->env.stats.commands_processed, 0);
}

static void dispatch__unknown_command_is_cut(void **state)
{
    struct fixture *f = *state;
    char name[300], arg[300], expected[600];
    memset(name, 'n', sizeof(name));
    memset(arg, 'a', sizeof(arg));
    const struct strview argv[] = {strview_of(name, sizeof(name)), strview_str("xy"),
                                   strview_of(arg, sizeof(arg)), strview_str("more")};
    /* 128 of the name; of the arguments what fits into 128 with their quotes, and the quotes of the
     * last one. */
    snprintf(expected, sizeof(expected),
             "-ERR unknown command '%.128s', with args beginning with: 'xy' '%.*s' \r\n", name,
             128 - 5, arg);
    name[128] = 'n';
    const struct strview reply = client_run_argv(f, &f->client, argv, 4);
    assert_true(strview_eq(reply, strview_str(expected)));
}

static void dispatch__arity(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "GET", "-ERR wrong number of arguments for 'get' command\r\n");
    assert_reply(f, "GeT a b", "-ERR wrong number of arguments for 'get' command\r\n");
    assert_reply(f, "MGET", "-ERR wrong number of arguments for 'mget' command\r\n");
    assert_reply(f, "OBJECT", "-ERR wrong number of arguments for 'object' command\r\n");
    assert_reply(f, "OBJECT ENCODING",
                 "-ERR wrong number of arguments for 'object|encoding' command\r\n");
    assert_reply(f, "OBJECT NOPE k", "-ERR unknown subcommand 'NOPE'. Try OBJECT HELP.\r\n");
}

static void dispatch__without_a_file_there_is_nothing_to_rewrite(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "CONFIG REWRITE", "-ERR The server is running without a config file\r\n");
}

static void dispatch__authentication(void **state)
{
    struct fixture *f = *state;
    f->options.requirepass.is_set = true;
    f->client.session.flags &= ~(unsigned)SESSION_AUTHENTICATED;
    assert_reply(f, "GET k", "-NOAUTH Authentication required.\r\n");
    assert_reply(f, "nope", "-ERR unknown command 'nope', with args beginning with: \r\n");
    assert_reply(f, "GET", "-ERR wrong number of arguments for 'get' command\r\n");
}

static void dispatch__replies_can_be_suppressed(void **state)
{
    struct fixture *f = *state;
    f->client.session.flags |= SESSION_REPLY_SKIP_NEXT;
    assert_reply(f, "SET k v", "");
    assert_reply(f, "GET k", "$1\r\nv\r\n");
    f->client.session.flags |= SESSION_REPLY_SKIP_NEXT;
    assert_reply(f, "nope", "");
    f->client.session.flags |= SESSION_REPLY_OFF;
    assert_reply(f, "GET k", "");
    assert_reply(f, "GET", "");
    f->client.session.flags &= ~(unsigned)SESSION_REPLY_OFF;
    assert_reply(f, "GET k", "$1\r\nv\r\n");
}

static void dispatch__replies_append(void **state)
{
    struct fixture *f = *state;
    const struct strview get[] = {strview_str("get"), strview_str("k")};
    struct command_call call = {.session = &f->client.session, .argv = get, .argc = 2};
    assert_reply(f, "SET k v", OK);
    for (int i = 0; i < 2; i++) {
        command_prepare(&f->env, &call);
        assert_int_equal(command_run(&f->env, &call), COMMAND_DONE);
    }
    assert_true(strview_eq(buf_view(&f->client.out), strview_str("+OK\r\n$1\r\nv\r\n$1\r\nv\r\n")));
}

/* A SELECT may run between the prepare and the run of a pipelined command. */
static void dispatch__uses_the_database_of_the_run(void **state)
{
    struct fixture *f = *state;
    const struct strview get[] = {strview_str("get"), strview_str("k")};
    struct command_call call = {.session = &f->client.session, .argv = get, .argc = 2};
    assert_reply(f, "SET k zero", OK);
    command_prepare(&f->env, &call);
    f->client.session.db = 1;
    buf_clear(&f->client.out);
    assert_int_equal(command_run(&f->env, &call), COMMAND_DONE);
    assert_true(strview_eq(buf_view(&f->client.out), strview_str(NIL)));
}

static void dispatch__counts(void **state)
{
    struct fixture *f = *state;
    const struct command_metrics *stats = &f->env.stats;
    assert_reply(f, "SET k v", OK);
    assert_int_equal(stats->keyspace_hits + stats->keyspace_misses, 0);
    assert_reply(f, "GET k", "$1\r\nv\r\n");
    assert_reply(f, "GET none", NIL);
    assert_reply(f, "MGET k none k", "*3\r\n$1\r\nv\r\n$-1\r\n$1\r\nv\r\n");
    assert_reply(f, "EXISTS k none", ONE);
    assert_reply(f, "TTL k", ":-1\r\n");
    assert_int_equal(stats->keyspace_hits, 5);
    assert_int_equal(stats->keyspace_misses, 3);
    assert_reply(f, "DEL k none", ONE);
    assert_reply(f, "INCR n", ONE);
    assert_reply(f, "EXPIRE n 10", ONE);
    assert_int_equal(stats->keyspace_hits, 5);
    assert_int_equal(stats->keyspace_misses, 3);
    assert_int_equal(stats->commands_processed, 9);
    assert_int_equal(stats->error_replies, 0);
    assert_reply(f, "GET", "-ERR wrong number of arguments for 'get' command\r\n");
    assert_reply(f, "INCRBY n x", NOT_AN_INTEGER);
    assert_int_equal(stats->commands_processed, 10);
    assert_int_equal(stats->error_replies, 2);
    assert_int_equal(f->client.session.commands, 11);
}

static void dispatch__refuses_growth_when_memory_is_full(void **state)
{
    struct fixture *f = *state;
    char line[1200];
    bool is_full = false;
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    for (int i = 0; i < 100000 && !is_full; i++) {
        line[snprintf(line, sizeof(line), "SET key:%d ", i)] = 'x';
        const struct strview reply = client_run(f, &f->client, line);
        is_full = !strview_eq(reply, strview_str(OK));
    }
    assert_true(is_full);
    const char *oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    assert_reply(f, line, oom);
    assert_int_equal(f->env.stats.error_replies, 2);
    assert_reply(f, "DEL key:0 key:1", ":2\r\n");
    assert_reply(f, "EXISTS key:2", ONE);
}

static void dispatch__sessions_are_numbered_and_listed(void **state)
{
    struct fixture *f = *state;
    struct client second;
    client_open(f, &second);
    assert_int_equal(f->client.session.id, 1);
    assert_int_equal(second.session.id, 2);
    assert_int_equal(f->env.sessions_count, 2);
    client_close(f, &second);
    assert_int_equal(f->env.sessions_count, 1);
    client_open(f, &second);
    assert_int_equal(second.session.id, 3);
    client_close(f, &second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(dispatch__unknown_command),
        TEST(dispatch__unknown_command_is_cut),
        TEST(dispatch__arity),
        TEST(dispatch__without_a_file_there_is_nothing_to_rewrite),
        TEST(dispatch__authentication),
        TEST(dispatch__replies_can_be_suppressed),
        TEST(dispatch__replies_append),
        TEST(dispatch__uses_the_database_of_the_run),
        TEST(dispatch__counts),
        TEST(dispatch__refuses_growth_when_memory_is_full),
        TEST(dispatch__sessions_are_numbered_and_listed),
    };
    return cmocka_run_group_tests_name("command/dispatch", tests, NULL, NULL);
}
