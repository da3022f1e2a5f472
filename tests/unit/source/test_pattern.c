/* Parsing, matching and overlap of key patterns. */
#include "src/source/pattern.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fault_alloc.h"

#define VALUE_MAX 256

static struct pattern parse(const char *text)
{
    struct pattern p;
    struct errtext err;
    if (pattern_init(&p, strview_str(text), &err) != 0) {
        fail_msg("%s: %s", text, err.text);
    }
    return p;
}

static bool matches_view(const char *pattern, struct strview key, size_t value_max)
{
    struct strview values[PATTERN_PARAMS_MAX];
    struct pattern p = parse(pattern);
    bool result = pattern_match(&p, key, value_max, values);
    pattern_fini(&p);
    return result;
}

static bool matches(const char *pattern, const char *key)
{
    return matches_view(pattern, strview_str(key), VALUE_MAX);
}

static void pattern__integers_have_one_spelling(void **state)
{
    (void)state;
    static const char *const good[] = {
        "0", "1", "-1", "42", "9223372036854775807", "-9223372036854775808"};
    static const char *const bad[] = {"",
                                      "-",
                                      "-0",
                                      "00",
                                      "042",
                                      "+42",
                                      " 42",
                                      "42 ",
                                      "4e1",
                                      "4.0",
                                      "0x1",
                                      "９",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999",
                                      "1\n"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(matches("{n:int}", good[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(matches("{n:int}", bad[i]));
        assert_false(matches("{n:uint}", bad[i]));
    }
    assert_true(matches("{n:uint}", "0"));
    assert_true(matches("{n:uint}", "9223372036854775807"));
    assert_false(matches("{n:uint}", "-1"));
}

static void pattern__each_type_takes_its_own(void **state)
{
    (void)state;
    assert_true(matches("k:{x:uuid}", "k:123e4567-e89b-12d3-a456-426614174000"));
    assert_false(matches("k:{x:uuid}", "k:123E4567-e89b-12d3-a456-426614174000"));
    assert_false(matches("k:{x:uuid}", "k:123e4567e89b-12d3-a456-426614174000-"));
    assert_false(matches("k:{x:uuid}", "k:123e4567-e89b-12d3-a456-42661417400"));
    assert_true(matches("k:{x:slug}", "k:Caf-e_9"));
    assert_false(matches("k:{x:slug}", "k:caf\xc3\xa9"));
    assert_false(matches("k:{x:slug}", "k:a b"));
    assert_true(matches("k:{x:hex}", "k:00ff"));
    assert_false(matches("k:{x:hex}", "k:00FF"));
    assert_true(matches("k:{x:enum(a|bc)}", "k:bc"));
    assert_true(matches("k:{x:enum(a|bc)}", "k:a"));
    assert_false(matches("k:{x:enum(a|bc)}", "k:b"));
    assert_false(matches("k:{x:enum(a|bc)}", "k:a|bc"));
    assert_false(matches("k:{x:enum(a|bc)}", "k:"));
    assert_true(matches("k:{x}", "k:any 'thing' \xff"));
    assert_false(matches("k:{x}", "k:"));
    assert_false(matches_view("k:{x}", strview_of("k:a\0b", 5), VALUE_MAX));
    assert_true(matches_view("k:{x:bytes}", strview_of("k:a\0b", 5), VALUE_MAX));
}

static void pattern__values_have_a_longest_length(void **state)
{
    (void)state;
    char key[200] = "k:";
    memset(key + 2, 'a', 129);
    assert_false(matches_view("k:{x:slug}", strview_of(key, 2 + 129), VALUE_MAX));
    assert_true(matches_view("k:{x:slug}", strview_of(key, 2 + 128), VALUE_MAX));
    assert_false(matches_view("k:{x}", strview_of(key, 2 + 11), 10));
    assert_true(matches_view("k:{x}", strview_of(key, 2 + 10), 10));
    memcpy(key + 12, ":b", 2);
    assert_true(matches_view("k:{x}:{y}", strview_of(key, 14), 10));
    assert_false(matches_view("k:{x}:{y}", strview_of(key, 14), 9));
    assert_true(matches_view("k:{x}:{y}", strview_of(key, 14), SIZE_MAX));
}

static void pattern__value_ends_at_the_first_literal(void **state)
{
    (void)state;
    struct strview v[PATTERN_PARAMS_MAX];
    struct pattern p = parse("a:{x}:{y:int}:{z}:end");
    assert_int_equal(p.params_count, 3);
    assert_true(pattern_match(&p, strview_str("a:one:2:th:ree:end"), VALUE_MAX, v));
    assert_true(strview_eq(v[0], strview_str("one")));
    assert_true(strview_eq(v[1], strview_str("2")));
    assert_true(strview_eq(v[2], strview_str("th:ree")));
    assert_true(pattern_match(&p, strview_str("a:o:2::end:end"), VALUE_MAX, v));
    assert_true(strview_eq(v[2], strview_str(":end")));
    assert_false(
        pattern_match(&p, strview_str("a:o:n:2:z:end"), VALUE_MAX, v)); /* x is o, y is n */
    assert_false(pattern_match(&p, strview_str("a::2:z:end"), VALUE_MAX, v));
    assert_false(pattern_match(&p, strview_str("a:o:2:end"), VALUE_MAX, v));
    assert_false(pattern_match(&p, strview_str("a:o:2:z:en"), VALUE_MAX, v));
    assert_false(pattern_match(&p, strview_str(""), VALUE_MAX, v));
    pattern_fini(&p);
}

static void pattern__may_have_no_parameter(void **state)
{
    (void)state;
    assert_true(matches("app:config", "app:config"));
    assert_false(matches("app:config", "app:config2"));
    assert_false(matches("app:config", "app:confi"));
}

static void assert_refused(const char *text)
{
    struct pattern p;
    struct errtext err = {{0}};
    assert_true(pattern_init(&p, strview_str(text), &err) < 0);
    assert_true(err.text[0] != '\0');
}

static void pattern__refuses_what_is_unclear(void **state)
{
    (void)state;
    assert_refused("");
    assert_refused("a{x}{y}");
    assert_refused("a{x:int}{y:int}");
    assert_refused("a{x");
    assert_refused("a}x");
    assert_refused("a{x}}");
    assert_refused("a{}");
    assert_refused("a{1x}");
    assert_refused("a{x y}");
    assert_refused("a{x:number}");
    assert_refused("a{x:}");
    assert_refused("a{x:enum()}");
    assert_refused("a{x:enum(a||b)}");
    assert_refused("a{x:enum(|a)}");
    assert_refused("a{x:enum(a|)}");
    assert_refused("a{x:enum(a}");
    assert_refused("a{x}:{x}");
    assert_refused("{a}:{b}:{c}:{d}:{e}:{f}:{g}:{h}:{i}:{j}:{k}:{l}:{m}:{n}:{o}:{p}:{q}");
    char long_text[PATTERN_BYTES_MAX + 2];
    memset(long_text, 'x', sizeof(long_text));
    long_text[sizeof(long_text) - 1] = '\0';
    assert_refused(long_text);
}

static void pattern__values_are_bound_by_type(void **state)
{
    (void)state;
    struct pattern p = parse("{a:int}:{b:bytes}:{c}");
    struct driver_value v = param_value(&p.params[0], strview_str("-42"));
    assert_int_equal(v.type, VALUE_INT);
    assert_int_equal(v.number, -42);
    assert_int_equal(param_value(&p.params[1], strview_str("x")).type, VALUE_BYTES);
    assert_int_equal(param_value(&p.params[2], strview_str("x")).type, VALUE_TEXT);
    pattern_fini(&p);
}

static int overlap(const char *a, const char *b)
{
    struct pattern pa = parse(a);
    struct pattern pb = parse(b);
    int one = pattern_overlaps(&pa, &pb);
    assert_int_equal(one, pattern_overlaps(&pb, &pa));
    pattern_fini(&pa);
    pattern_fini(&pb);
    return one;
}

static void pattern__overlap_is_decided(void **state)
{
    (void)state;
    static const char *const meet[][2] = {
        {"user:{id:int}", "user:{id:int}"},
        {"user:{id:int}", "user:{s:slug}"},
        {"user:{id:int}", "user:42"},
        {"user:{id:int}", "{all}"},
        {"user:{id:int}", "us{rest}"},
        {"user:{id:uuid}", "user:{h:slug}"},
        {"a:{x:enum(abc|de)}", "a:{x:hex}"},
        {"a:{x}:b", "a:{x}:{y}"},
        {"a:{x:int}0", "a:{y:int}"},
        {"{a:int}-{b:int}", "{c:slug}"},
        {"a:{x:enum(ab|abc)}d", "a:{x:enum(abcd|q)}"},
        {"k", "k"},
    };
    static const char *const apart[][2] = {
        {"user:{id:int}", "page:{id:int}"},
        {"user:{id:int}", "user:{id:int}:name"},
        {"user:{id:int}", "user:{u:uuid}"},
        {"user:{id:int}", "user:042"},
        {"user:{id:uint}", "user:-{id:uint}"},
        {"user:{id:int}", "user:x{h:hex}"},
        {"a:{x:enum(ab|cd)}", "a:{x:enum(ac|bd)}"},
        {"a:{x:enum(ab|abc)}d", "a:{x:enum(abcde|abd2)}"},
        {"a:{x:hex}", "a:{x:enum(xy|z)}"},
        {"k", "k2"},
        {"user:{id:int}", "user:{a:int}:{b:int}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(meet); i++) {
        if (overlap(meet[i][0], meet[i][1]) != 1) {
            fail_msg("%s and %s can meet", meet[i][0], meet[i][1]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(apart); i++) {
        if (overlap(apart[i][0], apart[i][1]) != 0) {
            fail_msg("%s and %s cannot meet", apart[i][0], apart[i][1]);
        }
    }
}

/* Whatever matches both is found by the overlap test: tried with short keys over a small alphabet.
 */
static void pattern__overlap_misses_no_common_key(void **state)
{
    (void)state;
    static const char *const patterns[] = {"{a:int}",
                                           "{a:uint}",
                                           "{a:slug}",
                                           "{a:hex}",
                                           "{a:enum(a|1a|0)}",
                                           "a{x:int}",
                                           "{x:int}a",
                                           "{x}-{y}",
                                           "{x:slug}-{y:int}",
                                           "{x:hex}-{y}",
                                           "a{x:enum(a|-)}",
                                           "-{x:uint}",
                                           "1",
                                           "a-0",
                                           "{x}a",
                                           "{x:enum(a|b)}-{y}"};
    static const char alphabet[] = "a01-";
    struct strview values[PATTERN_PARAMS_MAX];
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        for (size_t j = 0; j < ARRAY_LEN(patterns); j++) {
            struct pattern a = parse(patterns[i]);
            struct pattern b = parse(patterns[j]);
            bool is_seen = false;
            for (unsigned n = 0; n < 4096 * 4; n++) {
                char key[7];
                size_t len = 1 + n % 4 + (n >= 4096 ? 2 : 0);
                for (size_t c = 0; c < len; c++) {
                    key[c] = alphabet[(n / 4 >> (2 * c)) & 3];
                }
                is_seen = is_seen || (pattern_match(&a, strview_of(key, len), VALUE_MAX, values) &&
                                      pattern_match(&b, strview_of(key, len), VALUE_MAX, values));
            }
            if (is_seen && pattern_overlaps(&a, &b) != 1) {
                fail_msg("%s and %s meet", patterns[i], patterns[j]);
            }
            pattern_fini(&a);
            pattern_fini(&b);
        }
    }
}

static void pattern__survives_want_of_memory(void **state)
{
    (void)state;
    struct pattern p;
    struct errtext err;
    fault_alloc_arm(0, 1);
    assert_true(pattern_init(&p, strview_str("a:{x}"), &err) < 0);
    assert_true(fault_alloc_disarm());
    struct pattern a = parse("a:{x}");
    struct pattern b = parse("a:{y:int}");
    for (size_t good = 0;; good++) {
        fault_alloc_arm(good, 1);
        int r = pattern_overlaps(&a, &b);
        if (!fault_alloc_disarm()) {
            assert_int_equal(r, 1);
            break;
        }
        assert_true(r < 0);
    }
    pattern_fini(&a);
    pattern_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pattern__integers_have_one_spelling),
        cmocka_unit_test(pattern__each_type_takes_its_own),
        cmocka_unit_test(pattern__values_have_a_longest_length),
        cmocka_unit_test(pattern__value_ends_at_the_first_literal),
        cmocka_unit_test(pattern__may_have_no_parameter),
        cmocka_unit_test(pattern__refuses_what_is_unclear),
        cmocka_unit_test(pattern__values_are_bound_by_type),
        cmocka_unit_test(pattern__overlap_is_decided),
        cmocka_unit_test(pattern__overlap_misses_no_common_key),
        cmocka_unit_test(pattern__survives_want_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
