/* Statements with a ? for each place. */
#include "src/source/mysql_statement.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

static struct mysql_statement *make(const char *marked, unsigned list_len)
{
    struct mysql_statement *s = mysql_statement_create(strview_str(marked), 7, list_len);
    assert_non_null(s);
    assert_int_equal(s->number, 7);
    return s;
}

static void mysql_statement__places_are_in_order_of_the_text(void **state)
{
    (void)state;
    struct mysql_statement *s = make("SELECT '?' FROM t WHERE b = \1"
                                     "2 AND a = \1"
                                     "1 OR c = \1"
                                     "2",
                                     0);
    assert_string_equal(s->sql, "SELECT '?' FROM t WHERE b = ? AND a = ? OR c = ?");
    assert_int_equal(s->places_count, 3);
    assert_int_equal(mysql_statement_param(s, 0, 2), 1);
    assert_int_equal(mysql_statement_param(s, 1, 2), 0);
    assert_int_equal(mysql_statement_param(s, 2, 2), 1);
    mysql_statement_destroy(s);
}

static void mysql_statement__lists_are_padded_with_the_last_value(void **state)
{
    (void)state;
    struct mysql_statement *s = make("SELECT a FROM t WHERE a IN (\1"
                                     "1) OR b IN (\1"
                                     "1)",
                                     4);
    assert_string_equal(s->sql, "SELECT a FROM t WHERE a IN (?,?,?,?) OR b IN (?,?,?,?)");
    assert_int_equal(s->places_count, 8);
    static const unsigned expected[] = {0, 1, 2, 2, 0, 1, 2, 2};
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(mysql_statement_param(s, i, 3), expected[i]);
    }
    mysql_statement_destroy(s);
    s = make("IN (\1"
             "1)",
             1);
    assert_string_equal(s->sql, "IN (?)");
    mysql_statement_destroy(s);
}

static void mysql_list_step__is_the_next_power_of_two(void **state)
{
    (void)state;
    static const unsigned counts[] = {1, 2, 3, 4, 5, 8, 9, 64, 65, 127, 128};
    static const unsigned steps[] = {0, 1, 2, 2, 3, 3, 4, 6, 7, 7, 7};
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        assert_int_equal(mysql_list_step(counts[i]), steps[i]);
    }
}

static void mysql_statement__knows_a_query_by_its_beginning(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        bool is_query;
    } cases[] = {{"SELECT 1", true},
                 {" (( select(1)", true},
                 {"/* x */ -- y\n#z\n WITH a AS (SELECT 1) SELECT 1", true},
                 {"VALUES (1)", true},
                 {"table t", true},
                 {"SELECTED", false},
                 {"UPDATE t SET a = 1", false},
                 {"/* SELECT 1", false},
                 {"", false}};
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mysql_statement *s = make(cases[i].sql, 0);
        assert_int_equal(s->is_query, cases[i].is_query);
        mysql_statement_destroy(s);
    }
}

static void mysql_statement__has_a_limited_number_of_places(void **state)
{
    (void)state;
    char marked[2 * (DRIVER_PARAMS_MAX + 1) + 1] = {0};
    for (unsigned i = 0; i <= DRIVER_PARAMS_MAX; i++) {
        marked[2 * i] = MYSQL_PLACEHOLDER;
        marked[2 * i + 1] = '1';
    }
    assert_null(mysql_statement_create(strview_str(marked), 0, 0));
    assert_int_equal(errno, EINVAL);
    marked[sizeof(marked) - 3] = '\0';
    struct mysql_statement *s = make(marked, DRIVER_LIST_ITEMS_MAX);
    assert_int_equal(s->places_count, DRIVER_PARAMS_MAX * DRIVER_LIST_ITEMS_MAX);
    mysql_statement_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mysql_statement__places_are_in_order_of_the_text),
        cmocka_unit_test(mysql_statement__lists_are_padded_with_the_last_value),
        cmocka_unit_test(mysql_list_step__is_the_next_power_of_two),
        cmocka_unit_test(mysql_statement__knows_a_query_by_its_beginning),
        cmocka_unit_test(mysql_statement__has_a_limited_number_of_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
