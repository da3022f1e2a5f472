/* SET and GET with all their relatives, and the commands on parts of a string; replies as Redis 7
 * gives them. */
#include "../../support/command_fixture.h"

#include <stdio.h>
#include <string.h>

#define WRONG_EXPIRE(command) "-ERR invalid expire time in '" command "' command\r\n"
#define TOO_LONG              "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"

static void string__set_and_get(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "GET k", NIL);
    assert_reply(f, "SET k v", OK);
    assert_reply(f, "GET k", "$1\r\nv\r\n");
    assert_reply(f, "set k 'another one'", OK);
    assert_reply(f, "get k", "$11\r\nanother one\r\n");
    assert_reply(f, "SET \"\" \"\"", OK);
    assert_reply(f, "GET \"\"", EMPTY);
    assert_reply(f, "SET \"a\\r\\nb\" \"c\\r\\nd\"", OK);
    assert_reply(f, "GET \"a\\r\\nb\"", "$4\r\nc\r\nd\r\n");
}

static void string__set_conditions(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET k v XX", NIL);
    assert_reply(f, "SET k v NX", OK);
    assert_reply(f, "SET k w NX", NIL);
    assert_reply(f, "SET k w XX", OK);
    assert_reply(f, "SET k x GET", "$1\r\nw\r\n");
    assert_reply(f, "SET k y NX GET", "$1\r\nx\r\n");
    assert_reply(f, "GET k", "$1\r\nx\r\n");
    assert_reply(f, "SET new v NX GET", NIL);
    assert_reply(f, "GET new", "$1\r\nv\r\n");
    assert_reply(f, "SET none v XX GET", NIL);
    assert_reply(f, "EXISTS none", ZERO);
    assert_reply(f, "SET k v NX XX", SYNTAX_ERROR);
    assert_reply(f, "SET k v XX NX", SYNTAX_ERROR);
    assert_reply(f, "SET k v NX NX", NIL);
}

static void string__set_expiry_options(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET k v EX 10", OK);
    assert_reply(f, "PTTL k", ":10000\r\n");
    assert_reply(f, "SET k v PX 10", OK);
    assert_reply(f, "PTTL k", ":10\r\n");
    assert_reply(f, "SET k w KEEPTTL", OK);
    assert_reply(f, "PTTL k", ":10\r\n");
    assert_reply(f, "SET k w", OK);
    assert_reply(f, "PTTL k", ":-1\r\n");
    assert_reply(f, "SET k v EXAT 1700000005", OK);
    assert_reply(f, "PTTL k", ":5000\r\n");
    assert_reply(f, "SET k v PXAT 1700000000007", OK);
    assert_reply(f, "PTTL k", ":7\r\n");
    assert_reply(f, "SET k v EX 10 EX 20", OK);
    assert_reply(f, "PTTL k", ":20000\r\n");
    assert_reply(f, "SET k v EXAT 1", OK); /* in the past: set and gone */
    assert_reply(f, "GET k", NIL);
    assert_reply(f, "SET k v KEEPTTL", OK);
    assert_reply(f, "PTTL k", ":-1\r\n");
}

