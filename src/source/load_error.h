/*
 * Failed loads: the text a client sees, the line in the log, and the number that joins the two.
 */
#ifndef TARN_SOURCE_LOAD_ERROR_H
#define TARN_SOURCE_LOAD_ERROR_H

#include <stdint.h>

#include "sources.h"

/* "SOURCETIMEOUT map 'user' source 'shop' after 1000 ms id=7f3a": nothing of the statement, its
 * parameters or the database's own words. `map` may be NULL. */
void load_error_text(char out[LOAD_ERROR_TEXT_MAX], enum load_error code, const struct source *src,
                     const struct source_map *map, int64_t elapsed_ms, uint64_t id);

/* The same with `detail` to the log, one line per source, code and second. */
void load_error_log(struct source *src, enum load_error code, const struct source_map *map,
                    uint64_t id, const char *detail);

enum load_error load_error_from_status(enum driver_status status);

#endif
