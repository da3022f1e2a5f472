/*
 * How good an entry of this layer still is. Its life was fixed when it was filled, but settings
 * and events of the moment count too: a lowered `ttl`, a step of the map's epoch.
 */
#ifndef TARN_SOURCE_FRESHNESS_H
#define TARN_SOURCE_FRESHNESS_H

#include "sources.h"

struct freshness {
    struct source_map *map; /* NULL: not one of ours any more */
    int64_t sent_ms;        /* when its query was sent */
    int64_t ends_ms;        /* the end of its life */
    bool is_current;        /* no event has passed over its map since */
    bool has_windows;       /* may be used beyond its end */
};

struct freshness freshness_of(const struct sources *s, const struct entry_view *e);

/* May it be answered without waiting for a new one? */
bool freshness_can_serve(const struct freshness *f, int64_t now_ms);
/* May it be answered when a new one cannot be had? */
bool freshness_can_save(const struct freshness *f, int64_t now_ms);

/* How long the store keeps a value of the map beyond its life. */
int64_t map_window_ms(const struct source_map *m);

/* The value in the store that may be answered when the load of the key fails (or is slow). True:
 * *out is filled, borrowing from the store. */
bool old_value_find(struct sources *s, const struct source_map *m, const struct store_key *k,
                    struct load_result *out);

#endif
