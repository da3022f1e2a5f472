/*
 * Loads of many keys by one query.
 */
#ifndef TARN_SOURCE_BULK_H
#define TARN_SOURCE_BULK_H

#include "sources.h"

#include <assert.h>

static_assert(BULK_MAX == SOURCE_LOAD_WEIGHT, "weights count in parts of the largest batch");

/* What one load of the map (NULL: a ping) counts towards max-queue and max-client-loads, in parts
 * of BULK_MAX: one that shares its query with others counts less. */
static inline size_t map_load_weight(const struct source_map *m)
{
    return m != NULL && m->bulk_statement_id >= 0 ? 1 : BULK_MAX;
}

/* The flights that can go out together with `first`, from it on: itself at least. */
unsigned bulk_gather(const struct list *queue, struct flight *first, struct flight *out[BULK_MAX]);

/* Which row of the result is whose: its first row, and how many it has. */
struct bulk_rows {
    unsigned row[BULK_MAX], count[BULK_MAX];
};
void bulk_match(struct bulk_rows *out, struct flight *const *flights, unsigned count,
                const struct rows *rows);

/* What the options say of bulk loads fits the map. 0 or -EINVAL with text. */
int bulk_check(const struct source_map *m, struct errtext *err) WARN_UNUSED;

#endif
