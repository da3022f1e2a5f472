/* HOTKEYS: what is asked for, what is weighed, when it ends. */
#include "../../support/command_fixture.h"

#include <stdio.h>
#include <string.h>

#include "src/command/hotkeys.h"
#include "src/command/observers.h"

static struct hotkeys *hotkeys(struct fixture *f)
{
    return f->env.observers->hotkeys;
}

static void hotkeys__refusals(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "HOTKEYS START", "-ERR METRICS parameter is required\r\n");
    assert_reply(f, "HOTKEYS START COUNT 3", "-ERR METRICS parameter is required\r\n");
    assert_reply(f, "HOTKEYS START METRICS 0", "-ERR METRICS count must be > 0 and <= 2\r\n");
    assert_reply(f, "HOTKEYS START METRICS x CPU", "-ERR METRICS count must be > 0 and <= 2\r\n");
    assert_reply(f, "HOTKEYS START METRICS 3 CPU NET",
                 "-ERR METRICS count must be > 0 and <= 2\r\n");
    assert_reply(f, "HOTKEYS START METRICS 2 CPU",
                 "-ERR METRICS count does not match number of metric types provided\r\n");
    assert_reply(f, "HOTKEYS START METRICS 1 CPU NET", SYNTAX_ERROR);
    assert_reply(f, "HOTKEYS START METRICS 2 GPU TPU",
                 "-ERR METRICS no valid metrics passed. Supported: CPU|NET\r\n");
    assert_reply(f, "HOTKEYS START METRICS 2 CPU cpu",
                 "-ERR METRICS CPU defined more than once!\r\n");
    assert_reply(f, "HOTKEYS START METRICS 2 NET NET",
                 "-ERR METRICS NET defined more than once!\r\n");
    assert_reply(f, "HOTKEYS START METRICS 1 CPU COUNT 0",
                 "-ERR COUNT must be between 1 and 64\r\n");
    assert_reply(f, "HOTKEYS START METRICS 1 CPU COUNT 65",
                 "-ERR COUNT must be between 1 and 64\r\n");
    assert_reply(f, "HOTKEYS START METRICS 1 CPU COUNT", SYNTAX_ERROR);
    assert_reply(f, "HOTKEYS START METRICS 1 CPU DURATION 0",
                 "-ERR DURATION must be between 1 and 1000000\r\n");
    assert_reply(f, "HOTKEYS START METRICS 1 CPU SAMPLE 0",
                 "-ERR SAMPLE ratio must be positive\r\n");
    assert_reply(f, "HOTKEYS START METRICS 1 CPU SLOTS 1 0",
                 "-ERR SLOTS parameter cannot be used in non-cluster mode\r\n");
    assert_reply(f, "HOTKEYS START METRICS 1 CPU NOSUCH 1", SYNTAX_ERROR);
    assert_reply(f, "HOTKEYS GET", NIL);
    assert_reply(f, "HOTKEYS STOP", NIL);
    assert_reply(f, "HOTKEYS RESET", OK);
}

static void hotkeys__life(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "HOTKEYS START METRICS 2 gpu cpu", OK);
    assert_reply(f, "HOTKEYS START METRICS 1 CPU",
                 "-ERR hotkey tracking session already in progress\r\n");
    assert_reply(f, "HOTKEYS RESET",
                 "-ERR hotkey tracking session in progress, stop tracking first\r\n");
    assert_true(f->env.attention != 0);
    assert_true(hotkeys_memory(&f->env) > 0);
    assert_reply(f, "HOTKEYS STOP", OK);
    assert_int_equal(f->env.attention, 0);
    assert_reply(f, "HOTKEYS STOP", NIL);
    assert_reply(f, "HOTKEYS START METRICS 1 NET", OK);
    assert_reply(f, "HOTKEYS STOP", OK);
    assert_reply(f, "HOTKEYS RESET", OK);
    assert_reply(f, "HOTKEYS GET", NIL);
    assert_int_equal(hotkeys_memory(&f->env), 0);
}

static void hotkeys__keys_are_weighed_by_bytes(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET b 123456", OK);
    assert_reply(f, "HOTKEYS START METRICS 1 NET", OK);
    assert_reply(f, "SET a 1", OK);               /* 27 and 5 */
    assert_reply(f, "GET b", "$6\r\n123456\r\n"); /* 20 and 12 */
    assert_reply(f, "GET b", "$6\r\n123456\r\n");
    assert_reply(f, "MGET a c", "*2\r\n$1\r\n1\r\n$-1\r\n"); /* 28 and 16, for two keys */
    assert_reply(f, "PING", "+PONG\r\n");
    assert_reply(f, "HOTKEYS STOP", OK);
    const struct top_key *list[10];
    assert_int_equal(top_keys_list(&hotkeys(f)->by_bytes, list, 10), 3);
    assert_int_equal(list[0]->name[0], 'b');
    assert_int_equal(list[0]->weight, 2 * 32);
    assert_int_equal(list[1]->name[0], 'a');
    assert_int_equal(list[1]->weight, 32 + 22);
    assert_int_equal(list[2]->weight, 22);
    assert_reply(f, "GET b", "$6\r\n123456\r\n");
    assert_int_equal(list[0]->weight, 2 * 32);
}

