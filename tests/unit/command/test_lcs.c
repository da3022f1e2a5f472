/* LCS; replies as Redis 7.0 gives them. */
#include "../../support/command_fixture.h"

#include "../../support/fault_alloc.h"

static void lcs__length_and_sequence(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "MSET a ohmytext b mynewtext empty \"\"", OK);
    assert_reply(f, "LCS a b", "$6\r\nmytext\r\n");
    assert_reply(f, "LCS a b LEN", ":6\r\n");
    assert_reply(f, "LCS a a", "$8\r\nohmytext\r\n");
    assert_reply(f, "LCS a none", EMPTY);
    assert_reply(f, "LCS none nothing LEN", ZERO);
    assert_reply(f, "LCS a empty", EMPTY);
}

static void lcs__index(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "MSET a ohmytext b mynewtext", OK);
    assert_reply(f, "LCS a b IDX",
                 "*4\r\n$7\r\nmatches\r\n*2\r\n"
                 "*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n"
                 "*2\r\n*2\r\n:2\r\n:3\r\n*2\r\n:0\r\n:1\r\n"
                 "$3\r\nlen\r\n:6\r\n");
    assert_reply(f, "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
                 "*4\r\n$7\r\nmatches\r\n*1\r\n"
                 "*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n"
                 "$3\r\nlen\r\n:6\r\n");
    assert_reply(f, "LCS a none IDX", "*4\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n");
}

static void lcs__mistakes(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "LCS a b IDX LEN",
                 "-ERR If you want both the length and indexes, please just use IDX.\r\n");
    assert_reply(f, "LCS a b FOO", SYNTAX_ERROR);
    assert_reply(f, "LCS a b MINMATCHLEN", SYNTAX_ERROR);
    assert_reply(f, "LCS a b MINMATCHLEN x", NOT_AN_INTEGER);
}

static void lcs__is_bounded(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SETRANGE a 8191 x", ":8192\r\n");
    assert_reply(f, "SETRANGE b 8192 x", ":8193\r\n");
    assert_reply(f, "LCS a b LEN",
                 "-ERR strings are too long for LCS: the product of their lengths is limited to "
                 "67108864\r\n");
    assert_reply(f, "SET b x", OK);
    assert_reply(f, "LCS a b", "$1\r\nx\r\n");
}

static void lcs__without_memory(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "MSET a ohmytext b mynewtext", OK);
    for (size_t good = 0; good < 2; good++) {
        fault_alloc_arm(good, 1);
        assert_reply(f, "LCS a b",
                     "-ERR Insufficient memory, failed allocating transient memory for LCS\r\n");
        assert_true(fault_alloc_disarm());
    }
    assert_reply(f, "LCS a b", "$6\r\nmytext\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lcs__length_and_sequence, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(lcs__index, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(lcs__mistakes, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(lcs__is_bounded, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(lcs__without_memory, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests_name("command/lcs", tests, NULL, NULL);
}
