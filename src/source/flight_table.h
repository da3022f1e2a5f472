/*
 * (database, key) -> flight: a small chained hash table. Bounded by what is let in (queues, slots,
 * held errors), it grows by doubling; when memory for that is short it stays as it is and gets
 * slower.
 */
#ifndef TARN_SOURCE_FLIGHT_TABLE_H
#define TARN_SOURCE_FLIGHT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "tarn/base/compiler.h"
#include "tarn/store/store.h"

struct flight;

struct flight_table {
    struct flight **buckets; /* owned; flights are chained by flight::next */
    size_t buckets_count;    /* power of two */
    size_t count;
};

int flight_table_init(struct flight_table *t) WARN_UNUSED;
/* The flights are their owner's. */
void flight_table_fini(struct flight_table *t);

struct flight *flight_table_find(const struct flight_table *t, const struct store_key *k);
/* There is none of that key yet. */
void flight_table_insert(struct flight_table *t, struct flight *f);
/* The flight is in the table. */
void flight_table_remove(struct flight_table *t, struct flight *f);

size_t flight_table_memory(const struct flight_table *t);

#endif
