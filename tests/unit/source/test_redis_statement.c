/* Commands for a Redis server: words, and which of them are let through. */
#include "src/source/redis_statement.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static const struct driver_value params[] = {
    {.type = VALUE_INT, .number = -42},
    {.type = VALUE_BYTES, .bytes = {"a \0'\r\n", 6}},
};

static struct redis_statement make(const char *bytes, size_t len)
{
    struct redis_statement s;
    assert_int_equal(redis_statement_init(&s, strview_of(bytes, len)), 0);
    return s;
}

#define MAKE(literal) make(literal, sizeof(literal) - 1)

static void assert_word(const struct redis_statement *s, unsigned i, const char *bytes, size_t len)
{
    struct buf out;
    buf_init(&out);
    redis_statement_write(s, i, params, &out);
    assert_int_equal(buf_len(&out), len);
    assert_memory_equal(buf_view(&out).data, bytes, len);
    buf_fini(&out);
}

static void redis_statement__words_and_quotes(void **state)
{
    (void)state;
    struct redis_statement s = MAKE("  HMGET\t'a b'\"c d\"e f\n'' ");
    assert_string_equal(s.problem.text, "");
    assert_int_equal(s.words_count, 4);
    assert_word(&s, 0, "HMGET", 5);
    assert_word(&s, 1, "a bc de", 7);
    assert_word(&s, 2, "f", 1);
    assert_word(&s, 3, "", 0);
    redis_statement_fini(&s);
}

static void redis_statement__parameters_are_bytes_of_one_word(void **state)
{
    (void)state;
    struct redis_statement s = MAKE("hget x\0A:\0B '\0B'");
    assert_string_equal(s.problem.text, "");
    assert_int_equal(s.words_count, 3);
    assert_word(&s, 1, "x-42:a \0'\r\n", 11);
    assert_word(&s, 2, "a \0'\r\n", 6);
    assert_int_equal(s.reading, REDIS_READS_FIELDS);
    redis_statement_fini(&s);
}

static void assert_problem(const char *text, const char *part)
{
    struct redis_statement s = make(text, strlen(text));
    if (strstr(s.problem.text, part) == NULL) {
        fail_msg("%s: '%s' does not say '%s'", text, s.problem.text, part);
    }
    redis_statement_fini(&s);
}

static void redis_statement__only_reads_of_one_key(void **state)
{
    (void)state;
    assert_problem("", "none of");
    assert_problem("SET a b", "none of");
    assert_problem("GETDEL a", "none of");
    assert_problem("GE", "none of");
    assert_problem("GET", "wrong number of words for GET");
    assert_problem("GET a b", "wrong number of words for GET");
    assert_problem("HGET a", "wrong number of words for HGET");
    assert_problem("HGETALL a b", "wrong number of words for HGETALL");
    assert_problem("GET 'a", "quote");
    assert_problem("GET a\"", "quote");
}

static void redis_statement__words_have_a_limit(void **state)
{
    (void)state;
    char text[2 * REDIS_WORDS_MAX + 16] = "HMGET";
    for (unsigned i = 1; i < REDIS_WORDS_MAX; i++) {
        strcat(text, " f");
    }
    assert_problem(text, "");
    struct redis_statement s = make(text, strlen(text));
    assert_string_equal(s.problem.text, "");
    redis_statement_fini(&s);
    strcat(text, " f");
    assert_problem(text, "more than 128 words");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(redis_statement__words_and_quotes),
        cmocka_unit_test(redis_statement__parameters_are_bytes_of_one_word),
        cmocka_unit_test(redis_statement__only_reads_of_one_key),
        cmocka_unit_test(redis_statement__words_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
