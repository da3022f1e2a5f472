/*
 * Shapes. No row is absent; SQL NULL in a string map is what the option `null` says; in JSON it is
 * null. Values that need no rewriting are not copied: a string is lent straight out of the rows.
 */
#include "shape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "tarn/base/num.h"
#include "tarn/types/hashmap.h"

#define TTL_MAX_MS \
    (INT64_C(10) * 365 * 24 * 3600 * 1000) /* ten years: more is as good as for ever */

static const char no_memory[] = "out of memory for the value";

/* ---- columns --------------------------------------------------------------------------------- */

/* Index of the column of that name, or columns when there is none. */
static unsigned column_of(const struct rows *r, struct strview name)
{
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

/* The next {column} of a tag's template: its name, and what is before it. False: there is none. */
static bool next_column(struct strview *text, struct strview *before_out, struct strview *name_out)
{
    const char *open = text->len > 0 ? memchr(text->data, '{', text->len) : NULL;
    const char *end = text->data + text->len;
    const char *close = open != NULL ? memchr(open, '}', (size_t)(end - open)) : NULL;
    if (close == NULL) {
        return false;
    }
    *before_out = strview_of(text->data, (size_t)(open - text->data));
    *name_out = strview_of(open + 1, (size_t)(close - open - 1));
    *text = strview_of(close + 1, (size_t)(end - close - 1));
    return true;
}

static bool is_in_tags(const struct shape *s, struct strview name)
{
    for (const char *tag = s->tags; *tag != '\0'; tag += strlen(tag) + 1) {
        struct strview text = strview_str(tag);
        struct strview before, column;
        while (next_column(&text, &before, &column)) {
            if (strview_eq(column, name)) {
                return true;
            }
        }
    }
    return false;
}

/* What each column is for. */
struct layout {
    unsigned ttl, expires, canon, bulk; /* indexes; the number of columns: none */
    unsigned values;                    /* columns of the value */
    bool is_value[SHAPE_COLUMNS_MAX];
};

static bool is_scalar(const struct shape *s)
{
    return s->as == SHAPE_STRING || s->as == SHAPE_RAW;
}

static void lay_out(const struct shape *s, const struct rows *r, struct layout *out)
{
    *out = (struct layout){.ttl = column_of(r, strview_str(s->ttl_column)),
                           .expires = column_of(r, strview_str(s->expires_column)),
                           .canon = column_of(r, strview_str(s->canon)),
                           .bulk = column_of(r, strview_str(s->bulk))};
    for (unsigned i = 0; i < r->columns; i++) {
        out->is_value[i] = i != out->ttl && i != out->expires;
        out->values += out->is_value[i];
    }
    for (unsigned i = 0; i < r->columns && is_scalar(s) && out->values > 1; i++) {
        const bool steers = i == out->canon || i == out->bulk || is_in_tags(s, rows_name(r, i));
        if (out->is_value[i] && steers) {
            out->is_value[i] = false;
            out->values--;
        }
    }
}

static const char *check_named(const struct shape *s, const struct rows *r)
{
    const char *const names[] = {s->ttl_column, s->expires_column, s->canon, s->bulk};
    static const char *const problems[] = {
        "the query has no column of the name in ttl-column",
        "the query has no column of the name in expires-at-column",
        "the query has no column of the name in canon",
        "the query has no column of the name in bulk",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i][0] != '\0' && column_of(r, strview_str(names[i])) == r->columns) {
            return problems[i];
        }
    }
    for (const char *tag = s->tags; *tag != '\0'; tag += strlen(tag) + 1) {
        struct strview text = strview_str(tag);
        struct strview before, column;
        while (next_column(&text, &before, &column)) {
            if (column_of(r, column) == r->columns) {
                return "the query has no column of a name in tag";
            }
        }
    }
    return NULL;
}

