/* The table of commands: rows are complete, and found by exactly their names. */
#include "../../support/command_fixture.h"

#include <ctype.h>
#include <string.h>

/* Runs `name` with no arguments and tells whether the command is known. */
static bool is_known(struct fixture *f, struct strview name)
{
    const struct strview argv[] = {name};
    const struct strview reply = client_run_argv(f, &f->client, argv, 1);
    return !strview_starts_with(reply, strview_str("-ERR unknown command"));
}

static void table__lists_every_command_once(void **state)
{
    assert_true(command_count() > 40);
    for (size_t i = 0; i < command_count(); i++) {
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(command_name(i), command_name(j));
        }
    }
}

static void table__finds_names_in_any_case(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < command_count(); i++) {
        char name[32] = "";
        struct command_call call = {.session = &f->client.session, .argc = 1};
        const size_t len = strlen(command_name(i));
        assert_true(len < sizeof(name));
        if (strchr(command_name(i), '|') != NULL) {
            continue;
        }
        for (unsigned variant = 0; variant < 3; variant++) {
            for (size_t k = 0; k < len; k++) {
                const int c = command_name(i)[k];
                name[k] = (char)(variant == 0 || (variant == 1 && k % 2 == 0) ? toupper(c) : c);
            }
            const struct strview argv[] = {strview_of(name, len)};
            call.argv = argv;
            command_prepare(&f->env, &call);
            assert_non_null(call.command);
        }
    }
}

/* One byte changed, added or taken away: another name. */
static void table__finds_nothing_near_a_name(void **state)
{
    struct fixture *f = *state;
    const char *names[] = {"get", "set", "mget", "append", "getrange", "expiretime", "incrbyfloat"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char name[32];
        const size_t len = strlen(names[i]);
        for (size_t k = 0; k < len; k++) {
            for (int bit = 0; bit < 8; bit++) {
                memcpy(name, names[i], len);
                name[k] = (char)(name[k] ^ (1 << bit));
                if (bit != 5) { /* the bit of upper and lower case */
                    assert_false(is_known(f, strview_of(name, len)));
                }
            }
        }
        memcpy(name, names[i], len);
        memset(name + len, 0, sizeof(name) - len);
        for (size_t n = len + 1; n < sizeof(name); n++) {
            assert_false(is_known(f, strview_of(name, n)));
        }
    }
    assert_false(is_known(f, strview_of("", 0)));
    assert_false(is_known(f, strview_str("expiretipiretim\x7f")));
}

static void table__takes_no_control_byte_for_a_letter(void **state)
{
    struct fixture *f = *state;
    assert_false(is_known(f, strview_str("\x07"
                                         "et")));
    assert_false(is_known(f, strview_str("get\r")));
    assert_false(is_known(f, strview_str("\xc7"
                                         "et")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table__lists_every_command_once),
        cmocka_unit_test_setup_teardown(table__finds_names_in_any_case, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(table__finds_nothing_near_a_name, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(table__takes_no_control_byte_for_a_letter, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests_name("command/table", tests, NULL, NULL);
}
