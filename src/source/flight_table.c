/*
 * The table of flights. Chains run through the flights themselves, so inserting allocates nothing
 * and cannot fail.
 */
#include "flight_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "sources.h"

#define BUCKETS_MIN 64

static struct flight **bucket_of(const struct flight_table *t, uint64_t hash)
{
    return &t->buckets[hash & (t->buckets_count - 1)];
}

int flight_table_init(struct flight_table *t)
{
    *t = (struct flight_table){.buckets = calloc(BUCKETS_MIN, sizeof(struct flight *)),
                               .buckets_count = BUCKETS_MIN};
    return t->buckets != NULL ? 0 : -ENOMEM;
}

void flight_table_fini(struct flight_table *t)
{
    free(t->buckets);
    *t = (struct flight_table){0};
}

struct flight *flight_table_find(const struct flight_table *t, const struct store_key *k)
{
    if (t->count == 0) {
        return NULL;
    }
    struct flight *f = *bucket_of(t, k->hash);
    while (f != NULL &&
           (f->hash != k->hash || f->db != k->db || !strview_eq(flight_key(f), k->key))) {
        f = f->next;
    }
    return f;
}

static void grow(struct flight_table *t)
{
    size_t count = t->buckets_count * 2;
    struct flight **buckets = calloc(count, sizeof(struct flight *));
    if (buckets == NULL) {
        return;
    }
    struct flight_table old = *t;
    t->buckets = buckets;
    t->buckets_count = count;
    for (size_t i = 0; i < old.buckets_count; i++) {
        for (struct flight *f = old.buckets[i], *next; f != NULL; f = next) {
            next = f->next;
            struct flight **bucket = bucket_of(t, f->hash);
            f->next = *bucket;
            *bucket = f;
        }
    }
    free(old.buckets);
}

void flight_table_insert(struct flight_table *t, struct flight *f)
{
    assert(!f->is_listed);
    if (t->count >= t->buckets_count) {
        grow(t);
    }
    struct flight **bucket = bucket_of(t, f->hash);
    f->next = *bucket;
    *bucket = f;
    f->is_listed = true;
    t->count++;
}

void flight_table_remove(struct flight_table *t, struct flight *f)
{
    assert(f->is_listed);
    struct flight **at = bucket_of(t, f->hash);
    while (*at != f) {
        at = &(*at)->next;
    }
    *at = f->next;
    f->next = NULL;
    f->is_listed = false;
    t->count--;
}

size_t flight_table_memory(const struct flight_table *t)
{
    return t->buckets_count * sizeof(struct flight *);
}