const char *shape_check(const struct shape *s, const struct rows *r)
{
    if (r->columns > SHAPE_COLUMNS_MAX) {
        return "the query has more than 256 columns";
    }
    const char *problem = check_named(s, r);
    if (problem != NULL) {
        return problem;
    }
    struct layout layout;
    lay_out(s, r, &layout);
    if (layout.values == 0) {
        return "the query has no column for the value";
    }
    if (is_scalar(s) && layout.values != 1) {
        return "as string and as raw need exactly one column";
    }
    if (!is_scalar(s) && has_duplicate_names(r)) {
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
static void read_ttl(const struct rows *r, unsigned row, unsigned column, struct shaped *out)
{
    const struct cell *c = rows_cell(r, row, column);
    if (c->type == CELL_NULL) {
        return;
    }
    out->has_ttl = true;
    if (!parse_ttl(c, rows_bytes(r, c), &out->ttl_ms)) {
        out->ttl_ms = 0;
    }
    out->ttl_ms = out->ttl_ms > TTL_MAX_MS ? TTL_MAX_MS : out->ttl_ms;
}

/* "2026-11-21 10:00:00.5" as databases write it, in UTC. */
static bool parse_timestamp(struct strview v, int64_t *wall_ms_out)
{
    char text[32];
    struct tm tm = {0};
    int used = 0;
    if (v.len == 0 || v.len >= sizeof(text)) {
        return false;
    }
    memcpy(text, v.data, v.len);
    text[v.len] = '\0';
    if (sscanf(text, "%4d-%2d-%2d%*1[ T]%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 6 ||
        used == 0) {
        return false;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *wall_ms_out = (int64_t)timegm(&tm) * 1000; /* parts of a second do not matter */
    return true;
}

/* NULL: the map's ttl alone decides; what is no moment keeps the value out of the store. */
static void read_end(const struct shape *s, const struct rows *r, unsigned row, unsigned column,
                     struct shaped *out)
{
    const struct cell *c = rows_cell(r, row, column);
    const struct strview bytes = rows_bytes(r, c);
    double seconds;
    int64_t wall_ms;
    if (c->type == CELL_NULL) {
        return;
    }
    out->has_end = true;
    out->ends_in_ms = 0;
    if (num_parse_double(bytes, &seconds) && isfinite(seconds)) {
        const double left_ms = seconds * 1000 - (double)s->wall_ms;
        out->ends_in_ms = left_ms > (double)TTL_MAX_MS ? TTL_MAX_MS
                          : left_ms > 0                ? (int64_t)left_ms
                                                       : 0;
    } else if (c->type == CELL_TEXT && parse_timestamp(bytes, &wall_ms)) {
        out->ends_in_ms = wall_ms - s->wall_ms;
        out->ends_in_ms = out->ends_in_ms > TTL_MAX_MS ? TTL_MAX_MS : out->ends_in_ms;
    }
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

/* NULL: written; else what is wrong. */
static const char *write_object(const struct shape *s, const struct rows *r, unsigned row,
                                const struct layout *layout, struct buf *out)
{
    bool is_first = true;
    buf_append_char(out, '{');
    for (unsigned i = 0; i < r->columns; i++) {
        if (!layout->is_value[i]) {
            continue;
        }
        if (!is_first) {
            buf_append_char(out, ',');
        }
        is_first = false;
        if (!write_text(s, rows_name(r, i), out)) {
            return "a column name that is not UTF-8";
        }
        buf_append_char(out, ':');
        const struct cell *c = rows_cell(r, row, i);
        const char *problem = write_cell(s, c->type, rows_bytes(r, c), out);
        if (problem != NULL) {
            return problem;
        }
    }
    buf_append_char(out, '}');
    return NULL;
}

static struct shaped found_in(const char *problem, struct buf *scratch)
{
    if (problem != NULL || scratch->failed) {
        return misfit(problem != NULL ? problem : no_memory);
    }
    return (struct shaped){.status = SHAPE_FOUND, .value = buf_view(scratch)};
}

static struct shaped shape_object(const struct shape *s, const struct rows *r, unsigned row,
                                  const struct layout *layout, struct buf *scratch)
{
    return found_in(write_object(s, r, row, layout, scratch), scratch);
}

static struct shaped shape_array(const struct shape *s, const struct rows *r, unsigned first,
                                 unsigned count, const struct layout *layout, struct buf *scratch)
{
    const char *problem = NULL;
    buf_append_char(scratch, '[');
    for (unsigned i = 0; i < count && problem == NULL; i++) {
        if (i > 0) {
            buf_append_char(scratch, ',');
        }
        problem = write_object(s, r, first + i, layout, scratch);
    }
    buf_append_char(scratch, ']');
    return found_in(problem, scratch);
}

/* Column -> field; NULL is no field, so a row may become a hash without any. */
static struct shaped shape_hash(const struct rows *r, unsigned row, const struct layout *layout,
                                struct buf *scratch)
{
    struct strview pairs[2 * SHAPE_COLUMNS_MAX];
    size_t count = 0;
    for (unsigned i = 0; i < r->columns; i++) {
        const struct cell *c = rows_cell(r, row, i);
        if (layout->is_value[i] && c->type != CELL_NULL) {
            pairs[2 * count] = rows_name(r, i);
            pairs[2 * count + 1] = rows_bytes(r, c);
            count++;
        }
    }
    hashmap_pack(scratch, pairs, count);
    struct shaped out = found_in(NULL, scratch);
    out.is_hash = true;
    return out;
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

static struct shaped shape_scalar(const struct shape *s, const struct rows *r, unsigned row,
                                  const struct layout *layout, struct buf *scratch)
{
    unsigned column = 0;
    while (!layout->is_value[column]) {
        column++; /* there is one: shape_check() saw to that */
    }
    const struct cell *c = rows_cell(r, row, column);
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

static struct shaped shape_value(const struct shape *s, const struct rows *r, unsigned first,
                                 unsigned count, const struct layout *layout, struct buf *scratch)
{
    switch (s->as) {
    case SHAPE_JSON:
        return shape_object(s, r, first, layout, scratch);
    case SHAPE_HASH:
        return shape_hash(r, first, layout, scratch);
    case SHAPE_JSONROWS:
        return shape_array(s, r, first, count, layout, scratch);
    case SHAPE_STRING:
    case SHAPE_RAW:
        break;
    }
    return shape_scalar(s, r, first, layout, scratch);
}

static bool is_foreign(const struct shape *s, const struct rows *r, unsigned row,
                       const struct layout *layout)
{
    return layout->canon < r->columns &&
           !strview_eq(rows_bytes(r, rows_cell(r, row, layout->canon)), s->param);
}

struct shaped shape_rows(const struct shape *s, const struct rows *r, unsigned first,
                         unsigned count, struct buf *scratch)
{
    const unsigned max = s->as == SHAPE_JSONROWS ? s->max_rows : 1;
    buf_clear(scratch);
    const char *problem = shape_check(s, r);
    if (problem != NULL) {
        return misfit(problem);
    }
    if (count == 0) {
        return (struct shaped){.status = SHAPE_ABSENT};
    }
    if ((count > max || r->has_more) && s->rows == SHAPE_ROWS_ONE) {
        return misfit(max > 1 ? "more rows than max-rows" : "more than one row");
    }
    struct layout layout;
    lay_out(s, r, &layout);
    struct shaped out = shape_value(s, r, first, count < max ? count : max, &layout, scratch);
    out.is_foreign = is_foreign(s, r, first, &layout);
    if (layout.ttl < r->columns) {
        read_ttl(r, first, layout.ttl, &out);
    }
    if (layout.expires < r->columns) {
        read_end(s, r, first, layout.expires, &out);
    }
    return out;
}

/* ---- tags ------------------------------------------------------------------------------------ */

/* Fills in a template; the length, or 0 when it gives no tag. */
static size_t write_tag(const struct rows *r, unsigned row, struct strview text,
                        char out[SHAPE_TAG_MAX])
{
    struct strview before, name;
    size_t len = 0;
    bool has_column = true;
    while (has_column) {
        struct strview parts[2] = {text, strview_of("", 0)};
        has_column = next_column(&text, &before, &name);
        if (has_column) {
            const struct cell *c = rows_cell(r, row, column_of(r, name));
            if (c->type == CELL_NULL) {
                return 0;
            }
            parts[0] = before;
            parts[1] = rows_bytes(r, c);
        }
        for (int i = 0; i < 2; i++) {
            if (parts[i].len > SHAPE_TAG_MAX - len) {
                return 0;
            }
            if (parts[i].len > 0) {
                memcpy(out + len, parts[i].data, parts[i].len);
                len += parts[i].len;
            }
        }
    }
    return len;
}

void shape_tags(const struct shape *s, const struct rows *r, unsigned row, shape_tag_fn fn,
                void *ctx)
{
    for (const char *tag = s->tags; *tag != '\0'; tag += strlen(tag) + 1) {
        char text[SHAPE_TAG_MAX];
        const size_t len = write_tag(r, row, strview_str(tag), text);
        if (len > 0) {
            fn(ctx, strview_of(text, len));
        }
    }
}
