/* Writes to mapped keys: through to the database, or in the cache alone. */
#include "../../support/command_fixture.h"

#include <string.h>

/* Rule 51. */
static void writes__success_forgets_the_key(void **state)
{
    struct fixture *f = *state;
    assert_answers(f, "GET acct:1", "$8\r\nmock:1:1\r\n");
    assert_answers(f, "SET acct:1 new", OK); /* query 2 */
    assert_answers(f, "SOURCE GET acct:1 CACHEONLY", NIL);
    assert_answers(f, "GET acct:1", "$8\r\nmock:1:3\r\n");
    assert_answers(f, "DEL acct:1", ONE);
    assert_answers(f, "GET acct:1", "$8\r\nmock:1:5\r\n");
}

/* Rule 51. */
static void writes__returned_row_is_stored(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "CHANGED 1 x");
    assert_answers(f, "SET acct:1 new", OK);
    assert_answers(f, "SOURCE GET acct:1 CACHEONLY", "$12\r\nmock:1:new:1\r\n");
}

/* Rule 51. */
static void writes__definite_failure_changes_nothing(void **state)
{
    struct fixture *f = *state;
    assert_answers(f, "GET acct:1", "$8\r\nmock:1:1\r\n");
    fixture_mock(f, "FAIL err");
    assert_begins(f, "SET acct:1 new", "-SOURCEERR map 'acct' source 'shop'");
    fixture_mock(f, "FAIL down");
    assert_begins(f, "SET acct:1 new", "-SOURCEDOWN");
    fixture_mock(f, "FAIL off");
    fixture_mock(f, "CHANGED 0");
    assert_begins(f, "SET acct:1 new", "-SOURCENOROW");
    assert_answers(f, "SOURCE GET acct:1 CACHEONLY", "$8\r\nmock:1:1\r\n");
    assert_true(sources_pause(f->sources, strview_str("shop"), true));
    assert_begins(f, "SET acct:1 new", "-SOURCEDOWN");
    assert_answers(f, "SOURCE GET acct:1 CACHEONLY", "$8\r\nmock:1:1\r\n");
}

/* Rules 48 and 51. */
static void writes__unknown_outcome_forgets_the_key(void **state)
{
    struct fixture *f = *state;
    assert_answers(f, "GET acct:1", "$8\r\nmock:1:1\r\n");
    fixture_mock(f, "HOLD");
    (void)client_run(f, &f->client, "SET acct:1 new");
    fixture_turn(f);
    fixture_mock(f, "LOSE");
    const int64_t queries = fixture_mock(f, "QUERIES");
    struct strview reply = client_run_again(f, &f->client);
    assert_true(strview_starts_with(reply, strview_str("-SOURCEUNKNOWN map 'acct'")));
    assert_int_equal(fixture_mock(f, "QUERIES"), queries); /* never twice */
    assert_answers(f, "SOURCE GET acct:1 CACHEONLY", NIL);
    (void)client_run(f, &f->client, "SET acct:1 new"); /* nor when it takes too long */
    fixture_turn(f);
    fixture_advance(f, 1000);
    reply = client_run_again(f, &f->client);
    assert_true(strview_starts_with(reply, strview_str("-SOURCEUNKNOWN")));
}

/* Rule 8. */
/* The database may be about to do it, and a load in between have read what was before. */
static void writes__unknown_outcome_forgets_once_more(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "HOLD");
    (void)client_run(f, &f->client, "SET acct:1 new");
    fixture_turn(f);
    fixture_mock(f, "LOSE");
    assert_true(
        strview_starts_with(client_run_again(f, &f->client), strview_str("-SOURCEUNKNOWN")));
    fixture_mock(f, "RELEASE");
    assert_begins(f, "GET acct:1", "$8\r\nmock:1:");
    fixture_advance(f, 1900);
    assert_begins(f, "SOURCE GET acct:1 CACHEONLY", "$8\r\nmock:1:");
    fixture_advance(f, 200); /* twice load-timeout */
    assert_answers(f, "SOURCE GET acct:1 CACHEONLY", NIL);
}

static void writes__loads_around_a_write_are_not_stored(void **state)
{
    struct fixture *f = *state;
    struct client before, during;
    client_open(f, &before);
    client_open(f, &during);
    fixture_mock(f, "HOLD");
    (void)client_run(f, &before, "GET acct:1");
    fixture_turn(f);
    (void)client_run(f, &f->client, "SET acct:1 new");
    fixture_turn(f);
    (void)client_run(f, &during, "GET acct:1");
    fixture_turn(f);
    fixture_mock(f, "RELEASE 2"); /* the load from before, the write */
    assert_true(strview_eq(client_run_again(f, &f->client), strview_str(OK)));
    fixture_mock(f, "RELEASE");
    (void)client_run_again(f, &before);
    (void)client_run_again(f, &during);
    assert_answers(f, "SOURCE GET acct:1 CACHEONLY", NIL);
    client_close(f, &before);
    client_close(f, &during);
}

