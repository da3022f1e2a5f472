/* Passwords: who is let in, and who is slowed down. */
#include "../../support/command_fixture.h"

#include <stdio.h>

#include "src/command/auth.h"

#define WRONG "-" ERROR_WRONG_PASSWORD "\r\n"

static void set_password(struct fixture *f, const char *password)
{
    f->options.requirepass.is_set = password[0] != '\0';
    sha256(strview_str(password), f->options.requirepass.sha256);
}

static void auth__new_sessions_have_to_give_the_password(void **state)
{
    struct fixture *f = *state;
    struct client c;
    set_password(f, "secret");
    client_open(f, &c);
    client_assert_reply(f, &c, "PING", "-NOAUTH Authentication required.\r\n", __FILE__, __LINE__);
    client_assert_reply(f, &c, "AUTH wrong", WRONG, __FILE__, __LINE__);
    client_assert_reply(f, &c, "AUTH nobody secret", WRONG, __FILE__, __LINE__);
    client_assert_reply(f, &c, "AUTH default secret", OK, __FILE__, __LINE__);
    client_assert_reply(f, &c, "PING", "+PONG\r\n", __FILE__, __LINE__);
    client_assert_reply(f, &c, "RESET", "+RESET\r\n", __FILE__, __LINE__);
    client_assert_reply(f, &c, "PING", "-NOAUTH Authentication required.\r\n", __FILE__, __LINE__);
    set_password(f, "");
    client_assert_reply(f, &c, "PING", "+PONG\r\n", __FILE__, __LINE__);
    assert_int_equal(f->env.stats.denied_auths, 2);
    client_close(f, &c);
}

static void auth__guessing_is_delayed_per_address(void **state)
{
    struct fixture *f = *state;
    struct client guesser, user;
    set_password(f, "secret");
    client_open(f, &guesser);
    client_open(f, &user);
    snprintf(guesser.session.address, sizeof(guesser.session.address), "192.0.2.1:1000");
    snprintf(user.session.address, sizeof(user.session.address), "192.0.2.2:1000");
    for (int i = 0; i < AUTH_GUESSES_FREE; i++) {
        client_assert_reply(f, &guesser, "AUTH guess", WRONG, __FILE__, __LINE__);
        assert_int_equal(guesser.session.blocked_until_ms, 0);
    }
    snprintf(guesser.session.address, sizeof(guesser.session.address), "192.0.2.1:1001");
    client_assert_reply(f, &guesser, "AUTH guess", WRONG, __FILE__, __LINE__);
    assert_int_equal(guesser.session.blocked_until_ms, FIXTURE_MONO_MS + AUTH_DELAY_MS);
    client_assert_reply(f, &user, "AUTH slip", WRONG, __FILE__, __LINE__);
    assert_int_equal(user.session.blocked_until_ms, 0);
    guesser.session.blocked_until_ms = 0;
    fixture_advance(f, 61000);
    client_assert_reply(f, &guesser, "AUTH guess", WRONG, __FILE__, __LINE__);
    assert_int_equal(guesser.session.blocked_until_ms, 0);
    client_close(f, &guesser);
    client_close(f, &user);
}

static void auth__without_a_password_nothing_is_guessed(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2 * AUTH_GUESSES_FREE; i++) {
        assert_reply(f, "AUTH nobody x", WRONG);
    }
    assert_int_equal(f->client.session.blocked_until_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(auth__new_sessions_have_to_give_the_password, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(auth__guessing_is_delayed_per_address, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(auth__without_a_password_nothing_is_guessed, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
