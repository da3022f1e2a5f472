/* Where a MySQL server is. */
#include "src/source/mysql_dsn.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

static void mysql_dsn__every_key(void **state)
{
    (void)state;
    struct mysql_dsn d;
    struct errtext err;
    assert_int_equal(mysql_dsn_parse(&d,
                                     "  host=db port=3307 dbname=shop user=ro password='a \\' b' "
                                     "ssl=verify ssl-ca=/ca ssl-cert=/cert ssl-key=/key socket=/s ",
                                     &err),
                     0);
    assert_string_equal(d.host, "db");
    assert_int_equal(d.port, 3307);
    assert_string_equal(d.dbname, "shop");
    assert_string_equal(d.user, "ro");
    assert_string_equal(d.password, "a ' b");
    assert_int_equal(d.ssl, MYSQL_SSL_VERIFY);
    assert_string_equal(d.ssl_ca, "/ca");
    assert_string_equal(d.ssl_cert, "/cert");
    assert_string_equal(d.ssl_key, "/key");
    assert_string_equal(d.socket, "/s");
}

static void mysql_dsn__what_is_not_said_is_empty(void **state)
{
    (void)state;
    struct mysql_dsn d;
    struct errtext err;
    assert_int_equal(mysql_dsn_parse(&d, "", &err), 0);
    assert_string_equal(d.host, "");
    assert_int_equal(d.port, 0);
    assert_int_equal(d.ssl, MYSQL_SSL_OFF);
    assert_int_equal(mysql_dsn_parse(&d, "host= user=x", &err), 0);
    assert_string_equal(d.host, "");
    assert_string_equal(d.user, "x");
}

/* Rule 55. */
static void mysql_dsn__mistakes_are_refused_without_secrets(void **state)
{
    static const char *const wrong[] = {
        "localhost", "host", "host=a secret", "port=0",    "port=65536",       "port=x",
        "ssl=maybe", "=x",   "hots=secret",   "user='abc", "password='secret",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct mysql_dsn d;
        struct errtext err;
        assert_true(mysql_dsn_parse(&d, wrong[i], &err) < 0);
        assert_true(strlen(err.text) > 0);
        assert_null(strstr(err.text, "=secret"));
    }
    char large[MYSQL_WORD_MAX + 16] = "host=";
    memset(large + 5, 'x', MYSQL_WORD_MAX);
    struct mysql_dsn d;
    struct errtext err;
    assert_true(mysql_dsn_parse(&d, large, &err) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mysql_dsn__every_key),
        cmocka_unit_test(mysql_dsn__what_is_not_said_is_empty),
        cmocka_unit_test(mysql_dsn__mistakes_are_refused_without_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
