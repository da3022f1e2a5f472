/* Commands on keys whatever they hold. */
#include "../../support/command_fixture.h"

#include <string.h>

static void key__removes_and_counts(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "MSET a 1 b 2 c 3 d 4", OK);
    assert_reply(f, "EXISTS a b none a", ":3\r\n");
    assert_reply(f, "TOUCH a none b", ":2\r\n");
    assert_reply(f, "DEL a a none b", ":2\r\n");
    assert_reply(f, "UNLINK c c d", ":2\r\n");
    assert_reply(f, "EXISTS a b c d", ZERO);
    assert_reply(f, "DBSIZE", ZERO);
}

static void key__type(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "TYPE k", "+none\r\n");
    assert_reply(f, "SET k v", OK);
    assert_reply(f, "TYPE k", "+string\r\n");
}

static void key__rename(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "RENAME a b", "-ERR no such key\r\n");
    assert_reply(f, "RENAME a a", "-ERR no such key\r\n");
    assert_reply(f, "RENAMENX a b", "-ERR no such key\r\n");
    assert_reply(f, "SET a 1 EX 10", OK);
    assert_reply(f, "SET b 2", OK);
    assert_reply(f, "RENAME a a", OK);
    assert_reply(f, "RENAMENX a a", ZERO);
    assert_reply(f, "RENAMENX a b", ZERO);
    assert_reply(f, "RENAME a b", OK);
    assert_reply(f, "MGET a b", "*2\r\n$-1\r\n$1\r\n1\r\n");
    assert_reply(f, "TTL b", ":10\r\n");
    assert_reply(f, "RENAMENX b c", ONE);
    assert_reply(f, "TTL c", ":10\r\n");
    assert_reply(f, "DBSIZE", ONE);
}

static void key__move(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "MOVE a 1", ZERO);
    assert_reply(f, "SET a 1 EX 10", OK);
    assert_reply(f, "HSET h f v", ONE);
    assert_reply(f, "MOVE a 0", "-ERR source and destination objects are the same\r\n");
    assert_reply(f, "MOVE a 16", "-ERR DB index is out of range\r\n");
    assert_reply(f, "MOVE a x", "-ERR value is not an integer or out of range\r\n");
    assert_reply(f, "MOVE a 1", ONE);
    assert_reply(f, "MOVE h 1", ONE);
    assert_reply(f, "DBSIZE", ZERO);
    assert_reply(f, "SET a 2", OK);
    assert_reply(f, "MOVE a 1", ZERO);
    assert_reply(f, "SELECT 1", OK);
    assert_reply(f, "GET a", "$1\r\n1\r\n");
    assert_reply(f, "TTL a", ":10\r\n");
    assert_reply(f, "HGET h f", "$1\r\nv\r\n");
}

static void key__copy(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "COPY a b", ZERO);
    assert_reply(f, "SET a 1 EX 10", OK);
    assert_reply(f, "COPY a a", "-ERR source and destination objects are the same\r\n");
    assert_reply(f, "COPY a b", ONE);
    assert_reply(f, "COPY a b", ZERO);
    assert_reply(f, "SET a 2", OK);
    assert_reply(f, "COPY a b REPLACE", ONE);
    assert_reply(f, "MGET a b", "*2\r\n$1\r\n2\r\n$1\r\n2\r\n");
    assert_reply(f, "TTL b", ":-1\r\n");
    assert_reply(f, "COPY a a DB 1", ONE);
    assert_reply(f, "COPY a a DB 16", "-ERR DB index is out of range\r\n");
    assert_reply(f, "COPY a a DB -1", "-ERR DB index is out of range\r\n");
    assert_reply(f, "COPY a a DB 4294967296",
                 "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n");
    assert_reply(f, "COPY a a DB x", NOT_AN_INTEGER);
    assert_reply(f, "COPY a b DB", SYNTAX_ERROR);
    assert_reply(f, "COPY a b OVER", SYNTAX_ERROR);
    f->client.session.db = 1;
    assert_reply(f, "GET a", "$1\r\n2\r\n");
    assert_reply(f, "DBSIZE", ONE);
}

static void key__databases_are_apart(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET k 0", OK);
    f->client.session.db = 15;
    assert_reply(f, "GET k", NIL);
    assert_reply(f, "SET k 15", OK);
    f->client.session.db = 0;
    assert_reply(f, "GET k", "$1\r\n0\r\n");
}

static void key__object(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "OBJECT ENCODING k", NIL);
    assert_reply(f, "SET k 123", OK);
    assert_reply(f, "OBJECT ENCODING k", "$3\r\nint\r\n");
    assert_reply(f, "SET k 0123", OK);
    assert_reply(f, "OBJECT ENCODING k", "$6\r\nembstr\r\n");
    assert_reply(f, "SET k 012345678901234567890123456789012345678901234", OK);
    assert_reply(f, "OBJECT ENCODING k", "$3\r\nraw\r\n");
    assert_reply(f, "OBJECT REFCOUNT k", ONE);
    assert_reply(f, "OBJECT REFCOUNT none", NIL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(key__removes_and_counts),  TEST(key__type), TEST(key__rename), TEST(key__copy),
        TEST(key__databases_are_apart), TEST(key__move), TEST(key__object),
    };
    return cmocka_run_group_tests_name("command/key", tests, NULL, NULL);
}
