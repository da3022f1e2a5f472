/*
 * The hash type: fields with values, each with an expiry of its own if need be.
 *
 * The value of an entry of type ENTRY_HASH is one of two things, which only this layer can tell
 * apart: all fields packed one after the other (packed.h), while they are few and take little;
 * else a flag and the address of a table (field_table.h). A hash that became a table stays one.
 *
 * Expiry is exact: no call shows a field whose expires_at_ms <= clock->mono_ms. Such fields are
 * taken out by hashmap_purge(), which whoever opens a hash calls first; of a table it takes a
 * limited number at a time, so hashmap_count() may count some that are over.
 *
 * Reading functions take the bytes of the entry, and what they give is borrowed by its rules.
 */
#ifndef TARN_TYPES_HASHMAP_H
#define TARN_TYPES_HASHMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"
#include "tarn/base/hash.h"
#include "tarn/base/strview.h"
#include "tarn/store/store.h"
#include "tarn/types/types.h"

struct field_node;
struct field_table;

/* An expiry further away than this is cut to it. */
#define HASHMAP_EXPIRY_MAX_MS ((INT64_C(1) << 48) - 2)

struct hashmap_field {
    struct strview name, value;
    int64_t expires_at_ms; /* monotonic; STORE_NO_EXPIRY when there is none */
};

/* ---- reading ---- */

/* True while the fields are packed. */
bool hashmap_is_packed(struct strview hash);

/* What Redis calls a hash like this one: "listpack" or "hashtable". */
const char *hashmap_encoding_name(const struct types *t, struct strview hash);

size_t hashmap_count(struct strview hash);

/* When the first field is over; STORE_NO_EXPIRY when none ever is. */
int64_t hashmap_due_ms(struct strview hash);

/* False: every field is over, and the key with them. */
bool hashmap_is_live(const struct types *t, struct strview hash);

bool hashmap_find(const struct types *t, struct strview hash, struct strview name,
                  struct hashmap_field *out);

/* All fields in turn: for (hashmap_begin(&it, t, hash); hashmap_next(&it, &field);). Nothing may
 * change meanwhile. */
struct hashmap_iter {
    int64_t now_ms;
    const unsigned char *at; /* packed: the next field */
    size_t left;             /* packed: fields from there on */
    bool has_expiries;
    const struct field_table *table; /* NULL: packed */
    size_t bucket;                   /* the next one */
    const struct field_node *node;   /* the next one of the bucket before; NULL: none */
};
void hashmap_begin(struct hashmap_iter *it, const struct types *t, struct strview hash);
bool hashmap_next(struct hashmap_iter *it, struct hashmap_field *out);

/* HSCAN: visits about `count` fields from `cursor` on, a packed hash as a whole; returns the next
 * cursor, 0 at the end. Every field present throughout is visited at least once. The visitor may
 * change nothing. */
typedef void (*hashmap_visit_fn)(void *ctx, const struct hashmap_field *field);
uint64_t hashmap_scan(const struct types *t, struct strview hash, uint64_t cursor, size_t count,
                      hashmap_visit_fn fn, void *ctx);

/* A field, all alike. False when there is none. */
bool hashmap_random(const struct types *t, struct strview hash, struct rng *rng,
                    struct hashmap_field *out);

/* ---- making ---- */

struct buf;

/* Appends a hash of `count` fields (`pairs`: name, value, ...; names differ; at most
 * HASHMAP_PACK_MAX), as the bytes of an entry. A lack of memory shows in the buffer. */
#define HASHMAP_PACK_MAX 65535u
void hashmap_pack(struct buf *out, const struct strview *pairs, size_t count);

/* ---- changing ---- */

/* A hash that is being changed. Between filling it in and hashmap_end(), which must come also after
 * a failure, nothing else may change the store. */
struct hashmap_edit {
    struct types *types;
    const struct store_key *key;
    struct strview hash; /* the entry's value; kept up to date */
    bool is_present;     /* the key has this hash; false: there is no such key */
    bool is_new;         /* the key was made by this change */
    bool has_slack;      /* the packed hash has room that hashmap_end() gives back */
    bool is_changed;     /* a field was written or removed */
    bool has_expired;    /* fields were taken out because they were over */
};

/* Before several fields are set: `pairs` are `count` names, each with its value behind it. A key
 * that is not there yet is made in one piece. */
enum store_result hashmap_expect(struct hashmap_edit *e, const struct strview *pairs,
                                 size_t count) WARN_UNUSED;

/* Sets a field, which loses its expiry unless `keep_expiry`. Makes the key when it is absent. On
 * failure nothing has changed. *is_new_out: it was not there. */
enum store_result hashmap_set(struct hashmap_edit *e, struct strview name, struct strview value,
                              bool keep_expiry, bool *is_new_out) WARN_UNUSED;

/* False: no such field. */
bool hashmap_remove(struct hashmap_edit *e, struct strview name);

/* Sets the expiry of a field, which must be in the future, or with STORE_NO_EXPIRY takes it away.
 * STORE_NOT_FOUND: no such field. */
enum store_result hashmap_set_expiry(struct hashmap_edit *e, struct strview name,
                                     int64_t expires_at_ms) WARN_UNUSED;

/* Takes out fields that are over. */
void hashmap_purge(struct hashmap_edit *e);

/* The key goes with its last field, and the store learns what a table costs now. */
void hashmap_end(struct hashmap_edit *e);

/* Puts a copy of a table under another key, replacing what is there; a packed hash is bytes, which
 * store_copy() copies. `hash` stays as it is. */
enum store_result hashmap_copy(struct types *t, struct strview hash, const struct store_key *to,
                               int64_t expires_at_ms) WARN_UNUSED;

#endif
