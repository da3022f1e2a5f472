/* Commands whose keys have to be loaded: suspended, run again, answered once; what a mapped key
 * allows. */
#include "../../support/command_fixture.h"

#include <stdio.h>
#include <string.h>

#include "fault_alloc.h"

#define WRITE_REFUSED \
    "-SOURCEWRITE key is loaded from source 'shop'; write to the database, then DEL it\r\n"

/* Runs a line that has to wait, lets the mock answer, and returns the reply of the second run. */
static struct strview run_waiting(struct fixture *f, struct client *c, const char *line)
{
    const unsigned resumed = c->resumed;
    assert_int_equal(client_run(f, c, line).len, 0);
    assert_int_equal(c->result, COMMAND_SUSPENDED);
    assert_true((c->session.flags & SESSION_BLOCKED) != 0);
    fixture_turn(f);
    assert_int_equal(c->resumed, resumed + 1);
    assert_true((c->session.flags & SESSION_BLOCKED) == 0);
    const struct strview reply = client_run_again(f, c);
    assert_int_equal(c->result, COMMAND_DONE);
    assert_null(c->session.loads);
    return reply;
}

static void assert_waits_for(struct fixture *f, const char *line, const char *expected)
{
    const struct strview reply = run_waiting(f, &f->client, line);
    if (!strview_eq(reply, strview_str(expected))) {
        fail_msg("%s: got %.*s wanted %s", line, STRVIEW_ARG(reply), expected);
    }
}

static void loads__first_get_loads_second_hits(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "ROWS 1 Ada");
    assert_waits_for(f, "GET user:1", "$3\r\nAda\r\n");
    assert_reply(f, "GET user:1", "$3\r\nAda\r\n");
    assert_int_equal(f->client.result, COMMAND_DONE);
    assert_int_equal(fixture_mock(f, "QUERIES"), 1);
    assert_int_equal(f->env.stats.keyspace_misses, 1);
    assert_int_equal(f->env.stats.keyspace_hits, 1);
    assert_int_equal(f->env.stats.commands_processed, 2);
    assert_int_equal(f->client.session.commands, 2);
}

static void loads__absent_row_is_nil_and_remembered(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "ROWS 0");
    assert_waits_for(f, "GET user:1", NIL);
    assert_reply(f, "GET user:1", NIL);
    assert_reply(f, "EXISTS user:1", ZERO);
    assert_int_equal(fixture_mock(f, "QUERIES"), 1);
    assert_reply(f, "TTL user:1", ":-2\r\n");
    assert_reply(f, "TYPE user:1", "+none\r\n");
    assert_reply(f, "DEL user:1", ZERO);
    assert_waits_for(f, "GET user:1", NIL); /* forgotten all the same */
}

static void loads__other_spellings_are_ordinary_keys(void **state)
{
    struct fixture *f = *state;
    const char *lines[] = {
        "GET user:01", "GET user:+1", "GET user:", "GET user:x", "GET users:1", "GET USER:1"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        assert_reply(f, lines[i], NIL);
    }
    assert_reply(f, "SET user:01 v", OK);
    assert_int_equal(fixture_mock(f, "QUERIES"), 0);
}

static void loads__every_reader_of_strings_loads(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "ROWS 1 abcdef");
    assert_waits_for(f, "STRLEN user:1", ":6\r\n");
    assert_waits_for(f, "GETRANGE user:2 1 2", "$2\r\nbc\r\n");
    assert_waits_for(f, "SUBSTR user:3 -1 -1", "$1\r\nf\r\n");
    assert_waits_for(f, "EXISTS user:4", ONE);
    assert_waits_for(f, "GETEX user:5 EX 100", "$6\r\nabcdef\r\n");
    assert_reply(f, "TTL user:5", ":100\r\n");
    assert_waits_for(f, "GETDEL user:6", "$6\r\nabcdef\r\n");
    assert_waits_for(f, "GET user:6", "$6\r\nabcdef\r\n");
    assert_int_equal(fixture_mock(f, "QUERIES"), 7);
}

static void loads__lookers_do_not_load(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "TTL user:1", ":-2\r\n");
    assert_reply(f, "PTTL user:1", ":-2\r\n");
    assert_reply(f, "EXPIRETIME user:1", ":-2\r\n");
    assert_reply(f, "TYPE user:1", "+none\r\n");
    assert_reply(f, "TOUCH user:1", ZERO);
    assert_reply(f, "OBJECT ENCODING user:1", NIL);
    assert_reply(f, "EXPIRE user:1 10", ZERO);
    assert_reply(f, "PERSIST user:1", ZERO);
    assert_reply(f, "DEL user:1", ZERO);
    assert_reply(f, "RENAME user:1 a", "-ERR no such key\r\n");
    assert_reply(f, "COPY user:1 a", ZERO);
    assert_reply(f, "EXISTS plain:a", ZERO); /* exists-loads no */
    assert_reply(f, "DBSIZE", ZERO);
    assert_int_equal(fixture_mock(f, "QUERIES"), 0);
    f->client.session.flags |= SESSION_NO_LOAD;
    assert_reply(f, "GET user:1", NIL);
    assert_int_equal(fixture_mock(f, "QUERIES"), 0);
}

