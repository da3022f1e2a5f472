/*
 * Shapes. No row is absent; SQL NULL in a string map is what the option `null` says; in JSON it is
 * null. Values that need no rewriting are not copied: a string is lent straight out of the rows.
 */
#include "shape.h"

#include <assert.h>
#include <math.h>

#include "json.h"
#include "tarn/base/num.h"

#define TTL_MAX_MS \
    (INT64_C(10) * 365 * 24 * 3600 * 1000) /* ten years: more is as good as for ever */

static const char no_memory[] = "out of memory for the value";

/* ---- columns --------------------------------------------------------------------------------- */

/* Index of the column that carries the ttl, or columns when there is none. */
static unsigned ttl_column(const struct shape *s, const struct rows *r)
{
    struct strview name = strview_str(s->ttl_column);
    unsigned i = name.len > 0 ? 0 : r->columns;
    while (i < r->columns && !strview_eq(rows_name(r, i), name)) {
        i++;
    }
    return i;
}

static bool has_duplicate_names(const struct rows *r)
{
    for (unsigned i = 1; i < r->columns; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (strview_eq(rows_name(r, i), rows_name(r, j))) {
                return true;
            }
        }
    }
    return false;
}

const char *shape_check(const struct shape *s, const struct rows *r)
{
    if (r->columns > SHAPE_COLUMNS_MAX) {
        return "the query has more than 256 columns";
    }
    unsigned ttl = ttl_column(s, r);
    if (s->ttl_column[0] != '\0' && ttl == r->columns) {
        return "the query has no column of the name in ttl-column";
    }
    unsigned data_columns = r->columns - (ttl < r->columns);
    if (data_columns == 0) {
        return "the query has no column for the value";
    }
    if (s->as != SHAPE_JSON && data_columns != 1) {
        return "as string and as raw need exactly one column";
    }
    if (s->as == SHAPE_JSON && has_duplicate_names(r)) {
        return "two columns of the query have the same name";
    }
    return NULL;
}

/* ---- the ttl of a row ------------------------------------------------------------------------ */

static bool parse_ttl(const struct cell *c, struct strview bytes, int64_t *ms_out)
{
    double seconds;
    if (c->type == CELL_TEXT && num_parse_duration_ms(bytes, 1000, ms_out)) {
        return true;
    }
    if (c->type == CELL_NULL || c->type == CELL_BYTES || !num_parse_double(bytes, &seconds)) {
        return false;
    }
    if (seconds > (double)TTL_MAX_MS / 1000) {
        *ms_out = TTL_MAX_MS;
    } else {
        *ms_out = seconds > 0 ? (int64_t)(seconds * 1000) : 0; /* NaN too */
    }
    return true;
}

/* NULL leaves the map's ttl in force; what is no duration keeps the value out of the store. */
static void read_ttl(const struct rows *r, unsigned column, struct shaped *out)
{
    const struct cell *c = rows_cell(r, 0, column);
    if (c->type == CELL_NULL) {
        return;
    }
    out->has_ttl = true;
    if (!parse_ttl(c, rows_bytes(r, c), &out->ttl_ms)) {
        out->ttl_ms = 0;
    }
    out->ttl_ms = out->ttl_ms > TTL_MAX_MS ? TTL_MAX_MS : out->ttl_ms;
}

/* ---- values ---------------------------------------------------------------------------------- */

static struct shaped misfit(const char *problem)
{
    return (struct shaped){.status = SHAPE_MISFIT, .problem = problem};
}

static bool is_finite_text(struct strview number)
{
    double value;
    return num_parse_double(number, &value) && isfinite(value);
}

/* Appends text as a JSON string; false when it is not UTF-8 and may not be mended. */
static bool write_text(const struct shape *s, struct strview text, struct buf *out)
{
    if (strview_is_utf8(text)) {
        json_write_string(out, text);
        return true;
    }
    if (s->utf8 == SHAPE_UTF8_ERROR) {
        return false;
    }
    struct buf mended;
    buf_init(&mended);
    utf8_replace_invalid(&mended, text);
    json_write_string(out, buf_view(&mended));
    out->failed = out->failed || mended.failed;
    buf_fini(&mended);
    return true;
}

