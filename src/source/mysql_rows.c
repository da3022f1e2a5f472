/*
 * The binary protocol sends numbers as numbers: integers and floating point are fetched as such and
 * written here, with all the digits they need; everything else is fetched as the text it is.
 *
 * Types: TINYINT(1) is what these servers have for a boolean; its other values stay numbers. JSON
 * is a type in MySQL and an attribute of text in MariaDB.
 */
#include "mysql_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mysql.h>

#include "tarn/base/num.h"

#define CHARSET_BINARY  63
#define TYPE_MYSQL_JSON 245

struct column {
    const MYSQL_FIELD *field; /* borrowed */
    unsigned long len;
    my_bool is_null, is_cut;
    union {
        long long integer;
        double real;
        float small_real;
    } value;
};

/* ---- types ----------------------------------------------------------------------------------- */

static bool is_text(const MYSQL_FIELD *f)
{
    switch ((int)f->type) {
    case MYSQL_TYPE_VARCHAR:
    case MYSQL_TYPE_VAR_STRING:
    case MYSQL_TYPE_STRING:
    case MYSQL_TYPE_TINY_BLOB:
    case MYSQL_TYPE_MEDIUM_BLOB:
    case MYSQL_TYPE_LONG_BLOB:
    case MYSQL_TYPE_BLOB:
        return true;
    default:
        return false;
    }
}

static bool is_json(const MYSQL_FIELD *f)
{
    MARIADB_CONST_STRING format = {NULL, 0};
    if ((int)f->type == TYPE_MYSQL_JSON) {
        return true;
    }
    return mariadb_field_attr(&format, f, MARIADB_FIELD_ATTR_FORMAT_NAME) == 0 &&
           format.str != NULL &&
           strview_eq(strview_of(format.str, format.length), strview_str("json"));
}

static enum cell_type text_type(const MYSQL_FIELD *f)
{
    if (is_json(f)) {
        return CELL_JSON;
    }
    if ((int)f->type == MYSQL_TYPE_NEWDECIMAL || (int)f->type == MYSQL_TYPE_DECIMAL) {
        return CELL_REAL;
    }
    bool is_binary = is_text(f) && f->charsetnr == CHARSET_BINARY;
    return is_binary || (int)f->type == MYSQL_TYPE_GEOMETRY ? CELL_BYTES : CELL_TEXT;
}

static enum enum_field_types fetched_as(const MYSQL_FIELD *f)
{
    switch ((int)f->type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_YEAR:
        return MYSQL_TYPE_LONGLONG;
    case MYSQL_TYPE_FLOAT:
        return MYSQL_TYPE_FLOAT;
    case MYSQL_TYPE_DOUBLE:
        return MYSQL_TYPE_DOUBLE;
    default:
        return MYSQL_TYPE_STRING;
    }
}

/* ---- cells ----------------------------------------------------------------------------------- */

static void add_integer(struct rows_builder *b, const struct column *c)
{
    char text[NUM_I64_CHARS];
    long long v = c->value.integer;
    bool is_unsigned = (c->field->flags & UNSIGNED_FLAG) != 0;
    bool is_bool = (int)c->field->type == MYSQL_TYPE_TINY && c->field->length == 1 &&
                   (v == 0 || v == 1);
    size_t len = is_unsigned ? num_format_u64(text, (uint64_t)v) : num_format_i64(text, v);
    rows_add(b, is_bool ? CELL_BOOL : CELL_INT, strview_of(text, len));
}

/* The shortest text that reads back as the same float. */
static size_t format_float(char *out, size_t size, float v)
{
    int len = 0;
    for (int digits = 6; digits <= 9; digits++) {
        len = snprintf(out, size, "%.*g", digits, (double)v);
        if (strtof(out, NULL) == v) {
            break;
        }
    }
    return (size_t)len;
}

static void add_real(struct rows_builder *b, const struct column *c)
{
    char text[NUM_DOUBLE_CHARS];
    size_t len = (int)c->field->type == MYSQL_TYPE_FLOAT
                     ? format_float(text, sizeof(text), c->value.small_real)
                     : num_format_double(text, c->value.real);
    rows_add(b, CELL_REAL, strview_of(text, len));
}

/* BIT(n): n bits, the highest byte first. */
static void add_bits(struct rows_builder *b, const unsigned char *bytes, size_t len)
{
    char text[NUM_I64_CHARS];
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++) {
        v = v << 8 | bytes[i];
    }
    rows_add(b, CELL_INT, strview_of(text, num_format_u64(text, v)));
}

