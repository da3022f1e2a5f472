/* SLOWLOG: what is kept of a command, and how long. */
#include "../../support/command_fixture.h"

#include <stdio.h>
#include <string.h>

static void configure(struct fixture *f, int64_t slower_than_us, int64_t max_len)
{
    struct errtext err;
    f->options.slowlog_log_slower_than = slower_than_us;
    f->options.slowlog_max_len = max_len;
    assert_int_equal(
        command_apply_option(&f->env, &(struct option){.name = "slowlog-max-len"}, &err), 0);
}

/* The reply has this part. */
static void assert_has(struct fixture *f, const char *line, const char *part)
{
    const struct strview reply = client_run(f, &f->client, line);
    char text[8192];
    assert_true(reply.len < sizeof(text));
    memcpy(text, reply.data, reply.len);
    text[reply.len] = '\0';
    if (strstr(text, part) == NULL) {
        fail_msg("%s: no '%s' in:\n%s", line, part, text);
    }
}

static void slowlog__keeps_time_words_and_client(void **state)
{
    struct fixture *f = *state;
    configure(f, 0, 128);
    snprintf(f->client.session.address, sizeof(f->client.session.address), "10.0.0.1:5");
    assert_reply(f, "SLOWLOG RESET", OK);
    assert_reply(f, "CLIENT SETNAME me", OK);
    assert_has(f, "SLOWLOG GET 1", "*1\r\n*6\r\n:1\r\n:1700000000\r\n:");
    assert_reply(f, "SLOWLOG LEN", ":3\r\n");
    assert_has(f, "SLOWLOG GET",
               "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$2\r\nme\r\n"
               "$10\r\n10.0.0.1:5\r\n$2\r\nme\r\n");
}

static void slowlog__count_of_entries(void **state)
{
    struct fixture *f = *state;
    configure(f, 0, 128);
    for (int i = 0; i < 20; i++) {
        assert_reply(f, "PING", "+PONG\r\n");
    }
    assert_has(f, "SLOWLOG GET", "*10\r\n*6");
    assert_has(f, "SLOWLOG GET -1", "*21\r\n*6");
    assert_has(f, "SLOWLOG GET 1000", "*22\r\n*6");
    assert_has(f, "SLOWLOG GET 2", "*2\r\n*6");
    assert_reply(f, "SLOWLOG GET 0", "*0\r\n");
    assert_reply(f, "SLOWLOG GET -2", "-ERR count should be greater than or equal to -1\r\n");
    assert_reply(f, "SLOWLOG GET x", "-ERR count should be greater than or equal to -1\r\n");
    assert_reply(f, "SLOWLOG GET 1 2",
                 "-ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG "
                 "HELP.\r\n");
}

static void slowlog__the_oldest_leave(void **state)
{
    struct fixture *f = *state;
    configure(f, 0, 3);
    for (int i = 0; i < 10; i++) {
        assert_reply(f, "PING", "+PONG\r\n");
    }
    assert_has(f, "SLOWLOG GET", "*3\r\n*6\r\n:9\r\n");
    configure(f, -1, 1);
    assert_reply(f, "SLOWLOG LEN", ONE);
    configure(f, 0, 0);
    assert_reply(f, "SLOWLOG LEN", ZERO);
    assert_reply(f, "SLOWLOG LEN", ZERO);
}

static void slowlog__only_what_is_slow(void **state)
{
    struct fixture *f = *state;
    f->options.enable_debug_command = true;
    configure(f, 200000, 128);
    assert_reply(f, "PING", "+PONG\r\n");
    assert_reply(f, "SLOWLOG LEN", ZERO);
    assert_reply(f, "DEBUG SLEEP 0.21", OK);
    assert_reply(f, "SLOWLOG LEN", ONE);
    configure(f, -1, 128);
    assert_reply(f, "DEBUG SLEEP 0.21", OK);
    assert_reply(f, "SLOWLOG LEN", ONE);
}

static void slowlog__long_words_and_long_lists_are_cut(void **state)
{
    struct fixture *f = *state;
    struct strview argv[40];
    char word[200];
    memset(word, 'a', sizeof(word));
    for (size_t i = 0; i < ARRAY_LEN(argv); i++) {
        argv[i] = strview_str("x");
    }
    argv[0] = strview_str("DEL");
    argv[1] = strview_of(word, 128);
    argv[2] = strview_of(word, 129);
    configure(f, 0, 128);
    (void)client_run_argv(f, &f->client, argv, 3);
    assert_has(f, "SLOWLOG GET 1", "aaa\r\n$146\r\naaaa");
    assert_has(f, "SLOWLOG GET 2", "aaa... (1 more bytes)\r\n");
    (void)client_run_argv(f, &f->client, argv, 32);
    assert_has(f, "SLOWLOG GET 1", "*32\r\n$3\r\nDEL\r\n");
    (void)client_run_argv(f, &f->client, argv, 40);
    assert_has(f, "SLOWLOG GET 1", "*32\r\n$3\r\nDEL\r\n");
    assert_has(f, "SLOWLOG GET 2", "$1\r\nx\r\n$22\r\n... (9 more arguments)\r\n");
}

static void slowlog__passwords_are_not_kept(void **state)
{
    struct fixture *f = *state;
    configure(f, 0, 128);
    (void)client_run(f, &f->client, "AUTH hunter2");
    assert_has(f, "SLOWLOG GET 1", "*2\r\n$4\r\nAUTH\r\n$10\r\n(redacted)\r\n");
    (void)client_run(f, &f->client, "HELLO 2 AUTH default hunter2");
    assert_has(f, "SLOWLOG GET 1", "(redacted)");
}

static void slowlog__transactions_are_logged_by_their_commands(void **state)
{
    struct fixture *f = *state;
    configure(f, 0, 128);
    assert_reply(f, "SLOWLOG RESET", OK);
    assert_reply(f, "MULTI", OK);
    assert_reply(f, "PING", "+QUEUED\r\n");
    assert_reply(f, "EXEC", "*1\r\n+PONG\r\n");
    assert_has(f, "SLOWLOG GET 2", "$4\r\nPING\r\n");
    assert_reply(f, "SLOWLOG LEN", ":4\r\n"); /* RESET, MULTI, PING, GET */
}

static void slowlog__a_wait_for_a_load_is_not_slow(void **state)
{
    struct fixture *f = *state;
    configure(f, 200000, 128);
    (void)fixture_mock(f, "HOLD");
    (void)client_run(f, &f->client, "GET user:1");
    assert_int_equal(f->client.result, COMMAND_SUSPENDED);
    fixture_turn(f);
    fixture_advance(f, 500);
    (void)fixture_mock(f, "RELEASE");
    (void)client_run_again(f, &f->client);
    assert_int_equal(f->client.result, COMMAND_DONE);
    assert_reply(f, "SLOWLOG LEN", ZERO);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(slowlog__keeps_time_words_and_client),
        CASE(slowlog__count_of_entries),
        CASE(slowlog__the_oldest_leave),
        CASE(slowlog__only_what_is_slow),
        CASE(slowlog__long_words_and_long_lists_are_cut),
        CASE(slowlog__passwords_are_not_kept),
        CASE(slowlog__transactions_are_logged_by_their_commands),
        cmocka_unit_test_setup_teardown(slowlog__a_wait_for_a_load_is_not_slow, fixture_setup_maps,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests_name("command/slowlog", tests, NULL, NULL);
}