static void hotkeys__the_reply(void **state)
{
    struct fixture *f = *state;
    char expected[600];
    assert_reply(f, "HOTKEYS START METRICS 1 NET COUNT 1 SAMPLE 1", OK);
    assert_reply(f, "GET a", NIL);
    fixture_advance(f, 1500);
    assert_reply(f, "HOTKEYS STOP", OK);
    fixture_advance(f, 1500);
    snprintf(expected, sizeof(expected),
             "*1\r\n*18\r\n$15\r\ntracking-active\r\n:0\r\n$12\r\nsample-ratio\r\n:1\r\n"
             "$14\r\nselected-slots\r\n*1\r\n*2\r\n:0\r\n:16383\r\n"
             "$25\r\nall-commands-all-slots-us\r\n:%llu\r\n"
             "$32\r\nnet-bytes-all-commands-all-slots\r\n:%llu\r\n"
             "$29\r\ncollection-start-time-unix-ms\r\n:1700000000000\r\n"
             "$22\r\ncollection-duration-ms\r\n:1500\r\n"
             "$15\r\ntotal-net-bytes\r\n:%llu\r\n$12\r\nby-net-bytes\r\n*2\r\n$1\r\na\r\n:25\r\n",
             (unsigned long long)hotkeys(f)->total_ns / 1000,
             (unsigned long long)hotkeys(f)->total_bytes,
             (unsigned long long)hotkeys(f)->total_bytes);
    assert_reply(f, "HOTKEYS GET", expected);
}

static void hotkeys__ends_by_time(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "HOTKEYS START METRICS 1 CPU DURATION 2", OK);
    fixture_advance(f, 1999);
    command_tick(&f->env);
    assert_true(hotkeys(f)->is_active);
    fixture_advance(f, 1);
    command_tick(&f->env);
    assert_false(hotkeys(f)->is_active);
    assert_int_equal(f->env.attention, 0);
}

static void hotkeys__commands_of_a_transaction_count_once(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "HOTKEYS START METRICS 2 CPU NET", OK);
    assert_reply(f, "MULTI", OK);
    const uint64_t before = hotkeys(f)->total_bytes;
    assert_reply(f, "GET a", "+QUEUED\r\n");
    assert_reply(f, "EXEC", "*1\r\n$-1\r\n");
    assert_int_equal(hotkeys(f)->total_bytes - before, 25);
    const struct top_key *list[10];
    assert_int_equal(top_keys_list(&hotkeys(f)->by_bytes, list, 10), 1);
    assert_int_equal(top_keys_list(&hotkeys(f)->by_time, list, 10), 1);
}

static void hotkeys__channels_are_no_keys(void **state)
{
    struct fixture *f = *state;
    const struct top_key *list[10];
    assert_reply(f, "HOTKEYS START METRICS 1 NET", OK);
    assert_reply(f, "SPUBLISH a b", ZERO);
    assert_int_equal(top_keys_list(&hotkeys(f)->by_bytes, list, 10), 0);
}

static void hotkeys__a_sample_is_a_part(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "HOTKEYS START METRICS 1 NET SAMPLE 10", OK);
    for (int i = 0; i < 2000; i++) {
        assert_reply(f, "GET a", NIL);
    }
    const struct top_key *list[10];
    assert_int_equal(top_keys_list(&hotkeys(f)->by_bytes, list, 10), 1);
    assert_in_range(list[0]->weight / 25, 100, 300);
    assert_true(hotkeys(f)->total_bytes >= UINT64_C(2000) * 25);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(hotkeys__refusals),
        CASE(hotkeys__life),
        CASE(hotkeys__keys_are_weighed_by_bytes),
        CASE(hotkeys__the_reply),
        CASE(hotkeys__ends_by_time),
        CASE(hotkeys__commands_of_a_transaction_count_once),
        CASE(hotkeys__channels_are_no_keys),
        CASE(hotkeys__a_sample_is_a_part),
    };
    return cmocka_run_group_tests_name("command/hotkeys", tests, NULL, NULL);
}
