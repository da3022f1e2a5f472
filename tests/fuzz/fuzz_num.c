/*
 * Numbers from outside: whatever parses must be within its range and, written again, be the same
 * number; a strict integer even the same text.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "tarn/base/num.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_integers(struct strview v)
{
    char text[NUM_I64_CHARS];
    int64_t number;
    uint64_t magnitude;
    bool is_signed = num_parse_i64(v, &number);
    bool is_unsigned = num_parse_u64(v, &magnitude);
    if (is_signed) {
        require(strview_eq(strview_of(text, num_format_i64(text, number)), v));
        require(is_unsigned == (number >= 0));
    }
    if (is_unsigned) {
        require(strview_eq(strview_of(text, num_format_u64(text, magnitude)), v));
        require(is_signed == (magnitude <= INT64_MAX));
    }
}

static void check_floats(struct strview v)
{
    static char text[NUM_DOUBLE_CHARS];
    double number;
    double again;
    if (num_parse_double(v, &number)) {
        require(num_parse_double(strview_of(text, num_format_double(text, number)), &again));
        require(memcmp(&again, &number, sizeof(number)) == 0);
    }
    long double wide;
    long double wide_again;
    if (num_parse_ldouble(v, &wide)) {
        size_t len = num_format_ldouble(text, wide);
        require(len > 0 && len < NUM_DOUBLE_CHARS);
        require(num_parse_ldouble(strview_of(text, len), &wide_again));
        /* 17 digits after the point: what is lost is less than half of the last one. */
        require(isinf(wide) ? wide_again == wide : fabsl(wide_again - wide) <= 1e-17L);
    }
}

static void check_units(struct strview v)
{
    uint64_t bytes;
    int64_t ms;
    int64_t ms_of_seconds;
    double share;
    uint64_t plain;
    if (num_parse_u64(v, &plain)) {
        require(num_parse_bytes(v, &bytes) && bytes == plain);
    }
    if (num_parse_duration_ms(v, 1000, &ms_of_seconds)) {
        require(ms_of_seconds >= 0);
        require(num_parse_duration_ms(v, 1, &ms) && ms <= ms_of_seconds);
    }
    if (num_parse_percent(v, &share)) {
        require(share >= 0 && share <= 1);
        require(!num_parse_bytes(v, &bytes));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strview v = strview_of(data, size);
    check_integers(v);
    check_floats(v);
    check_units(v);
    return 0;
}
