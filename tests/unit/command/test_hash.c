/* Hashes; replies as Redis 7 gives them. */
#include "../../support/long_double.h"
#include "../../support/command_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRONG_TYPE "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"

static void hash__set_and_get(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "HSET h a 1 b 2", ":2\r\n");
    assert_reply(f, "HSET h b 3 c 4", ONE);
    assert_reply(f, "HGET h b", "$1\r\n3\r\n");
    assert_reply(f, "HGET h none", NIL);
    assert_reply(f, "HGET none b", NIL);
    assert_reply(f, "HMGET h a none c", "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n4\r\n");
    assert_reply(f, "HMGET none a", "*1\r\n$-1\r\n");
    assert_reply(f, "HMSET h a 9", OK);
    assert_reply(f, "HSETNX h a 1", ZERO);
    assert_reply(f, "HSETNX h d 1", ONE);
    assert_reply(f, "HLEN h", ":4\r\n");
    assert_reply(f, "HLEN none", ZERO);
    assert_reply(f, "HEXISTS h a", ONE);
    assert_reply(f, "HEXISTS h x", ZERO);
    assert_reply(f, "HSTRLEN h a", ONE);
    assert_reply(f, "HSTRLEN h x", ZERO);
    assert_reply(f, "HSET h \"\" \"\"", ONE);
    assert_reply(f, "HGET h \"\"", EMPTY);
    assert_reply(f, "HSET h a", "-ERR wrong number of arguments for 'hset' command\r\n");
    assert_reply(f, "HMSET h a 1 b", "-ERR wrong number of arguments for 'hmset' command\r\n");
}

static void hash__all_of_it_in_order(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "HSET h b 1 a 2 c 3", ":3\r\n");
    assert_reply(f, "HSET h a longer", ZERO);
    assert_reply(f, "HKEYS h", "*3\r\n$1\r\nb\r\n$1\r\na\r\n$1\r\nc\r\n");
    assert_reply(f, "HVALS h", "*3\r\n$1\r\n1\r\n$6\r\nlonger\r\n$1\r\n3\r\n");
    assert_reply(f, "HDEL h c", ONE);
    assert_reply(f, "HGETALL h", "*4\r\n$1\r\nb\r\n$1\r\n1\r\n$1\r\na\r\n$6\r\nlonger\r\n");
    assert_reply(f, "HGETALL none", "*0\r\n");
    f->client.session.resp_version = 3;
    assert_reply(f, "HGETALL h", "%2\r\n$1\r\nb\r\n$1\r\n1\r\n$1\r\na\r\n$6\r\nlonger\r\n");
    assert_reply(f, "HGETALL none", "%0\r\n");
}

static void hash__goes_with_its_last_field(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "HSET h a 1 b 2", ":2\r\n");
    assert_reply(f, "HDEL h a x a", ONE);
    assert_reply(f, "EXISTS h", ONE);
    assert_reply(f, "HDEL h b", ONE);
    assert_reply(f, "EXISTS h", ZERO);
    assert_reply(f, "HDEL h b", ZERO);
}

static void hash__numbers(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "HINCRBY h n 5", ":5\r\n");
    assert_reply(f, "HINCRBY h n -7", ":-2\r\n");
    assert_reply(f, "HINCRBYFLOAT h n 0.5", "$4\r\n-1.5\r\n");
    assert_reply(f, "HINCRBY h n 1", "-ERR hash value is not an integer\r\n");
    assert_reply(f, "HSET h big 9223372036854775807 text x", ":2\r\n");
    assert_reply(f, "HINCRBY h big 1", "-ERR increment or decrement would overflow\r\n");
    assert_reply(f, "HINCRBY h big x", NOT_AN_INTEGER);
    assert_reply(f, "HINCRBYFLOAT h text 1", "-ERR hash value is not a float\r\n");
    assert_reply(f, "HINCRBYFLOAT h n x", "-ERR value is not a valid float\r\n");
    if (has_long_double()) {
        assert_reply(f, "HINCRBYFLOAT h n inf", "-ERR value is NaN or Infinity\r\n");
    }
    assert_reply(f, "HGET h big", "$19\r\n9223372036854775807\r\n");
    assert_reply(f, "HINCRBY none n x", NOT_AN_INTEGER);
    assert_reply(f, "EXISTS none", ZERO);
}

