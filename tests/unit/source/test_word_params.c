/* Parameters of statements that are commands. */
#include "src/source/word_params.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static const struct strview names[] = {{"id", 2}, {"name", 4}};

/* `expected` has a # where a mark is. */
static void assert_marks(const char *statement, unsigned count, const char *expected)
{
    struct buf out;
    struct errtext err;
    buf_init(&out);
    if (word_params_mark(&out, strview_str(statement), names, count, &err) != 0) {
        fail_msg("%s: %s", statement, err.text);
    }
    for (size_t i = 0; i < buf_len(&out); i++) {
        out.data[out.head + i] = out.data[out.head + i] == '\0' ? '#' : out.data[out.head + i];
    }
    if (!strview_eq(buf_view(&out), strview_str(expected))) {
        fail_msg("%s became %.*s", statement, STRVIEW_ARG(buf_view(&out)));
    }
    buf_fini(&out);
}

static void assert_refused(const char *statement, unsigned count, const char *part)
{
    struct buf out;
    struct errtext err;
    buf_init(&out);
    assert_true(word_params_mark(&out, strview_str(statement), names, count, &err) < 0);
    if (strstr(err.text, part) == NULL) {
        fail_msg("%s: '%s' does not say '%s'", statement, err.text, part);
    }
    buf_fini(&out);
}

static void word_params__stand_anywhere(void **state)
{
    (void)state;
    assert_marks("GET $id", 1, "GET #A");
    assert_marks("GET user_$id", 1, "GET user_#A");
    assert_marks("GET 'a $id' \"$name\"", 2, "GET 'a #A' \"#B\"");
    assert_marks("GET $id$name$id", 2, "GET #A#B#A");
    assert_marks("GET x", 0, "GET x");
    assert_marks("", 0, "");
}

static void word_params__braces_end_a_name(void **state)
{
    (void)state;
    assert_marks("GET ${id}s", 1, "GET #As");
    assert_marks("GET ${id}${name}_", 2, "GET #A#B_");
    assert_refused("GET ${id", 1, "not in the pattern");
    assert_refused("GET ${", 1, "not in the pattern");
    assert_refused("GET ${}", 1, "not in the pattern");
}

static void word_params__two_dollars_are_one(void **state)
{
    (void)state;
    assert_marks("GET $$id$id", 1, "GET $id#A");
    assert_marks("$$$id", 1, "$#A");
}

static void word_params__mistakes_are_refused(void **state)
{
    (void)state;
    assert_refused("GET $other", 1, "'$other' is not in the pattern");
    assert_refused("GET $ids", 1, "'$ids'");
    assert_refused("GET $", 1, "'$'");
    assert_refused("GET x", 1, "does not use the pattern's parameter 'id'");
    assert_refused("GET $id", 2, "'name'");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(word_params__stand_anywhere),
        cmocka_unit_test(word_params__braces_end_a_name),
        cmocka_unit_test(word_params__two_dollars_are_one),
        cmocka_unit_test(word_params__mistakes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
