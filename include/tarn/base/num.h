/*
 * Strict numbers from bytes, and back. "Strict" as Redis has it: the whole view is the number, no
 * surrounding blanks, no plus sign, no leading zeros; so every number has one spelling and a value
 * that parses can be stored and compared as text.
 */
#ifndef TARN_BASE_NUM_H
#define TARN_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/strview.h"

/* 20 digits or a sign and 19, for either signedness. */
#define NUM_I64_CHARS 20
/* Enough for num_format_double() and num_format_ldouble(). */
#define NUM_DOUBLE_CHARS 5120

bool num_parse_i64(struct strview v, int64_t *out);
bool num_parse_u64(struct strview v, uint64_t *out);

/* Floating point as strtold reads it (so also "+1", "1e3", "0x10" and "inf"), whole view, no
 * blanks, no NaN, no value that overflows or vanishes: what Redis takes for INCRBYFLOAT. */
bool num_parse_ldouble(struct strview v, long double *out);
bool num_parse_double(struct strview v, double *out);

/* Writes decimal digits without NUL; `out` has NUM_I64_CHARS bytes. Returns the length. */
size_t num_format_i64(char *out, int64_t value);
size_t num_format_u64(char *out, uint64_t value);

/* 17 fractional digits, trailing zeros removed, never an exponent: what INCRBYFLOAT stores.
 * `out` has NUM_DOUBLE_CHARS bytes. Returns the length. */
size_t num_format_ldouble(char *out, long double value);

/* 17 significant digits ("%.17g"), "inf", "-inf", "nan": what RESP3 doubles carry. Reads back as
 * the same double. `out` has NUM_DOUBLE_CHARS bytes. Returns the length. */
size_t num_format_double(char *out, double value);

/* "1gb" "100mb" "64k" "512" (k = 1000, kb = 1024, ... case ignored) -> bytes. */
bool num_parse_bytes(struct strview v, uint64_t *out);

/* "250ms" "5s" "10m" "2h" "7d"; a bare number counts in `unit_ms`. Negative is refused. */
bool num_parse_duration_ms(struct strview v, int64_t unit_ms, int64_t *out);

/* "10%" or "10.5%" -> 0.10, 0.105; range 0..1. */
bool num_parse_percent(struct strview v, double *out);

#endif
