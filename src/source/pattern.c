/*
 * Parsing and matching of key patterns. What overlap means is decided in pattern_overlap.c.
 *
 * A pattern is checked when it is parsed: two parameters without literal text between them would
 * leave open where one ends, so that is refused, as are names used twice. Matching allocates
 * nothing and looks at each byte of the key a small constant number of times.
 */
#include "pattern.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/base/num.h"

#define PARAM_NAME_MAX 64
#define UUID_CHARS     36

static const char *const type_names[] = {
    [PARAM_INT] = "int", [PARAM_UINT] = "uint", [PARAM_UUID] = "uuid", [PARAM_SLUG] = "slug",
    [PARAM_HEX] = "hex", [PARAM_ENUM] = "enum", [PARAM_STR] = "str",   [PARAM_BYTES] = "bytes",
};

const char *param_type_name(enum param_type type)
{
    return type_names[type];
}

/* ---- characters ------------------------------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_slug(char c)
{
    return is_digit(c) || is_letter(c) || c == '_' || c == '-';
}

static bool all_are(struct strview v, bool (*is)(char))
{
    for (size_t i = 0; i < v.len; i++) {
        if (!is(v.data[i])) {
            return false;
        }
    }
    return true;
}

/* ---- canonical spellings --------------------------------------------------------------------- */

static bool is_uuid(struct strview v)
{
    if (v.len != UUID_CHARS) {
        return false;
    }
    for (size_t i = 0; i < v.len; i++) {
        bool is_dash_place = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash_place ? v.data[i] != '-' : !is_hex(v.data[i])) {
            return false;
        }
    }
    return true;
}

static bool is_choice(struct strview choices, struct strview v)
{
    while (choices.len > 0) {
        const char *bar = memchr(choices.data, '|', choices.len);
        size_t len = bar != NULL ? (size_t)(bar - choices.data) : choices.len;
        if (strview_eq(strview_of(choices.data, len), v)) {
            return true;
        }
        size_t used = bar != NULL ? len + 1 : len;
        choices = strview_of(choices.data + used, choices.len - used);
    }
    return false;
}

static bool is_canonical(const struct pattern_param *p, struct strview v, size_t value_max)
{
    int64_t number;
    if (v.len == 0 || v.len > value_max) {
        return false;
    }
    switch (p->type) {
    case PARAM_INT:
        return num_parse_i64(v, &number);
    case PARAM_UINT:
        return num_parse_i64(v, &number) && number >= 0;
    case PARAM_UUID:
        return is_uuid(v);
    case PARAM_SLUG:
        return v.len <= PARAM_SLUG_MAX && all_are(v, is_slug);
    case PARAM_HEX:
        return all_are(v, is_hex);
    case PARAM_ENUM:
        return is_choice(p->choices, v);
    case PARAM_STR:
        return memchr(v.data, '\0', v.len) == NULL;
    case PARAM_BYTES:
        return true;
    }
    return false;
}

struct driver_value param_value(const struct pattern_param *p, struct strview value)
{
    struct driver_value out = {.bytes = value, .type = VALUE_TEXT};
    if (p->type == PARAM_INT || p->type == PARAM_UINT) {
        bool is_number = num_parse_i64(value, &out.number);
        assert(is_number);
        (void)is_number; /* without assertions */
        out.type = VALUE_INT;
    } else if (p->type == PARAM_BYTES) {
        out.type = VALUE_BYTES;
    }
    return out;
}

/* ---- matching -------------------------------------------------------------------------------- */

/* Cuts the value of a parameter that literal text follows off the front of *rest, with that text.
 */
static bool cut_at_literal(struct strview *rest, struct strview literal, size_t value_max,
                           struct strview *value_out)
{
    if (rest->len < 1 + literal.len) {
        return false;
    }
    /* No further than the longest value reaches: keys may be very long. */
    size_t window = rest->len - 1;
    if (value_max < window - literal.len) {
        window = value_max + literal.len;
    }
    const char *end = memmem(rest->data + 1, window, literal.data, literal.len);
    if (end == NULL) {
        return false;
    }
    *value_out = strview_of(rest->data, (size_t)(end - rest->data));
    size_t used = value_out->len + literal.len;
    *rest = strview_of(rest->data + used, rest->len - used);
    return true;
}

/* The last parameter: all that is left up to the closing literal. */
static bool cut_at_end(struct strview *rest, struct strview literal, struct strview *value_out)
{
    if (rest->len < literal.len) {
        return false;
    }
    size_t len = rest->len - literal.len;
    if (literal.len > 0 && memcmp(rest->data + len, literal.data, literal.len) != 0) {
        return false;
    }
    *value_out = strview_of(rest->data, len);
    *rest = strview_of(rest->data + rest->len, 0);
    return true;
}

bool pattern_match(const struct pattern *p, struct strview key, size_t value_max,
                   struct strview values[PATTERN_PARAMS_MAX])
{
    if (!strview_starts_with(key, p->prefix)) {
        return false;
    }
    struct strview rest = strview_of(key.data + p->prefix.len, key.len - p->prefix.len);
    for (unsigned i = 0; i < p->params_count; i++) {
        const struct pattern_param *param = &p->params[i];
        bool is_last = i + 1 == p->params_count;
        bool is_cut = is_last ? cut_at_end(&rest, param->literal_after, &values[i])
                              : cut_at_literal(&rest, param->literal_after, value_max, &values[i]);
        if (!is_cut || !is_canonical(param, values[i], value_max)) {
            return false;
        }
    }
    return rest.len == 0;
}