static void loads__mget_loads_all_misses_at_once(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "ROWS 1 v");
    assert_reply(f, "SET own o", OK);
    assert_waits_for(f, "GET user:2", "$1\r\nv\r\n");
    assert_waits_for(f, "MGET user:1 own user:2 none user:1 user:3",
                     "*6\r\n$1\r\nv\r\n$1\r\no\r\n$1\r\nv\r\n$-1\r\n$1\r\nv\r\n$1\r\nv\r\n");
    assert_int_equal(fixture_mock(f, "QUERIES"), 3);
}

static void loads__more_keys_than_a_client_may_load_at_once(void **state)
{
    struct fixture *f = *state;
    char line[3000] = "MGET";
    size_t len = 4;
    enum { KEYS = 200 };
    for (int i = 0; i < KEYS; i++) {
        len += (size_t)snprintf(line + len, sizeof(line) - len, " user:%d", i);
    }
    fixture_mock(f, "ROWS 1 v");
    struct strview reply = client_run(f, &f->client, line);
    unsigned runs = 1;
    while (f->client.result == COMMAND_SUSPENDED) {
        assert_true(runs < 10);
        fixture_turn(f);
        assert_int_equal(f->client.resumed, runs);
        reply = client_run_again(f, &f->client);
        runs++;
    }
    assert_int_equal(reply.len, strlen("*200\r\n") + KEYS * strlen("$1\r\nv\r\n"));
    assert_int_equal(fixture_mock(f, "QUERIES"), KEYS);
    assert_int_equal(f->env.stats.keyspace_misses, KEYS);
}

static void loads__a_failure_is_the_whole_reply(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "ROWS 1 v");
    assert_waits_for(f, "GET user:1", "$1\r\nv\r\n");
    fixture_mock(f, "FAIL err");
    const struct strview reply = run_waiting(f, &f->client, "MGET user:1 user:2 own");
    assert_true(strview_starts_with(reply, strview_str("-SOURCEERR map 'user' source 'shop' ")));
    assert_int_equal(f->env.stats.error_replies, 1);
    fixture_mock(f, "FAIL off");
    /* The failure is held for a moment: the answer comes at once, and it is an error, never a false
     * nil. */
    const struct strview held = client_run(f, &f->client, "GET user:2");
    assert_int_equal(f->client.result, COMMAND_DONE);
    assert_true(strview_starts_with(held, strview_str("-SOURCEERR ")));
    assert_null(f->client.session.loads);
}

static void loads__first_failure_ends_the_wait(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "HOLD");
    assert_int_equal(client_run(f, &f->client, "MGET user:1 user:2 user:3").len, 0);
    assert_int_equal(f->client.result, COMMAND_SUSPENDED);
    fixture_turn(f);
    fixture_mock(f, "FAIL err");
    fixture_mock(f, "RELEASE 1");
    assert_int_equal(f->client.resumed, 1);
    const struct strview reply = client_run_again(f, &f->client);
    assert_int_equal(f->client.result, COMMAND_DONE);
    assert_true(strview_starts_with(reply, strview_str("-SOURCEERR ")));
    fixture_mock(f, "RELEASE"); /* nobody waits for the others any more */
    assert_int_equal(f->client.resumed, 1);
}

static void loads__deadline_counts_from_the_commands_arrival(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "HOLD");
    (void)client_run(f, &f->client, "GET user:1");
    assert_int_equal(f->client.result, COMMAND_SUSPENDED);
    fixture_turn(f);
    fixture_advance(f, 999);
    assert_int_equal(f->client.resumed, 0);
    fixture_advance(f, 1);
    assert_int_equal(f->client.resumed, 1);
    const struct strview reply = client_run_again(f, &f->client);
    assert_true(strview_starts_with(
        reply, strview_str("-SOURCETIMEOUT map 'user' source 'shop' after 1000 ms")));
}

