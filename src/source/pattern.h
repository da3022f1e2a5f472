/*
 * Typed key patterns: `user:{id:int}`, literal text and `{name:type}` parts (`{name}` is
 * `{name:str}`).
 *
 * Each type has one canonical spelling, and a key in any other spelling does not match: otherwise
 * one row would live under endless names, and an invalidation would miss most of them.
 *
 *     int    0, or -?[1-9][0-9]* within int64          uint   the same without the minus
 *     uuid   8-4-4-4-12 lower-case hex digits          slug   [A-Za-z0-9_-]{1,128}
 *     hex    [0-9a-f]+                                 enum(a|b|c)   one of these words
 *     str    any bytes but NUL                         bytes  any bytes
 *
 * Where a value ends: at the first occurrence of the literal text behind it; the last parameter
 * reaches to the pattern's closing literal. So a key has at most one reading, found in linear time
 * without going back.
 */
#ifndef TARN_SOURCE_PATTERN_H
#define TARN_SOURCE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/base/strview.h"
#include "tarn/source/driver.h"

#define PATTERN_PARAMS_MAX  DRIVER_PARAMS_MAX
#define PATTERN_BYTES_MAX   512
#define PATTERN_CHOICES_MAX 64
#define PARAM_SLUG_MAX      128

enum param_type {
    PARAM_INT,
    PARAM_UINT,
    PARAM_UUID,
    PARAM_SLUG,
    PARAM_HEX,
    PARAM_ENUM,
    PARAM_STR,
    PARAM_BYTES,
};

struct pattern_param {
    struct strview name;          /* borrowed from the pattern's text, as are the others */
    struct strview choices;       /* ENUM: "a|b|c" */
    struct strview literal_after; /* may be empty only behind the last parameter */
    enum param_type type;
};

struct pattern {
    char *text; /* owned */
    size_t text_len;
    struct strview
        prefix; /* literal text before the first parameter; the whole pattern when there is none */
    struct pattern_param params[PATTERN_PARAMS_MAX];
    unsigned params_count;
};

/* 0, -EINVAL with text, or -ENOMEM. */
int pattern_init(struct pattern *out, struct strview text, struct errtext *err) WARN_UNUSED;
void pattern_fini(struct pattern *p);

/* True when the key is the canonical spelling of some parameters, each of at most `value_max`
 * bytes; `values` gets one view into the key per parameter. */
bool pattern_match(const struct pattern *p, struct strview key, size_t value_max,
                   struct strview values[PATTERN_PARAMS_MAX]);

static inline struct strview pattern_text(const struct pattern *p)
{
    return strview_of(p->text, p->text_len);
}

const char *param_type_name(enum param_type type);

/* The value as the driver binds it: int and uint as numbers, bytes as bytes, the rest as text. The
 * value is canonical. */
struct driver_value param_value(const struct pattern_param *p, struct strview value);

/* Is there a key that both match? Exact but for three things that it takes as possible: numbers
 * beyond int64, values beyond their longest length, and values that contain the literal that would
 * end them. -ENOMEM, 0 or 1. */
int pattern_overlaps(const struct pattern *a, const struct pattern *b) WARN_UNUSED;

#endif
