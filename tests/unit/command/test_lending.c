/* Which values GET lends to the connection instead of copying them, and for how long. */
#include "../../support/command_fixture.h"

#include <stdio.h>

#define LENT  4000
#define LARGE 40000 /* worth a send of its own */

static struct lent {
    unsigned count;
    size_t len;
    bool stays;
} lent;

static bool on_lend(struct session *s, struct strview bytes, bool stays)
{
    (void)s;
    lent = (struct lent){.count = lent.count + 1, .len = bytes.len, .stays = stays};
    return true;
}

/* The fixture's client, with a connection that takes what is lent. */
static struct session_ops lending;

static void set(struct fixture *f, const char *key, size_t len)
{
    static char bytes[LARGE];
    const struct strview argv[] = {strview_str("SET"), strview_str(key), strview_of(bytes, len)};
    lending = *f->client.session.ops;
    lending.lend_bulk = on_lend;
    f->client.session.ops = &lending;
    lent = (struct lent){0};
    assert_true(strview_eq(client_run_argv(f, &f->client, argv, 3), strview_str(OK)));
}

static void assert_lent(size_t len, bool stays)
{
    assert_int_equal(lent.count, 1);
    assert_int_equal(lent.len, len);
    assert_int_equal(lent.stays, stays);
    lent = (struct lent){0};
}

static void assert_copied(struct fixture *f, size_t len)
{
    assert_int_equal(lent.count, 0);
    assert_true(buf_len(&f->client.out) > len);
}

static void lending__is_for_large_values_that_stay(void **state)
{
    struct fixture *f = *state;
    set(f, "k", LENT - 1);
    (void)client_run(f, &f->client, "GET k");
    assert_copied(f, LENT - 1);
    set(f, "k", LENT);
    (void)client_run(f, &f->client, "GET k");
    assert_lent(LENT, true);
}

static void lending__is_not_for_replies_that_are_changed(void **state)
{
    struct fixture *f = *state;
    set(f, "k", LARGE);
    assert_reply(f, "CLIENT REPLY SKIP", "");
    assert_reply(f, "GET k", "");
    assert_int_equal(lent.count, 0);
    assert_reply(f, "MULTI", OK);
    assert_reply(f, "GET k", "+QUEUED\r\n");
    (void)client_run(f, &f->client, "EXEC");
    assert_copied(f, LARGE);
}

static void lending__with_maps_lasts_for_the_command(void **state)
{
    struct fixture *f = *state;
    set(f, "k", LENT);
    (void)client_run(f, &f->client, "GET k");
    assert_copied(f, LENT);
    set(f, "k", LARGE);
    (void)client_run(f, &f->client, "GET k");
    assert_lent(LARGE, false);
}

/* What was loaded for the command is freed with it, also when its map is gone by then. */
static void lending__of_a_load_lasts_for_the_command(void **state)
{
    static const char *const maps[] = {"user", "plain", "acct", "row", "note"};
    struct fixture *f = *state;
    struct client other;
    char line[64];
    client_open(f, &other);
    f->options.enable_source_command = PERMISSION_YES;
    set(f, "k", 1); /* the client lends */
    fixture_mock(f, "BYTES 5000");
    (void)client_run(f, &f->client, "GET user:1");
    assert_int_equal(f->client.result, COMMAND_SUSPENDED);
    fixture_turn(f);
    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        (void)snprintf(line, sizeof(line), "SOURCE DEL %s", maps[i]);
        assert_true(strview_eq(client_run(f, &other, line), strview_str(OK)));
    }
    (void)client_run_again(f, &f->client);
    assert_int_equal(f->client.result, COMMAND_DONE);
    assert_copied(f, 5000);
    client_close(f, &other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lending__is_for_large_values_that_stay, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(lending__is_not_for_replies_that_are_changed, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(lending__with_maps_lasts_for_the_command,
                                        fixture_setup_maps, fixture_teardown),
        cmocka_unit_test_setup_teardown(lending__of_a_load_lasts_for_the_command,
                                        fixture_setup_maps, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