/* One cell as a JSON value. NULL: written; else what is wrong. */
static const char *write_cell(const struct shape *s, enum cell_type type, struct strview bytes,
                              struct buf *out)
{
    switch (type) {
    case CELL_NULL:
        buf_append_str(out, "null");
        return NULL;
    case CELL_INT:
        buf_append_view(out, bytes);
        return NULL;
    case CELL_REAL:
        buf_append_view(out, is_finite_text(bytes) ? bytes : strview_str("null"));
        return NULL;
    case CELL_BOOL:
        buf_append_str(out, strview_eq(bytes, strview_str("1")) ? "true" : "false");
        return NULL;
    case CELL_TEXT:
        return write_text(s, bytes, out) ? NULL : "text that is not UTF-8";
    case CELL_BYTES:
        if (s->bytes == SHAPE_BYTES_HEX) {
            json_write_hex(out, bytes);
        } else {
            json_write_base64(out, bytes);
        }
        return NULL;
    case CELL_JSON:
        if (!strview_is_utf8(bytes) || !json_is_valid(bytes)) {
            return "a column declared as JSON that holds none";
        }
        buf_append_view(out, bytes);
        return NULL;
    }
    return "a column of unknown type";
}

static struct shaped shape_object(const struct shape *s, const struct rows *r, unsigned ttl,
                                  struct buf *scratch)
{
    buf_append_char(scratch, '{');
    bool is_first = true;
    for (unsigned i = 0; i < r->columns; i++) {
        if (i == ttl) {
            continue;
        }
        if (!is_first) {
            buf_append_char(scratch, ',');
        }
        is_first = false;
        if (!write_text(s, rows_name(r, i), scratch)) {
            return misfit("a column name that is not UTF-8");
        }
        buf_append_char(scratch, ':');
        const struct cell *c = rows_cell(r, 0, i);
        const char *problem = write_cell(s, c->type, rows_bytes(r, c), scratch);
        if (problem != NULL) {
            return misfit(problem);
        }
    }
    buf_append_char(scratch, '}');
    if (scratch->failed) {
        return misfit(no_memory);
    }
    return (struct shaped){.status = SHAPE_FOUND, .value = buf_view(scratch)};
}

static struct shaped shape_raw(const struct shape *s, struct strview bytes, struct buf *scratch)
{
    if (!strview_is_utf8(bytes)) {
        if (s->utf8 == SHAPE_UTF8_ERROR) {
            return misfit("text that is not UTF-8");
        }
        utf8_replace_invalid(scratch, bytes);
        if (scratch->failed) {
            return misfit(no_memory);
        }
        bytes = buf_view(scratch);
    }
    if (!json_is_valid(bytes)) {
        return misfit("the column is not JSON");
    }
    return (struct shaped){.status = SHAPE_FOUND, .value = bytes};
}

static struct shaped shape_null_value(const struct shape *s)
{
    switch (s->null) {
    case SHAPE_NULL_NIL:
        return (struct shaped){.status = SHAPE_ABSENT};
    case SHAPE_NULL_EMPTY:
        return (struct shaped){.status = SHAPE_FOUND, .value = strview_of("", 0)};
    case SHAPE_NULL_ERROR:
        break;
    }
    return misfit("the column is NULL");
}

static struct shaped shape_scalar(const struct shape *s, const struct rows *r, unsigned ttl,
                                  struct buf *scratch)
{
    const struct cell *c = rows_cell(r, 0, ttl == 0 ? 1 : 0);
    struct strview bytes = rows_bytes(r, c);
    if (c->type == CELL_NULL) {
        return shape_null_value(s);
    }
    if (s->as == SHAPE_RAW) {
        return shape_raw(s,
                         c->type == CELL_BOOL && bytes.len == 1
                             ? strview_str(bytes.data[0] == '1' ? "true" : "false")
                             : bytes,
                         scratch);
    }
    return (struct shaped){.status = SHAPE_FOUND, .value = bytes};
}

struct shaped shape_rows(const struct shape *s, const struct rows *r, struct buf *scratch)
{
    buf_clear(scratch);
    const char *problem = shape_check(s, r);
    if (problem != NULL) {
        return misfit(problem);
    }
    if (r->count == 0) {
        return (struct shaped){.status = SHAPE_ABSENT};
    }
    if ((r->count > 1 || r->has_more) && s->rows == SHAPE_ROWS_ONE) {
        return misfit("more than one row");
    }
    unsigned ttl = ttl_column(s, r);
    struct shaped out = s->as == SHAPE_JSON ? shape_object(s, r, ttl, scratch)
                                            : shape_scalar(s, r, ttl, scratch);
    if (ttl < r->columns) {
        read_ttl(r, ttl, &out);
    }
    return out;
}
