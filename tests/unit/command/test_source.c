/* SOURCE's subcommands that read, load and steer, and what a mapped key's life looks like from
 * outside. */
#include "../../support/command_fixture.h"

#include <stdio.h>
#include <string.h>

static void source__get_from_the_cache_only(void **state)
{
    struct fixture *f = *state;
    assert_answers(f, "SOURCE GET user:1 CACHEONLY", NIL);
    assert_int_equal(fixture_mock(f, "QUERIES"), 0);
    assert_answers(f, "SOURCE GET user:1", "$8\r\nmock:1:1\r\n");
    assert_answers(f, "SOURCE GET user:1 CACHEONLY", "$8\r\nmock:1:1\r\n");
    assert_answers(f, "SOURCE GET plainkey", NIL);
    assert_answers(f, "SET plainkey v", OK);
    assert_answers(f, "SOURCE GET plainkey WITHAGE", "*2\r\n$1\r\nv\r\n:-1\r\n");
    assert_answers(f, "SOURCE GET user:1 CACHEONLY FRESH", SYNTAX_ERROR);
}

static void source__get_anew_and_no_older_than(void **state)
{
    struct fixture *f = *state;
    assert_answers(f, "GET user:1", "$8\r\nmock:1:1\r\n");
    fixture_advance(f, 1000);
    assert_answers(f, "SOURCE GET user:1 WITHAGE", "*2\r\n$8\r\nmock:1:1\r\n:1000\r\n");
    assert_answers(f, "SOURCE GET user:1 MAXAGE 1000", "$8\r\nmock:1:1\r\n");
    assert_answers(f, "SOURCE GET user:1 MAXAGE 999 WITHAGE", "*2\r\n$8\r\nmock:1:2\r\n:0\r\n");
    assert_answers(f, "SOURCE GET user:1 FRESH", "$8\r\nmock:1:3\r\n");
    assert_answers(f, "GET user:1", "$8\r\nmock:1:3\r\n"); /* it was stored */
    fixture_mock(f, "FAIL down");
    assert_begins(f, "SOURCE GET user:1 FRESH", "-SOURCEDOWN"); /* and never an old one */
    assert_answers(f, "GET user:1", "$8\r\nmock:1:3\r\n");
}

static void source__fresh_does_not_join_an_older_load(void **state)
{
    struct fixture *f = *state;
    struct client other;
    client_open(f, &other);
    fixture_mock(f, "HOLD");
    (void)client_run(f, &other, "GET user:1");
    fixture_turn(f);
    (void)client_run(f, &f->client, "SOURCE GET user:1 FRESH");
    fixture_turn(f);
    assert_int_equal(fixture_mock(f, "QUERIES"), 2);
    fixture_mock(f, "RELEASE");
    assert_true(strview_eq(client_run_again(f, &f->client), strview_str("$8\r\nmock:1:2\r\n")));
    assert_true(strview_eq(client_run_again(f, &other), strview_str("$8\r\nmock:1:1\r\n")));
    client_close(f, &other);
}

#define COUNTS(loaded, cached, absent, failed)                        \
    "*8\r\n$6\r\nloaded\r\n:" #loaded "\r\n$6\r\ncached\r\n:" #cached \
    "\r\n$6\r\nabsent\r\n:" #absent "\r\n$6\r\nfailed\r\n:" #failed "\r\n"

static void source__load_and_refresh_count_what_came(void **state)
{
    struct fixture *f = *state;
    assert_answers(f, "GET user:1", "$8\r\nmock:1:1\r\n");
    assert_answers(f, "SOURCE LOAD user:1 user:2 user:3 other", COUNTS(2, 1, 1, 0));
    assert_int_equal(fixture_mock(f, "QUERIES"), 3);
    assert_answers(f, "SOURCE REFRESH user:1 user:2", COUNTS(2, 0, 0, 0));
    assert_answers(f, "GET user:1", "$8\r\nmock:1:4\r\n");
    fixture_mock(f, "ROWS 0");
    assert_answers(f, "SOURCE REFRESH user:1", COUNTS(0, 0, 1, 0));
    fixture_mock(f, "FAIL err");
    assert_answers(f, "SOURCE REFRESH user:8 user:9", COUNTS(0, 0, 0, 2)); /* all are waited for */
}

