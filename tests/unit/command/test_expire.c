/* Expiry: exact to the millisecond, conditions, overflow, and the two clocks. */
#include "../../support/command_fixture.h"

#include <string.h>

#define WRONG_EXPIRE(command) "-ERR invalid expire time in '" command "' command\r\n"

static void expire__sets_and_shows(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "EXPIRE k 10", ZERO);
    assert_reply(f, "TTL k", ":-2\r\n");
    assert_reply(f, "EXPIRETIME k", ":-2\r\n");
    assert_reply(f, "SET k v", OK);
    assert_reply(f, "TTL k", ":-1\r\n");
    assert_reply(f, "PEXPIRETIME k", ":-1\r\n");
    assert_reply(f, "EXPIRE k 10", ONE);
    assert_reply(f, "TTL k", ":10\r\n");
    assert_reply(f, "PTTL k", ":10000\r\n");
    assert_reply(f, "EXPIRETIME k", ":1700000010\r\n");
    assert_reply(f, "PEXPIRETIME k", ":1700000010000\r\n");
    assert_reply(f, "PEXPIREAT k 1700000001499", ONE);
    assert_reply(f, "TTL k", ":1\r\n");
    assert_reply(f, "PTTL k", ":1499\r\n");
    assert_reply(f, "PEXPIRE k 1500", ONE);
    assert_reply(f, "TTL k", ":2\r\n");
    assert_reply(f, "EXPIREAT k 1700000100", ONE);
    assert_reply(f, "TTL k", ":100\r\n");
    assert_reply(f, "PERSIST k", ONE);
    assert_reply(f, "PERSIST k", ZERO);
    assert_reply(f, "PERSIST none", ZERO);
    assert_reply(f, "TTL k", ":-1\r\n");
}

static void expire__is_exact(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET k v PX 100", OK);
    fixture_advance(f, 99);
    assert_reply(f, "PTTL k", ONE);
    assert_reply(f, "GET k", "$1\r\nv\r\n");
    fixture_advance(f, 1);
    assert_reply(f, "GET k", NIL);
    assert_reply(f, "TTL k", ":-2\r\n");
    assert_reply(f, "PERSIST k", ZERO);
    assert_reply(f, "SET k w XX", NIL);
    assert_reply(f, "KEYS *", "*0\r\n");
}

static void expire__relative_times_ignore_the_wall_clock(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET k v EX 100", OK);
    f->clock.wall_ms += 3600 * 1000;
    assert_reply(f, "TTL k", ":100\r\n");
    assert_reply(f, "EXPIRETIME k", ":1700003700\r\n");
}

static void expire__in_the_past_removes(void **state)
{
    struct fixture *f = *state;
    const char *lines[] = {"EXPIRE k 0",
                           "EXPIRE k -1",
                           "PEXPIRE k -9223372036854775808",
                           "EXPIREAT k 1",
                           "EXPIREAT k -1000",
                           "PEXPIREAT k 0",
                           "PEXPIREAT k -9223372036854775808",
                           "PEXPIREAT k 1700000000000"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        assert_reply(f, "SET k v", OK);
        assert_reply(f, lines[i], ONE);
        assert_reply(f, "EXISTS k", ZERO);
        assert_reply(f, lines[i], ZERO);
    }
}

static void expire__refuses_overflow(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET k v EX 50", OK);
    assert_reply(f, "EXPIRE k 9223372036854775807", WRONG_EXPIRE("expire"));
    assert_reply(f, "EXPIRE k -9223372036854775808", WRONG_EXPIRE("expire"));
    assert_reply(f, "EXPIRE k 9223372036854775", WRONG_EXPIRE("expire"));
    assert_reply(f, "PEXPIRE k 9223372036854775807", WRONG_EXPIRE("pexpire"));
    assert_reply(f, "EXPIREAT k 9223372036854776", WRONG_EXPIRE("expireat"));
    assert_reply(f, "EXPIREAT k -9223372036854776", WRONG_EXPIRE("expireat"));
    assert_reply(f, "EXPIRE k 9223372036854775808", NOT_AN_INTEGER);
    assert_reply(f, "EXPIRE k ten", NOT_AN_INTEGER);
    assert_reply(f, "EXPIRE none 9223372036854775807", WRONG_EXPIRE("expire"));
    assert_reply(f, "TTL k", ":50\r\n");
}

static void expire__conditions(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET k v", OK);
    assert_reply(f, "EXPIRE k 10 XX", ZERO);
    assert_reply(f, "EXPIRE k 10 GT", ZERO); /* no expiry is the latest there is */
    assert_reply(f, "EXPIRE k 10 LT", ONE);
    assert_reply(f, "EXPIRE k 10 NX", ZERO);
    assert_reply(f, "EXPIRE k 20 XX", ONE);
    assert_reply(f, "EXPIRE k 20 GT", ZERO);
    assert_reply(f, "EXPIRE k 20 LT", ZERO);
    assert_reply(f, "EXPIRE k 21 GT", ONE);
    assert_reply(f, "EXPIRE k 20 LT", ONE);
    assert_reply(f, "EXPIRE k 30 XX GT", ONE);
    assert_reply(f, "EXPIRE k 30 gt gt", ZERO);
    assert_reply(f, "EXPIRE k -1 GT", ZERO);
    assert_reply(f, "EXPIRE k -1 LT", ONE);
    assert_reply(f, "SET k v", OK);
    assert_reply(f, "PEXPIREAT k 1700000000010 NX", ONE);
    assert_reply(f, "PTTL k", ":10\r\n");
}

static void expire__refuses_contradictions(void **state)
{
    struct fixture *f = *state;
    const char *nx = "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n";
    assert_reply(f, "EXPIRE k 10 NX XX", nx);
    assert_reply(f, "EXPIRE k 10 NX GT", nx);
    assert_reply(f, "EXPIRE k 10 LT NX", nx);
    assert_reply(f, "EXPIRE k 10 GT LT",
                 "-ERR GT and LT options at the same time are not compatible\r\n");
    assert_reply(f, "EXPIRE k 10 YY", "-ERR Unsupported option YY\r\n");
    assert_reply(f, "EXPIRE k ten YY", "-ERR Unsupported option YY\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(expire__sets_and_shows),
        TEST(expire__is_exact),
        TEST(expire__relative_times_ignore_the_wall_clock),
        TEST(expire__in_the_past_removes),
        TEST(expire__refuses_overflow),
        TEST(expire__conditions),
        TEST(expire__refuses_contradictions),
    };
    return cmocka_run_group_tests_name("command/expire", tests, NULL, NULL);
}
