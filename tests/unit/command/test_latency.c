/* LATENCY: the samples of events, and how the times of commands and loads are spread. */
#include "../../support/command_fixture.h"

#include <string.h>

#include "src/command/latency.h"
#include "src/command/observers.h"

static void latency__nothing_at_first(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "LATENCY LATEST", "*0\r\n");
    assert_reply(f, "LATENCY HISTORY command", "*0\r\n");
    assert_reply(f, "LATENCY HISTORY nonsense", "*0\r\n");
    assert_reply(f, "LATENCY RESET", ZERO);
    assert_reply(f, "LATENCY GRAPH command", "-ERR No samples available for event 'command'\r\n");
}

static void latency__one_sample_per_second(void **state)
{
    struct fixture *f = *state;
    latency_note(&f->env, LATENCY_COMMAND, 20);
    latency_note(&f->env, LATENCY_COMMAND, 30);
    latency_note(&f->env, LATENCY_COMMAND, 10);
    fixture_advance(f, 1000);
    latency_note(&f->env, LATENCY_COMMAND, 15);
    latency_note(&f->env, LATENCY_FAST_COMMAND, 5);
    assert_reply(f, "LATENCY HISTORY command",
                 "*2\r\n*2\r\n:1700000000\r\n:30\r\n*2\r\n:1700000001\r\n:15\r\n");
    assert_reply(f, "LATENCY LATEST",
                 "*2\r\n*4\r\n$7\r\ncommand\r\n:1700000001\r\n:15\r\n:30\r\n"
                 "*4\r\n$12\r\nfast-command\r\n:1700000001\r\n:5\r\n:5\r\n");
    assert_reply(f, "LATENCY RESET nonsense fast-command", ONE);
    assert_reply(f, "LATENCY HISTORY fast-command", "*0\r\n");
    assert_reply(f, "LATENCY RESET", ONE);
    assert_reply(f, "LATENCY LATEST", "*0\r\n");
}

static void latency__the_oldest_samples_leave(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < LATENCY_SAMPLES + 10; i++) {
        latency_note(&f->env, LATENCY_COMMAND, 1 + i);
        fixture_advance(f, 1000);
    }
    const struct strview reply = client_run(f, &f->client, "LATENCY HISTORY command");
    assert_memory_equal(reply.data, "*160\r\n*2\r\n:1700000010\r\n:11\r\n", 28);
}

static void latency__graph(void **state)
{
    struct fixture *f = *state;
    latency_note(&f->env, LATENCY_COMMAND, 59);
    fixture_advance(f, 61000);
    latency_note(&f->env, LATENCY_COMMAND, 1);
    assert_reply(f, "LATENCY GRAPH command",
                 "$141\r\ncommand - high 59 ms, low 1 ms (all time high 59 ms)\n"
                 "  1m ago ############################################################# 59\n"
                 "  0s ago ## 1\n\r\n");
}

/* The reply begins with a bulk string that has this part. */
static void assert_says(struct fixture *f, const char *line, const char *part)
{
    const struct strview reply = client_run(f, &f->client, line);
    char text[4096];
    assert_true(reply.len < sizeof(text));
    memcpy(text, reply.data, reply.len);
    text[reply.len] = '\0';
    if (strstr(text, part) == NULL) {
        fail_msg("%s: no '%s' in:\n%s", line, part, text);
    }
}

static void latency__doctor(void **state)
{
    struct fixture *f = *state;
    assert_says(f, "LATENCY DOCTOR", "The latency monitor is off.");
    f->options.latency_monitor_threshold = 10;
    assert_says(f, "LATENCY DOCTOR", "Nothing took longer");
    latency_note(&f->env, LATENCY_COMMAND, 20);
    fixture_advance(f, 1000);
    latency_note(&f->env, LATENCY_COMMAND, 30);
    assert_says(f, "LATENCY DOCTOR",
                "command: 2 seconds with slow runs, on average 25 ms, at worst 30 ms\n");
}

static void latency__slow_commands_are_events(void **state)
{
    struct fixture *f = *state;
    f->options.enable_debug_command = true;
    f->options.latency_monitor_threshold = 100;
    assert_reply(f, "DEBUG SLEEP 0.11", OK);
    assert_reply(f, "PING", "+PONG\r\n");
    assert_says(f, "LATENCY LATEST", "*1\r\n*4\r\n$7\r\ncommand\r\n");
}

static void latency__histogram_of_commands(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "LATENCY HISTOGRAM", "*0\r\n");
    f->options.latency_tracking = true;
    assert_reply(f, "GET k", NIL);
    assert_reply(f, "GET k", NIL);
    assert_reply(f, "CONFIG SET a", "-ERR wrong number of arguments for 'config|set' command\r\n");
    assert_says(f, "LATENCY HISTOGRAM get nonsense",
                "*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:2\r\n$14\r\nhistogram_usec\r\n*");
    assert_says(f, "LATENCY HISTOGRAM latency", "$17\r\nlatency|histogram\r\n");
    assert_says(f, "LATENCY HISTOGRAM Latency|Histogram", "$17\r\nlatency|histogram\r\n");
    assert_reply(f, "LATENCY HISTOGRAM config", "*0\r\n");
    (void)client_run(f, &f->client, "HELLO 3");
    assert_says(f, "LATENCY HISTOGRAM get",
                "%1\r\n$3\r\nget\r\n%2\r\n$5\r\ncalls\r\n:2\r\n$14\r\nhistogram_usec\r\n%");
}

static void latency__histogram_of_loads(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "LATENCY HISTOGRAM source", "*0\r\n");
    (void)fixture_mock(f, "HOLD");
    (void)client_run(f, &f->client, "GET user:1");
    fixture_turn(f);
    fixture_advance(f, 100);
    (void)fixture_mock(f, "RELEASE");
    (void)client_run_again(f, &f->client);
    assert_reply(f, "LATENCY HISTOGRAM source",
                 "*2\r\n$6\r\nsource\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n"
                 "*2\r\n:134217\r\n:1\r\n");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(latency__nothing_at_first),
        CASE(latency__one_sample_per_second),
        CASE(latency__the_oldest_samples_leave),
        CASE(latency__graph),
        CASE(latency__doctor),
        CASE(latency__slow_commands_are_events),
        CASE(latency__histogram_of_commands),
        cmocka_unit_test_setup_teardown(latency__histogram_of_loads, fixture_setup_maps,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests_name("command/latency", tests, NULL, NULL);
}