static void source__no_load_keeps_a_connection_from_loading(void **state)
{
    struct fixture *f = *state;
    assert_answers(f, "GET user:1", "$8\r\nmock:1:1\r\n");
    assert_answers(f, "CLIENT NO-LOAD ON", OK);
    assert_answers(f, "MGET user:1 user:2", "*2\r\n$8\r\nmock:1:1\r\n$-1\r\n");
    assert_answers(f, "SOURCE GET user:2", NIL);
    fixture_advance(f, 250000); /* old enough to be reloaded ahead, by others */
    assert_answers(f, "GET user:1", "$8\r\nmock:1:1\r\n");
    fixture_turn(f);
    assert_int_equal(fixture_mock(f, "QUERIES"), 1);
    assert_answers(f, "CLIENT NO-LOAD OFF", OK);
    assert_answers(f, "GET user:2", "$8\r\nmock:2:2\r\n");
}

static void source__warm_loads_at_its_rate(void **state)
{
    struct fixture *f = *state;
    char line[2000] = "SOURCE WARM user KEYS other:1";
    for (int i = 0; i < 100; i++) {
        snprintf(line + strlen(line), sizeof(line) - strlen(line), " user:%d", i);
    }
    strcat(line, " RATE 100");
    assert_answers(f, "GET user:5", "$8\r\nmock:5:1\r\n");
    assert_answers(f, line, OK);
    assert_begins(f, "SOURCE WARM user KEYS user:1", "-ERR a warm-up is under way");
    for (int i = 0; i < 10; i++) {
        fixture_advance(f, 50);
    }
    assert_int_equal(fixture_mock(f, "QUERIES"), 50); /* half a second's, of which one was cached */
    for (int i = 0; i < 12; i++) {
        fixture_advance(f, 50);
    }
    const struct strview status = client_run_to_end(f, &f->client, "SOURCE WARM STATUS");
    const char *expected = "*20\r\n$5\r\nstate\r\n$4\r\ndone\r\n$3\r\nmap\r\n$4\r\nuser\r\n"
                           "$5\r\ntotal\r\n:100\r\n$4\r\ndone\r\n:100\r\n$6\r\nloaded\r\n:99\r\n"
                           "$6\r\ncached\r\n:1\r\n$6\r\nabsent\r\n:0\r\n$6\r\nfailed\r\n:0\r\n"
                           "$7\r\nskipped\r\n:1\r\n$6\r\neta_ms\r\n:0\r\n";
    if (!strview_eq(status, strview_str(expected))) {
        fail_msg("%.*s", STRVIEW_ARG(status));
    }
    assert_reply(f, "DBSIZE", ":100\r\n");
    assert_answers(f, "SOURCE WARM STOP", ZERO);
}

static void source__warm_stops_and_takes_a_query(void **state)
{
    struct fixture *f = *state;
    assert_answers(f, "SOURCE WARM user KEYS user:1 user:2 user:3 RATE 1", OK);
    fixture_advance(f, 1000);
    assert_answers(f, "SOURCE WARM STOP", ONE);
    fixture_advance(f, 5000);
    assert_int_equal(fixture_mock(f, "QUERIES"), 1);
    assert_begins(f, "SOURCE WARM user QUERY 'SELECT id FROM users'", "-ERR refused to clients");
    f->options.enable_source_command = PERMISSION_YES;
    fixture_mock(f, "TABLE 7|8|x|9");
    assert_answers(f, "SOURCE WARM user QUERY 'SELECT id FROM users' RATE 1000", OK);
    fixture_turn(f);
    fixture_mock(f, "ROWS 1 v");
    fixture_advance(f, 100);
    fixture_advance(f, 100);
    assert_answers(f, "MGET user:7 user:8 user:9", "*3\r\n$1\r\nv\r\n$1\r\nv\r\n$1\r\nv\r\n");
    assert_int_equal(fixture_mock(f, "QUERIES"), 5);
}

static void source__hot_and_slowlog(void **state)
{
    struct fixture *f = *state;
    assert_answers(f, "SOURCE HOT", "*0\r\n");
    assert_answers(f, "GET user:1", "$8\r\nmock:1:1\r\n");
    assert_answers(f, "SET own v", OK);
    assert_begins(f, "SOURCE HOT user 5", "*1\r\n*2\r\n$6\r\nuser:1\r\n:");
    assert_answers(f, "SOURCE HOT plain", "*0\r\n");
    assert_answers(f, "SOURCE SLOWLOG", "*0\r\n");
    fixture_mock(f, "HOLD");
    (void)client_run(f, &f->client, "GET user:2");
    fixture_turn(f);
    fixture_advance(f, 20);
    fixture_mock(f, "RELEASE");
    (void)client_run_again(f, &f->client);
    assert_begins(f, "SOURCE SLOWLOG",
                  "*1\r\n*4\r\n:1700000000\r\n:20000\r\n$4\r\nuser\r\n$6\r\nuser:2\r\n");
    fixture_directive(f, "source-set shop slow-load 50ms");
    fixture_mock(f, "HOLD");
    (void)client_run(f, &f->client, "GET user:3");
    fixture_turn(f);
    fixture_advance(f, 20);
    fixture_mock(f, "RELEASE");
    (void)client_run_again(f, &f->client);
    assert_begins(f, "SOURCE SLOWLOG", "*1\r\n"); /* it was not slow any more */
}

