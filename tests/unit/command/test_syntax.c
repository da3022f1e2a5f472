/*
 * The argument syntax of rows: every row can be taken apart, and the structure is what redis-cli
 * expects.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/command/syntax.h"
#include "src/command/table.h"

static void syntax__every_row_follows_the_grammar(void **state)
{
    struct syntax_item items[SYNTAX_ITEMS_MAX];
    for (size_t i = 0; i < COMMAND_ROWS; i++) {
        if (command_rows[i].arguments != NULL &&
            syntax_split(command_rows[i].arguments, items) < 1) {
            fail_msg("the syntax of %s", command_rows[i].full_name);
        }
    }
}

static void syntax__a_repeated_key_is_one_multiple_item(void **state)
{
    struct syntax_item items[SYNTAX_ITEMS_MAX];
    assert_int_equal(syntax_split("key [key ...]", items), 1);
    assert_true(items[0].is_multiple);
    assert_false(items[0].is_optional);
    assert_int_equal(items[0].words, 1);
}

static void syntax__a_repeated_pair_is_one_item_of_two_words(void **state)
{
    struct syntax_item items[SYNTAX_ITEMS_MAX];
    assert_int_equal(syntax_split("key value [key value ...]", items), 1);
    assert_true(items[0].is_multiple);
    assert_int_equal(items[0].words, 2);
}

static void syntax__brackets_are_optional_and_angles_are_not(void **state)
{
    struct syntax_item items[SYNTAX_ITEMS_MAX];
    assert_int_equal(syntax_split("<ON | OFF> [NX | XX]", items), 2);
    assert_false(items[0].is_optional);
    assert_true(items[1].is_optional);
}

static void syntax__unclosed_brackets_are_refused(void **state)
{
    struct syntax_item items[SYNTAX_ITEMS_MAX];
    assert_int_equal(syntax_split("key [NX", items), -1);
    assert_int_equal(syntax_split("<ON", items), -1);
}

static void check_written(const char *syntax, const char *expected)
{
    struct buf out;
    buf_init(&out);
    struct resp_writer w = {.out = &out, .version = 3};
    syntax_write(&w, syntax);
    assert_int_equal(buf_len(&out), strlen(expected));
    assert_memory_equal(out.data + out.head, expected, strlen(expected));
    buf_fini(&out);
}

static void syntax__writes_values_and_alternatives(void **state)
{
    check_written("key [NX | EX seconds]",
                  "*2\r\n"
                  "%2\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n"
                  "%4\r\n$4\r\nname\r\n$9\r\ncondition\r\n$4\r\ntype\r\n$5\r\noneof\r\n"
                  "$5\r\nflags\r\n~1\r\n+optional\r\n$9\r\narguments\r\n*2\r\n"
                  "%3\r\n$4\r\nname\r\n$2\r\nnx\r\n$4\r\ntype\r\n$10\r\npure-token\r\n"
                  "$5\r\ntoken\r\n$2\r\nNX\r\n"
                  "%3\r\n$4\r\nname\r\n$7\r\nseconds\r\n$4\r\ntype\r\n$7\r\ninteger\r\n"
                  "$5\r\ntoken\r\n$2\r\nEX\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syntax__every_row_follows_the_grammar),
        cmocka_unit_test(syntax__a_repeated_key_is_one_multiple_item),
        cmocka_unit_test(syntax__a_repeated_pair_is_one_item_of_two_words),
        cmocka_unit_test(syntax__brackets_are_optional_and_angles_are_not),
        cmocka_unit_test(syntax__unclosed_brackets_are_refused),
        cmocka_unit_test(syntax__writes_values_and_alternatives),
    };
    return cmocka_run_group_tests_name("syntax", tests, NULL, NULL);
}
