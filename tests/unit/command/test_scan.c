/* KEYS, SCAN, RANDOMKEY and DBSIZE. */
#include "../../support/command_fixture.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "tarn/base/num.h"

#define KEYS_COUNT 1000

/* Names k000 ... k999. */
static void fill(struct fixture *f)
{
    char line[40];
    for (int i = 0; i < KEYS_COUNT; i++) {
        snprintf(line, sizeof(line), "SET k%03d %d", i, i);
        assert_reply(f, line, OK);
    }
}

/* Takes one line without its CR LF. */
static struct strview take_line(struct strview *rest)
{
    const char *end = memchr(rest->data, '\r', rest->len);
    assert_non_null(end);
    const struct strview line = strview_of(rest->data, (size_t)(end - rest->data));
    *rest = strview_of(end + 2, rest->len - line.len - 2);
    return line;
}

/* Reads a reply of SCAN: the cursor, and a mark for each key k<number>. Returns the number of keys.
 */
static size_t read_scan(struct strview reply, struct strview *cursor_out, unsigned seen[KEYS_COUNT])
{
    size_t count = 0;
    assert_true(strview_eq(take_line(&reply), strview_str("*2")));
    (void)take_line(&reply);
    *cursor_out = take_line(&reply);
    (void)take_line(&reply);
    while (reply.len > 0) {
        int64_t number;
        (void)take_line(&reply);
        const struct strview key = take_line(&reply);
        assert_int_equal(key.len, 4);
        size_t first = 1; /* strict numbers have no leading zeros */
        while (first < 3 && key.data[first] == '0') {
            first++;
        }
        assert_true(num_parse_i64(strview_of(key.data + first, 4 - first), &number));
        seen[number]++;
        count++;
    }
    return count;
}

/* Walks to the end; returns the number of calls. */
static size_t walk(struct fixture *f, const char *options, unsigned seen[KEYS_COUNT])
{
    char line[200];
    char cursor[24] = "0";
    size_t calls = 0;
    memset(seen, 0, KEYS_COUNT * sizeof(seen[0]));
    do {
        struct strview next;
        snprintf(line, sizeof(line), "SCAN %s %s", cursor, options);
        (void)read_scan(client_run(f, &f->client, line), &next, seen);
        assert_true(next.len < sizeof(cursor));
        memcpy(cursor, next.data, next.len);
        cursor[next.len] = '\0';
        calls++;
        assert_true(calls <= 10 * KEYS_COUNT);
    } while (strcmp(cursor, "0") != 0);
    return calls;
}

static void scan__shows_every_key(void **state)
{
    struct fixture *f = *state;
    unsigned seen[KEYS_COUNT];
    const char *options[] = {"",
                             "COUNT 1",
                             "COUNT 1000000",
                             "COUNT 9223372036854775807",
                             "MATCH * TYPE string",
                             "match k??? count 50"};
    fill(f);
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        (void)walk(f, options[i], seen);
        for (size_t k = 0; k < KEYS_COUNT; k++) {
            assert_true(seen[k] >= 1);
        }
    }
    assert_true(walk(f, "", seen) > 10);
}

static void scan__filters(void **state)
{
    struct fixture *f = *state;
    unsigned seen[KEYS_COUNT];
    fill(f);
    (void)walk(f, "MATCH k00?", seen);
    for (size_t k = 0; k < KEYS_COUNT; k++) {
        assert_int_equal(seen[k] > 0, k < 10);
    }
    (void)walk(f, "TYPE hash", seen);
    for (size_t k = 0; k < KEYS_COUNT; k++) {
        assert_int_equal(seen[k], 0);
    }
}

static void scan__checks_arguments(void **state)
{
    struct fixture *f = *state;
    const char *bad[] = {"x",    "1x",
                         "' 1'", "18446744073709551616",
                         "1.5",  "00000000000000000000000000000000000000000000000000000001"};
    char line[100];
    assert_reply(f, "SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n");
    assert_reply(f, "SCAN 18446744073709551615", "*2\r\n$1\r\n0\r\n*0\r\n");
    assert_reply(f, "SCAN \"0\\x00junk\"", "*2\r\n$1\r\n0\r\n*0\r\n"); /* as C sees it */
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(line, sizeof(line), "SCAN %s", bad[i]);
        assert_reply(f, line, "-ERR invalid cursor\r\n");
    }
    assert_reply(f, "SCAN 0 COUNT 0", SYNTAX_ERROR);
    assert_reply(f, "SCAN 0 COUNT -1", SYNTAX_ERROR);
    assert_reply(f, "SCAN 0 COUNT x", NOT_AN_INTEGER);
    assert_reply(f, "SCAN 0 COUNT", SYNTAX_ERROR);
    assert_reply(f, "SCAN 0 LIMIT 1", SYNTAX_ERROR);
}

static void scan__does_not_show_expired_keys(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "SET k000 v PX 10", OK);
    assert_reply(f, "SET k001 v", OK);
    fixture_advance(f, 10);
    assert_reply(f, "SCAN 0 COUNT 1000000", "*2\r\n$1\r\n0\r\n*1\r\n$4\r\nk001\r\n");
    assert_reply(f, "KEYS *", "*1\r\n$4\r\nk001\r\n");
    assert_reply(f, "RANDOMKEY", "$4\r\nk001\r\n");
}

static void scan__keys_lists_matching_keys(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "KEYS *", "*0\r\n");
    assert_reply(f, "RANDOMKEY", NIL);
    assert_reply(f, "MSET hello 1 hallo 2 other 3", OK);
    assert_reply(f, "KEYS other", "*1\r\n$5\r\nother\r\n");
    assert_reply(f, "KEYS h[^a]llo", "*1\r\n$5\r\nhello\r\n");
    assert_reply(f, "KEYS x*", "*0\r\n");
    const struct strview all = client_run(f, &f->client, "KEYS *");
    assert_int_equal(all.len, strlen("*3\r\n") + 3 * strlen("$5\r\nhello\r\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(scan__shows_every_key),          TEST(scan__filters),
        TEST(scan__checks_arguments),         TEST(scan__does_not_show_expired_keys),
        TEST(scan__keys_lists_matching_keys),
    };
    return cmocka_run_group_tests_name("command/scan", tests, NULL, NULL);
}
