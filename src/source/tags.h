/*
 * Tags: names made of columns of the row (option `tag`), by which values can be invalidated together,
 * whatever their keys and maps.
 */
#ifndef TARN_SOURCE_TAGS_H
#define TARN_SOURCE_TAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"
#include "tarn/base/hmap.h"
#include "tarn/base/list.h"
#include "tarn/base/strview.h"
#include "tarn/store/store.h"

struct sources;

struct tags {
    struct hmap by_name; /* struct tag */
    struct hmap members; /* struct tag_member, by tag and key */
    struct list all;     /* struct tag */
    struct list voided;  /* struct tag without members, oldest first: see tags_is_void() */
    size_t voided_count;
    uint64_t seq;   /* invalidations so far */
    uint64_t floor; /* the latest that is no longer known by name */
    size_t bytes;
};

void tags_init(struct tags *t);
void tags_fini(struct tags *t);

/* Was the tag invalidated after the invalidation number `seq`? (Or may it have been.) */
bool tags_is_void(const struct sources *s, struct strview tag, uint64_t seq);

/* The value of the key has the tag. False without memory. */
bool tags_add(struct sources *s, struct strview tag, const struct store_key *k) WARN_UNUSED;

#endif
