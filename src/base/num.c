/*
 * Numbers from bytes and back, strict in what is read and exact in what is written.
 *
 * Integers are done by hand: the inputs are not NUL-terminated and every command with a count
 * passes here. Floating point is left to the C library, on a copy that ends in NUL. The C library
 * minds LC_NUMERIC; the program never calls setlocale(), so the locale is "C" and the decimal mark
 * a point.
 */
#include "tarn/base/num.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/base/compiler.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads the digits at the front of `v` into *out; returns how many there are, 0 when the value is
 * no strict number or above UINT64_MAX. */
static size_t parse_digits(struct strview v, uint64_t *out)
{
    uint64_t value = 0;
    size_t n = 0;
    while (n < v.len && is_digit(v.data[n])) {
        uint64_t digit = (uint64_t)(v.data[n] - '0');
        if (mul_overflow(value, UINT64_C(10), &value) || add_overflow(value, digit, &value)) {
            return 0;
        }
        n++;
        if (n == 2 && v.data[0] == '0') {
            return 0; /* a leading zero: the number has another spelling */
        }
    }
    *out = value;
    return n;
}

static struct strview skip(struct strview v, size_t n)
{
    return v.len > n ? strview_of(v.data + n, v.len - n) : strview_of(NULL, 0);
}

bool num_parse_u64(struct strview v, uint64_t *out)
{
    uint64_t value;
    size_t n = parse_digits(v, &value);
    if (n == 0 || n != v.len) {
        return false;
    }
    *out = value;
    return true;
}

bool num_parse_i64(struct strview v, int64_t *out)
{
    bool negative = v.len > 0 && v.data[0] == '-';
    uint64_t magnitude;
    if (!num_parse_u64(negative ? skip(v, 1) : v, &magnitude)) {
        return false;
    }
    if (!negative) {
        if (magnitude > INT64_MAX) {
            return false;
        }
        *out = (int64_t)magnitude;
        return true;
    }
    if (magnitude == 0 || magnitude > (uint64_t)INT64_MAX + 1) {
        return false;
    }
    *out = -(int64_t)(magnitude - 1) - 1;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Copies `v` where strtod can read it. False when it cannot be a number at all. */
static bool float_copy(char text[NUM_DOUBLE_CHARS], struct strview v)
{
    if (v.len == 0 || v.len >= NUM_DOUBLE_CHARS || is_blank(v.data[0])) {
        return false;
    }
    memcpy(text, v.data, v.len);
    text[v.len] = '\0';
    return true;
}

bool num_parse_ldouble(struct strview v, long double *out)
{
    char text[NUM_DOUBLE_CHARS];
    if (!float_copy(text, v)) {
        return false;
    }
    char *end;
    errno = 0;
    long double value = strtold(text, &end);
    bool out_of_range = errno == ERANGE && (isinf(value) || fpclassify(value) == FP_ZERO);
    if (end != text + v.len || isnan(value) || out_of_range) {
        return false;
    }
    *out = value;
    return true;
}

bool num_parse_double(struct strview v, double *out)
{
    char text[NUM_DOUBLE_CHARS];
    if (!float_copy(text, v)) {
        return false;
    }
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    bool out_of_range = errno == ERANGE && (isinf(value) || fpclassify(value) == FP_ZERO);
    if (end != text + v.len || isnan(value) || out_of_range) {
        return false;
    }
    *out = value;
    return true;
}

static size_t count_digits(uint64_t value)
{
    size_t n = 1;
    while (value >= 10) {
        value /= 10;
        n++;
    }
    return n;
}

size_t num_format_u64(char *out, uint64_t value)
{
    size_t len = count_digits(value);
    for (size_t i = len; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return len;
}

size_t num_format_i64(char *out, int64_t value)
{
    if (value >= 0) {
        return num_format_u64(out, (uint64_t)value);
    }
    out[0] = '-';
    return 1 + num_format_u64(out + 1, 0 - (uint64_t)value);
}

static size_t format_word(char *out, const char *word)
{
    size_t len = strlen(word);
    memcpy(out, word, len);
    return len;
}

size_t num_format_ldouble(char *out, long double value)
{
    if (isnan(value)) {
        return format_word(out, "nan");
    }
    if (isinf(value)) {
        return format_word(out, value > 0 ? "inf" : "-inf");
    }
    int printed = snprintf(out, NUM_DOUBLE_CHARS, "%.17Lf", value);
    assert(printed > 0 && printed < NUM_DOUBLE_CHARS); /* at most 4933 digits before the point */
    size_t len = (size_t)printed;
    while (out[len - 1] == '0') {
        len--;
    }
    if (out[len - 1] == '.') {
        len--;
    }
    if (len == 2 && out[0] == '-' && out[1] == '0') {
        out[0] = '0';
        len = 1;
    }
    return len;
}

size_t num_format_double(char *out, double value)
{
    if (isnan(value)) {
        return format_word(out, "nan");
    }
    int printed = snprintf(out, NUM_DOUBLE_CHARS, "%.17g", value);
    assert(printed > 0 && printed < NUM_DOUBLE_CHARS);
    return (size_t)printed;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* The factor of a unit's name; 0 when there is no such unit. */
static uint64_t unit_factor(const struct unit *units, size_t count, struct strview name)
{
    for (size_t i = 0; i < count; i++) {
        if (strview_eq_nocase(name, units[i].name)) {
            return units[i].factor;
        }
    }
    return 0;
}

bool num_parse_bytes(struct strview v, uint64_t *out)
{
    static const struct unit units[] = {
        {"", 1},        {"b", 1},        {"k", 1000},       {"kb", 1024},
        {"m", 1000000}, {"mb", 1 << 20}, {"g", 1000000000}, {"gb", 1 << 30},
    };
    uint64_t value = 0;
    size_t n = parse_digits(v, &value);
    uint64_t factor = unit_factor(units, ARRAY_LEN(units), skip(v, n));
    if (n == 0 || factor == 0 || mul_overflow(value, factor, &value)) {
        return false;
    }
    *out = value;
    return true;
}

bool num_parse_duration_ms(struct strview v, int64_t unit_ms, int64_t *out)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000},
    };
    assert(unit_ms > 0);
    uint64_t value = 0;
    size_t n = parse_digits(v, &value);
    struct strview name = skip(v, n);
    uint64_t factor = name.len == 0 ? (uint64_t)unit_ms
                                    : unit_factor(units, ARRAY_LEN(units), name);
    if (n == 0 || factor == 0 || mul_overflow(value, factor, &value) || value > INT64_MAX) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

bool num_parse_percent(struct strview v, double *out)
{
    if (v.len < 2 || v.data[v.len - 1] != '%') {
        return false;
    }
    struct strview digits = strview_of(v.data, v.len - 1);
    size_t points = 0;
    for (size_t i = 0; i < digits.len; i++) {
        points += digits.data[i] == '.';
        if (!is_digit(digits.data[i]) && digits.data[i] != '.') {
            return false;
        }
    }
    bool edges = is_digit(digits.data[0]) && is_digit(digits.data[digits.len - 1]);
    double value;
    if (points > 1 || !edges || !num_parse_double(digits, &value) || value > 100.0) {
        return false;
    }
    *out = value / 100.0;
    return true;
}