static void writes__of_two_neither_row_is_stored(void **state)
{
    struct fixture *f = *state;
    struct client other;
    client_open(f, &other);
    fixture_mock(f, "CHANGED 1 x");
    fixture_mock(f, "HOLD");
    (void)client_run(f, &f->client, "SET acct:1 a");
    (void)client_run(f, &other, "SET acct:1 b");
    fixture_turn(f);
    fixture_mock(f, "RELEASE");
    (void)client_run_again(f, &f->client);
    (void)client_run_again(f, &other);
    assert_answers(f, "SOURCE GET acct:1 CACHEONLY", NIL);
    client_close(f, &other);
}

static void writes__fields_are_parameters(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "CHANGED 1 x");
    assert_answers(f, "HSET row:1 b two", ZERO);
    assert_answers(f, "HGET row:1 value", "$17\r\nmock:1:NULL:two:1\r\n");
    assert_answers(f, "HMSET row:1 a one b two", OK);
    assert_begins(f, "HSET row:1 c three", "-SOURCEERR");
    assert_begins(f, "HDEL row:1 a", "-SOURCEWRITE");
    assert_begins(f, "SET row:1 v", "-SOURCEWRITE");
}

static void writes__that_cannot_be_one_statement_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const lines[] = {"SET acct:1 v EX 10", "SETNX acct:1 v", "APPEND acct:1 v",
                                        "MSET acct:1 v",      "INCR acct:1",    "DEL acct:1 acct:2",
                                        "SETEX acct:1 5 v",   "GETSET acct:1 v"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        assert_begins(f, lines[i], "-SOURCEWRITE");
    }
    assert_answers(f, "MULTI", OK);
    assert_begins(f, "SET acct:1 v", "-SOURCEWRITE");
    assert_begins(f, "DEL acct:1", "-SOURCEWRITE");
    assert_begins(f, "EXEC", "-EXECABORT");
    assert_int_equal(fixture_mock(f, "QUERIES"), 0);
}

static void writes__local_values_win(void **state)
{
    struct fixture *f = *state;
    struct client other;
    client_open(f, &other);
    fixture_mock(f, "HOLD");
    (void)client_run(f, &other, "GET note:1");
    fixture_turn(f);
    assert_answers(f, "SET note:1 mine", OK);
    fixture_mock(f, "RELEASE");
    (void)client_run_again(f, &other);
    assert_answers(f, "GET note:1", "$4\r\nmine\r\n");
    assert_answers(f, "DEL note:1", ONE);
    assert_answers(f, "GET note:1", "$8\r\nmock:1:2\r\n");
    client_close(f, &other);
}

static void writes__local_changes_load_first(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "ROWS 1 41");
    assert_answers(f, "INCR note:1", ":42\r\n");
    assert_answers(f, "GET note:1", "$2\r\n42\r\n");
    assert_answers(f, "APPEND note:2 x", ":3\r\n");
    assert_answers(f, "SET note:3 v XX", OK);
    assert_int_equal(fixture_mock(f, "QUERIES"), 3);
    assert_answers(f, "SET note:4 v", OK); /* whatever was there */
    assert_int_equal(fixture_mock(f, "QUERIES"), 3);
    fixture_mock(f, "FAIL err");
    assert_begins(f, "INCR note:5", "-SOURCEERR");
    assert_answers(f, "SET a v", OK);
    assert_answers(f, "RENAME a note:6", OK);
}

/* `ttl` is 5 minutes. */
static void writes__local_values_live_no_longer_than_rows(void **state)
{
    struct fixture *f = *state;
    assert_answers(f, "SET note:1 v", OK);
    assert_answers(f, "PTTL note:1", ":300000\r\n");
    assert_answers(f, "EXPIRE note:1 1000", ONE);
    assert_answers(f, "PTTL note:1", ":300000\r\n");
    assert_answers(f, "SET note:1 v EX 10", OK);
    assert_answers(f, "PTTL note:1", ":10000\r\n");
    assert_answers(f, "MSET note:2 v plain v", OK);
    assert_answers(f, "PTTL note:2", ":300000\r\n");
    assert_answers(f, "PTTL plain", ":-1\r\n");
    assert_answers(f, "RENAME plain note:3", OK);
    assert_answers(f, "PTTL note:3", ":300000\r\n");
    fixture_advance(f, 300000);
    assert_answers(f, "GET note:3", "$8\r\nmock:3:1\r\n");
}

