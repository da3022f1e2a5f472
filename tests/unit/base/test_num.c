/* Strict reading and exact writing of numbers. */
#include "tarn/base/num.h"

#include "../../support/long_double.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tarn/base/compiler.h"
#include "tarn/base/hash.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static struct strview sv(const char *s)
{
    return strview_str(s);
}

static void num__i64_reads_every_edge(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"1", 1},
        {"-1", -1},
        {"10", 10},
        {"-10", -10},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775807", -INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int64_t value = 42;
        assert_true(num_parse_i64(sv(good[i].text), &value));
        assert_true(value == good[i].value);
    }
}

static void num__i64_refuses_other_spellings_and_overflow(void **state)
{
    static const char *const bad[] = {
        "",
        "-",
        "+",
        "+1",
        "-0",
        "00",
        "01",
        "-01",
        " 1",
        "1 ",
        "1a",
        "a",
        "--1",
        "1-",
        "0x10",
        "1.0",
        "1e3",
        "9223372036854775808",
        "-9223372036854775809",
        "10000000000000000000",
        "18446744073709551615",
        "18446744073709551616",
        "-18446744073709551616",
        "99999999999999999999",
        "100000000000000000000",
        "340282366920938463463374607431768211456",
        "/",
        ":",
        "\n1",
        "1\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t value = 42;
        assert_false(num_parse_i64(sv(bad[i]), &value));
        assert_int_equal(value, 42);
    }
    int64_t value = 42;
    assert_false(num_parse_i64(strview_of(NULL, 0), &value));
    assert_false(num_parse_i64(strview_of("1\0", 2), &value));
}

