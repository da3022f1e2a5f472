/*
 * From libpq's results to struct rows.
 */
#ifndef TARN_SOURCE_PG_ROWS_H
#define TARN_SOURCE_PG_ROWS_H

#include <stddef.h>

#include "tarn/source/driver.h"

struct pg_result; /* libpq's PGresult */

/* pg_type.oid of built-in types; they never change. */
enum pg_type {
    PG_BOOL = 16,
    PG_BYTEA = 17,
    PG_INT8 = 20,
    PG_INT2 = 21,
    PG_INT4 = 23,
    PG_TEXT = 25,
    PG_OID = 26,
    PG_JSON = 114,
    PG_FLOAT4 = 700,
    PG_FLOAT8 = 701,
    PG_INT8_ARRAY = 1016,
    PG_NUMERIC = 1700,
    PG_JSONB = 3802,
};

/* Begins `b` with the names of the result's columns. */
void pg_rows_begin(struct rows_builder *b, const struct pg_result *result);

/* Adds one row. DRIVER_OK, DRIVER_TOO_BIG, or DRIVER_BUSY when memory is short. */
enum driver_status pg_rows_add(struct rows_builder *b, const struct pg_result *result, int row,
                               size_t row_bytes_max);

#endif