static void source__set_needs_leave(void **state)
{
    struct fixture *f = *state;
    assert_begins(f, "SOURCE SET user ttl 1s", "-ERR refused to clients");
    f->options.enable_source_command = PERMISSION_YES;
    assert_answers(f, "SOURCE SET user ttl 1s stale-ttl 1s", OK);
    assert_answers(f, "SOURCE SET shop max-queue 5", OK);
    assert_begins(f, "SOURCE SET shop ttl 5", "-ERR source-set shop: unknown option 'ttl'");
    assert_answers(f, "GET user:1", "$8\r\nmock:1:1\r\n");
    fixture_advance(f, 1500);
    assert_answers(f, "TTL user:1", ZERO); /* stale, and still there */
    assert_answers(f, "EXISTS user:1", ONE);
    fixture_turn(f);
    assert_answers(f, "GET user:1", "$8\r\nmock:1:2\r\n");
}

static void source__maps_come_and_go(void **state)
{
    struct fixture *f = *state;
    assert_begins(f, "SOURCE ADD n mock x", "-ERR refused to clients; set enable-source-command");
    assert_begins(f, "SOURCE MAP page shop page:{id:int} q", "-ERR refused to clients");
    assert_begins(f, "SOURCE DEL user", "-ERR refused to clients");
    f->options.enable_source_command = PERMISSION_YES;
    assert_answers(f, "SOURCE ADD n mock x pool 2", OK);
    assert_begins(f, "SOURCE ADD n mock x", "-ERR source n: the source exists already");
    assert_begins(f, "SOURCE MAP page n page:{id:int} 'SELECT $x'", "-ERR map page: ");
    assert_answers(f, "SOURCE MAP page n page:{id:int} 'SELECT $id' jitter 0%", OK);
    assert_answers(f, "GET page:1", "$8\r\nmock:1:1\r\n");
    assert_begins(f, "SOURCE DEL n", "-ERR map 'page' loads from this source");
    assert_answers(f, "SOURCE DEL page", OK);
    assert_answers(f, "GET page:1", NIL);
    assert_answers(f, "TTL page:1", ":-2\r\n");
    assert_answers(f, "EXISTS page:1", ZERO);
    assert_answers(f, "SET page:1 own", OK);
    assert_answers(f, "GET page:1", "$3\r\nown\r\n");
    assert_answers(f, "SOURCE DEL n", OK);
    assert_begins(f, "SOURCE DEL n", "-ERR there is no source and no map");
}

static void source__map_that_the_database_refuses_is_not_added(void **state)
{
    struct fixture *f = *state;
    f->options.enable_source_command = PERMISSION_YES;
    fixture_mock(f, "FAIL err");
    assert_begins(f, "SOURCE MAP page shop page:{id:int} 'SELECT $id'", "-SOURCEERR map 'page'");
    assert_begins(f, "SOURCE DEL page", "-ERR there is no source and no map");
    fixture_mock(f, "FAIL down"); /* nobody knows: as at a start */
    assert_answers(f, "SOURCE MAP page shop page:{id:int} 'SELECT $id'", OK);
    fixture_mock(f, "FAIL off");
    assert_answers(f, "SOURCE DEL page", OK);
    assert_begins(f, "SOURCE MAP page shop page:{id:int} 'SELECT $id' bulk id bulk-query nonsense",
                  "-ERR map page: ");
    assert_answers(f,
                   "SOURCE MAP page shop page:{id:int} 'SELECT $id' bulk id bulk-query 'SELECT "
                   "$id[]' jitter 0%",
                   OK);
    assert_begins(f, "GET page:1", "$");
    assert_answers(f, "MULTI", OK);
    assert_begins(f, "SOURCE MAP other shop other:{id:int} 'SELECT $id'", "-ERR");
    assert_begins(f, "DISCARD", "+OK");
}

