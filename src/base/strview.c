/*
 * What can be asked of borrowed bytes beyond equality.
 *
 * Case folding is ASCII only and does not look at the locale: names of commands and options are
 * ASCII, and everything else compares byte for byte.
 */
#include "tarn/base/strview.h"

#include <stdint.h>

#include "tarn/base/compiler.h"

/* Longest word strview_distance() looks at. */
#define DISTANCE_WORD_MAX 64

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

bool strview_eq_nocase(struct strview a, const char *s)
{
    for (size_t i = 0; i < a.len; i++) {
        /* A NUL in `s` differs from every byte but a NUL in `a`, which ends the comparison as well.
         */
        if (s[i] == '\0' || lower((unsigned char)a.data[i]) != lower((unsigned char)s[i])) {
            return false;
        }
    }
    return s[a.len] == '\0';
}

bool strview_starts_with(struct strview a, struct strview prefix)
{
    return a.len >= prefix.len && strview_eq(strview_of(a.data, prefix.len), prefix);
}

static unsigned unsigned_min(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: Levenshtein's table, three rows of it, plus swaps of neighbours. */
unsigned strview_distance(struct strview a, struct strview b)
{
    if (a.len > DISTANCE_WORD_MAX || b.len > DISTANCE_WORD_MAX) {
        return DISTANCE_WORD_MAX;
    }
    unsigned rows[3][DISTANCE_WORD_MAX + 1] = {0};
    for (size_t j = 0; j <= b.len; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *prev = rows[(i + 2) % 3];
        const unsigned *prev2 = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned cost = a.data[i - 1] != b.data[j - 1];
            unsigned best = unsigned_min(prev[j] + 1, row[j - 1] + 1);
            best = unsigned_min(best, prev[j - 1] + cost);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] &&
                a.data[i - 2] == b.data[j - 1]) {
                best = unsigned_min(best, prev2[j - 2] + 1);
            }
            row[j] = best;
        }
    }
    return rows[a.len % 3][b.len];
}

/* Length of the UTF-8 sequence that starts with `lead`; 0 when none does. */
static size_t utf8_length(unsigned char lead)
{
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xc2 && lead <= 0xdf) {
        return 2;
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        return 3;
    }
    return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/* The second byte decides on overlong forms, surrogates and the upper end. */
static bool utf8_second_ok(unsigned char lead, unsigned char second)
{
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

bool strview_is_utf8(struct strview v)
{
    size_t i = 0;
    while (i < v.len) {
        unsigned char lead = (unsigned char)v.data[i];
        size_t n = utf8_length(lead);
        if (n == 0 || n > v.len - i) {
            return false;
        }
        if (n > 1 && !utf8_second_ok(lead, (unsigned char)v.data[i + 1])) {
            return false;
        }
        for (size_t k = 2; k < n; k++) {
            if (((unsigned char)v.data[i + k] & 0xc0) != 0x80) {
                return false;
            }
        }
        i += n;
    }
    return true;
}
