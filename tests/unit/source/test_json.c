/* JSON as the shapes write and check it. */
#include "src/source/json.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

typedef void (*write_fn)(struct buf *out, struct strview v);

static void assert_writes(write_fn fn, struct strview in, const char *expected)
{
    struct buf out;
    buf_init(&out);
    fn(&out, in);
    if (!strview_eq(buf_view(&out), strview_str(expected))) {
        fail_msg("'%.*s' instead of '%s'", STRVIEW_ARG(buf_view(&out)), expected);
    }
    buf_fini(&out);
}

static void json__strings_are_escaped(void **state)
{
    (void)state;
    assert_writes(json_write_string, strview_str(""), "\"\"");
    assert_writes(json_write_string, strview_str("plain ü € 😀 \x7f /"), "\"plain ü € 😀 \x7f /\"");
    assert_writes(json_write_string, strview_of("\"\\\b\f\n\r\t\0\x01\x1f", 10),
                  "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u0001\\u001f\"");
}

static void json__binary_is_base64_or_hex(void **state)
{
    (void)state;
    /* RFC 4648, section 10 */
    static const char *const cases[][2] = {{"", "\"\""},
                                           {"f", "\"Zg==\""},
                                           {"fo", "\"Zm8=\""},
                                           {"foo", "\"Zm9v\""},
                                           {"foob", "\"Zm9vYg==\""},
                                           {"fooba", "\"Zm9vYmE=\""},
                                           {"foobar", "\"Zm9vYmFy\""}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_writes(json_write_base64, strview_str(cases[i][0]), cases[i][1]);
    }
    assert_writes(json_write_base64, strview_of("\xff\xfb\xf0", 3), "\"//vw\"");
    assert_writes(json_write_hex, strview_of("\x00\xfe\x1a", 3), "\"00fe1a\"");
}

static void json__valid_texts_pass(void **state)
{
    (void)state;
    static const char *const good[] = {"0",
                                       "-0",
                                       "1.5e-3",
                                       "10E+2",
                                       "true",
                                       "false",
                                       "null",
                                       "\"\"",
                                       "\"\\u00e9\\n\\\"\"",
                                       " [ ] ",
                                       "{}",
                                       "[1,[2,[]],{}]",
                                       "{\"a\":1,\"b\":{\"c\":[true,null]}}",
                                       "\t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : \"x\" } ",
                                       "[{},{\"a\":{}}]"};
    static const char *const bad[] = {"",          " ",
                                      "01",        "-",
                                      "1.",        ".5",
                                      "1e",        "+1",
                                      "NaN",       "nul",
                                      "truee",     "'a'",
                                      "\"",        "\"\n\"",
                                      "\"\\x\"",   "\"\\u12g4\"",
                                      "[",         "]",
                                      "[1",        "[1,]",
                                      "[,1]",      "[1 2]",
                                      "{",         "{\"a\"}",
                                      "{\"a\":}",  "{\"a\":1,}",
                                      "{a:1}",     "{1:1}",
                                      "{\"a\":1]", "[1}",
                                      "1 2",       "{}{}",
                                      "[]]",       "{\"a\" 1}",
                                      "{,}",       "\"\\\"",
                                      "[1,2",      "{\"a\":1 \"b\":2}",
                                      "/**/1"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!json_is_valid(strview_str(good[i]))) {
            fail_msg("refused: %s", good[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (json_is_valid(strview_str(bad[i]))) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    assert_false(json_is_valid(strview_of("\"\0\"", 3)));
    assert_false(json_is_valid(strview_of("\"\\\0\"", 4)));
}

static void json__nesting_has_a_limit(void **state)
{
    (void)state;
    char text[2 * (JSON_DEPTH_MAX + 1)];
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(json_is_valid(strview_of(text, 2 * depth)), depth == JSON_DEPTH_MAX);
    }
}

static void json__ill_formed_text_is_mended(void **state)
{
    (void)state;
    assert_writes(utf8_replace_invalid,
                  strview_str("a\xff"
                              "b\xc3"),
                  "a\xef\xbf\xbd"
                  "b\xef\xbf\xbd");
    assert_writes(utf8_replace_invalid, strview_str("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd");
    assert_writes(utf8_replace_invalid, strview_str("€\xc0\x80"), "€\xef\xbf\xbd\xef\xbf\xbd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json__strings_are_escaped),
        cmocka_unit_test(json__binary_is_base64_or_hex),
        cmocka_unit_test(json__valid_texts_pass),
        cmocka_unit_test(json__nesting_has_a_limit),
        cmocka_unit_test(json__ill_formed_text_is_mended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
