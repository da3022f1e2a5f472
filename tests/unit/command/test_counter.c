/* INCR and its relatives: strict numbers, overflow, and that errors change nothing. */
#include "../../support/command_fixture.h"
#include "../../support/long_double.h"

#include <stdio.h>
#include <string.h>

#define OVERFLOW_ERROR "-ERR increment or decrement would overflow\r\n"
#define NOT_A_FLOAT    "-ERR value is not a valid float\r\n"

static void counter__counts(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "INCR n", ONE);
    assert_reply(f, "INCR n", ":2\r\n");
    assert_reply(f, "INCRBY n 40", ":42\r\n");
    assert_reply(f, "DECR n", ":41\r\n");
    assert_reply(f, "DECRBY n 50", ":-9\r\n");
    assert_reply(f, "GET n", "$2\r\n-9\r\n");
    assert_reply(f, "DECR m", ":-1\r\n");
    assert_reply(f, "DECRBY o -5", ":5\r\n");
}

static void counter__keeps_the_expiry(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET n 9 EX 10", OK);
    assert_reply(f, "INCR n", ":10\r\n");
    assert_reply(f, "DECR n", ":9\r\n");
    assert_reply(f, "TTL n", ":10\r\n");
    assert_reply(f, "INCRBYFLOAT n 0.25", "$4\r\n9.25\r\n");
    assert_reply(f, "TTL n", ":10\r\n");
}

static void counter__refuses_other_spellings(void **state)
{
    struct fixture *f = *state;
    const char *spellings[] = {"''",
                               "' 1'",
                               "'1 '",
                               "+1",
                               "01",
                               "-0",
                               "1.0",
                               "0x1",
                               "99999999999999999999",
                               "a",
                               "9223372036854775808",
                               "-9223372036854775809",
                               "\"1\\x00\""};
    char line[100];
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
        snprintf(line, sizeof(line), "SET n %s", spellings[i]);
        assert_reply(f, line, OK);
        assert_reply(f, "INCR n", NOT_AN_INTEGER);
        assert_reply(f, "DECRBY n 1", NOT_AN_INTEGER);
        snprintf(line, sizeof(line), "INCRBY m %s", spellings[i]);
        assert_reply(f, line, NOT_AN_INTEGER);
        snprintf(line, sizeof(line), "DECRBY m %s", spellings[i]);
        assert_reply(f, line, NOT_AN_INTEGER);
    }
    assert_reply(f, "EXISTS m", ZERO);
}

static void counter__refuses_overflow(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET n 9223372036854775807", OK);
    assert_reply(f, "INCR n", OVERFLOW_ERROR);
    assert_reply(f, "INCRBY n 1", OVERFLOW_ERROR);
    assert_reply(f, "GET n", "$19\r\n9223372036854775807\r\n");
    assert_reply(f, "SET n -9223372036854775808", OK);
    assert_reply(f, "DECR n", OVERFLOW_ERROR);
    assert_reply(f, "DECRBY n -9223372036854775808", "-ERR decrement would overflow\r\n");
    assert_reply(f, "INCRBY n -1", OVERFLOW_ERROR);
    assert_reply(f, "INCRBY n 9223372036854775807", ":-1\r\n");
}

static void counter__floats(void **state)
{
    struct fixture *f = *state;
    if (!has_long_double()) {
        return;
    }
    assert_reply(f, "SET n 10.50", OK);
    assert_reply(f, "INCRBYFLOAT n 0.1", "$4\r\n10.6\r\n");
    assert_reply(f, "INCRBYFLOAT n -5", "$3\r\n5.6\r\n");
    assert_reply(f, "SET n 5.0e3", OK);
    assert_reply(f, "INCRBYFLOAT n 2.0e2", "$4\r\n5200\r\n");
    assert_reply(f, "INCRBYFLOAT new 1e-17", "$19\r\n0.00000000000000001\r\n");
}

static void counter__refuses_bad_floats(void **state)
{
    struct fixture *f = *state;
    const char *bad[] = {"nan", "1_0", "''", "' 1'", "1x", "abc", "\"1\\x00\""};
    char line[100];
    if (!has_long_double()) {
        return;
    }
    assert_reply(f, "SET n 1.5", OK);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(line, sizeof(line), "INCRBYFLOAT n %s", bad[i]);
        assert_reply(f, line, NOT_A_FLOAT);
    }
    assert_reply(f, "INCRBYFLOAT n inf", "-ERR increment would produce NaN or Infinity\r\n");
    assert_reply(f, "GET n", "$3\r\n1.5\r\n");
    assert_reply(f, "SET n x", OK);
    assert_reply(f, "INCRBYFLOAT n 1", NOT_A_FLOAT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counter__counts),
        TEST(counter__keeps_the_expiry),
        TEST(counter__refuses_other_spellings),
        TEST(counter__refuses_overflow),
        TEST(counter__floats),
        TEST(counter__refuses_bad_floats),
    };
    return cmocka_run_group_tests_name("command/counter", tests, NULL, NULL);
}