static void string__set_refuses_bad_expiry(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET k v", OK);
    assert_reply(f, "SET k w EX 0", WRONG_EXPIRE("set"));
    assert_reply(f, "SET k w EX -1", WRONG_EXPIRE("set"));
    assert_reply(f, "SET k w PX 0", WRONG_EXPIRE("set"));
    assert_reply(f, "SET k w EXAT 0", WRONG_EXPIRE("set"));
    assert_reply(f, "SET k w PXAT -1", WRONG_EXPIRE("set"));
    assert_reply(f, "SET k w EX 9223372036854775807", WRONG_EXPIRE("set"));
    assert_reply(f, "SET k w EX 9223372036854775", WRONG_EXPIRE("set"));
    assert_reply(f, "SET k w PX 9223372036854775807", WRONG_EXPIRE("set"));
    assert_reply(f, "SET k w EXAT 9223372036854776", WRONG_EXPIRE("set"));
    assert_reply(f, "SET k w EX 9223372036854775808", NOT_AN_INTEGER);
    assert_reply(f, "SET k w EX 1.5", NOT_AN_INTEGER);
    assert_reply(f, "SET k w EX ' 1'", NOT_AN_INTEGER);
    assert_reply(f, "SETEX k 0 w", WRONG_EXPIRE("setex"));
    assert_reply(f, "PSETEX k -5 w", WRONG_EXPIRE("psetex"));
    assert_reply(f, "GETEX k EX 0", WRONG_EXPIRE("getex"));
    assert_reply(f, "GET k", "$1\r\nv\r\n");
    assert_reply(f, "PTTL k", ":-1\r\n");
    assert_reply(f, "SET k w PXAT 9223372036854775807", OK);
    fixture_advance(f, INT64_C(1000) * 365 * 86400 * 1000);
    assert_reply(f, "GET k", "$1\r\nw\r\n");
}

static void string__set_refuses_contradictions(void **state)
{
    struct fixture *f = *state;
    const char *options[] = {"EX", "PX", "EXAT", "PXAT", "KEEPTTL"};
    char line[100];
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        for (size_t j = 0; j < ARRAY_LEN(options); j++) {
            if (i != j) {
                snprintf(line, sizeof(line), "SET k v %s %s %s %s", options[i],
                         i < 4 ? "1700000001" : "", options[j], j < 4 ? "1700000001" : "");
                assert_reply(f, line, SYNTAX_ERROR);
            }
        }
    }
    assert_reply(f, "SET k v EX", SYNTAX_ERROR);
    assert_reply(f, "SET k v PERSIST", SYNTAX_ERROR);
    assert_reply(f, "SET k v whatever", SYNTAX_ERROR);
    assert_reply(f, "SET k v \"\"", SYNTAX_ERROR);
    assert_reply(f, "GETEX k PERSIST EX 1", SYNTAX_ERROR);
    assert_reply(f, "GETEX k EX 1 PERSIST", SYNTAX_ERROR);
    assert_reply(f, "GETEX k KEEPTTL", SYNTAX_ERROR);
    assert_reply(f, "GETEX k NX", SYNTAX_ERROR);
    assert_reply(f, "EXISTS k", ZERO);
}

static void string__relatives_of_set(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SETNX k v", ONE);
    assert_reply(f, "SETNX k w", ZERO);
    assert_reply(f, "SETEX k 100 w", OK);
    assert_reply(f, "TTL k", ":100\r\n");
    assert_reply(f, "PSETEX k 100 w", OK);
    assert_reply(f, "PTTL k", ":100\r\n");
    assert_reply(f, "GETSET k x", "$1\r\nw\r\n");
    assert_reply(f, "PTTL k", ":-1\r\n");
    assert_reply(f, "GETSET new x", NIL);
    assert_reply(f, "GET new", "$1\r\nx\r\n");
}

static void string__relatives_of_get(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "GETDEL k", NIL);
    assert_reply(f, "SET k v", OK);
    assert_reply(f, "GETEX k", "$1\r\nv\r\n");
    assert_reply(f, "PTTL k", ":-1\r\n");
    assert_reply(f, "GETEX k EX 10", "$1\r\nv\r\n");
    assert_reply(f, "PTTL k", ":10000\r\n");
    assert_reply(f, "GETEX k PERSIST", "$1\r\nv\r\n");
    assert_reply(f, "PTTL k", ":-1\r\n");
    assert_reply(f, "GETEX k PXAT 1700000000009", "$1\r\nv\r\n");
    assert_reply(f, "PTTL k", ":9\r\n");
    assert_reply(f, "GETEX k EXAT 1", "$1\r\nv\r\n");
    assert_reply(f, "EXISTS k", ZERO);
    assert_reply(f, "GETEX k EX 0", NIL); /* the key is looked at first */
    assert_reply(f, "SET k v", OK);
    assert_reply(f, "GETDEL k", "$1\r\nv\r\n");
    assert_reply(f, "EXISTS k", ZERO);
}

