/* What drivers say of their dsns: is there a password, may what crosses the network be read? */
#include "tarn/source/driver.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct row {
    const char *driver, *dsn;
    bool has_password, is_exposed;
};

static const struct row rows[] = {
    {"postgres", "", false, false},
    {"postgres", "host=/run/postgresql dbname=shop", false, false},
    {"postgres", "host=localhost password=x", true, false},
    {"postgres", "host=127.0.0.1,::1", false, false},
    {"postgres", "host=db.example", false, true},
    {"postgres", "host=localhost,db.example sslmode=prefer", false, true},
    {"postgres", "host=localhost hostaddr=192.0.2.1", false, true},
    {"postgres", "host=db.example sslmode=verify-full password=x", true, false},
    {"postgres", "postgresql://u:p@db.example/shop?sslmode=require", true, false},
    {"mysql", "socket=/run/mysqld/mysqld.sock user=u", false, false},
    {"mysql", "host=127.0.0.1 password=x", true, false},
    {"mysql", "host=db.example", false, true},
    {"mysql", "host=db.example ssl=verify", false, false},
    {"redis", "redis://localhost:6379", false, false},
    {"redis", "redis://u:p@192.0.2.1:6379", true, true},
};

static void dsn_facts__are_those_of_each_driver(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct source_driver *d = source_driver_find(strview_str(rows[i].driver));
        struct driver_dsn_facts facts = {0};
        if (d == NULL) {
            print_message("# driver %s is not in this build\n", rows[i].driver);
            continue;
        }
        d->judge_dsn(rows[i].dsn, &facts);
        if (facts.has_password != rows[i].has_password || facts.is_exposed != rows[i].is_exposed) {
            fail_msg("%s \"%s\": password %d, exposed %d", rows[i].driver, rows[i].dsn,
                     facts.has_password, facts.is_exposed);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dsn_facts__are_those_of_each_driver),
    };
    return cmocka_run_group_tests_name("source/dsn_facts", tests, NULL, NULL);
}
