/* CLIENT TRACKING: the bounds of its table, and memory that cannot be had. */
#include "../../support/command_fixture.h"

#include <stdio.h>

#include "fault_alloc.h"
#include "src/command/observers.h"

static void open_tracker(struct fixture *f, struct client *c, const char *line)
{
    client_open(f, c);
    (void)client_run(f, c, "HELLO 3");
    client_assert_reply(f, c, line, OK, __FILE__, __LINE__);
    buf_clear(&c->out);
}

static void assert_out(struct client *c, const char *expected)
{
    const struct strview out = buf_view(&c->out);
    if (!strview_eq(out, strview_str(expected))) {
        fail_msg("got %.*s\nwanted %s", STRVIEW_ARG(out), expected);
    }
    buf_clear(&c->out);
}

#define INVALIDATE(key_with_len) ">2\r\n$10\r\ninvalidate\r\n*1\r\n" key_with_len "\r\n"

static void tracking__the_last_tracker_clears_the_bit(void **state)
{
    struct fixture *f = *state;
    struct client c;
    open_tracker(f, &c, "CLIENT TRACKING ON");
    (void)client_run(f, &c, "GET a");
    assert_int_equal(f->env.observed, OBSERVED_TRACKING);
    assert_int_equal(f->env.observers->tracking.items, 1);
    client_close(f, &c);
    assert_int_equal(f->env.observed, 0);
    assert_int_equal(f->env.observers->tracking.keys.count, 0);
    assert_int_equal(f->env.observers->tracking.sessions.count, 0);
}

static void tracking__readers_of_one_key_are_told_in_order(void **state)
{
    struct fixture *f = *state;
    struct client c[5];
    for (int i = 0; i < 5; i++) {
        open_tracker(f, &c[i], "CLIENT TRACKING ON");
    }
    for (int i = 4; i >= 0; i--) {
        (void)client_run(f, &c[i], "MGET a a b");
        buf_clear(&c[i].out);
    }
    assert_int_equal(f->env.observers->tracking.items, 10);
    client_close(f, &c[2]);
    assert_reply(f, "SET a 1", OK);
    assert_int_equal(f->env.observers->tracking.items, 5);
    for (int i = 0; i < 5; i++) {
        if (i != 2) {
            assert_out(&c[i], INVALIDATE("$1\r\na"));
            client_close(f, &c[i]);
        }
    }
}

static void tracking__the_oldest_keys_leave_a_full_table(void **state)
{
    struct fixture *f = *state;
    struct client c;
    f->options.tracking_table_max_keys = 2;
    open_tracker(f, &c, "CLIENT TRACKING ON");
    (void)client_run(f, &c, "MGET a b");
    (void)client_run(f, &c, "GET c");
    assert_out(&c, "_\r\n" INVALIDATE("$1\r\na"));
    f->options.tracking_table_max_keys = 1;
    command_turn_end(&f->env);
    assert_out(&c, INVALIDATE("$1\r\nb"));
    assert_int_equal(f->env.observers->tracking.keys.count, 1);
    client_close(f, &c);
}

static void tracking__a_flush_gives_its_memory_back_in_slices(void **state)
{
    struct fixture *f = *state;
    struct client c;
    char line[32];
    open_tracker(f, &c, "CLIENT TRACKING ON");
    for (int i = 0; i < 10000; i++) {
        snprintf(line, sizeof(line), "GET key:%d", i);
        (void)client_run(f, &c, line);
    }
    buf_clear(&c.out);
    const size_t full = f->env.observers->tracking.bytes;
    assert_reply(f, "FLUSHALL", OK);
    assert_out(&c, ">2\r\n$10\r\ninvalidate\r\n_\r\n");
    assert_int_equal(f->env.observers->tracking.keys.count, 0);
    assert_int_equal(f->env.observers->tracking.bytes, full);
    for (int i = 0; i < 3; i++) {
        assert_true(f->env.observers->tracking.bytes > 0);
        command_turn_end(&f->env);
    }
    assert_int_equal(f->env.observers->tracking.bytes, 0);
    client_close(f, &c);
}

static void tracking__bcast_gathers_until_the_end_of_the_turn(void **state)
{
    struct fixture *f = *state;
    struct client c, own;
    open_tracker(f, &c, "CLIENT TRACKING ON BCAST PREFIX a");
    open_tracker(f, &own, "CLIENT TRACKING ON BCAST NOLOOP");
    assert_reply(f, "SET a1 1", OK);
    assert_reply(f, "SET a2 1", OK);
    assert_reply(f, "SET b 1", OK);
    assert_reply(f, "SET a1 2", OK);
    client_assert_reply(f, &own, "SET a3 1", OK, __FILE__, __LINE__);
    buf_clear(&own.out);
    assert_out(&c, "");
    command_turn_end(&f->env);
    assert_out(&c, ">2\r\n$10\r\ninvalidate\r\n*3\r\n$2\r\na1\r\n$2\r\na2\r\n$2\r\na3\r\n");
    assert_out(&own, ">2\r\n$10\r\ninvalidate\r\n*3\r\n$2\r\na1\r\n$2\r\na2\r\n$1\r\nb\r\n");
    command_turn_end(&f->env);
    assert_out(&c, "");
    client_close(f, &c);
    client_close(f, &own);
}

/* Whoever cannot be remembered, or told of a key, is told to forget. */
static void tracking__survives_failing_allocations(void **state)
{
    struct fixture *f = *state;
    const struct strview get[] = {strview_str("GET"), strview_str("a")};
    const struct strview set[] = {strview_str("SET"), strview_str("a"), strview_str("1")};
    static const char *const modes[] = {"CLIENT TRACKING ON", "CLIENT TRACKING ON BCAST"};
    for (size_t mode = 0; mode < 2; mode++) {
        for (size_t good = 0; good < 6; good++) {
            struct client c;
            open_tracker(f, &c, modes[mode]);
            fault_alloc_arm(good, 1);
            (void)client_run_argv(f, &c, get, 2);
            struct strview out = buf_view(&c.out);
            const bool was_told = !c.out.failed && out.len > 5 && out.data[out.len - 1] == '\n';
            const bool can_tell = !c.out.failed;
            (void)client_run_argv(f, &f->client, set, 3);
            command_turn_end(&f->env);
            fault_alloc_disarm();
            if (can_tell && !was_told) {
                assert_true(c.out.failed || buf_len(&c.out) > 0);
            }
            client_close(f, &c);
            assert_int_equal(f->env.observed, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tracking__the_last_tracker_clears_the_bit, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(tracking__readers_of_one_key_are_told_in_order,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(tracking__the_oldest_keys_leave_a_full_table, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(tracking__a_flush_gives_its_memory_back_in_slices,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(tracking__bcast_gathers_until_the_end_of_the_turn,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(tracking__survives_failing_allocations, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