static void string__many_keys(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "MSET a 1 b 2 a 3", OK);
    assert_reply(f, "MGET a b c a", "*4\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n$1\r\n3\r\n");
    assert_reply(f, "MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n");
    assert_reply(f, "MSETNX a 1 b", "-ERR wrong number of arguments for 'msetnx' command\r\n");
    assert_reply(f, "MSETNX x 1 a 2", ZERO);
    assert_reply(f, "EXISTS x", ZERO);
    assert_reply(f, "MSETNX x 1 y 2 x 3", ONE);
    assert_reply(f, "MGET x y", "*2\r\n$1\r\n3\r\n$1\r\n2\r\n");
}

static void string__more_keys_than_a_batch(void **state)
{
    struct fixture *f = *state;
    enum { KEYS = 101 };
    struct strview argv[1 + 2 * KEYS] = {strview_str("mset")};
    char names[KEYS][4];
    for (int i = 0; i < KEYS; i++) {
        names[i][0] = 'k';
        names[i][1] = (char)('0' + i / 100);
        names[i][2] = (char)('0' + i / 10 % 10);
        names[i][3] = (char)('0' + i % 10);
        argv[1 + 2 * i] = argv[2 + 2 * i] = strview_of(names[i], 4);
    }
    assert_true(strview_eq(client_run_argv(f, &f->client, argv, 1 + 2 * KEYS), strview_str(OK)));
    assert_reply(f, "DBSIZE", ":101\r\n");
    argv[0] = strview_str("mget");
    const struct strview reply = client_run_argv(f, &f->client, argv, 1 + 2 * KEYS);
    assert_int_equal(reply.len, strlen("*202\r\n") + (size_t)2 * KEYS * strlen("$4\r\nk000\r\n"));
    assert_memory_equal(reply.data + reply.len - 10, "$4\r\nk100\r\n", 10);
    argv[0] = strview_str("del");
    assert_true(
        strview_eq(client_run_argv(f, &f->client, argv, 1 + 2 * KEYS), strview_str(":101\r\n")));
}

static void string__ranges(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "GETRANGE k 0 -1", EMPTY);
    assert_reply(f, "SET k 'This is a string'", OK);
    assert_reply(f, "GETRANGE k 0 3", "$4\r\nThis\r\n");
    assert_reply(f, "GETRANGE k -3 -1", "$3\r\ning\r\n");
    assert_reply(f, "SUBSTR k 0 -1", "$16\r\nThis is a string\r\n");
    assert_reply(f, "GETRANGE k 10 100", "$6\r\nstring\r\n");
    assert_reply(f, "GETRANGE k 5 3", EMPTY);
    assert_reply(f, "GETRANGE k -1 -5", EMPTY);
    assert_reply(f, "GETRANGE k 16 20", EMPTY);
    assert_reply(f, "GETRANGE k -100 0", "$1\r\nT\r\n");
    assert_reply(f, "GETRANGE k -9223372036854775808 9223372036854775807",
                 "$16\r\nThis is a string\r\n");
    assert_reply(f, "GETRANGE k 9223372036854775807 -9223372036854775808", EMPTY);
    assert_reply(f, "GETRANGE k a 1", NOT_AN_INTEGER);
    assert_reply(f, "STRLEN k", ":16\r\n");
    assert_reply(f, "STRLEN none", ZERO);
}

static void string__append(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "APPEND k Hello", ":5\r\n");
    assert_reply(f, "EXPIRE k 10", ONE);
    assert_reply(f, "APPEND k ' World'", ":11\r\n");
    assert_reply(f, "GET k", "$11\r\nHello World\r\n");
    assert_reply(f, "TTL k", ":10\r\n");
    assert_reply(f, "APPEND k \"\"", ":11\r\n");
    assert_reply(f, "APPEND e \"\"", ZERO);
    assert_reply(f, "EXISTS e", ONE);
}