static void hash__wrong_type(void **state)
{
    struct fixture *f = *state;
    const char *lines[] = {"HSET s a b",
                           "HSETNX s a b",
                           "HMSET s a b",
                           "HGET s a",
                           "HMGET s a",
                           "HGETALL s",
                           "HKEYS s",
                           "HVALS s",
                           "HLEN s",
                           "HSTRLEN s a",
                           "HEXISTS s a",
                           "HDEL s a",
                           "HINCRBY s a 1",
                           "HINCRBYFLOAT s a 1",
                           "HRANDFIELD s",
                           "HRANDFIELD s 1",
                           "HSCAN s 0",
                           "HTTL s FIELDS x x",
                           "HEXPIRE s x x x x",
                           "HPERSIST s FIELDS x x",
                           "HGETDEL s FIELDS x x",
                           "HGETEX s EX x x x",
                           "HSETEX s FIELDS 1 a b",
                           "HSCAN s 0 FOO"};
    assert_reply(f, "SET s text", OK);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        assert_reply(f, lines[i], WRONG_TYPE);
    }
    assert_reply(f, "HSET h a 1", ONE);
    assert_reply(f, "GET h", WRONG_TYPE);
    assert_reply(f, "APPEND h x", WRONG_TYPE);
    assert_reply(f, "SETBIT h 1 1", WRONG_TYPE);
    assert_reply(f, "INCR h", WRONG_TYPE);
    assert_reply(f, "SET h v GET", WRONG_TYPE);
    assert_reply(f, "SET h v IFEQ v", WRONG_TYPE);
    assert_reply(f, "DELIFEQ h v", WRONG_TYPE);
    assert_reply(f, "LCS h h", "-ERR The specified keys must contain string values\r\n");
    assert_reply(f, "BITOP OR to h s", WRONG_TYPE);
    assert_reply(f, "SET h v", OK);
    assert_reply(f, "GET h", "$1\r\nv\r\n");
}

static void hash__is_a_key_like_others(void **state)
{
    struct fixture *f = *state;
    for (int large = 0; large < 2; large++) {
        assert_reply(f, "FLUSHALL", OK);
        assert_reply(f, "HSET h a 1 b 2", ":2\r\n");
        for (int i = 0; i < 400 * large; i++) {
            char line[40];
            snprintf(line, sizeof(line), "HSET h f%d %d", i, i);
            assert_reply(f, line, ONE);
        }
        assert_reply(f, "TYPE h", "+hash\r\n");
        assert_reply(f, "OBJECT ENCODING h",
                     large == 0 ? "$8\r\nlistpack\r\n" : "$9\r\nhashtable\r\n");
        assert_reply(f, "SCAN 0 TYPE hash", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nh\r\n");
        assert_reply(f, "EXPIRE h 100", ONE);
        assert_reply(f, "RENAME h r", OK);
        assert_reply(f, "TTL r", ":100\r\n");
        assert_reply(f, "COPY r c", ONE);
        assert_reply(f, "TTL c", ":100\r\n");
        assert_reply(f, "HSET c a changed", ZERO);
        assert_reply(f, "HGET r a", "$1\r\n1\r\n");
        assert_reply(f, "COPY r c", ZERO);
        assert_reply(f, "COPY r c REPLACE", ONE);
        assert_reply(f, "HGET c a", "$1\r\n1\r\n");
        assert_reply(f, "PERSIST c", ONE);
        assert_reply(f, "COPY c d DB 3", ONE);
        assert_reply(f, "DEL c", ONE);
        fixture_advance(f, 100000);
        assert_reply(f, "EXISTS r c", ZERO);
        assert_reply(f, "SELECT 3", OK);
        assert_reply(f, "HLEN d", large == 0 ? ":2\r\n" : ":402\r\n");
        assert_reply(f, "SET d text", OK);
        assert_reply(f, "SELECT 0", OK);
    }
}

static void hash__random_fields(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "HSET h a 1", ONE);
    assert_reply(f, "HRANDFIELD h", "$1\r\na\r\n");
    assert_reply(f, "HRANDFIELD h 5", "*1\r\n$1\r\na\r\n");
    assert_reply(f, "HRANDFIELD h -2", "*2\r\n$1\r\na\r\n$1\r\na\r\n");
    assert_reply(f, "HRANDFIELD h 5 WITHVALUES", "*2\r\n$1\r\na\r\n$1\r\n1\r\n");
    assert_reply(f, "HRANDFIELD h 0", "*0\r\n");
    assert_reply(f, "HRANDFIELD none", NIL);
    assert_reply(f, "HRANDFIELD none 3", "*0\r\n");
    assert_reply(f, "HRANDFIELD h x", NOT_AN_INTEGER);
    assert_reply(f, "HRANDFIELD h 1 FOO", SYNTAX_ERROR);
    assert_reply(f, "HRANDFIELD h 1 WITHVALUES x", SYNTAX_ERROR);
    assert_reply(f, "HRANDFIELD h 9223372036854775807 WITHVALUES",
                 "-ERR value is out of range\r\n");
    assert_reply(f, "HRANDFIELD h -9223372036854775807", "-ERR value is out of range\r\n");
    f->client.session.resp_version = 3;
    assert_reply(f, "HRANDFIELD h 5 WITHVALUES", "*1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n");
}