static void num__u64_reads_up_to_twenty_digits(void **state)
{
    uint64_t value = 0;
    assert_true(num_parse_u64(sv("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    assert_true(num_parse_u64(sv("10000000000000000000"), &value));
    assert_true(value == UINT64_C(10000000000000000000));
    assert_true(num_parse_u64(sv("0"), &value));
    assert_true(value == 0);
    assert_false(num_parse_u64(sv("18446744073709551616"), &value));
    assert_false(num_parse_u64(sv("-1"), &value));
    assert_false(num_parse_u64(sv("00"), &value));
    assert_false(num_parse_u64(sv(""), &value));
    assert_true(value == 0);
}

static void num__reads_only_what_the_view_covers(void **state)
{
    int64_t value;
    assert_true(num_parse_i64(strview_of("12345", 2), &value));
    assert_int_equal(value, 12);
    double number;
    assert_true(num_parse_double(strview_of("1.2345", 3), &number));
    assert_true(number > 1.19 && number < 1.21);
}

static void num__integers_survive_the_round_trip(void **state)
{
    struct rng rng;
    rng_init_seed(&rng, 1);
    for (int i = 0; i < 20000; i++) {
        uint64_t value = rng_next(&rng) >> (rng_next(&rng) & 63);
        char text[NUM_I64_CHARS];
        uint64_t back = ~value;
        assert_true(num_parse_u64(strview_of(text, num_format_u64(text, value)), &back));
        assert_true(back == value);
        int64_t back_signed = 0;
        assert_true(
            num_parse_i64(strview_of(text, num_format_i64(text, (int64_t)value)), &back_signed));
        assert_true(back_signed == (int64_t)value);
    }
}

static void assert_i64_text(int64_t value, const char *expected)
{
    char text[NUM_I64_CHARS];
    size_t len = num_format_i64(text, value);
    assert_true(strview_eq(strview_of(text, len), sv(expected)));
}

static void num__i64_writes_every_edge(void **state)
{
    assert_i64_text(0, "0");
    assert_i64_text(9, "9");
    assert_i64_text(10, "10");
    assert_i64_text(-1, "-1");
    assert_i64_text(999, "999");
    assert_i64_text(1000, "1000");
    assert_i64_text(INT64_MAX, "9223372036854775807");
    assert_i64_text(INT64_MIN, "-9223372036854775808");
    char text[NUM_I64_CHARS];
    assert_int_equal(num_format_u64(text, UINT64_MAX), 20);
    assert_memory_equal(text, "18446744073709551615", 20);
}

static void num__ldouble_reads_as_strtold(void **state)
{
    static const char *const good[] = {"0",
                                       "-0",
                                       "1.5",
                                       "+1",
                                       "1e3",
                                       "1E-3",
                                       ".5",
                                       "5.",
                                       "0x10",
                                       "inf",
                                       "-inf",
                                       "Infinity",
                                       "3.40282346638528859811704183484516925e38",
                                       "1e4932"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        long double value = 42;
        assert_true(num_parse_ldouble(sv(good[i]), &value));
        assert_true(value == strtold(good[i], NULL));
    }
}

static void num__floats_refuse_blanks_nan_overflow_and_rest(void **state)
{
    if (!has_long_double()) {
        return;
    }
    static const char *const bad[] = {
        "",     " 1",     "1 ",      "\t1",     "\n1", "\v1", "\f1", "\r1", "nan", "-nan", "nan(1)",
        "1.5x", "1e5000", "-1e5000", "1e-5000", "e",   ".",   "-",   "1,5", "1e",  "abc",  "1..2"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        long double value = 42;
        double number = 42;
        assert_false(num_parse_ldouble(sv(bad[i]), &value));
        assert_false(num_parse_double(sv(bad[i]), &number));
        assert_true(value == 42);
        assert_true(number == 42);
    }
    long double value;
    assert_false(num_parse_ldouble(strview_of("1\0", 2), &value));
    assert_false(num_parse_ldouble(strview_of(NULL, 0), &value));
    double number;
    assert_false(num_parse_double(sv("1e309"), &number));
    assert_false(num_parse_double(sv("1e-400"), &number));
    assert_true(num_parse_double(sv("5e-324"), &number)); /* denormal, but not lost */
}

static void num__float_text_is_limited(void **state)
{
    static char text[NUM_DOUBLE_CHARS];
    memset(text, '0', sizeof(text));
    text[0] = '1';
    text[1] = '.';
    long double value = 0;
    assert_true(num_parse_ldouble(strview_of(text, NUM_DOUBLE_CHARS - 1), &value));
    assert_true(value == 1);
    assert_false(num_parse_ldouble(strview_of(text, NUM_DOUBLE_CHARS), &value));
}

static void assert_ldouble_text(long double value, const char *expected)
{
    static char text[NUM_DOUBLE_CHARS];
    size_t len = num_format_ldouble(text, value);
    if (!strview_eq(strview_of(text, len), sv(expected))) {
        fail_msg("%.*s instead of %s", (int)len, text, expected);
    }
}

/* The expectations are what redis-server 7.0 answers to INCRBYFLOAT. */
static void num__ldouble_writes_as_incrbyfloat(void **state)
{
    if (!has_long_double()) {
        return;
    }
    assert_ldouble_text(0.0L, "0");
    assert_ldouble_text(-0.0L, "0");
    assert_ldouble_text(-1e-30L, "0");
    assert_ldouble_text(10.5L + 0.1L, "10.6");
    assert_ldouble_text(3.0L, "3");
    assert_ldouble_text(100.0L, "100");
    assert_ldouble_text(-5.0L, "-5");
    assert_ldouble_text(1.5e20L, "150000000000000000000");
    assert_ldouble_text(5.0e3L + 2.0e2L, "5200");
    assert_ldouble_text(1e-17L, "0.00000000000000001");
    assert_ldouble_text(0.1L, "0.1");
    assert_ldouble_text(-0.5L, "-0.5");
    assert_ldouble_text((long double)INFINITY, "inf");
    assert_ldouble_text(-(long double)INFINITY, "-inf");
    assert_ldouble_text((long double)NAN, "nan");
}

static void num__largest_ldouble_fits(void **state)
{
    static char text[NUM_DOUBLE_CHARS];
    long double largest = 0;
    assert_true(num_parse_ldouble(sv("-1.18e4932"), &largest));
    size_t len = num_format_ldouble(text, largest);
    assert_int_equal(len, 1 + 4933);
    long double back = 0;
    assert_true(num_parse_ldouble(strview_of(text, len), &back));
    assert_true(back == largest);
}

static void assert_double_text(double value, const char *expected)
{
    static char text[NUM_DOUBLE_CHARS];
    size_t len = num_format_double(text, value);
    if (!strview_eq(strview_of(text, len), sv(expected))) {
        fail_msg("%.*s instead of %s", (int)len, text, expected);
    }
}

static void num__double_writes_seventeen_digits(void **state)
{
    assert_double_text(0.0, "0");
    assert_double_text(-0.0, "-0");
    assert_double_text(1.0, "1");
    assert_double_text(1.5, "1.5");
    assert_double_text(3.141, "3.141");
    assert_double_text(0.1, "0.10000000000000001");
    assert_double_text(1e100, "1e+100");
    assert_double_text(1.7976931348623157e308, "1.7976931348623157e+308");
    assert_double_text(5e-324, "4.9406564584124654e-324");
    assert_double_text((double)INFINITY, "inf");
    assert_double_text(-(double)INFINITY, "-inf");
    assert_double_text((double)NAN, "nan");
    assert_double_text(-(double)NAN, "nan");
}

static void num__double_reads_back_as_itself(void **state)
{
    static char text[NUM_DOUBLE_CHARS];
    struct rng rng;
    rng_init_seed(&rng, 2);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = rng_next(&rng);
        double value;
        memcpy(&value, &bits, sizeof(value));
        double back = 0;
        if (isfinite(value)) {
            assert_true(num_parse_double(strview_of(text, num_format_double(text, value)), &back));
            assert_memory_equal(&back, &value, sizeof(value));
        }
    }
}

static void num__bytes_know_both_kinds_of_kilo(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {
        {"0", 0},
        {"512", 512},
        {"512b", 512},
        {"64k", 64000},
        {"64kb", 65536},
        {"1m", 1000000},
        {"100MB", 104857600},
        {"1g", 1000000000},
        {"1Gb", 1073741824},
        {"18446744073709551615", UINT64_MAX},
        {"17179869183gb", UINT64_C(17179869183) << 30},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        uint64_t value = 42;
        assert_true(num_parse_bytes(sv(good[i].text), &value));
        assert_true(value == good[i].value);
    }
    static const char *const bad[] = {"",
                                      "b",
                                      "gb",
                                      "-1",
                                      "-1gb",
                                      "1.5gb",
                                      "1 gb",
                                      "1gb ",
                                      "1tb",
                                      "1gbb",
                                      "01k",
                                      "17179869184gb",
                                      "18446744073709551616",
                                      "0x10",
                                      "10%"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint64_t value = 42;
        assert_false(num_parse_bytes(sv(bad[i]), &value));
        assert_int_equal(value, 42);
    }
    uint64_t value;
    assert_false(num_parse_bytes(strview_of("1\0", 2), &value));
    assert_false(num_parse_bytes(strview_of(NULL, 0), &value));
}

static void num__durations_have_units(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"7", 7000},
        {"250ms", 250},
        {"5s", 5000},
        {"10m", 600000},
        {"2H", 7200000},
        {"7d", 604800000},
        {"9223372036854775807ms", INT64_MAX},
        {"9223372036854775s", INT64_C(9223372036854775000)},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int64_t value = 42;
        assert_true(num_parse_duration_ms(sv(good[i].text), 1000, &value));
        assert_true(value == good[i].value);
    }
    static const char *const bad[] = {"",
                                      "ms",
                                      "-1",
                                      "-1s",
                                      "1.5s",
                                      "1 s",
                                      "1w",
                                      "1sec",
                                      "9223372036854775808ms",
                                      "9223372036854776s",
                                      "18446744073709551615h"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t value = 42;
        assert_false(num_parse_duration_ms(sv(bad[i]), 1000, &value));
        assert_int_equal(value, 42);
    }
}

