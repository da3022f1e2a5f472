/* Texts of errors: one line, cut to their size. */
#include "tarn/base/err.h"

#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void err__formats_and_prefixes(void **state)
{
    struct errtext e;
    errtext_set(&e, "line %d: %s", 7, "no such option");
    errtext_prefix(&e, "%s", "tarn.conf");
    assert_string_equal(e.text, "tarn.conf: line 7: no such option");
}

static void err__may_be_built_from_its_own_text(void **state)
{
    struct errtext e;
    errtext_set(&e, "inner");
    errtext_set(&e, "outer (%s)", e.text);
    assert_string_equal(e.text, "outer (inner)");
    errtext_prefix(&e, "%s", e.text);
    assert_string_equal(e.text, "outer (inner): outer (inner)");
}

static void err__is_one_line(void **state)
{
    struct errtext e;
    errtext_set(&e, "near \"%s\"", "a\r\nb\n");
    assert_string_equal(e.text, "near \"a  b \"");
    errtext_prefix(&e, "x\n");
    assert_string_equal(e.text, "x : near \"a  b \"");
}

static void err__is_cut_when_too_long(void **state)
{
    static char text[3 * ERRTEXT_MAX];
    memset(text, 'x', sizeof(text) - 1);
    struct errtext e;
    errtext_set(&e, "%s", text);
    assert_int_equal(strlen(e.text), ERRTEXT_MAX - 1);
    errtext_prefix(&e, "p");
    assert_int_equal(strlen(e.text), ERRTEXT_MAX - 1);
    assert_memory_equal(e.text, "p: xxx", 6);
    errtext_prefix(&e, "%s", text);
    assert_int_equal(strlen(e.text), ERRTEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err__formats_and_prefixes),
        cmocka_unit_test(err__may_be_built_from_its_own_text),
        cmocka_unit_test(err__is_one_line),
        cmocka_unit_test(err__is_cut_when_too_long),
    };
    return cmocka_run_group_tests_name("base/err", tests, NULL, NULL);
}