/* The number behind the first byte of a reply. */
static long reply_number(struct strview reply)
{
    return strtol(reply.data + 1, NULL, 10);
}

static void hash__random_fields_of_a_large_one_differ(void **state)
{
    struct fixture *f = *state;
    char line[60];
    for (int i = 0; i < 1000; i++) {
        snprintf(line, sizeof(line), "HSET h %d %d", i, i);
        assert_reply(f, line, ONE);
    }
    for (int count = 1; count < 1200; count += 37) {
        bool seen[1000] = {false};
        snprintf(line, sizeof(line), "HRANDFIELD h %d", count);
        struct strview reply = client_run(f, &f->client, line);
        const long n = reply_number(reply);
        assert_int_equal(n, count < 1000 ? count : 1000);
        const char *at = memchr(reply.data, '\n', reply.len);
        for (long i = 0; i < n; i++) {
            at = strchr(at + 1, '\n') + 1; /* over the length */
            const long field = strtol(at, NULL, 10);
            assert_false(seen[field]);
            seen[field] = true;
            at = strchr(at, '\n');
        }
    }
}

static void hash__scan(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "HSET h ab 1 cd 2", ":2\r\n");
    assert_reply(f, "HSCAN h 0",
                 "*2\r\n$1\r\n0\r\n*4\r\n$2\r\nab\r\n$1\r\n1\r\n$2\r\ncd\r\n$1\r\n2\r\n");
    assert_reply(f, "HSCAN h 0 MATCH c* COUNT 1", "*2\r\n$1\r\n0\r\n*2\r\n$2\r\ncd\r\n$1\r\n2\r\n");
    assert_reply(f, "HSCAN h 0 NOVALUES", "*2\r\n$1\r\n0\r\n*2\r\n$2\r\nab\r\n$2\r\ncd\r\n");
    assert_reply(f, "HSCAN none 0 FOO", "*2\r\n$1\r\n0\r\n*0\r\n");
    assert_reply(f, "HSCAN h 0 FOO", SYNTAX_ERROR);
    assert_reply(f, "HSCAN h 0 COUNT", SYNTAX_ERROR);
    assert_reply(f, "HSCAN h 0 COUNT 0", SYNTAX_ERROR);
    assert_reply(f, "HSCAN h x", "-ERR invalid cursor\r\n");
    assert_reply(f, "HSCAN h 18446744073709551615", /* any number is a place */
                 "*2\r\n$1\r\n0\r\n*4\r\n$2\r\nab\r\n$1\r\n1\r\n$2\r\ncd\r\n$1\r\n2\r\n");
}

static void hash__full_store(void **state)
{
    struct fixture *f = *state;
    struct errtext err;
    f->store_options.maxmemory = 1;
    f->store_options.maxmemory_policy = 0;
    while (strcmp(store_policy_names[f->store_options.maxmemory_policy], "noeviction") != 0) {
        f->store_options.maxmemory_policy++;
    }
    assert_reply(f, "HSET h a 1 b 2", ":2\r\n");
    assert_int_equal(store_apply_options(f->store, &err), 0);
    assert_reply(f, "HSET h a 2", "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    assert_reply(f, "HGET h a", "$1\r\n1\r\n");
    assert_reply(f, "HDEL h a", ONE); /* what makes it smaller is allowed */
    assert_reply(f, "HGETALL h", "*2\r\n$1\r\nb\r\n$1\r\n2\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hash__set_and_get),
        TEST(hash__all_of_it_in_order),
        TEST(hash__goes_with_its_last_field),
        TEST(hash__numbers),
        TEST(hash__wrong_type),
        TEST(hash__is_a_key_like_others),
        TEST(hash__random_fields),
        TEST(hash__random_fields_of_a_large_one_differ),
        TEST(hash__scan),
        TEST(hash__full_store),
    };
    return cmocka_run_group_tests_name("command/hash", tests, NULL, NULL);
}
