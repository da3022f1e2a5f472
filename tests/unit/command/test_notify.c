/* Keyspace notifications: the letters of the option, and events that need a clock. */
#include "../../support/command_fixture.h"

#include <string.h>

#include "src/command/notify.h"
#include "src/command/observers.h"

static void assert_prints(const char *letters, const char *expected)
{
    unsigned classes = 0;
    char text[NOTIFY_TEXT_MAX];
    assert_true(notify_parse(strview_str(letters), &classes));
    notify_print(classes, text);
    assert_string_equal(text, expected);
}

static void notify__letters(void **state)
{
    unsigned classes = 7;
    assert_prints("", "");
    assert_prints("KEA", "AKE");
    assert_prints("g$lshzxetd", "A");
    assert_prints("g$lshzxet", "g$lshzxet");
    assert_prints("nmKK$$", "$Kmn");
    assert_false(notify_parse(strview_str("Kq"), &classes));
    assert_int_equal(classes, 7);
}

/* Switches events on as the server does. */
static void configure(struct fixture *f, char *letters)
{
    f->options.notify_keyspace_events = letters;
    assert_true(notify_configure(&f->env));
}

static void listen_to(struct fixture *f, struct client *c, const char *line)
{
    client_open(f, c);
    (void)client_run(f, c, "HELLO 3");
    (void)client_run(f, c, line);
    buf_clear(&c->out);
}

static const char *strstr_of(struct client *c, const char *part)
{
    return memmem(buf_view(&c->out).data, buf_len(&c->out), part, strlen(part));
}

static void notify__nothing_is_observed_until_it_is_on(void **state)
{
    struct fixture *f = *state;
    char none[] = "", classes_only[] = "A", all[] = "KEAmn";
    assert_int_equal(f->env.observed, 0);
    configure(f, classes_only);
    assert_int_equal(f->env.observed, 0);
    configure(f, all);
    assert_int_equal(f->env.observed, OBSERVED_EVENTS | OBSERVED_NEW | OBSERVED_MISSES);
    configure(f, none);
    assert_int_equal(f->env.observed, 0);
}

static void notify__an_expired_key_is_announced_when_it_is_met(void **state)
{
    struct fixture *f = *state;
    struct client c;
    char letters[] = "Ex";
    configure(f, letters);
    listen_to(f, &c, "PSUBSCRIBE *");
    assert_reply(f, "SELECT 2", OK);
    assert_reply(f, "SET k v PX 100", OK);
    assert_int_equal(buf_len(&c.out), 0);
    fixture_advance(f, 100);
    assert_reply(f, "GET k", NIL);
    while (store_tick(f->store, 1000)) {
    }
    assert_true(strview_eq(buf_view(&c.out),
                           strview_str(">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$22\r\n__keyevent@2__:"
                                       "expired\r\n$1\r\nk\r\n")));
    client_close(f, &c);
}

/* A client hears of its own changes behind its reply. */
static void notify__own_events_come_behind_the_reply(void **state)
{
    struct fixture *f = *state;
    char letters[] = "Kg";
    configure(f, letters);
    (void)client_run(f, &f->client, "HELLO 3");
    (void)client_run(f, &f->client, "SUBSCRIBE __keyspace@0__:k");
    assert_reply(f, "SET k v", OK);
    assert_reply(f, "DEL k", ONE ">3\r\n$7\r\nmessage\r\n$16\r\n__keyspace@0__:k\r\n$3\r\ndel\r\n");
    configure(f, (char[]){""});
}

static void notify__loads_and_invalidations_are_events(void **state)
{
    struct fixture *f = *state;
    char all[] = "KEA";
    struct client c;
    configure(f, all);
    listen_to(f, &c, "PSUBSCRIBE __keyevent@*");
    (void)client_run(f, &f->client, "GET user:1");
    fixture_turn(f);
    assert_non_null(strstr_of(&c, "__keyevent@0__:load"));
    (void)client_run_again(f, &f->client);
    buf_clear(&c.out);
    assert_reply(f, "SOURCE INVALIDATE KEY user:1 user:2", ONE);
    assert_non_null(strstr_of(&c, "__keyevent@0__:sourceinval"));
    assert_null(strstr_of(&c, "user:2")); /* was not cached */
    client_close(f, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notify__letters),
        cmocka_unit_test_setup_teardown(notify__nothing_is_observed_until_it_is_on, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(notify__an_expired_key_is_announced_when_it_is_met,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(notify__own_events_come_behind_the_reply, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(notify__loads_and_invalidations_are_events,
                                        fixture_setup_maps, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
