/* Comparing, prefixes, distance and UTF-8 of borrowed bytes. */
#include "tarn/base/strview.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static struct strview sv(const char *s)
{
    return strview_str(s);
}

static void strview__empty_views_are_equal_with_and_without_data(void **state)
{
    assert_true(strview_eq(strview_of(NULL, 0), strview_of("x", 0)));
    assert_true(strview_eq_nocase(strview_of(NULL, 0), ""));
    assert_true(strview_starts_with(strview_of(NULL, 0), strview_of(NULL, 0)));
}

static void strview__equality_looks_at_every_byte(void **state)
{
    assert_true(strview_eq(strview_of("a\0b", 3), strview_of("a\0b", 3)));
    assert_false(strview_eq(strview_of("a\0b", 3), strview_of("a\0c", 3)));
    assert_false(strview_eq(sv("abc"), sv("abcd")));
}

static void strview__nocase_folds_ascii_only(void **state)
{
    assert_true(strview_eq_nocase(sv("GeT"), "gEt"));
    assert_false(strview_eq_nocase(sv("get"), "gets"));
    assert_false(strview_eq_nocase(sv("gets"), "get"));
    assert_false(strview_eq_nocase(sv("["), "{"));
    assert_false(strview_eq_nocase(sv("@"), "`"));
    assert_false(strview_eq_nocase(sv("\xc4"), "\xe4"));
}

static void strview__nocase_is_not_fooled_by_nul(void **state)
{
    assert_false(strview_eq_nocase(strview_of("get\0", 4), "get"));
    assert_false(strview_eq_nocase(strview_of("\0", 1), ""));
    assert_false(strview_eq_nocase(strview_of("g\0t", 3), "get"));
}

static void strview__prefix_may_be_all_but_not_more(void **state)
{
    assert_true(strview_starts_with(sv("user:1"), sv("user:")));
    assert_true(strview_starts_with(sv("user:"), sv("user:")));
    assert_true(strview_starts_with(sv("user:"), sv("")));
    assert_false(strview_starts_with(sv("user"), sv("user:")));
    assert_false(strview_starts_with(sv("User:1"), sv("user:")));
}

static void strview__distance_counts_edits(void **state)
{
    assert_int_equal(strview_distance(sv(""), sv("")), 0);
    assert_int_equal(strview_distance(sv(""), sv("abc")), 3);
    assert_int_equal(strview_distance(sv("abc"), sv("")), 3);
    assert_int_equal(strview_distance(sv("maxmemory"), sv("maxmemory")), 0);
    assert_int_equal(strview_distance(sv("maxmemroy"), sv("maxmemory")),
                     1); /* neighbours swapped */
    assert_int_equal(strview_distance(sv("maxmemry"), sv("maxmemory")), 1);
    assert_int_equal(strview_distance(sv("maxxmemory"), sv("maxmemory")), 1);
    assert_int_equal(strview_distance(sv("naxmemory"), sv("maxmemory")), 1);
    assert_int_equal(strview_distance(sv("kitten"), sv("sitting")), 3);
    assert_int_equal(strview_distance(sv("sitting"), sv("kitten")), 3);
}

static void strview__distance_of_long_words_is_the_largest(void **state)
{
    char a[65];
    char b[65];
    memset(a, 'a', sizeof(a));
    memset(b, 'b', sizeof(b));
    assert_int_equal(strview_distance(strview_of(a, 64), strview_of(a, 64)), 0);
    assert_int_equal(strview_distance(strview_of(a, 64), strview_of(b, 64)), 64);
    assert_int_equal(strview_distance(strview_of(a, 65), strview_of(a, 65)), 64);
    assert_int_equal(strview_distance(strview_of(a, 65), sv("")), 64);
}

static void strview__utf8_takes_the_ends_of_every_range(void **state)
{
    static const char *const good[] = {
        "",
        "a",
        "\x7f",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "gr\xc3\xbc\xc3\x9f dich",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(strview_is_utf8(sv(good[i])));
    }
    assert_true(strview_is_utf8(strview_of(NULL, 0)));
    assert_true(strview_is_utf8(strview_of("a\0b", 3)));
}

static void strview__utf8_refuses_what_is_malformed(void **state)
{
    static const char *const bad[] = {
        "\x80",             /* a continuation alone */
        "\xbf",             /* likewise */
        "\xc0\x80",         /* overlong NUL */
        "\xc1\xbf",         /* overlong DEL */
        "\xe0\x9f\xbf",     /* overlong, three bytes */
        "\xf0\x8f\xbf\xbf", /* overlong, four bytes */
        "\xed\xa0\x80",     /* first surrogate */
        "\xed\xbf\xbf",     /* last surrogate */
        "\xf4\x90\x80\x80", /* U+110000 */
        "\xf5\x80\x80\x80",
        "\xff",
        "\xfe",
        "\xc2",         /* cut */
        "\xe2\x82",     /* cut */
        "\xf0\x9f\x98", /* cut */
        "\xc2"
        "a",
        "\xe2\x82"
        "a",
        "\xe2"
        "a\x82",
        "\xf0\x9f\x98"
        "a",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(strview_is_utf8(sv(bad[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strview__empty_views_are_equal_with_and_without_data),
        cmocka_unit_test(strview__equality_looks_at_every_byte),
        cmocka_unit_test(strview__nocase_folds_ascii_only),
        cmocka_unit_test(strview__nocase_is_not_fooled_by_nul),
        cmocka_unit_test(strview__prefix_may_be_all_but_not_more),
        cmocka_unit_test(strview__distance_counts_edits),
        cmocka_unit_test(strview__distance_of_long_words_is_the_largest),
        cmocka_unit_test(strview__utf8_takes_the_ends_of_every_range),
        cmocka_unit_test(strview__utf8_refuses_what_is_malformed),
    };
    return cmocka_run_group_tests_name("base/strview", tests, NULL, NULL);
}
