/*
 * Rows -> value: what a map's options `as`, `null`, `rows`, `bytes`, `invalid-utf8` make of a
 * result, and what the columns say that steer the entry (`ttl-column`, `expires-at-column`,
 * `canon`, `tag`).
 *
 * The columns of ttl-column and expires-at-column are never part of the value. Those that canon,
 * bulk and tag name are, but for `string` and `raw`, which have one column: there they are left out
 * when they are further ones.
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

enum shape_as { SHAPE_STRING, SHAPE_JSON, SHAPE_RAW, SHAPE_HASH, SHAPE_JSONROWS };
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
    /* Borrowed; "" none: */
    const char *ttl_column, *expires_column, *canon, *bulk;
    const char *tags; /* borrowed; templates, each ended by a NUL, an empty one ends the list */
    unsigned max_rows;
    struct strview param; /* what `canon` has to be; borrowed */
    int64_t wall_ms;      /* now, for expires_column */
};

enum shape_status { SHAPE_FOUND, SHAPE_ABSENT, SHAPE_MISFIT };

struct shaped {
    enum shape_status status;
    struct strview value; /* FOUND: borrows the rows or the scratch buffer */
    const char *problem;  /* MISFIT: static text for the log */
    bool is_hash;         /* the value is a packed hash (tarn/types/hashmap.h) */
    bool is_foreign;      /* the row is not spelled as the key is: not to be stored */
    bool has_ttl;         /* the row has a ttl of its own, from the moment of the query: */
    int64_t ttl_ms;       /* zero or less: not to be stored */
    bool has_end;         /* the row says when it ends: */
    int64_t ends_in_ms;   /* from now; zero or less: not to be stored */
};

/* Do the columns fit? NULL: yes, else static text. */
const char *shape_check(const struct shape *s, const struct rows *r);

/* The value of `count` rows from `first` on. `scratch` is cleared and may hold the value
 * afterwards.
 */
struct shaped shape_rows(const struct shape *s, const struct rows *r, unsigned first,
                         unsigned count, struct buf *scratch);

/* Calls `fn` with each tag of the row, borrowed during the call. A template with a column that is
 * NULL or too long gives none. */
#define SHAPE_TAG_MAX 256
typedef void (*shape_tag_fn)(void *ctx, struct strview tag);
void shape_tags(const struct shape *s, const struct rows *r, unsigned row, shape_tag_fn fn,
                void *ctx);

#endif