static void add_text(struct rows_builder *b, MYSQL_STMT *stmt, struct column *c, unsigned column)
{
    char *text = malloc(c->len + 1);
    MYSQL_BIND bind = {.buffer_type = MYSQL_TYPE_STRING,
                       .buffer = text,
                       .buffer_length = c->len + 1,
                       .length = &c->len,
                       .is_null = &c->is_null,
                       .error = &c->is_cut};
    if (text == NULL || mysql_stmt_fetch_column(stmt, &bind, column, 0) != 0) {
        b->failed = true;
    } else if ((int)c->field->type == MYSQL_TYPE_BIT) {
        add_bits(b, (const unsigned char *)text, c->len);
    } else {
        rows_add(b, text_type(c->field), strview_of(text, c->len));
    }
    free(text);
}

static void add_cell(struct rows_builder *b, MYSQL_STMT *stmt, struct column *c, unsigned column)
{
    if (c->is_null) {
        rows_add(b, CELL_NULL, strview_of("", 0));
        return;
    }
    switch ((int)fetched_as(c->field)) {
    case MYSQL_TYPE_LONGLONG:
        add_integer(b, c);
        break;
    case MYSQL_TYPE_FLOAT:
    case MYSQL_TYPE_DOUBLE:
        add_real(b, c);
        break;
    default:
        add_text(b, stmt, c, column);
        break;
    }
}

/* ---- rows ------------------------------------------------------------------------------------ */

static bool bind_columns(MYSQL_STMT *stmt, const MYSQL_FIELD *fields, struct column *columns,
                         MYSQL_BIND *binds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct column *c = &columns[i];
        enum enum_field_types type = fetched_as(&fields[i]);
        bool is_text = type == MYSQL_TYPE_STRING;
        c->field = &fields[i];
        binds[i] = (MYSQL_BIND){.buffer_type = type,
                                .buffer = &c->value,
                                .buffer_length = is_text ? 0 : sizeof(c->value),
                                .length = &c->len,
                                .is_null = &c->is_null,
                                .error = &c->is_cut,
                                .is_unsigned = (fields[i].flags & UNSIGNED_FLAG) != 0};
    }
    return mysql_stmt_bind_result(stmt, binds) == 0;
}

static enum driver_status take_row(struct rows_builder *b, MYSQL_STMT *stmt, struct column *columns,
                                   unsigned count, size_t row_bytes_max)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        bytes += columns[i].is_null ? 0 : columns[i].len; /* a packet's length at most */
    }
    if (bytes > row_bytes_max) {
        return DRIVER_TOO_BIG;
    }
    for (unsigned i = 0; i < count; i++) {
        add_cell(b, stmt, &columns[i], i);
    }
    return b->failed ? DRIVER_BUSY : DRIVER_OK;
}

static enum driver_status fetch(struct rows_builder *b, MYSQL_STMT *stmt, const MYSQL_FIELD *fields,
                                size_t row_bytes_max, unsigned rows_max, bool *has_more)
{
    unsigned count = b->columns;
    struct column *columns = calloc(count, sizeof(columns[0]));
    MYSQL_BIND *binds = calloc(count, sizeof(binds[0]));
    enum driver_status status = DRIVER_BUSY;
    if (columns != NULL && binds != NULL) {
        status = bind_columns(stmt, fields, columns, binds, count) ? DRIVER_OK : DRIVER_ERROR;
    }
    for (unsigned row = 0; status == DRIVER_OK; row++) {
        int r = mysql_stmt_fetch(stmt);
        if (r != 0 && r != MYSQL_DATA_TRUNCATED) {
            status = r == MYSQL_NO_DATA ? DRIVER_OK : DRIVER_ERROR;
            break;
        }
        *has_more = row == rows_max;
        if (*has_more) {
            break;
        }
        status = take_row(b, stmt, columns, count, row_bytes_max);
    }
    free(columns);
    free(binds);
    return status;
}

enum driver_status mysql_rows_fetch(MYSQL_STMT *stmt, size_t row_bytes_max, unsigned rows_max,
                                    struct rows **out)
{
    struct rows_builder b;
    bool has_more = false;
    MYSQL_RES *meta = mysql_stmt_result_metadata(stmt);
    if (meta == NULL) {
        return DRIVER_ERROR;
    }
    unsigned count = mysql_num_fields(meta);
    const MYSQL_FIELD *fields = mysql_fetch_fields(meta);
    rows_begin(&b, count);
    for (unsigned i = 0; i < count; i++) {
        rows_add(&b, CELL_TEXT, strview_of(fields[i].name, fields[i].name_length));
    }
    enum driver_status status = DRIVER_OK;
    if (rows_max > 0) {
        status = fetch(&b, stmt, fields, row_bytes_max, rows_max, &has_more);
    }
    mysql_free_result(meta);
    if (status != DRIVER_OK) {
        rows_abandon(&b);
        return status;
    }
    *out = rows_finish(&b, has_more);
    return *out != NULL ? DRIVER_OK : DRIVER_BUSY;
}