static void num__percent_is_a_share_of_one(void **state)
{
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0%", 0.0},   {"10%", 0.10},   {"10.5%", 0.105},
                {"100%", 1.0}, {"100.0%", 1.0}, {"0.001%", 0.00001}};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        double value = 42;
        assert_true(num_parse_percent(sv(good[i].text), &value));
        assert_true(fabs(value - good[i].value) < 1e-15);
    }
    static const char *const bad[] = {"",     "%",    "10",   "-1%",  "+1%", "100.1%",
                                      "101%", "1e1%", ".5%",  "5.%",  ".%",  "1.2.3%",
                                      "10 %", "10%%", "inf%", "nan%", "0x1%"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        double value = 42;
        assert_false(num_parse_percent(sv(bad[i]), &value));
        assert_true(value == 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(num__i64_reads_every_edge),
        cmocka_unit_test(num__i64_refuses_other_spellings_and_overflow),
        cmocka_unit_test(num__u64_reads_up_to_twenty_digits),
        cmocka_unit_test(num__reads_only_what_the_view_covers),
        cmocka_unit_test(num__integers_survive_the_round_trip),
        cmocka_unit_test(num__i64_writes_every_edge),
        cmocka_unit_test(num__ldouble_reads_as_strtold),
        cmocka_unit_test(num__floats_refuse_blanks_nan_overflow_and_rest),
        cmocka_unit_test(num__float_text_is_limited),
        cmocka_unit_test(num__ldouble_writes_as_incrbyfloat),
        cmocka_unit_test(num__largest_ldouble_fits),
        cmocka_unit_test(num__double_writes_seventeen_digits),
        cmocka_unit_test(num__double_reads_back_as_itself),
        cmocka_unit_test(num__bytes_know_both_kinds_of_kilo),
        cmocka_unit_test(num__durations_have_units),
        cmocka_unit_test(num__percent_is_a_share_of_one),
    };
    return cmocka_run_group_tests_name("base/num", tests, NULL, NULL);
}
