/*
 * An intrusive hash map: the entries bring the link, the caller the hash and the comparison. For
 * tables of what clients ask for (channels, watched keys); the keys of the cache have their own
 * index.
 *
 *     for (struct hmap_link *l = hmap_first(&m, hash); l != NULL; l = hmap_next(l)) {
 *         struct topic *t = container_of(l, struct topic, by_name); ... compare ...
 *     }
 *
 * It doubles when there are as many entries as buckets, and moves a few buckets with each insertion
 * after that, so no single insertion is slow. It never shrinks below what it held; hmap_fini()
 * gives the memory back, and so does removing the last entry. A zeroed map is an empty one.
 */
#ifndef TARN_BASE_HMAP_H
#define TARN_BASE_HMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"

struct hmap_link {
    struct hmap_link *next; /* in its bucket */
    uint64_t hash;
};

struct hmap {
    struct hmap_link **buckets; /* owned; NULL: empty */
    struct hmap_link **old; /* owned; the smaller array while entries are on the move, or NULL */
    size_t size, old_size;  /* powers of two, or 0 */
    size_t moved;           /* buckets of `old` that are empty already */
    size_t count;
};

/* The caller made sure that no equal entry is there. False without memory for the first buckets; a
 * map that merely cannot grow goes on with longer chains. */
bool hmap_insert(struct hmap *m, struct hmap_link *link, uint64_t hash) WARN_UNUSED;

/* `link` is in the map. */
void hmap_remove(struct hmap *m, struct hmap_link *link);

/* The first entry with this very hash, and the next one; NULL: no more. */
struct hmap_link *hmap_first(const struct hmap *m, uint64_t hash);
struct hmap_link *hmap_next(const struct hmap_link *link);

/* Bytes of the bucket arrays. */
size_t hmap_memory(const struct hmap *m);

/* Forgets the entries, which are the caller's. */
void hmap_fini(struct hmap *m);

#endif