static void loads__one_query_for_many_clients(void **state)
{
    struct fixture *f = *state;
    enum { CLIENTS = 50 };
    static struct client clients[CLIENTS];
    fixture_mock(f, "ROWS 1 v");
    fixture_mock(f, "HOLD");
    for (int i = 0; i < CLIENTS; i++) {
        client_open(f, &clients[i]);
        (void)client_run(f, &clients[i], "GET user:1");
        assert_int_equal(clients[i].result, COMMAND_SUSPENDED);
    }
    assert_int_equal(f->env.stats.blocked_clients, CLIENTS);
    client_close(f, &clients[0]); /* one goes away meanwhile */
    assert_int_equal(f->env.stats.blocked_clients, CLIENTS - 1);
    fixture_turn(f);
    fixture_mock(f, "RELEASE");
    assert_int_equal(f->env.stats.blocked_clients, 0);
    for (int i = 1; i < CLIENTS; i++) {
        assert_int_equal(clients[i].resumed, 1);
        assert_true(strview_eq(client_run_again(f, &clients[i]), strview_str("$1\r\nv\r\n")));
        client_close(f, &clients[i]);
    }
    assert_int_equal(fixture_mock(f, "QUERIES"), 1);
}

/* Whoever waited gets the row, but the next reader asks again. */
static void loads__removal_voids_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    const char *removals[] = {"DEL user:1", "UNLINK user:1", "FLUSHDB", "FLUSHALL", "SWAPDB 0 1"};
    struct client other;
    client_open(f, &other);
    fixture_mock(f, "ROWS 1 v");
    for (size_t i = 0; i < ARRAY_LEN(removals); i++) {
        fixture_mock(f, "HOLD");
        (void)client_run(f, &f->client, "GET user:1");
        assert_int_equal(f->client.result, COMMAND_SUSPENDED);
        fixture_turn(f);
        (void)client_run(f, &other, removals[i]);
        assert_int_equal(other.result, COMMAND_DONE);
        fixture_mock(f, "RELEASE");
        assert_true(strview_eq(client_run_again(f, &f->client), strview_str("$1\r\nv\r\n")));
        assert_reply(f, "DBSIZE", ZERO);
        assert_waits_for(f, "GET user:1", "$1\r\nv\r\n");
        assert_reply(f, "FLUSHALL", OK);
    }
    client_close(f, &other);
}

static void loads__mapped_keys_are_not_written(void **state)
{
    struct fixture *f = *state;
    const char *writes[] = {"SET user:1 v",        "SETNX user:1 v",       "SETEX user:1 10 v",
                            "PSETEX user:1 10 v",  "GETSET user:1 v",      "MSET a 1 user:1 v",
                            "MSETNX user:1 v",     "APPEND user:1 v",      "INCR user:1",
                            "INCRBY user:1 2",     "DECR user:1",          "DECRBY user:1 2",
                            "SETRANGE user:1 0 v", "INCRBYFLOAT user:1 1", "SET user:1 v XX GET"};
    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        assert_reply(f, writes[i], WRITE_REFUSED);
    }
    assert_reply(f, "EXISTS a", ZERO);
    assert_reply(f, "SET a 1", OK);
    assert_reply(f, "RENAME a user:1", WRITE_REFUSED);
    assert_reply(f, "RENAMENX a user:1", WRITE_REFUSED);
    assert_reply(f, "COPY a user:1", WRITE_REFUSED);
    assert_reply(f, "MSET b user:1", OK); /* as a value */
}

static void loads__cached_rows_leave_as_ordinary_keys(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "ROWS 1 v");
    assert_waits_for(f, "GET user:1", "$1\r\nv\r\n");
    assert_reply(f, "COPY user:1 a", ONE);
    assert_reply(f, "RENAME user:1 b", OK);
    assert_reply(f, "MGET a b", "*2\r\n$1\r\nv\r\n$1\r\nv\r\n");
    assert_reply(f, "PERSIST a", ONE);
    assert_reply(f, "SET b w", OK);
    fixture_mock(f, "ROWS 1 new");
    assert_waits_for(f, "GET user:1", "$3\r\nnew\r\n");
}

static void loads__expiry_of_a_row_is_only_shortened(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "ROWS 1 v");
    assert_waits_for(f, "GET user:1", "$1\r\nv\r\n");
    assert_reply(f, "EXPIRE user:1 100", ONE);
    assert_reply(f, "TTL user:1", ":100\r\n");
    assert_reply(f, "EXPIRE user:1 100000", ONE);
    assert_reply(f, "TTL user:1", ":100\r\n");
    assert_reply(f, "PERSIST user:1", ZERO);
    assert_reply(f, "TTL user:1", ":100\r\n");
}

static void loads__row_too_big_to_store_is_answered(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "BYTES 2000000");
    const struct strview reply = run_waiting(f, &f->client, "GET user:1");
    assert_int_equal(reply.len, strlen("$2000000\r\n") + 2000000 + 2);
    assert_waits_for(f, "STRLEN user:1", ":2000000\r\n");
    assert_reply(f, "DBSIZE", ZERO);
    assert_int_equal(run_waiting(f, &f->client, "GETEX user:1 EX 10").len, reply.len);
}

