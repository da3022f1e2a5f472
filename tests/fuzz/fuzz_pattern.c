/*
 * Key patterns and keys: two patterns and a key, separated by newlines (the key may contain more).
 *
 * Checked: a key that matches is spelled out again by its values; numbers have their one spelling;
 * a key that both patterns match makes them overlap.
 */
#include <stdint.h>
#include <stdlib.h>

#include "src/source/pattern.h"
#include "tarn/base/buf.h"
#include "tarn/base/num.h"

#define VALUE_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static struct strview cut_line(struct strview *rest)
{
    const char *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - rest->data) : rest->len;
    struct strview line = strview_of(rest->data, len);
    size_t used = end != NULL ? len + 1 : len;
    *rest = strview_of(rest->data + used, rest->len - used);
    return line;
}

static void check_value(const struct pattern_param *p, struct strview value)
{
    require(value.len > 0 && value.len <= VALUE_MAX);
    struct driver_value bound = param_value(p, value);
    if (bound.type == VALUE_INT) {
        char text[NUM_I64_CHARS];
        require(strview_eq(value, strview_of(text, num_format_i64(text, bound.number))));
        require(p->type != PARAM_UINT || bound.number >= 0);
    } else {
        require(strview_eq(bound.bytes, value));
    }
}

static bool check_match(const struct pattern *p, struct strview key)
{
    struct strview values[PATTERN_PARAMS_MAX];
    if (!pattern_match(p, key, VALUE_MAX, values)) {
        return false;
    }
    struct buf again;
    buf_init(&again);
    buf_append_view(&again, p->prefix);
    for (unsigned i = 0; i < p->params_count; i++) {
        check_value(&p->params[i], values[i]);
        buf_append_view(&again, values[i]);
        buf_append_view(&again, p->params[i].literal_after);
    }
    require(again.failed || strview_eq(buf_view(&again), key));
    buf_fini(&again);
    require(pattern_match(p, key, SIZE_MAX, values));
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strview rest = strview_of(data, size);
    struct strview texts[2];
    struct pattern p[2] = {{0}};
    struct errtext err;
    texts[0] = cut_line(&rest);
    texts[1] = cut_line(&rest);
    bool matches = true;
    bool is_valid = true;
    for (int i = 0; i < 2; i++) {
        bool parses = pattern_init(&p[i], texts[i], &err) == 0;
        is_valid = is_valid && parses;
        matches = parses && check_match(&p[i], rest) && matches;
    }
    if (is_valid && p[0].text_len + p[1].text_len <= 128) { /* the product grows with both */
        int overlaps = pattern_overlaps(&p[0], &p[1]);
        require(!matches || overlaps != 0);
        require(overlaps == pattern_overlaps(&p[1], &p[0]));
    }
    pattern_fini(&p[0]);
    pattern_fini(&p[1]);
    return 0;
}