static void string__setrange(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SETRANGE k 0 \"\"", ZERO);
    assert_reply(f, "EXISTS k", ZERO);
    assert_reply(f, "SETRANGE k 3 ab", ":5\r\n");
    assert_true(
        strview_eq(client_run(f, &f->client, "GET k"), strview_of("$5\r\n\0\0\0ab\r\n", 11)));
    assert_reply(f, "SET k 'Hello World'", OK);
    assert_reply(f, "SETRANGE k 6 Redis", ":11\r\n");
    assert_reply(f, "GET k", "$11\r\nHello Redis\r\n");
    assert_reply(f, "SETRANGE k 1 \"\"", ":11\r\n");
    assert_reply(f, "SETRANGE k -1 x", "-ERR offset is out of range\r\n");
    assert_reply(f, "SETRANGE k x x", NOT_AN_INTEGER);
}

static void string__length_limit(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SETRANGE k 1048576 x", TOO_LONG);
    assert_reply(f, "SETRANGE k 9223372036854775807 x", TOO_LONG);
    assert_reply(f, "SETRANGE k 4294967296 x", TOO_LONG);
    assert_reply(f, "EXISTS k", ZERO);
    assert_reply(f, "SETRANGE k 1048575 x", ":1048576\r\n");
    assert_reply(f, "APPEND k x", TOO_LONG);
    assert_reply(f, "STRLEN k", ":1048576\r\n");
}

static void string__resp3_nulls(void **state)
{
    struct fixture *f = *state;
    f->client.session.resp_version = 3;
    assert_reply(f, "GET k", "_\r\n");
    assert_reply(f, "SET k v XX", "_\r\n");
    assert_reply(f, "MGET k", "*1\r\n_\r\n");
}

static void string__set_if_equal(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET k v IFEQ v", NIL);
    assert_reply(f, "EXISTS k", ZERO);
    assert_reply(f, "SET k v EX 100", OK);
    assert_reply(f, "SET k w IFEQ x", NIL);
    assert_reply(f, "SET k w IFEQ v KEEPTTL", OK);
    assert_reply(f, "PTTL k", ":100000\r\n");
    assert_reply(f, "SET k x ifeq w GET PX 10", "$1\r\nw\r\n");
    assert_reply(f, "PTTL k", ":10\r\n");
    assert_reply(f, "SET k y IFEQ w GET", "$1\r\nx\r\n");
    assert_reply(f, "GET k", "$1\r\nx\r\n");
    assert_reply(f, "SET new y IFEQ w GET", NIL);
    assert_reply(f, "SET k IFEQ IFEQ x", OK);
    assert_reply(f, "SET k v IFEQ", SYNTAX_ERROR);
    assert_reply(f, "SET k v IFEQ a IFEQ b", SYNTAX_ERROR);
    assert_reply(f, "SET k v IFEQ a NX", SYNTAX_ERROR);
    assert_reply(f, "SET k v XX IFEQ a", SYNTAX_ERROR);
    assert_reply(f, "GETEX k IFEQ a", SYNTAX_ERROR);
}

static void string__delete_if_equal(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "DELIFEQ k v", ZERO);
    assert_reply(f, "SET k v", OK);
    assert_reply(f, "DELIFEQ k w", ZERO);
    assert_reply(f, "DELIFEQ k \"\"", ZERO);
    assert_reply(f, "EXISTS k", ONE);
    assert_reply(f, "DELIFEQ k v", ONE);
    assert_reply(f, "EXISTS k", ZERO);
}