/* ---- parsing --------------------------------------------------------------------------------- */

static bool is_name(struct strview v)
{
    if (v.len == 0 || v.len > PARAM_NAME_MAX || !(is_letter(v.data[0]) || v.data[0] == '_')) {
        return false;
    }
    for (size_t i = 0; i < v.len; i++) {
        if (!is_letter(v.data[i]) && !is_digit(v.data[i]) && v.data[i] != '_') {
            return false;
        }
    }
    return true;
}

static int check_choices(struct strview choices, struct errtext *err)
{
    unsigned count = 1;
    for (size_t i = 0; i < choices.len; i++) {
        count += choices.data[i] == '|';
    }
    bool is_empty_word = choices.len == 0 || choices.data[0] == '|' ||
                         choices.data[choices.len - 1] == '|' ||
                         memmem(choices.data, choices.len, "||", 2) != NULL;
    if (is_empty_word || count > PATTERN_CHOICES_MAX) {
        errtext_set(err, "an enum needs 1 to %d words, as in enum(a|b)", PATTERN_CHOICES_MAX);
        return -EINVAL;
    }
    return 0;
}

static int parse_type(struct pattern_param *p, struct strview type, struct errtext *err)
{
    if (strview_starts_with(type, strview_str("enum(")) && type.data[type.len - 1] == ')') {
        p->type = PARAM_ENUM;
        p->choices = strview_of(type.data + 5, type.len - 6);
        return check_choices(p->choices, err);
    }
    for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
        if (i != PARAM_ENUM && strview_eq(type, strview_str(type_names[i]))) {
            p->type = (enum param_type)i;
            return 0;
        }
    }
    errtext_set(err,
                "unknown type '%.*s'; there are int, uint, uuid, slug, hex, enum(a|b), str, bytes",
                STRVIEW_ARG(type));
    return -EINVAL;
}

/* `inside` is what stands between the braces. */
static int add_param(struct pattern *p, struct strview inside, struct errtext *err)
{
    if (p->params_count == PATTERN_PARAMS_MAX) {
        errtext_set(err, "more than %d parameters", PATTERN_PARAMS_MAX);
        return -EINVAL;
    }
    struct pattern_param *param = &p->params[p->params_count];
    *param = (struct pattern_param){.name = inside, .type = PARAM_STR};
    const char *colon = inside.len > 0 ? memchr(inside.data, ':', inside.len) : NULL;
    if (colon != NULL) {
        param->name.len = (size_t)(colon - inside.data);
        struct strview type = strview_of(colon + 1, inside.len - param->name.len - 1);
        int r = parse_type(param, type, err);
        if (r != 0) {
            return r;
        }
    }
    if (!is_name(param->name)) {
        errtext_set(err, "'%.*s' is not a name for a parameter", STRVIEW_ARG(param->name));
        return -EINVAL;
    }
    for (unsigned i = 0; i < p->params_count; i++) {
        if (strview_eq(p->params[i].name, param->name)) {
            errtext_set(err, "parameter '%.*s' appears twice", STRVIEW_ARG(param->name));
            return -EINVAL;
        }
    }
    p->params_count++;
    return 0;
}

/* Literal text up to the next brace goes to the prefix or behind the latest parameter. */
static int add_literal(struct pattern *p, struct strview literal, bool is_end, struct errtext *err)
{
    if (literal.len > 0 && memchr(literal.data, '}', literal.len) != NULL) {
        errtext_set(err, "'}' without '{'");
        return -EINVAL;
    }
    if (p->params_count == 0) {
        p->prefix = literal;
        return 0;
    }
    if (literal.len == 0 && !is_end) {
        errtext_set(err, "two parameters need literal text between them");
        return -EINVAL;
    }
    p->params[p->params_count - 1].literal_after = literal;
    return 0;
}

static int parse(struct pattern *p, struct strview text, struct errtext *err)
{
    size_t at = 0;
    for (;;) {
        const char *open = at < text.len ? memchr(text.data + at, '{', text.len - at) : NULL;
        size_t literal_end = open != NULL ? (size_t)(open - text.data) : text.len;
        int r = add_literal(p, strview_of(text.data + at, literal_end - at), open == NULL, err);
        if (r != 0 || open == NULL) {
            return r;
        }
        size_t inside = literal_end + 1;
        const char *close = memchr(text.data + inside, '}', text.len - inside);
        if (close == NULL) {
            errtext_set(err, "'{' without '}'");
            return -EINVAL;
        }
        size_t inside_len = (size_t)(close - text.data) - inside;
        r = add_param(p, strview_of(text.data + inside, inside_len), err);
        if (r != 0) {
            return r;
        }
        at = inside + inside_len + 1;
    }
}

int pattern_init(struct pattern *out, struct strview text, struct errtext *err)
{
    if (text.len == 0 || text.len > PATTERN_BYTES_MAX) {
        errtext_set(err, "a pattern has 1 to %d bytes", PATTERN_BYTES_MAX);
        return -EINVAL;
    }
    struct pattern p = {.text = malloc(text.len), .text_len = text.len};
    if (p.text == NULL) {
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    memcpy(p.text, text.data, text.len);
    int r = parse(&p, strview_of(p.text, text.len), err);
    if (r != 0) {
        pattern_fini(&p);
        return r;
    }
    *out = p;
    return 0;
}

void pattern_fini(struct pattern *p)
{
    free(p->text);
    *p = (struct pattern){0};
}
