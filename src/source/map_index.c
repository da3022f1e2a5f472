/*
 * The index of prefixes. The hash (FNV-1a) is not keyed: what is in the table comes from the
 * configuration, so no client can make its chains long.
 */
#include "map_index.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sources.h"

#define ENTRIES_MIN 16
#define HASH_START  UINT64_C(0xcbf29ce484222325)

static uint64_t hash_step(uint64_t hash, char c)
{
    return (hash ^ (unsigned char)c) * UINT64_C(0x100000001b3);
}

static uint64_t hash_of(struct strview prefix)
{
    uint64_t hash = HASH_START;
    for (size_t i = 0; i < prefix.len; i++) {
        hash = hash_step(hash, prefix.data[i]);
    }
    return hash;
}

void map_index_fini(struct map_index *ix)
{
    free(ix->entries);
    *ix = (struct map_index){0};
}

static void put(struct map_index *ix, struct source_map *map)
{
    uint64_t hash = hash_of(map->pattern.prefix);
    size_t i = hash & (ix->entries_count - 1);
    while (ix->entries[i].map != NULL) {
        i = (i + 1) & (ix->entries_count - 1);
    }
    ix->entries[i] = (struct map_index_entry){.hash = hash, .map = map};
}

static int grow(struct map_index *ix)
{
    struct map_index_entry *old = ix->entries;
    size_t old_count = ix->entries_count;
    size_t count = old_count > 0 ? old_count * 2 : ENTRIES_MIN;
    struct map_index_entry *entries = calloc(count, sizeof(*entries));
    if (entries == NULL) {
        return -ENOMEM;
    }
    ix->entries = entries;
    ix->entries_count = count;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].map != NULL) {
            put(ix, old[i].map);
        }
    }
    free(old);
    return 0;
}

static void add_length(struct map_index *ix, size_t len)
{
    size_t at = 0;
    while (at < ix->lengths_count && ix->lengths[at] < len) {
        at++;
    }
    if (at < ix->lengths_count && ix->lengths[at] == len) {
        return;
    }
    memmove(&ix->lengths[at + 1], &ix->lengths[at],
            (ix->lengths_count - at) * sizeof(ix->lengths[0]));
    ix->lengths[at] = (uint16_t)len;
    ix->lengths_count++;
}

int map_index_add(struct map_index *ix, struct source_map *map)
{
    assert(map->pattern.prefix.len <= PATTERN_BYTES_MAX);
    if ((ix->count + 1) * 2 > ix->entries_count) {
        int r = grow(ix);
        if (r != 0) {
            return r;
        }
    }
    put(ix, map);
    ix->count++;
    add_length(ix, map->pattern.prefix.len);
    return 0;
}

/* Takes the length out of the list when no other prefix has it. */
static void drop_length(struct map_index *ix, size_t len)
{
    for (size_t i = 0; i < ix->entries_count; i++) {
        if (ix->entries[i].map != NULL && ix->entries[i].map->pattern.prefix.len == len) {
            return;
        }
    }
    size_t at = 0;
    while (ix->lengths[at] != len) {
        at++;
    }
    ix->lengths_count--;
    memmove(&ix->lengths[at], &ix->lengths[at + 1],
            (ix->lengths_count - at) * sizeof(ix->lengths[0]));
}

void map_index_remove(struct map_index *ix, const struct source_map *map)
{
    const size_t mask = ix->entries_count - 1;
    size_t hole = hash_of(map->pattern.prefix) & mask;
    while (ix->entries[hole].map != map) {
        assert(ix->entries[hole].map != NULL);
        hole = (hole + 1) & mask;
    }
    for (size_t i = (hole + 1) & mask; ix->entries[i].map != NULL; i = (i + 1) & mask) {
        /* Moves back what would not be found any more across the hole. */
        if (((i - ix->entries[i].hash) & mask) >= ((i - hole) & mask)) {
            ix->entries[hole] = ix->entries[i];
            hole = i;
        }
    }
    ix->entries[hole] = (struct map_index_entry){.map = NULL};
    ix->count--;
    drop_length(ix, map->pattern.prefix.len);
}

static struct source_map *match_bucket(const struct map_index *ix, uint64_t hash,
                                       struct strview key)
{
    struct strview values[PATTERN_PARAMS_MAX];
    for (size_t i = hash & (ix->entries_count - 1); ix->entries[i].map != NULL;
         i = (i + 1) & (ix->entries_count - 1)) {
        struct source_map *map = ix->entries[i].map;
        if (ix->entries[i].hash == hash &&
            pattern_match(&map->pattern, key, (size_t)map->options.max_param, values)) {
            return map;
        }
    }
    return NULL;
}

struct source_map *map_index_match(const struct map_index *ix, struct strview key)
{
    uint64_t hash = HASH_START;
    size_t walked = 0;
    for (size_t i = 0; i < ix->lengths_count && ix->lengths[i] <= key.len; i++) {
        while (walked < ix->lengths[i]) {
            hash = hash_step(hash, key.data[walked++]);
        }
        struct source_map *map = match_bucket(ix, hash, key);
        if (map != NULL) {
            return map;
        }
    }
    return NULL;
}
