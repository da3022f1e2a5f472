/* Patterns: what matches, what does not, and how much work that may be. */
#include "tarn/base/glob.h"

#include <stdlib.h>

#include "src/base/glob_steps.h"
#include "tarn/base/compiler.h"
#include "tarn/base/hash.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

struct example {
    const char *pattern, *text;
    bool matches;
};

static void check(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct example *e = &examples[i];
        if (glob_match(strview_str(e->pattern), strview_str(e->text)) != e->matches) {
            fail_msg("'%s' against '%s'", e->pattern, e->text);
        }
    }
}

static void glob__literals_match_whole_texts(void **state)
{
    static const struct example examples[] = {
        {"", "", true},       {"", "a", false},       {"a", "", false},      {"abc", "abc", true},
        {"abc", "ab", false}, {"abc", "abcd", false}, {"abc", "Abc", false}, {"\xff", "\xff", true},
    };
    check(examples, ARRAY_LEN(examples));
}

static void glob__stars_match_any_run(void **state)
{
    static const struct example examples[] = {
        {"*", "", true},           {"*", "a", true},       {"**", "", true},
        {"***", "abc", true},      {"a*", "a", true},      {"a*", "abc", true},
        {"a*", "ba", false},       {"*c", "abc", true},    {"*c", "abcd", false},
        {"a*c", "ac", true},       {"a*c", "abcbc", true}, {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "acb", false},   {"*a*", "bbb", false},  {"*ab*ab*", "abab", true},
        {"*ab*ab*", "aba", false}, {"a**b", "ab", true},   {"*aab", "aaaab", true},
        {"*?", "", false},         {"*?", "x", true},      {"*.h", ".h", true},
        {"news.*", "news.", true}, {"a*a", "a", false},    {"*[0-9]", "abc7", true},
    };
    check(examples, ARRAY_LEN(examples));
}

static void glob__question_mark_is_one_byte(void **state)
{
    static const struct example examples[] = {
        {"?", "", false},         {"?", "a", true},         {"?", "ab", false},
        {"h?llo", "hallo", true}, {"h?llo", "hllo", false}, {"??", "\xc3\xbc", true},
    };
    check(examples, ARRAY_LEN(examples));
}

static void glob__classes_match_sets_and_ranges(void **state)
{
    static const struct example examples[] = {
        {"h[ae]llo", "hello", true},
        {"h[ae]llo", "hillo", false},
        {"h[^e]llo", "hallo", true},
        {"h[^e]llo", "hello", false},
        {"[a-c]", "b", true},
        {"[a-c]", "d", false},
        {"[c-a]", "b", true},
        {"[^a-c]", "b", false},
        {"[^a-c]", "", false},
        {"[a-]", "^", true},
        {"[-a]", "-", true},
        {"[a-]", "-", false},
        {"[]", "]", false},
        {"[]", "", false},
        {"[]a]", "a]", false},
        {"[^]", "x", true},
        {"[a^]", "^", true},
        {"[\\]]", "]", true},
        {"[\\-]", "-", true},
        {"[a\\-c]", "b", false},
        {"[a\\-c]", "-", true},
        {"[\\^a]", "^", true},
        {"[*]", "*", true},
        {"[*]", "x", false},
        {"[?]", "x", false},
        {"[\x80-\xff]", "\xc3", true},
        {"[a-z]*[0-9]", "foo1", true},
    };
    check(examples, ARRAY_LEN(examples));
}

static void glob__open_class_ends_with_the_pattern(void **state)
{
    static const struct example examples[] = {
        {"[", "[", false},   {"[a", "a", true},   {"[a", "b", false},   {"[^", "a", true},
        {"[^a", "b", true},  {"[^a", "a", false}, {"[a-", "a", true},   {"[a-", "-", true},
        {"[a-z", "m", true}, {"[\\", "\\", true}, {"*[", "abc", false}, {"*[c", "abc", true},
        {"[a", "ab", false}, {"[", "", false},
    };
    check(examples, ARRAY_LEN(examples));
}

static void glob__backslash_takes_the_meaning_away(void **state)
{
    static const struct example examples[] = {
        {"\\*", "*", true},    {"\\*", "a", false},   {"\\?", "?", true},   {"\\[a]", "[a]", true},
        {"\\a", "a", true},    {"\\", "\\", true},    {"a\\", "a\\", true}, {"\\\\", "\\", true},
        {"*\\", "ab\\", true}, {"*\\*", "ab*", true}, {"\\", "", false},
    };
    check(examples, ARRAY_LEN(examples));
}

static void glob__nul_is_a_byte_like_others(void **state)
{
    assert_true(glob_match(strview_of("a\0*", 3), strview_of("a\0bc", 4)));
    assert_false(glob_match(strview_of("a\0b", 3), strview_of("a\0c", 3)));
    assert_false(glob_match(strview_of("a", 1), strview_of("a\0", 2)));
    assert_true(glob_match(strview_of("[\0-\1]", 5), strview_of("\0", 1)));
}

static void glob__takes_views_without_data(void **state)
{
    assert_true(glob_match(strview_of(NULL, 0), strview_of(NULL, 0)));
    assert_true(glob_match(strview_of("*", 1), strview_of(NULL, 0)));
    assert_false(glob_match(strview_of(NULL, 0), strview_of("a", 1)));
}