/* What a transaction changes is loaded before its first command, like what it reads. */
static void writes__local_changes_in_exec_load_first(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "ROWS 1 41");
    assert_answers(f, "MULTI", OK);
    assert_answers(f, "INCR note:1", "+QUEUED\r\n");
    assert_answers(f, "APPEND note:2 x", "+QUEUED\r\n");
    assert_answers(f, "SET note:3 v", "+QUEUED\r\n");
    assert_answers(f, "INCR note:1", "+QUEUED\r\n");
    fixture_mock(f, "HOLD");
    (void)client_run(f, &f->client, "EXEC");
    fixture_turn(f);
    assert_int_equal(fixture_mock(f, "HELD"), 2); /* both at once; SET needs nothing */
    fixture_mock(f, "RELEASE");
    const struct strview reply = client_run_again(f, &f->client);
    assert_true(strview_eq(reply, strview_str("*4\r\n:42\r\n:3\r\n+OK\r\n:43\r\n")));
    assert_answers(f, "GET note:1", "$2\r\n43\r\n");
    assert_int_equal(fixture_mock(f, "QUERIES"), 2);
}

/* A load is what the key held before the transaction: not what it holds after a change within. */
static void writes__in_exec_a_change_ends_what_was_loaded(void **state)
{
    struct fixture *f = *state;
    static const char *const blocks[][3] = {
        {"SET note:1 mine", "GET note:1", "*2\r\n+OK\r\n$4\r\nmine\r\n"},
        {"APPEND note:1 x", "GET note:1", "*2\r\n:9\r\n$9\r\nmock:1:1x\r\n"},
        {"DEL note:1", "GET note:1", "*2\r\n:1\r\n-SOURCEMISS"},
        {"DEL note:1", "INCR note:1", "*2\r\n:1\r\n-SOURCEMISS"},
        {"FLUSHALL", "GET note:1", "*2\r\n+OK\r\n-SOURCEMISS"},
        {"SWAPDB 0 1", "GET note:1", "*2\r\n+OK\r\n-SOURCEMISS"},
    };
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        fixture_mock(f, "RESET");
        assert_answers(f, "FLUSHALL", OK);
        assert_answers(f, "MULTI", OK);
        assert_answers(f, blocks[i][0], "+QUEUED\r\n");
        assert_answers(f, blocks[i][1], "+QUEUED\r\n");
        assert_begins(f, "EXEC", blocks[i][2]);
    }
}

static void writes__in_exec_a_failed_load_is_its_commands_error(void **state)
{
    struct fixture *f = *state;
    fixture_mock(f, "FAIL err");
    assert_answers(f, "MULTI", OK);
    assert_answers(f, "SET plain 1", "+QUEUED\r\n");
    assert_answers(f, "INCR note:1", "+QUEUED\r\n");
    assert_begins(f, "EXEC", "*2\r\n+OK\r\n-SOURCEERR");
    fixture_mock(f, "RESET");
    fixture_advance(f, 1000);                              /* beyond error-hold */
    assert_answers(f, "GET note:1", "$8\r\nmock:1:1\r\n"); /* nothing was counted from zero */
}

/* A row that was answered and not stored cannot be changed: counting from zero would be a lie. */
static void writes__local_change_of_a_row_that_is_not_kept_is_an_error(void **state)
{
    struct fixture *f = *state;
    fixture_directive(f, "map-set note ttl 0");
    fixture_mock(f, "ROWS 1 41");
    assert_begins(f, "INCR note:1", "-SOURCEMISS");
    assert_answers(f, "MULTI", OK);
    assert_answers(f, "INCR note:1", "+QUEUED\r\n");
    assert_begins(f, "EXEC", "*1\r\n-SOURCEMISS");
    assert_answers(f, "SET note:1 1", OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_maps, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes__success_forgets_the_key),
        TEST(writes__returned_row_is_stored),
        TEST(writes__definite_failure_changes_nothing),
        TEST(writes__unknown_outcome_forgets_the_key),
        TEST(writes__unknown_outcome_forgets_once_more),
        TEST(writes__loads_around_a_write_are_not_stored),
        TEST(writes__of_two_neither_row_is_stored),
        TEST(writes__fields_are_parameters),
        TEST(writes__that_cannot_be_one_statement_are_refused),
        TEST(writes__local_values_win),
        TEST(writes__local_values_live_no_longer_than_rows),
        TEST(writes__local_changes_load_first),
        TEST(writes__local_changes_in_exec_load_first),
        TEST(writes__in_exec_a_change_ends_what_was_loaded),
        TEST(writes__in_exec_a_failed_load_is_its_commands_error),
        TEST(writes__local_change_of_a_row_that_is_not_kept_is_an_error),
    };
    return cmocka_run_group_tests_name("command/writes", tests, NULL, NULL);
}
