/*
 * A large hash: a table of fields in memory of its own. Private to the types layer.
 *
 *     struct field_table
 *       pages --> [ page | page | page ]          a page: up to 512 buckets
 *                    |
 *                    v
 *                 [ . | * | . | * ]               a bucket: the first of a chain of nodes
 *                       |
 *                       v
 *                   +------+----------+-----------+- - - - - - -+------+-------+
 *                   | next | name len | value len | place in due | name | value |    a node
 *                   +------+----------+-----------+- - - - - - -+------+-------+
 *       due   --> [ expiry, node | expiry, node | ... ]    a heap, earliest first
 *
 * Linear hashing: the table grows by one bucket at a time, which takes its share of one other
 * bucket, and shrinks the same way. So no operation ever moves more than one chain, at any size,
 * and there is no moment at which the memory doubles.
 *
 * Nodes lie in chunks (field_memory.h), the rest on the heap; everything is counted with what it
 * takes.
 */
#ifndef TARN_TYPES_FIELD_TABLE_H
#define TARN_TYPES_FIELD_TABLE_H

#include "tarn/types/hashmap.h"

#define FIELD_PAGE_BUCKETS 512u

struct due;
struct chunk;
struct chunks;

struct field_table {
    struct store_object object; /* first: what the store sees */
    const struct store *store;  /* borrowed: its keyed hash */
    struct chunks *chunks;      /* borrowed: where chunks come from */
    size_t bytes;               /* of the table and all it owns */
    size_t count;
    size_t buckets; /* in use */
    size_t room;    /* buckets that the pages have room for */
    struct field_node ***pages;
    size_t pages_cap;
    struct due *due; /* NULL until the first expiry */
    size_t due_count, due_cap;
    int64_t latest_due_ms;            /* no expiry is later */
    struct chunk *oldest, *newest;    /* owned; nodes are written to the newest */
    size_t chunk_used, chunk_live;    /* bytes of nodes in them; of those that are not dead */
    uint32_t tidy_offset;             /* the oldest chunk has been emptied up to here */
    size_t alone_count;               /* nodes with pages of their own */
    struct field_table *next_dropped; /* in struct types */
};

/* NULL: no memory. */
struct field_table *field_table_create(const struct store *store,
                                       struct chunks *chunks) WARN_UNUSED;

/* Frees a slice of the table, some ten microseconds of work, at the end the table itself. True when
 * it is gone. *bytes_out is what was freed, which may be nothing. */
bool field_table_free_some(struct field_table *t, size_t *bytes_out);

/* The field of that name, over or not. */
bool field_table_find(const struct field_table *t, struct strview name, struct hashmap_field *out);

/* Sets a field with this expiry. False: no memory, and nothing has changed. *is_new_out may be
 * NULL. */
bool field_table_set(struct field_table *t, const struct hashmap_field *field,
                     bool *is_new_out) WARN_UNUSED;

/* False: no such field. */
bool field_table_remove(struct field_table *t, struct strview name);

/* Of a field that is there. False: no memory. */
bool field_table_set_expiry(struct field_table *t, struct strview name,
                            int64_t expires_at_ms) WARN_UNUSED;

/* Earliest expiry; STORE_NO_EXPIRY: none. */
int64_t field_table_due_ms(const struct field_table *t);

/* Takes out up to `max` fields that are over; returns how many. */
size_t field_table_purge(struct field_table *t, int64_t now_ms, size_t max);

/* Some field, over or not, all alike; the table is not empty. */
void field_table_random(const struct field_table *t, struct rng *rng, struct hashmap_field *out);

/* A node was copied to another place: everything that leads to it follows. */
void field_table_node_moved(struct field_table *t, const struct field_node *from,
                            struct field_node *to);

/* ---- walks: a bucket's chain ---- */

const struct field_node *field_table_chain(const struct field_table *t, size_t bucket);
/* Gives the field and returns the next node; NULL at the end of the chain. */
const struct field_node *field_node_read(const struct field_table *t, const struct field_node *n,
                                         struct hashmap_field *out);

size_t field_table_bucket_of_hash(const struct field_table *t, uint64_t hash);

/* The bucket that a cursor means, and the cursor of the next one, 0 at the end. A cursor is a place
 * in the order of hashes read backwards, in which a bucket's fields lie together however many
 * buckets there are. */
size_t field_table_bucket_of(const struct field_table *t, uint64_t cursor);
uint64_t field_table_next_cursor(const struct field_table *t, uint64_t cursor);

/* Every invariant, walked; aborts when one is broken. For tests. */
void field_table_check(const struct field_table *t);

#endif
