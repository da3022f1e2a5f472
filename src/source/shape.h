/*
 * Rows -> value: what a map's options `as`, `null`, `rows`, `bytes`, `invalid-utf8` and
 * `ttl-column` make of a result.
 */
#ifndef TARN_SOURCE_SHAPE_H
#define TARN_SOURCE_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "tarn/base/buf.h"
#include "tarn/base/strview.h"
#include "tarn/source/driver.h"

#define SHAPE_COLUMNS_MAX     256
#define SHAPE_COLUMN_NAME_MAX 64

enum shape_as { SHAPE_STRING, SHAPE_JSON, SHAPE_RAW };
enum shape_null { SHAPE_NULL_NIL, SHAPE_NULL_EMPTY, SHAPE_NULL_ERROR };
enum shape_rows { SHAPE_ROWS_ONE, SHAPE_ROWS_FIRST };
enum shape_bytes { SHAPE_BYTES_BASE64, SHAPE_BYTES_HEX };
enum shape_utf8 { SHAPE_UTF8_ERROR, SHAPE_UTF8_REPLACE };

struct shape {
    enum shape_as as;
    enum shape_null null;
    enum shape_rows rows;
    enum shape_bytes bytes;
    enum shape_utf8 utf8;
    const char *ttl_column; /* borrowed; "" none */
};

enum shape_status { SHAPE_FOUND, SHAPE_ABSENT, SHAPE_MISFIT };

struct shaped {
    enum shape_status status;
    struct strview value; /* FOUND: borrows the rows or the scratch buffer */
    const char *problem;  /* MISFIT: static text for the log */
    bool has_ttl;         /* the row has a ttl of its own: */
    int64_t ttl_ms;       /* zero or less: not to be stored */
};

/* Do the columns fit? NULL: yes, else static text. */
const char *shape_check(const struct shape *s, const struct rows *r);

/* `scratch` is cleared and may hold the value afterwards. */
struct shaped shape_rows(const struct shape *s, const struct rows *r, struct buf *scratch);

#endif
