/* Where a Redis server is. */
#include "src/source/redis_dsn.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

struct expected {
    const char *dsn, *host, *path, *user, *password;
    unsigned port, database;
};

static void redis_dsn__parts(void **state)
{
    static const struct expected cases[] = {
        {"redis://cache", "cache", "", "", "", 6379, 0},
        {"redis://cache/", "cache", "", "", "", 6379, 0},
        {"redis://cache:7000/15", "cache", "", "", "", 7000, 15},
        {"redis://:pw@127.0.0.1", "127.0.0.1", "", "", "pw", 6379, 0},
        {"redis://ada:p%40%3a%2F%25@h:1", "h", "", "ada", "p@:/%", 1, 0},
        {"redis://ada:a@b@h", "h", "", "ada", "a@b", 6379, 0},
        {"redis://[::1]:7000/2", "::1", "", "", "", 7000, 2},
        {"redis://[fe80::1]", "fe80::1", "", "", "", 6379, 0},
        {"unix:///run/redis.sock", "", "/run/redis.sock", "", "", 6379, 0},
        {"unix://ada:pw@/run/r?db=3", "", "/run/r", "ada", "pw", 6379, 3},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct redis_dsn d;
        struct errtext err;
        if (redis_dsn_parse(&d, cases[i].dsn, &err) != 0) {
            fail_msg("%s: %s", cases[i].dsn, err.text);
        }
        assert_string_equal(d.host, cases[i].host);
        assert_string_equal(d.path, cases[i].path);
        assert_string_equal(d.user, cases[i].user);
        assert_string_equal(d.password, cases[i].password);
        assert_int_equal(d.port, cases[i].port);
        assert_int_equal(d.database, cases[i].database);
        redis_dsn_fini(&d);
    }
}

/* Rule 55. */
static void redis_dsn__mistakes_are_refused_without_secrets(void **state)
{
    static const char *const dsns[] = {
        "",
        "redis",
        "redis://",
        "redis:///1",
        "rediss://secret",
        "http://secret",
        "redis://secret@h",
        "redis://u:@h",
        "redis://u:secret%@h",
        "redis://u:secret%0@h",
        "redis://u:secret%00@h",
        "redis://h:0",
        "redis://h:",
        "redis://h:65536",
        "redis://h:x",
        "redis://h/x",
        "redis://h/-1",
        "redis://h/1000001",
        "redis://[::1",
        "redis://[::1]x",
        "redis://a,b",
        "unix://relative",
        "unix://",
        "unix:///a?db=",
        "unix:///a?db=x",
        "unix:///"
        "a2345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "01234567890123456789",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(dsns); i++) {
        struct redis_dsn d;
        struct errtext err;
        if (redis_dsn_parse(&d, dsns[i], &err) == 0) {
            fail_msg("%s was taken", dsns[i]);
        }
        assert_null(strstr(err.text, "secret"));
        assert_null(d.text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(redis_dsn__parts),
        cmocka_unit_test(redis_dsn__mistakes_are_refused_without_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
