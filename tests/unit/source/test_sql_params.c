/* The lexer that turns $name into placeholders. */
#include "src/source/sql_params.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static const struct strview names[] = {{"id", 2}, {"name", 4}};
static const struct sql_dialect sqlite = {.placeholder = '?', .bracket_quotes = true};
static const struct sql_dialect postgres = {.placeholder = '$'};

static void assert_rewrites(const struct sql_dialect *d, const char *sql, unsigned count,
                            const char *expected)
{
    struct buf out;
    struct errtext err;
    buf_init(&out);
    if (sql_params_rewrite(&out, strview_str(sql), d, names, count, &err) != 0) {
        fail_msg("%s: %s", sql, err.text);
    }
    if (!strview_eq(buf_view(&out), strview_str(expected))) {
        fail_msg("%s became %.*s", sql, STRVIEW_ARG(buf_view(&out)));
    }
    buf_fini(&out);
}

static void assert_refused(const char *sql, unsigned count, const char *part)
{
    struct buf out;
    struct errtext err;
    buf_init(&out);
    assert_true(sql_params_rewrite(&out, strview_str(sql), &sqlite, names, count, &err) < 0);
    if (strstr(err.text, part) == NULL) {
        fail_msg("%s: '%s' does not say '%s'", sql, err.text, part);
    }
    buf_fini(&out);
}

static void sql_params__become_placeholders(void **state)
{
    (void)state;
    assert_rewrites(&sqlite, "SELECT a FROM t WHERE id=$id", 1, "SELECT a FROM t WHERE id=?1");
    assert_rewrites(&sqlite, "$name,$id,$name", 2, "?2,?1,?2");
    assert_rewrites(&postgres, "SELECT ($id)::int, $name", 2, "SELECT ($1)::int, $2");
    assert_rewrites(&sqlite, "$id+1-$name", 2, "?1+1-?2");
    assert_rewrites(&sqlite, "SELECT 1", 0, "SELECT 1");
    assert_rewrites(&sqlite, "", 0, "");
}

static void sql_params__quoting_hides_them(void **state)
{
    (void)state;
    assert_rewrites(&sqlite, "'$id''$id' || $id", 1, "'$id''$id' || ?1");
    assert_rewrites(&sqlite, "\"$id\"\"$x\" `$id` [$id] $id", 1, "\"$id\"\"$x\" `$id` [$id] ?1");
    assert_rewrites(&postgres, "a[$id]", 1, "a[$1]");
    assert_rewrites(&sqlite, "$id -- $name'\n+$name", 2, "?1 -- $name'\n+?2");
    assert_rewrites(&sqlite, "$id -- $name'", 1, "?1 -- $name'");
    assert_rewrites(&sqlite, "/* $name ' */ $id /**/ /*/ $x */", 1,
                    "/* $name ' */ ?1 /**/ /*/ $x */");
    assert_rewrites(&postgres, "$$ $name ' $$ $id $q$ $$ $name $q$", 1,
                    "$$ $name ' $$ $1 $q$ $$ $name $q$");
    assert_rewrites(&sqlite, "a$id + $id", 1, "a$id + ?1");
    assert_rewrites(&sqlite, "\xc3\xa9$id + $id", 1, "\xc3\xa9$id + ?1");
    assert_rewrites(&sqlite, "1 - -$id / $id * -/", 1, "1 - -?1 / ?1 * -/");
}

static void sql_params__refuses_what_it_cannot_know(void **state)
{
    (void)state;
    assert_refused("$id $other", 1, "'$other' is not in the pattern");
    assert_refused("$idx $id", 1, "'$idx'");
    assert_refused("$1 $id", 1, "'$'");
    assert_refused("$", 0, "'$'");
    assert_refused("SELECT $id", 2, "does not use the pattern's parameter 'name'");
    assert_refused("$id 'x", 1, "does not end");
    assert_refused("$id 'x''", 1, "does not end");
    assert_refused("$id \"x", 1, "does not end");
    assert_refused("$id [x", 1, "does not end");
    assert_refused("$id /* x", 1, "does not end");
    assert_refused("$id /*/", 1, "does not end");
    assert_refused("$id $$ x", 1, "does not end");
    assert_refused("$id $t$ x $u$", 1, "does not end");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sql_params__become_placeholders),
        cmocka_unit_test(sql_params__quoting_hides_them),
        cmocka_unit_test(sql_params__refuses_what_it_cannot_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
