/*
 * From a driver's result to an entry and an answer.
 */
#ifndef TARN_SOURCE_FILL_H
#define TARN_SOURCE_FILL_H

#include "sources.h"

/* The flight's query came back: shapes the rows, writes the entry unless the flight was voided or
 * the value may not be stored, answers the waiters, ends the flight. */
void fill_from_result(struct flight *f, const struct driver_result *r);

/* Stores the row that a write returned, and answers nobody. */
void fill_from_write(struct flight *f, const struct rows *rows);

/* The same for a flight that went out with others: `count` rows from `first` on are its. */
void fill_from_bulk(struct flight *f, const struct rows *rows, unsigned first, unsigned count);

/* The result of a map's check at start (request 0); false: it is another request's. */
bool fill_check(struct source *src, const struct driver_result *r);

/* As the map's options say now; `is_bulk`: for rows of its bulk query. */
struct shape map_shape(const struct source_map *m, bool is_bulk);

#endif
