/*
 * Bind values as libpq takes them.
 */
#ifndef TARN_SOURCE_PG_PARAMS_H
#define TARN_SOURCE_PG_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "pg_pipe.h"
#include "tarn/base/buf.h"
#include "tarn/source/driver.h"

/* What pg_bind() needs behind the request. */
size_t pg_values_bytes(const struct driver_value *values, unsigned count);

/* Copies the values into the request, which has none yet and has that room; at most
 * DRIVER_PARAMS_MAX. */
void pg_bind(struct pg_request *r, const struct driver_value *values, unsigned count);

/* Appends the values, integers or texts without NUL, as one text: an array, `{1,2}`. */
void pg_write_array(struct buf *out, const struct driver_value *values, unsigned count);

/* Is there an integer that does not fit the server's `integer`? */
bool pg_has_wide(const struct driver_value *values, unsigned count);

#endif
