/* What a connection to a Redis server begins with. */
#include "src/source/redis_greeting.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

static void assert_greets(const char *address, struct redis_login files, unsigned replies,
                          bool has_auth, const char *expected)
{
    struct redis_dsn dsn;
    struct errtext err;
    struct buf out;
    bool is_auth = !has_auth;
    buf_init(&out);
    assert_int_equal(redis_dsn_parse(&dsn, address, &err), 0);
    assert_int_equal(redis_greeting_write(&out, &dsn, &files, &is_auth), replies);
    assert_int_equal(is_auth, has_auth);
    buf_append_char(&out, '\0');
    assert_string_equal(buf_view(&out).data, expected);
    buf_fini(&out);
    redis_dsn_fini(&dsn);
}

static void redis_greeting__says_what_the_dsn_says(void **state)
{
    (void)state;
    const struct redis_login none = {.user = "", .password = ""};
    assert_greets("redis://h", none, 1, false, "*1\r\n$4\r\nPING\r\n");
    assert_greets("redis://:pw@h/12", none, 3, true,
                  "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n"
                  "*1\r\n$4\r\nPING\r\n");
    assert_greets("redis://me:pw@h", none, 2, true,
                  "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$2\r\npw\r\n*1\r\n$4\r\nPING\r\n");
}

static void redis_greeting__files_go_before_the_dsn(void **state)
{
    (void)state;
    const struct redis_login both = {.user = "file", .password = "secret"};
    const struct redis_login password = {.user = "", .password = "secret"};
    const struct redis_login user = {.user = "file", .password = ""};
    assert_greets("redis://h", both, 2, true,
                  "*3\r\n$4\r\nAUTH\r\n$4\r\nfile\r\n$6\r\nsecret\r\n*1\r\n$4\r\nPING\r\n");
    assert_greets("redis://me:pw@h", password, 2, true,
                  "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$6\r\nsecret\r\n*1\r\n$4\r\nPING\r\n");
    assert_greets("redis://h", password, 2, true,
                  "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*1\r\n$4\r\nPING\r\n");
    assert_greets("redis://h", user, 1, false, "*1\r\n$4\r\nPING\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redis_greeting__says_what_the_dsn_says),
        cmocka_unit_test(redis_greeting__files_go_before_the_dsn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
