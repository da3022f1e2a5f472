/*
 * What load.c shares within the layer: may a load start?
 */
#ifndef TARN_SOURCE_LOAD_H
#define TARN_SOURCE_LOAD_H

#include "flight.h"

struct refusal {
    enum load_error code;
    const char *detail; /* NULL: nothing speaks against it */
};

/* What speaks against any work of that purpose at the source. */
struct refusal load_refuse_source(const struct source *src, enum flight_purpose purpose);
/* What speaks against one more flight. */
struct refusal load_refuse_flight(const struct source *src, const struct flight_plan *plan);

/* Starts a flight with its first waiter, unless something speaks against it. */
struct refusal load_start_flight(const struct flight_plan *plan, struct load_waiter *w,
                                 struct flight **out);
/* The answer at once that it was refused; LOAD_AT_ONCE. */
enum load_start load_refuse(struct source_map *m, enum load_error code, const char *detail,
                            struct load_result *now);

/* The flight that a reader of the key may join or is refused by; NULL: none. */
struct flight *load_find_flight(struct sources *s, const struct store_key *k);

#endif