static void string__msetex(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "MSETEX 2 a 1 b 2 EX 10", ONE);
    assert_reply(f, "MGET a b", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    assert_reply(f, "PTTL b", ":10000\r\n");
    assert_reply(f, "MSETEX 2 a 3 c 4 NX", ZERO);
    assert_reply(f, "MSETEX 2 a 3 c 4 XX", ZERO);
    assert_reply(f, "EXISTS c", ZERO);
    assert_reply(f, "MSETEX 2 c 3 d 4 NX PX 5", ONE);
    assert_reply(f, "MSETEX 2 a 5 b 6 XX KEEPTTL", ONE);
    assert_reply(f, "MGET a b", "*2\r\n$1\r\n5\r\n$1\r\n6\r\n");
    assert_reply(f, "PTTL a", ":10000\r\n");
    assert_reply(f, "MSETEX 1 a 7", ONE); /* as MSET: no expiry is left */
    assert_reply(f, "PTTL a", ":-1\r\n");
    assert_reply(f, "MSETEX 1 a v EXAT 1", ONE); /* in the past: set and gone */
    assert_reply(f, "EXISTS a", ZERO);
    assert_reply(f, "MSETEX 1 NX NX NX", ONE); /* what is counted is no option */
    assert_reply(f, "GET NX", "$2\r\nNX\r\n");
}

static void string__msetex_refuses(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "MSETEX 0 k v", "-ERR invalid numkeys value\r\n");
    assert_reply(f, "MSETEX -1 k v", "-ERR invalid numkeys value\r\n");
    assert_reply(f, "MSETEX k v w", "-ERR invalid numkeys value\r\n");
    assert_reply(f, "MSETEX 2147483648 k v", "-ERR invalid numkeys value\r\n");
    assert_reply(f, "MSETEX 2 k v w", "-ERR wrong number of key-value pairs\r\n");
    assert_reply(f, "MSETEX 1 k v w x", SYNTAX_ERROR);
    assert_reply(f, "MSETEX 1 k v NX XX", SYNTAX_ERROR);
    assert_reply(f, "MSETEX 1 k v EX 1 KEEPTTL", SYNTAX_ERROR);
    assert_reply(f, "MSETEX 1 k v GET", SYNTAX_ERROR);
    assert_reply(f, "MSETEX 1 k v EX 0", WRONG_EXPIRE("msetex"));
    assert_reply(f, "DBSIZE", ZERO);
}

static void string__msetex_more_keys_than_a_batch(void **state)
{
    struct fixture *f = *state;
    struct strview argv[2 + 2 * 100 + 2] = {strview_str("MSETEX"), strview_str("100")};
    char names[100][8];
    for (int i = 0; i < 100; i++) {
        snprintf(names[i], sizeof(names[i]), "key%d", i);
        argv[2 + 2 * i] = argv[3 + 2 * i] = strview_str(names[i]);
    }
    argv[202] = strview_str("EX");
    argv[203] = strview_str("5");
    assert_true(strview_eq(client_run_argv(f, &f->client, argv, 204), strview_str(ONE)));
    assert_reply(f, "DBSIZE", ":100\r\n");
    assert_reply(f, "GET key99", "$5\r\nkey99\r\n");
    assert_reply(f, "TTL key99", ":5\r\n");
    assert_reply(f, "COMMAND GETKEYS MSETEX 2 a 1 b 2 EX 5", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_reply(f, "COMMAND GETKEYS MSETEX 3 a 1 b 2",
                 "-ERR Invalid arguments specified for command\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(string__set_and_get),
        TEST(string__set_conditions),
        TEST(string__set_expiry_options),
        TEST(string__set_refuses_bad_expiry),
        TEST(string__set_refuses_contradictions),
        TEST(string__relatives_of_set),
        TEST(string__relatives_of_get),
        TEST(string__many_keys),
        TEST(string__more_keys_than_a_batch),
        TEST(string__ranges),
        TEST(string__append),
        TEST(string__setrange),
        TEST(string__length_limit),
        TEST(string__resp3_nulls),
        TEST(string__set_if_equal),
        TEST(string__delete_if_equal),
        TEST(string__msetex),
        TEST(string__msetex_refuses),
        TEST(string__msetex_more_keys_than_a_batch),
    };
    return cmocka_run_group_tests_name("command/string", tests, NULL, NULL);
}
