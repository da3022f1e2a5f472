/* Channels: order, ends of clients, and memory that cannot be had. */
#include "../../support/command_fixture.h"

#include <stdio.h>

#include "fault_alloc.h"
#include "src/command/observers.h"

static void pubsub__a_client_that_ends_leaves_everything(void **state)
{
    struct fixture *f = *state;
    struct client c;
    client_open(f, &c);
    (void)client_run(f, &c, "HELLO 3");
    (void)client_run(f, &c, "SUBSCRIBE a b");
    (void)client_run(f, &c, "PSUBSCRIBE *");
    (void)client_run(f, &c, "SSUBSCRIBE a");
    assert_reply(f, "PUBLISH a x", ":2\r\n");
    assert_reply(f, "SPUBLISH a x", ONE);
    client_close(f, &c);
    assert_reply(f, "PUBLISH a x", ZERO);
    assert_reply(f, "SPUBLISH a x", ZERO);
    assert_reply(f, "PUBSUB CHANNELS", "*0\r\n");
}

static void pubsub__each_gets_its_own_protocol(void **state)
{
    struct fixture *f = *state;
    struct client two, three;
    client_open(f, &two);
    client_open(f, &three);
    (void)client_run(f, &three, "HELLO 3");
    (void)client_run(f, &two, "SUBSCRIBE a");
    (void)client_run(f, &three, "SUBSCRIBE a");
    buf_clear(&two.out);
    buf_clear(&three.out);
    assert_reply(f, "PUBLISH a x", ":2\r\n");
    assert_true(strview_eq(buf_view(&two.out),
                           strview_str("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n")));
    assert_true(strview_eq(buf_view(&three.out),
                           strview_str(">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n")));
    client_close(f, &two);
    client_close(f, &three);
}

/* A client that is about to be closed gets nothing more. */
static void pubsub__a_closing_client_gets_nothing(void **state)
{
    struct fixture *f = *state;
    struct client c;
    client_open(f, &c);
    (void)client_run(f, &c, "SUBSCRIBE a");
    (void)client_run(f, &c, "QUIT");
    buf_clear(&c.out);
    assert_reply(f, "PUBLISH a x", ONE);
    assert_int_equal(buf_len(&c.out), 0);
    client_close(f, &c);
}

static void pubsub__survives_failing_allocations(void **state)
{
    struct fixture *f = *state;
    const struct strview subscribe[] = {strview_str("SUBSCRIBE"), strview_str("a"),
                                        strview_str("b")};
    const struct strview unsubscribe[] = {strview_str("UNSUBSCRIBE")};
    bool has_failed = true;
    for (size_t good = 0; has_failed; good++) {
        struct client c;
        client_open(f, &c);
        fault_alloc_arm(good, 1);
        (void)client_run_argv(f, &c, subscribe, 3);
        has_failed = fault_alloc_disarm();
        (void)client_run_argv(f, &c, unsubscribe, 1);
        assert_int_equal(c.session.flags & SESSION_SUBSCRIBER, 0);
        assert_int_equal(observers_count(&c.session, TOPIC_CHANNEL), 0);
        client_close(f, &c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pubsub__a_client_that_ends_leaves_everything, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(pubsub__each_gets_its_own_protocol, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(pubsub__a_closing_client_gets_nothing, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(pubsub__survives_failing_allocations, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