static void glob__nocase_folds_letters_and_ranges(void **state)
{
    assert_true(glob_match_nocase(strview_str("MAX*"), strview_str("maxmemory")));
    assert_true(glob_match_nocase(strview_str("max*"), strview_str("MaxMemory")));
    assert_true(glob_match_nocase(strview_str("[A-C]"), strview_str("b")));
    assert_true(glob_match_nocase(strview_str("[a-c]"), strview_str("B")));
    assert_true(glob_match_nocase(strview_str("[ABC]"), strview_str("b")));
    assert_false(glob_match_nocase(strview_str("[^a-c]"), strview_str("B")));
    assert_false(glob_match_nocase(strview_str("a"), strview_str("b")));
    assert_true(glob_match_nocase(strview_str("\\A"), strview_str("a")));
}

static void glob__all_is_one_star(void **state)
{
    assert_true(glob_is_all(strview_str("*")));
    assert_false(glob_is_all(strview_str("**")));
    assert_false(glob_is_all(strview_str("")));
    assert_false(glob_is_all(strview_str("a")));
}

/* The same question, answered by trying everything. */
static bool slow_match(const char *p, size_t p_len, const char *t, size_t t_len)
{
    bool reach[32] = {true}; /* reach[k]: the pattern so far matches the first k bytes */
    assert_true(t_len < ARRAY_LEN(reach));
    for (size_t i = 0; i < p_len; i++) {
        bool next[32] = {false};
        for (size_t k = 0; k <= t_len; k++) {
            if (p[i] == '*') {
                next[k] = reach[k] || (k > 0 && next[k - 1]);
            } else {
                next[k] = k > 0 && reach[k - 1] && (p[i] == '?' || p[i] == t[k - 1]);
            }
        }
        memcpy(reach, next, sizeof(reach));
    }
    return reach[t_len];
}

static void glob__agrees_with_trying_everything(void **state)
{
    struct rng rng;
    rng_init_seed(&rng, 3);
    int matches = 0;
    for (int i = 0; i < 200000; i++) {
        char pattern[12];
        char text[16];
        size_t p_len = (size_t)rng_below(&rng, sizeof(pattern) + 1);
        size_t t_len = (size_t)rng_below(&rng, sizeof(text) + 1);
        for (size_t k = 0; k < p_len; k++) {
            pattern[k] = "aab**?"[rng_below(&rng, 6)];
        }
        for (size_t k = 0; k < t_len; k++) {
            text[k] = "aab"[rng_below(&rng, 3)];
        }
        bool expected = slow_match(pattern, p_len, text, t_len);
        matches += expected;
        assert_int_equal(glob_match(strview_of(pattern, p_len), strview_of(text, t_len)), expected);
    }
    assert_true(matches > 10000);
}

/* Work is counted in tries of one element against one byte. */
static size_t steps_of(struct strview pattern, struct strview text, bool matches)
{
    size_t steps = 0;
    assert_int_equal(glob_match_counted(pattern, text, false, &steps), matches);
    return steps;
}

static void glob__many_stars_cost_no_more_than_the_product(void **state)
{
    enum { STARS = 1000, TEXT = 10000 };
    static char pattern[2 * STARS + 1];
    static char text[TEXT];
    for (size_t i = 0; i < STARS; i++) {
        pattern[2 * i] = 'a';
        pattern[2 * i + 1] = '*';
    }
    pattern[2 * STARS] = 'b';
    memset(text, 'a', sizeof(text));
    struct strview p = strview_of(pattern, sizeof(pattern));
    /* Ends in what the text does not have: every place is tried for the last star, for no other. */
    assert_true(steps_of(p, strview_of(text, sizeof(text)), false) <= 2 * TEXT);
    text[TEXT - 1] = 'b';
    assert_true(steps_of(p, strview_of(text, sizeof(text)), true) <= 2 * TEXT);
}

static void glob__worst_case_is_within_the_product(void **state)
{
    enum { HALF = 500, TEXT = 5000 };
    static char pattern[HALF + 2];
    static char text[TEXT];
    memset(pattern, 'a', sizeof(pattern));
    pattern[0] = '*';
    pattern[HALF + 1] = 'b';
    memset(text, 'a', sizeof(text));
    size_t steps = steps_of(strview_of(pattern, sizeof(pattern)), strview_of(text, sizeof(text)),
                            false);
    assert_true(steps <= sizeof(pattern) * TEXT);
    assert_true(steps > HALF * (TEXT - HALF)); /* the bound is reached: the count counts */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(glob__literals_match_whole_texts),
        cmocka_unit_test(glob__stars_match_any_run),
        cmocka_unit_test(glob__question_mark_is_one_byte),
        cmocka_unit_test(glob__classes_match_sets_and_ranges),
        cmocka_unit_test(glob__open_class_ends_with_the_pattern),
        cmocka_unit_test(glob__backslash_takes_the_meaning_away),
        cmocka_unit_test(glob__nul_is_a_byte_like_others),
        cmocka_unit_test(glob__takes_views_without_data),
        cmocka_unit_test(glob__nocase_folds_letters_and_ranges),
        cmocka_unit_test(glob__all_is_one_star),
        cmocka_unit_test(glob__agrees_with_trying_everything),
        cmocka_unit_test(glob__many_stars_cost_no_more_than_the_product),
        cmocka_unit_test(glob__worst_case_is_within_the_product),
    };
    return cmocka_run_group_tests_name("base/glob", tests, NULL, NULL);
}
