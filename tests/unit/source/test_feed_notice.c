/* What a trigger's notice says. */
#include "tarn/source/driver.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

struct heard {
    char text[256];
};

static void hear(void *ctx, enum feed_event event, struct strview text)
{
    static const char *const names[] = {"key", "map", "all", "down", "up"};
    struct heard *h = ctx;
    size_t at = strlen(h->text);
    (void)snprintf(h->text + at, sizeof(h->text) - at, "%s(%.*s) ", names[event],
                   STRVIEW_ARG(text));
}

static void assert_heard(const char *notice, const char *expected)
{
    struct heard h = {0};
    struct driver_events events = {.ctx = &h, .feed = hear};
    driver_feed_notice(&events, strview_str(notice));
    assert_string_equal(h.text, expected);
}

static void feed_notice__each_line_is_a_change(void **state)
{
    (void)state;
    assert_heard("user:42", "key(user:42) ");
    assert_heard("user:42\nuser:43\n", "key(user:42) key(user:43) ");
    assert_heard("!user", "map(user) ");
    assert_heard("a\n!user\nb c", "key(a) map(user) key(b c) ");
}

static void feed_notice__what_says_nothing_says_everything(void **state)
{
    (void)state;
    assert_heard("", "all() ");
    assert_heard("!", "all() ");
    assert_heard("\n", "all() ");
    assert_heard("a\n\nb", "key(a) all() key(b) ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(feed_notice__each_line_is_a_change),
        cmocka_unit_test(feed_notice__what_says_nothing_says_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
