/* SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP; replies as Redis 7.0 gives them. */
#include "../../support/command_fixture.h"

#include <stdio.h>
#include <string.h>

#define BAD_OFFSET "-ERR bit offset is not an integer or out of range\r\n"
#define BAD_BIT    "-ERR bit is not an integer or out of range\r\n"

static void bits__set_and_get(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "GETBIT k 0", ZERO);
    assert_reply(f, "SETBIT k 1 1", ZERO);
    assert_reply(f, "SETBIT k 7 1", ZERO);
    assert_reply(f, "GET k", "$1\r\nA\r\n");
    assert_reply(f, "SETBIT k 7 0", ONE);
    assert_reply(f, "SETBIT k 6 1", ZERO);
    assert_reply(f, "GET k", "$1\r\nB\r\n");
    assert_reply(f, "GETBIT k 6", ONE);
    assert_reply(f, "GETBIT k 7", ZERO);
    assert_reply(f, "GETBIT k 8000000", ZERO);
    assert_reply(f, "STRLEN k", ONE);
    assert_reply(f, "SETBIT k 31 0", ZERO); /* grows for a zero, too */
    assert_reply(f, "STRLEN k", ":4\r\n");
}

static void bits__setbit_keeps_expiry(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET k a EX 100", OK);
    assert_reply(f, "SETBIT k 100 1", ZERO);
    assert_reply(f, "PTTL k", ":100000\r\n");
}

static void bits__bad_arguments(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SETBIT k -1 1", BAD_OFFSET);
    assert_reply(f, "SETBIT k x 1", BAD_OFFSET);
    assert_reply(f, "SETBIT k \"\" 1", BAD_OFFSET);
    assert_reply(f, "SETBIT k #1 1", BAD_OFFSET);
    assert_reply(f, "SETBIT k 8388608 1",
                 BAD_OFFSET); /* the fixture's proto-max-bulk-len in bits */
    assert_reply(f, "SETBIT k 8388607 1", ZERO);
    assert_reply(f, "SETBIT k 1 2", BAD_BIT);
    assert_reply(f, "SETBIT k 1 x", BAD_BIT);
    assert_reply(f, "SETBIT k 1 -1", BAD_BIT);
    assert_reply(f, "GETBIT k 9223372036854775807", BAD_OFFSET);
    assert_reply(f, "BITPOS none 2", "-ERR The bit argument must be 1 or 0.\r\n");
    assert_reply(f, "BITPOS k x", NOT_AN_INTEGER);
    assert_reply(f, "BITPOS k 0 1 2 FOO", SYNTAX_ERROR);
    assert_reply(f, "BITPOS k 0 1 2 BIT 3", SYNTAX_ERROR);
    assert_reply(f, "BITCOUNT k 1", SYNTAX_ERROR);
    assert_reply(f, "BITCOUNT k 1 x", NOT_AN_INTEGER);
    assert_reply(f, "BITCOUNT k 0 1 FOO", SYNTAX_ERROR);
    assert_reply(f, "BITCOUNT k -1 -2 FOO", ZERO); /* an empty range is seen first */
    assert_reply(f, "BITCOUNT none x y z", ZERO);  /* and an absent key before all */
    assert_reply(f, "BITOP FOO to k", SYNTAX_ERROR);
    assert_reply(f, "BITOP NOT to k k",
                 "-ERR BITOP NOT must be called with a single source key.\r\n");
}

