/*
 * key -> the maps it may belong to, by the patterns' literal prefixes. A key is walked once up to
 * the longest prefix with a running hash; at each length that some prefix has, one bucket is looked
 * at. So a plain key costs about as many steps as the longest prefix has bytes, however many maps
 * there are.
 */
#ifndef TARN_SOURCE_MAP_INDEX_H
#define TARN_SOURCE_MAP_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "pattern.h"
#include "tarn/base/compiler.h"
#include "tarn/base/strview.h"

struct source_map;

struct map_index_entry {
    uint64_t hash;          /* of the prefix */
    struct source_map *map; /* borrowed; NULL: empty */
};

struct map_index {
    struct map_index_entry *entries; /* owned, open addressing */
    size_t entries_count;            /* power of two, at most half full */
    size_t count;
    uint16_t lengths[PATTERN_BYTES_MAX + 1]; /* of prefixes, ascending, each once */
    size_t lengths_count;
};

void map_index_fini(struct map_index *ix);

/* 0 or -ENOMEM, with nothing changed. */
int map_index_add(struct map_index *ix, struct source_map *map) WARN_UNUSED;

/* The map is in it. */
void map_index_remove(struct map_index *ix, const struct source_map *map);

/* The map whose pattern matches. At most one does: overlapping patterns are refused before they
 * come here. */
struct source_map *map_index_match(const struct map_index *ix, struct strview key);

#endif
