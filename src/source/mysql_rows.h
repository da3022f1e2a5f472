/*
 * From Connector/C's results to struct rows.
 */
#ifndef TARN_SOURCE_MYSQL_ROWS_H
#define TARN_SOURCE_MYSQL_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "tarn/source/driver.h"

struct st_mysql_stmt;

/* Fetches the executed statement's first rows and word of one more, or (rows_max 0) only the names
 * of its columns. `*out` is set with DRIVER_OK. Other statuses: DRIVER_TOO_BIG, DRIVER_BUSY (no
 * memory), DRIVER_ERROR (the connection or the statement has the reason). */
enum driver_status mysql_rows_fetch(struct st_mysql_stmt *stmt, size_t row_bytes_max,
                                    unsigned rows_max, struct rows **out);

#endif