/* Who reads a deleted map's key gets an error, or what the key is without the map. */
static void source__reader_of_a_map_that_is_deleted(void **state)
{
    struct fixture *f = *state;
    struct client other;
    client_open(f, &other);
    f->options.enable_source_command = PERMISSION_YES;
    fixture_mock(f, "HOLD");
    (void)client_run(f, &f->client, "GET user:1");
    fixture_turn(f);
    assert_true(strview_eq(client_run(f, &other, "SOURCE DEL user"), strview_str(OK)));
    assert_true(strview_starts_with(client_run_again(f, &f->client), strview_str("-SOURCEDOWN")));
    fixture_mock(f, "RELEASE");
    fixture_turn(f);
    assert_answers(f, "GET user:1", NIL);
    client_close(f, &other);
}

static void source__local_is_for_this_machine(void **state)
{
    static const unsigned near[] = {SESSION_UNIX, SESSION_LOOPBACK};
    struct fixture *f = *state;
    f->options.enable_source_command = PERMISSION_LOCAL;
    assert_begins(f, "SOURCE SET user ttl 1s", "-ERR refused to clients of other machines");
    assert_begins(f, "SOURCE ADD n mock x", "-ERR refused to clients of other machines");
    for (size_t i = 0; i < ARRAY_LEN(near); i++) {
        f->client.session.flags |= near[i];
        assert_answers(f, "SOURCE SET user ttl 1s", OK);
        assert_begins(f, "RESET", "+RESET");
        assert_answers(f, "SOURCE SET user ttl 2s", OK);
        f->client.session.flags &= ~near[i];
    }
}

static void source__expire_voids_a_load(void **state)
{
    struct fixture *f = *state;
    struct client other;
    client_open(f, &other);
    fixture_mock(f, "HOLD");
    (void)client_run(f, &f->client, "GET user:1");
    fixture_turn(f);
    assert_true(strview_eq(client_run(f, &other, "EXPIRE user:1 100"), strview_str(ZERO)));
    fixture_mock(f, "RELEASE");
    assert_true(strview_eq(client_run_again(f, &f->client), strview_str("$8\r\nmock:1:1\r\n")));
    assert_answers(f, "SOURCE GET user:1 CACHEONLY", NIL);
    client_close(f, &other);
}

static void source__look_ahead_starts_loads(void **state)
{
    struct fixture *f = *state;
    const struct strview get[] = {strview_str("GET"), strview_str("user:1")};
    const struct strview mget[] = {strview_str("MGET"), strview_str("user:2"), strview_str("own"),
                                   strview_str("user:3")};
    const struct strview hget[] = {strview_str("HGET"), strview_str("user:4"), strview_str("f")};
    const struct strview select[] = {strview_str("SELECT"), strview_str("1")};
    const struct session *s = &f->client.session;
    assert_true(command_look_ahead(&f->env, s, get, 2));
    assert_true(command_look_ahead(&f->env, s, mget, 4));
    assert_true(command_look_ahead(&f->env, s, hget, 3)); /* of another type: not loaded */
    assert_false(command_look_ahead(&f->env, s, select, 2));
    fixture_turn(f);
    assert_int_equal(fixture_mock(f, "QUERIES"), 3);
    assert_reply(f, "GET user:3", "$8\r\nmock:3:3\r\n");
    f->client.session.flags |= SESSION_IN_MULTI;
    assert_false(command_look_ahead(&f->env, s, get, 2));
    f->client.session.flags &= ~(unsigned)SESSION_IN_MULTI;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_maps, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(source__get_from_the_cache_only),
        TEST(source__get_anew_and_no_older_than),
        TEST(source__fresh_does_not_join_an_older_load),
        TEST(source__load_and_refresh_count_what_came),
        TEST(source__no_load_keeps_a_connection_from_loading),
        TEST(source__warm_loads_at_its_rate),
        TEST(source__warm_stops_and_takes_a_query),
        TEST(source__hot_and_slowlog),
        TEST(source__set_needs_leave),
        TEST(source__maps_come_and_go),
        TEST(source__map_that_the_database_refuses_is_not_added),
        TEST(source__reader_of_a_map_that_is_deleted),
        TEST(source__local_is_for_this_machine),
        TEST(source__expire_voids_a_load),
        TEST(source__look_ahead_starts_loads),
    };
    return cmocka_run_group_tests_name("command/source", tests, NULL, NULL);
}
