/* Transactions: what the integration tests cannot reach. */
#include "../../support/command_fixture.h"

#include "fault_alloc.h"
#include "src/command/observers.h"
#include "src/command/transaction.h"

#define QUEUED "+QUEUED\r\n"

static void transaction__runs_in_one_go(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "MULTI", OK);
    assert_reply(f, "SET a 1", QUEUED);
    assert_reply(f, "INCR a", QUEUED);
    assert_reply(f, "EXEC", "*2\r\n+OK\r\n:2\r\n");
    assert_reply(f, "EXEC", "-ERR EXEC without MULTI\r\n");
}

/* Whoever watches nothing makes writers look at one word, and it is zero. */
static void transaction__the_last_watch_clears_the_bit(void **state)
{
    struct fixture *f = *state;
    struct client other;
    client_open(f, &other);
    assert_int_equal(f->env.observed, 0);
    assert_reply(f, "WATCH a b", OK);
    client_assert_reply(f, &other, "WATCH a", OK, __FILE__, __LINE__);
    assert_int_equal(f->env.observed, OBSERVED_WATCHES);
    assert_reply(f, "UNWATCH", OK);
    assert_int_equal(f->env.observed, OBSERVED_WATCHES);
    client_close(f, &other);
    assert_int_equal(f->env.observed, 0);
}

static void transaction__a_key_that_expired_breaks_the_watch(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET a 1 PX 100", OK);
    assert_reply(f, "WATCH a", OK);
    fixture_advance(f, 100);
    assert_reply(f, "MULTI", OK);
    assert_reply(f, "EXEC", "*-1\r\n");
    assert_reply(f, "WATCH a", OK); /* absent now, and stays so */
    assert_reply(f, "MULTI", OK);
    assert_reply(f, "EXEC", "*0\r\n");
}

static void transaction__too_large(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "MULTI", OK);
    assert_reply(f, "SET a 1", QUEUED);
    f->client.session.transaction->bytes = TRANSACTION_BYTES_MAX;
    f->env.observers->transactions_bytes = TRANSACTION_BYTES_MAX;
    assert_reply(f, "SET a 2", "-ERR the transaction is too large\r\n");
    assert_reply(f, "SET a 3", QUEUED);
    assert_reply(f, "EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    assert_reply(f, "EXISTS a", ZERO);
    assert_int_equal(f->env.observers->transactions_bytes, 0);
}

/* The limit of memory is looked at when commands are queued, and again at EXEC. */
static void transaction__memory_runs_out_before_exec(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "MULTI", OK);
    assert_reply(f, "SET a 1", QUEUED);
    f->store_options.maxmemory = 1;
    f->store_options.maxmemory_policy = 0; /* noeviction */
    struct errtext err;
    assert_int_equal(store_apply_options(f->store, &err), 0);
    assert_reply(f, "EXEC",
                 "-EXECABORT Transaction discarded because of: OOM command not allowed when used "
                 "memory > 'maxmemory'.\r\n");
    assert_reply(f, "DISCARD", "-ERR DISCARD without MULTI\r\n");
}

static void transaction__a_database_swapped_with_itself_is_the_same(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET a 1", OK);
    assert_reply(f, "WATCH a b", OK);
    assert_reply(f, "SWAPDB 0 0", OK);
    assert_reply(f, "SWAPDB 1 2", OK);
    assert_reply(f, "MULTI", OK);
    assert_reply(f, "EXEC", "*0\r\n");
    assert_reply(f, "WATCH a b", OK);
    assert_reply(f, "SWAPDB 0 1", OK);
    assert_reply(f, "MULTI", OK);
    assert_reply(f, "EXEC", "*-1\r\n");
}

/* A request whose words need no memory of their own. */
static void run(struct fixture *f, const char *name, const char *key, const char *value)
{
    const struct strview argv[] = {strview_str(name), strview_str(key), strview_str(value)};
    const int argc = key[0] == '\0' ? 1 : value[0] == '\0' ? 2 : 3;
    (void)client_run_argv(f, &f->client, argv, argc);
}

static void transaction__survives_failing_allocations(void **state)
{
    struct fixture *f = *state;
    for (size_t good = 0; good < 12; good++) {
        fault_alloc_arm(good, 1);
        run(f, "WATCH", "a", "");
        run(f, "MULTI", "", "");
        run(f, "SET", "a", "1");
        run(f, "GET", "a", "");
        run(f, "EXEC", "", "");
        fault_alloc_disarm();
        (void)client_run(f, &f->client, "DISCARD");
        (void)client_run(f, &f->client, "UNWATCH");
        assert_null(f->client.session.transaction);
        assert_int_equal(f->env.observers->transactions_bytes, 0);
        assert_int_equal(f->env.observed, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(transaction__runs_in_one_go, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(transaction__the_last_watch_clears_the_bit, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(transaction__a_key_that_expired_breaks_the_watch,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(transaction__a_database_swapped_with_itself_is_the_same,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(transaction__too_large, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(transaction__memory_runs_out_before_exec, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(transaction__survives_failing_allocations, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
