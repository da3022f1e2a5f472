/* What the files of the layer share. Private to the types layer. */
#ifndef TARN_TYPES_TYPES_PRIVATE_H
#define TARN_TYPES_TYPES_PRIVATE_H

#include "tarn/base/buf.h"
#include "tarn/types/hashmap.h"
#include "tarn/types/types.h"
#include "chunk.h"
#include "field_table.h"

/* The walk that looks for fields that are over; see types.c. */
struct sweep {
    bool is_wanted;      /* there may be hashes whose fields expire */
    bool has_met_one;    /* in this round */
    unsigned db;         /* the walk stands here */
    uint64_t cursor;     /* in that database */
    struct buf due_keys; /* of hashes to be purged: length and bytes of each */
    int64_t now_ms;
};

struct types {
    struct store *store;                 /* borrowed */
    const struct clock *clock;           /* borrowed */
    const struct types_options *options; /* borrowed */
    struct store_object_owner owner;
    struct chunks chunks;
    struct field_table *dropped; /* owned; linked by next_dropped */
    struct sweep sweep;
    struct types_counters counters;
    types_expired_fn expired_fn; /* NULL: nobody wants to know */
    void *expired_ctx;
};

/* The table of a hash that is one. */
static inline struct field_table *hashmap_table(struct strview hash)
{
    struct field_table *table;
    memcpy(&table, hash.data + 1, sizeof(table));
    return table;
}

/* ---- hashmap_build.c ---- */

void hashmap_free_table(struct field_table *table);

/* A table with the fields of a hash; NULL: no memory. */
struct field_table *hashmap_make_table(struct types *t, struct strview hash) WARN_UNUSED;

/* Makes the table the value of the key, which owns it then. */
enum store_result hashmap_store_table(struct types *t, const struct store_key *key,
                                      struct field_table *table,
                                      const struct store_write *write) WARN_UNUSED;

#endif
