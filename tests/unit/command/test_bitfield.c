/* BITFIELD and BITFIELD_RO; replies as Redis 7.0 gives them. */
#include "../../support/command_fixture.h"

#include <stdio.h>
#include <string.h>

#define BAD_TYPE                                                                             \
    "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported " \
    "but i64 is.\r\n"
#define BAD_OFFSET "-ERR bit offset is not an integer or out of range\r\n"

/* One operation on the key k gives one number. */
static void assert_field(struct fixture *f, const char *operation, const char *expected)
{
    char line[200], reply[80];
    snprintf(line, sizeof(line), "BITFIELD k %s", operation);
    snprintf(reply, sizeof(reply), "*1\r\n%s\r\n", expected);
    assert_reply(f, line, reply);
}

static void bitfield__get_and_set(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "BITFIELD k", "*0\r\n");
    assert_field(f, "GET u8 0", ":0");
    assert_reply(f, "EXISTS k", ZERO); /* reading makes no key */
    assert_reply(f, "BITFIELD k SET u8 0 255 GET i8 0 GET u4 4 GET u8 4",
                 "*4\r\n:0\r\n:-1\r\n:15\r\n:240\r\n");
    assert_field(f, "SET i5 3 -3", ":-1");
    assert_field(f, "GET i5 3", ":-3");
    assert_field(f, "GET u5 3", ":29");
    assert_field(f, "SET u8 #2 65", ":0");
    assert_reply(f, "STRLEN k", ":3\r\n");
    assert_reply(f, "GETRANGE k 2 2", "$1\r\nA\r\n");
    assert_field(f, "GET u63 8000", ":0");
    assert_reply(f, "BITFIELD_RO k GET u8 16 GET u8 #2", "*2\r\n:65\r\n:65\r\n");
}

static void bitfield__all_widths_at_all_places(void **state)
{
    struct fixture *f = *state;
    for (int bits = 1; bits <= 64; bits++) {
        for (int at = 0; at < 9; at++) {
            char line[80], expected[40];
            const long long min = bits == 64 ? INT64_MIN : -(1LL << (bits - 1));
            assert_reply(f, "SET k \"\\x5a\\x5a\\x5a\\x5a\\x5a\\x5a\\x5a\\x5a\\x5a\\x5a\"", OK);
            snprintf(line, sizeof(line), "BITFIELD k SET i%d %d %lld", bits, at, min);
            (void)client_run(f, &f->client, line);
            snprintf(line, sizeof(line), "GET i%d %d", bits, at);
            snprintf(expected, sizeof(expected), ":%lld", min);
            assert_field(f, line, expected);
            snprintf(line, sizeof(line), "INCRBY i%d %d -1", bits, at); /* wraps around */
            snprintf(expected, sizeof(expected), ":%lld", -(min + 1));
            assert_field(f, line, expected);
        }
    }
}

static void bitfield__overflow(void **state)
{
    struct fixture *f = *state;
    assert_field(f, "SET u8 0 250", ":0");
    assert_field(f, "INCRBY u8 0 10", ":4");
    assert_field(f, "OVERFLOW SAT INCRBY u8 0 1000", ":255");
    assert_field(f, "OVERFLOW SAT INCRBY u8 0 -1000", ":0");
    assert_field(f, "OVERFLOW FAIL INCRBY u8 0 -1", "$-1");
    assert_field(f, "OVERFLOW FAIL INCRBY u8 0 255", ":255");
    assert_field(f, "OVERFLOW SAT SET u8 0 -1", ":255"); /* a new value counts as unsigned */
    assert_field(f, "SET u8 0 -2", ":255");
    assert_field(f, "OVERFLOW FAIL SET u8 0 256", "$-1");
    assert_field(f, "GET u8 0", ":254");
    assert_field(f, "OVERFLOW SAT SET i8 8 1000", ":0");
    assert_field(f, "OVERFLOW SAT INCRBY i8 8 1", ":127");
    assert_field(f, "OVERFLOW SAT INCRBY i8 8 -1000", ":-128");
    assert_field(f, "OVERFLOW SAT INCRBY i64 64 9223372036854775807", ":9223372036854775807");
    assert_field(f, "OVERFLOW FAIL INCRBY i64 64 1", "$-1");
    assert_field(f, "INCRBY i64 64 1", ":-9223372036854775808");
    /* It holds for all operations behind it. */
    assert_reply(f, "BITFIELD k OVERFLOW SAT SET u2 0 9 INCRBY u2 0 9 OVERFLOW WRAP INCRBY u2 0 1",
                 "*3\r\n:3\r\n:3\r\n:0\r\n");
    assert_reply(f, "BITFIELD new OVERFLOW FAIL SET u8 0 256", "*1\r\n$-1\r\n");
    assert_reply(f, "STRLEN new", ONE); /* the room was made all the same */
}

static void bitfield__mistakes_change_nothing(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "BITFIELD k SET u8 0 1 GET u64 0", BAD_TYPE);
    assert_reply(f, "BITFIELD k SET u8 0 1 GET i0 0", BAD_TYPE);
    assert_reply(f, "BITFIELD k SET u8 0 1 GET i65 0", BAD_TYPE);
    assert_reply(f, "BITFIELD k SET u8 0 1 GET 8 0", BAD_TYPE);
    assert_reply(f, "BITFIELD k SET u8 0 1 GET \"\" 0", BAD_TYPE);
    assert_reply(f, "BITFIELD k SET u8 0 1 GET u8 -1", BAD_OFFSET);
    assert_reply(f, "BITFIELD k SET u8 0 1 GET u8 #9223372036854775807", BAD_OFFSET);
    assert_reply(f, "BITFIELD k SET u8 0 1 GET u8 #", BAD_OFFSET);
    assert_reply(f, "BITFIELD k SET u8 0 1 SET u8 0 x", NOT_AN_INTEGER);
    assert_reply(f, "BITFIELD k SET u8 0 1 SET u8 0", SYNTAX_ERROR);
    assert_reply(f, "BITFIELD k SET u8 0 1 GET u8", SYNTAX_ERROR);
    assert_reply(f, "BITFIELD k SET u8 0 1 OVERFLOW", SYNTAX_ERROR);
    assert_reply(f, "BITFIELD k SET u8 0 1 OVERFLOW FOO",
                 "-ERR Invalid OVERFLOW type specified\r\n");
    assert_reply(f, "BITFIELD_RO k SET u8 0 1",
                 "-ERR BITFIELD_RO only supports the GET subcommand\r\n");
    assert_reply(f, "EXISTS k", ZERO);
}

static void bitfield__longest_string(void **state)
{
    struct fixture *f = *state;
    assert_field(f, "SET u1 8388607 1", ":0"); /* the fixture's proto-max-bulk-len in bits */
    assert_reply(f, "BITFIELD k SET u1 8388608 1", BAD_OFFSET);
    assert_reply(f, "STRLEN k", ":1048576\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bitfield__get_and_set, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(bitfield__all_widths_at_all_places, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(bitfield__overflow, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(bitfield__mistakes_change_nothing, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(bitfield__longest_string, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests_name("command/bitfield", tests, NULL, NULL);
}
