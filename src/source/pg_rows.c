/*
 * PostgreSQL sends text. Numbers keep their digits as they come; what has a form of its own there
 * gets the one of driver.h: booleans, infinities, binary data (bytea_output is hex).
 */
#include "pg_rows.h"

#include <string.h>

#include <libpq-fe.h>

static enum cell_type type_of(Oid type)
{
    switch (type) {
    case PG_BOOL:
        return CELL_BOOL;
    case PG_BYTEA:
        return CELL_BYTES;
    case PG_INT2:
    case PG_INT4:
    case PG_INT8:
    case PG_OID:
        return CELL_INT;
    case PG_FLOAT4:
    case PG_FLOAT8:
    case PG_NUMERIC:
        return CELL_REAL;
    case PG_JSON:
    case PG_JSONB:
        return CELL_JSON;
    default:
        return CELL_TEXT;
    }
}

static struct strview plain_real(struct strview v)
{
    static const struct {
        const char *theirs, *ours;
    } words[] = {{"NaN", "nan"}, {"Infinity", "inf"}, {"-Infinity", "-inf"}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strview_eq(v, strview_str(words[i].theirs))) {
            return strview_str(words[i].ours);
        }
    }
    return v;
}

static void add_bytes(struct rows_builder *b, const char *text)
{
    size_t len;
    unsigned char *bytes = PQunescapeBytea((const unsigned char *)text, &len);
    if (bytes == NULL) {
        b->failed = true;
        return;
    }
    rows_add(b, CELL_BYTES, strview_of((const char *)bytes, len));
    PQfreemem(bytes);
}

static void add_cell(struct rows_builder *b, const PGresult *result, int row, int column)
{
    struct strview v = strview_of(PQgetvalue(result, row, column),
                                  (size_t)PQgetlength(result, row, column));
    enum cell_type type = type_of(PQftype(result, column));
    if (PQgetisnull(result, row, column) || PQftype(result, column) == PG_VOID) {
        rows_add(b, CELL_NULL, strview_of("", 0));
    } else if (type == CELL_BYTES) {
        add_bytes(b, v.data);
    } else if (type == CELL_BOOL) {
        rows_add(b, CELL_BOOL, strview_str(v.data[0] == 't' ? "1" : "0"));
    } else {
        rows_add(b, type, type == CELL_REAL ? plain_real(v) : v);
    }
}

void pg_rows_begin(struct rows_builder *b, const PGresult *result)
{
    int columns = PQnfields(result);
    rows_begin(b, (unsigned)columns);
    for (int i = 0; i < columns; i++) {
        rows_add(b, CELL_TEXT, strview_str(PQfname(result, i)));
    }
}

static size_t row_bytes(const PGresult *result, int row)
{
    size_t sum = 0;
    for (int i = 0; i < PQnfields(result); i++) {
        size_t len = (size_t)PQgetlength(result, row, i); /* below 1 GiB each, 1664 at most */
        sum += PQftype(result, i) == PG_BYTEA ? len / 2 : len;
    }
    return sum;
}

enum driver_status pg_rows_add(struct rows_builder *b, const PGresult *result, int row,
                               size_t row_bytes_max)
{
    if (row_bytes(result, row) > row_bytes_max) {
        return DRIVER_TOO_BIG;
    }
    for (int i = 0; i < PQnfields(result); i++) {
        add_cell(b, result, row, i);
    }
    return b->failed ? DRIVER_BUSY : DRIVER_OK;
}