/* All ranges of a string against counting and searching bit by bit. */
static void bits__ranges_agree_with_counting_by_hand(void **state)
{
    static const unsigned char bytes[] = {0xff, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                          0xff, 0xff, 0xff, 0xff, 0xfe, 0x00, 0x00, 0x00, 0x00,
                                          0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0xa5};
    struct fixture *f = *state;
    char line[160] = "SET k \"", expected[40];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        snprintf(line + strlen(line), 5, "\\x%02x", bytes[i]);
    }
    assert_reply(f, strcat(line, "\""), OK);
    const int bits = (int)sizeof(bytes) * 8;
    for (int first = 0; first < bits; first += 3) {
        for (int last = first; last < bits; last++) {
            int count = 0, at[2] = {-1, -1};
            for (int i = first; i <= last; i++) {
                const int bit = bytes[i / 8] >> (7 - i % 8) & 1;
                count += bit;
                at[bit] = at[bit] < 0 ? i : at[bit];
            }
            snprintf(line, sizeof(line), "BITCOUNT k %d %d BIT", first, last - bits);
            snprintf(expected, sizeof(expected), ":%d\r\n", count);
            assert_reply(f, line, expected);
            for (int bit = 0; bit < 2; bit++) {
                snprintf(line, sizeof(line), "BITPOS k %d %d %d BIT", bit, first, last);
                snprintf(expected, sizeof(expected), ":%d\r\n", at[bit]);
                assert_reply(f, line, expected);
            }
        }
    }
}

static void bits__ranges_in_bytes(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET k foobar", OK);
    assert_reply(f, "BITCOUNT k", ":26\r\n");
    assert_reply(f, "BITCOUNT k 0 0", ":4\r\n");
    assert_reply(f, "BITCOUNT k 1 1 BYTE", ":6\r\n");
    assert_reply(f, "BITCOUNT k 1 -2", ":18\r\n");
    assert_reply(f, "BITCOUNT k 5 30 BIT", ":17\r\n");
    assert_reply(f, "BITCOUNT k 10 20", ZERO);
    assert_reply(f, "BITCOUNT k -9223372036854775808 9223372036854775807", ":26\r\n");
    assert_reply(f, "SET k \"\"", OK);
    assert_reply(f, "BITCOUNT k", ZERO);
    assert_reply(f, "BITPOS k 0", ":-1\r\n");
}

static void bits__bitpos_behind_the_end(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET k \"\\xff\\xff\"", OK);
    assert_reply(f, "BITPOS k 0", ":16\r\n");   /* zeros follow the string */
    assert_reply(f, "BITPOS k 0 1", ":16\r\n"); /* also without an end */
    assert_reply(f, "BITPOS k 0 0 -1", ":-1\r\n");
    assert_reply(f, "BITPOS k 0 2", ":-1\r\n"); /* but not where nothing is asked for */
    assert_reply(f, "BITPOS k 1 1", ":8\r\n");
    assert_reply(f, "BITPOS none 0", ZERO);
    assert_reply(f, "BITPOS none 1", ":-1\r\n");
}

static void bits__bitop(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "MSET a \"\\xaa\\x00\\xff\" b \"\\xaa\\xff\"", OK);
    assert_reply(f, "BITOP AND to a b", ":3\r\n");
    assert_reply(f, "BITCOUNT to", ":4\r\n");
    assert_reply(f, "BITOP or to a b none", ":3\r\n");
    assert_reply(f, "GET to", "$3\r\n\xaa\xff\xff\r\n");
    assert_reply(f, "BITOP XOR to a b b b", ":3\r\n");
    assert_reply(f, "BITCOUNT to", ":16\r\n");
    assert_reply(f, "BITOP NOT to b", ":2\r\n");
    assert_reply(f, "GETBIT to 0", ZERO);
    assert_reply(f, "GETBIT to 1", ONE);
    assert_reply(f, "BITCOUNT to", ":4\r\n");
    assert_reply(f, "BITOP AND to a none", ":3\r\n");
    assert_reply(f, "BITCOUNT to", ZERO);
    assert_reply(f, "SET to v EX 100", OK);
    assert_reply(f, "BITOP OR to to to", ONE); /* the destination may be a source */
    assert_reply(f, "TTL to", ":-1\r\n");
    assert_reply(f, "BITOP AND to none nothing", ZERO); /* an empty result is no key */
    assert_reply(f, "EXISTS to", ZERO);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(bits__set_and_get),     CASE(bits__setbit_keeps_expiry),
        CASE(bits__bad_arguments),   CASE(bits__ranges_agree_with_counting_by_hand),
        CASE(bits__ranges_in_bytes), CASE(bits__bitpos_behind_the_end),
        CASE(bits__bitop),
    };
    return cmocka_run_group_tests_name("command/bits", tests, NULL, NULL);
}
