/*
 * Integers and texts go as text, whose type the server infers; bytes go as they are. Texts end at a
 * NUL there, so a text that has one, and bytes that are no UTF-8, are marked as raw.
 */
#include "pg_params.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "pg_rows.h"
#include "tarn/base/num.h"

static bool is_wide(const struct driver_value *v)
{
    return v->type == VALUE_INT && (v->number > INT32_MAX || v->number < INT32_MIN);
}

static bool is_raw(const struct driver_value *v)
{
    const struct strview b = v->bytes;
    return (v->type == VALUE_TEXT || v->type == VALUE_BYTES) && b.len > 0 &&
           (memchr(b.data, '\0', b.len) != NULL || !strview_is_utf8(b));
}

static size_t value_bytes(const struct driver_value *v)
{
    return v->type == VALUE_INT ? NUM_I64_CHARS + 1 : v->bytes.len + 1;
}

size_t pg_values_bytes(const struct driver_value *values, unsigned count)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        bytes += value_bytes(&values[i]); /* each bounded by max-param or the longest argument */
    }
    return bytes;
}

static void bind_value(struct pg_request *r, const struct driver_value *v, char *at)
{
    const unsigned i = r->params_count++;
    size_t len = v->bytes.len;
    r->values[i] = v->type == VALUE_NULL ? NULL : at;
    if (v->type == VALUE_INT) {
        len = num_format_i64(at, v->number);
        r->wide_types[i] = PG_INT8;
    } else if (len > 0) {
        memcpy(at, v->bytes.data, len);
    }
    at[len] = '\0';
    r->lengths[i] = (int)len; /* an argument is below 2 GiB */
    r->formats[i] = v->type == VALUE_BYTES;
    r->wide_params |= (unsigned)is_wide(v) << i;
    r->raw_params |= (unsigned)is_raw(v) << i;
}

void pg_bind(struct pg_request *r, const struct driver_value *values, unsigned count)
{
    char *at = r->bytes;
    assert(count <= DRIVER_PARAMS_MAX && r->params_count == 0);
    for (unsigned i = 0; i < count; i++) {
        bind_value(r, &values[i], at);
        at += value_bytes(&values[i]);
    }
}

bool pg_has_wide(const struct driver_value *values, unsigned count)
{
    bool has_wide = false;
    for (unsigned i = 0; i < count; i++) {
        has_wide = has_wide || is_wide(&values[i]);
    }
    return has_wide;
}

static void write_quoted(struct buf *out, struct strview text)
{
    buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            buf_append_char(out, '\\');
        }
        buf_append_char(out, text.data[i]);
    }
    buf_append_char(out, '"');
}

void pg_write_array(struct buf *out, const struct driver_value *values, unsigned count)
{
    buf_append_char(out, '{');
    for (unsigned i = 0; i < count; i++) {
        if (i > 0) {
            buf_append_char(out, ',');
        }
        if (values[i].type == VALUE_INT) {
            buf_append_i64(out, values[i].number);
        } else {
            write_quoted(out, values[i].bytes);
        }
    }
    buf_append_char(out, '}');
}