/* The count of hits that a map keeps, from its description. */
struct field {
    const char *name;
    int64_t value;
};

static void take_field(void *arg, const char *name, struct strview value)
{
    struct field *field = arg;
    if (strcmp(name, field->name) == 0) {
        field->value = -1;
        for (size_t i = 0; i < value.len; i++) {
            field->value = (field->value < 0 ? 0 : field->value * 10) + (value.data[i] - '0');
        }
    }
}

static int64_t map_count(struct fixture *f, const char *name)
{
    struct field field = {.name = name, .value = -1};
    assert_true(sources_describe_map(f->sources, strview_str("user"), take_field, &field));
    return field.value;
}

static void loads__a_map_counts_each_read_once(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "ROWS 1 v");
    assert_waits_for(f, "GET user:1", "$1\r\nv\r\n");
    assert_waits_for(f, "MGET user:1 user:2", "*2\r\n$1\r\nv\r\n$1\r\nv\r\n");
    assert_reply(f, "GET user:2", "$1\r\nv\r\n");
    assert_reply(f, "EXISTS user:2", ONE);
    (void)client_run(f, &f->client, "TTL user:1");
    (void)client_run(f, &f->client, "KEYS *");
    (void)client_run(f, &f->client, "EXPIRE user:1 100");
    (void)client_run(f, &f->client, "DEL user:1");
    assert_int_equal(map_count(f, "misses"), 2);
    assert_int_equal(map_count(f, "hits"), 3);
}

static void loads__suppressed_replies_stay_suppressed(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "ROWS 1 v");
    f->client.session.flags |= SESSION_REPLY_SKIP_NEXT;
    assert_waits_for(f, "GET user:1", "");
    assert_reply(f, "GET user:1", "$1\r\nv\r\n");
}

/* Whichever allocation fails: an error or the row, never a false nil, and the next command works.
 */
static void loads__survive_a_lack_of_memory(void **state)
{
    struct fixture *f = *state;
    bool has_failed = true;
    fixture_mock(f, "ROWS 1 v");
    assert_waits_for(f, "GET user:1", "$1\r\nv\r\n");
    for (size_t good = 0; has_failed; good++) {
        char keys[2][32];
        assert_true(good < 100);
        snprintf(keys[0], sizeof(keys[0]), "user:%zu1", good + 1);
        snprintf(keys[1], sizeof(keys[1]), "user:%zu2", good + 1);
        const struct strview argv[] = {strview_str("MGET"), strview_str(keys[0]),
                                       strview_str(keys[1])};
        assert_true(buf_reserve(&f->client.out, 4096)); /* without it there is no reply at all */
        fault_alloc_arm(good, 1);
        struct strview reply = client_run_argv(f, &f->client, argv, 3);
        if (f->client.result == COMMAND_SUSPENDED) {
            fixture_turn(f);
            reply = client_run_argv(f, &f->client, argv, 3);
        }
        has_failed = fault_alloc_disarm();
        assert_int_equal(f->client.result, COMMAND_DONE);
        assert_null(f->client.session.loads);
        if (!strview_starts_with(reply, strview_str("-SOURCE"))) {
            assert_true(strview_eq(reply, strview_str("*2\r\n$1\r\nv\r\n$1\r\nv\r\n")));
        }
    }
    assert_waits_for(f, "GET user:9999", "$1\r\nv\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_maps, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(loads__first_get_loads_second_hits),
        TEST(loads__absent_row_is_nil_and_remembered),
        TEST(loads__other_spellings_are_ordinary_keys),
        TEST(loads__every_reader_of_strings_loads),
        TEST(loads__lookers_do_not_load),
        TEST(loads__mget_loads_all_misses_at_once),
        TEST(loads__more_keys_than_a_client_may_load_at_once),
        TEST(loads__a_failure_is_the_whole_reply),
        TEST(loads__first_failure_ends_the_wait),
        TEST(loads__deadline_counts_from_the_commands_arrival),
        TEST(loads__one_query_for_many_clients),
        TEST(loads__removal_voids_what_is_under_way),
        TEST(loads__mapped_keys_are_not_written),
        TEST(loads__cached_rows_leave_as_ordinary_keys),
        TEST(loads__expiry_of_a_row_is_only_shortened),
        TEST(loads__row_too_big_to_store_is_answered),
        TEST(loads__a_map_counts_each_read_once),
        TEST(loads__suppressed_replies_stay_suppressed),
        TEST(loads__survive_a_lack_of_memory),
    };
    return cmocka_run_group_tests_name("command/loads", tests, NULL, NULL);
}
