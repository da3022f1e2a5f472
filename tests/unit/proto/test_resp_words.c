/* Lines into words, against what redis-server 7 makes of the same lines. */
#include "tarn/proto/resp_parse.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#define WORDS_MAX  6
#define UNBALANCED (-1)

struct example {
    const char *line;
    int count;
    const char *words[WORDS_MAX];
};

static const struct example examples[] = {
    {"", 0, {NULL}},
    {" \t\r\n\v\f ", 0, {NULL}},
    {"one", 1, {"one"}},
    {"  SET\tkey  value ", 3, {"SET", "key", "value"}},
    {"a\rb\nc", 3, {"a", "b", "c"}},
    /* Vertical tab and form feed are blanks between words only. */
    {"\va\vb\fc \fd", 2, {"a\vb\fc", "d"}},
    {"'a'\v'b'", 2, {"a", "b"}},
    /* Double quotes. */
    {"\"\" ''", 2, {"", ""}},
    {"\"a b\" c", 2, {"a b", "c"}},
    {"a\"b c\"", 1, {"ab c"}},
    {"\"\\n\\r\\t\\b\\a\"", 1, {"\n\r\t\b\a"}},
    {"\"\\\\ \\\" \\' \\q\"", 1, {"\\ \" ' q"}},
    {"\"\\x41\\x4a\\x4A\\xff\"", 1, {"AJJ\xff"}},
    {"\"\\xzz\\x4\"", 1, {"xzzx4"}},
    {"\"it's\"", 1, {"it's"}},
    /* Single quotes. */
    {"'a b'", 1, {"a b"}},
    {"'it\\'s' '\\n\\x41\\q'", 2, {"it's", "\\n\\x41\\q"}},
    {"'say \"x\"'", 1, {"say \"x\""}},
    /* A backslash outside of quotes is a byte like any other. */
    {"a\\ b\\n", 2, {"a\\", "b\\n"}},
    /* Quotes must be closed, and by a blank or the end. */
    {"\"", UNBALANCED, {NULL}},
    {"'", UNBALANCED, {NULL}},
    {"a \"b", UNBALANCED, {NULL}},
    {"a 'b", UNBALANCED, {NULL}},
    {"\"a\"b", UNBALANCED, {NULL}},
    {"'a'b", UNBALANCED, {NULL}},
    {"\"a\"\"b\"", UNBALANCED, {NULL}},
    {"\"a\\\"", UNBALANCED, {NULL}},
    {"\"a\\", UNBALANCED, {NULL}},
    {"'a\\'", UNBALANCED, {NULL}},
    {"'a\\\\'", UNBALANCED, {NULL}},
};

/* The line is copied into memory of its own size: a sanitizer sees a byte read beyond it. */
static int split_exact(struct strview line, struct resp_request *r)
{
    char *copy = malloc(line.len > 0 ? line.len : 1);
    assert_non_null(copy);
    if (line.len > 0) {
        memcpy(copy, line.data, line.len);
    }
    int count = resp_split_words(strview_of(copy, line.len), r);
    free(copy); /* the words do not live there */
    return count;
}

static void resp_words__splits_as_redis_does(void **state)
{
    (void)state;
    struct resp_request r = {.argc = 0};
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        const struct example *e = &examples[i];
        int count = split_exact(strview_str(e->line), &r);
        if (count != e->count) {
            print_error("line %zu, %s: %d words\n", i, e->line, count);
        }
        assert_int_equal(count, e->count);
        for (int k = 0; k < count; k++) {
            assert_true(strview_eq(r.argv[k], strview_str(e->words[k])));
        }
    }
    resp_request_fini(&r);
}

static void resp_words__may_hold_zero_bytes(void **state)
{
    (void)state;
    static const char line[] = "a\0b \"\\x00\" '\0'";
    struct resp_request r = {.argc = 0};
    assert_int_equal(split_exact(strview_of(line, sizeof(line) - 1), &r), 3);
    assert_true(strview_eq(r.argv[0], strview_of("a\0b", 3)));
    assert_true(strview_eq(r.argv[1], strview_of("\0", 1)));
    assert_true(strview_eq(r.argv[2], strview_of("\0", 1)));
    resp_request_fini(&r);
}

static void resp_words__are_as_many_as_the_line_has(void **state)
{
    enum { WORDS = 50000 };
    (void)state;
    char *line = malloc((size_t)2 * WORDS);
    assert_non_null(line);
    for (size_t i = 0; i < WORDS; i++) {
        line[2 * i] = (char)('a' + i % 26);
        line[2 * i + 1] = ' ';
    }
    struct resp_request r = {.argc = 0};
    assert_int_equal(resp_split_words(strview_of(line, (size_t)2 * WORDS), &r), WORDS);
    for (size_t i = 0; i < WORDS; i++) {
        assert_int_equal(r.argv[i].len, 1);
        assert_int_equal(r.argv[i].data[0], 'a' + i % 26);
    }
    resp_request_fini(&r);
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resp_words__splits_as_redis_does),
        cmocka_unit_test(resp_words__may_hold_zero_bytes),
        cmocka_unit_test(resp_words__are_as_many_as_the_line_has),
    };
    return cmocka_run_group_tests_name("resp_words", tests, NULL, NULL);
}
