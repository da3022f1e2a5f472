/*
 * A hash that is made apart from any key, and put under one when it is whole: a failure on the way
 * leaves what is there as it is.
 */
#ifndef TARN_TYPES_HASHMAP_BUILD_H
#define TARN_TYPES_HASHMAP_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/buf.h"
#include "tarn/base/compiler.h"
#include "tarn/types/hashmap.h"

struct field_table;

struct hashmap_build {
    struct types *types;       /* borrowed */
    struct buf packed;         /* owned; the hash as long as it is packed */
    struct field_table *table; /* owned; NULL: packed */
    int64_t due_ms;            /* the first expiry; STORE_NO_EXPIRY: none */
    bool has_expiries;         /* fields may have one */
};

/* `has_expiries` false: the expiry of fields is ignored. */
void hashmap_build_init(struct hashmap_build *b, struct types *t, bool has_expiries);
/* Accepts a zeroed one. */
void hashmap_build_fini(struct hashmap_build *b);

enum hashmap_build_result {
    HASHMAP_BUILD_OK = 0,
    HASHMAP_BUILD_DUPLICATE = 1, /* the field is there already */
    HASHMAP_BUILD_NO_MEMORY = 2,
};

/* Adds a field; one that is over is left out, and not known as a duplicate either. */
enum hashmap_build_result hashmap_build_add(struct hashmap_build *b,
                                            const struct hashmap_field *field) WARN_UNUSED;

size_t hashmap_build_count(const struct hashmap_build *b);

/* Puts the hash, which has fields, under the key in place of what is there. Afterwards nothing but
 * hashmap_build_fini() may follow. */
enum store_result hashmap_build_put(struct hashmap_build *b, const struct store_key *key,
                                    int64_t expires_at_ms) WARN_UNUSED;

#endif
