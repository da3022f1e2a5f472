/*
 * See hmap.h. While a map grows it has two arrays: the first `moved` buckets of the old one are
 * empty, an entry whose old bucket lies behind them is still there, every other one in the new.
 */
#include "tarn/base/hmap.h"

#include <assert.h>
#include <stdlib.h>

#define BUCKETS_MIN      16
#define MOVED_PER_INSERT 2

static bool is_in_old(const struct hmap *m, uint64_t hash)
{
    return m->old != NULL && (hash & (m->old_size - 1)) >= m->moved;
}

static struct hmap_link **bucket_of(const struct hmap *m, uint64_t hash)
{
    return is_in_old(m, hash) ? &m->old[hash & (m->old_size - 1)]
                              : &m->buckets[hash & (m->size - 1)];
}

static void push(struct hmap_link **bucket, struct hmap_link *link)
{
    link->next = *bucket;
    *bucket = link;
}

static void move_some(struct hmap *m)
{
    for (int i = 0; i < MOVED_PER_INSERT && m->old != NULL; i++) {
        struct hmap_link *link = m->old[m->moved];
        m->moved++;
        while (link != NULL) {
            struct hmap_link *next = link->next;
            push(&m->buckets[link->hash & (m->size - 1)], link);
            link = next;
        }
        if (m->moved == m->old_size) {
            free(m->old);
            m->old = NULL;
            m->old_size = m->moved = 0;
        }
    }
}

static void grow(struct hmap *m)
{
    const size_t size = m->size == 0 ? BUCKETS_MIN : m->size * 2;
    struct hmap_link **buckets = calloc(size, sizeof(struct hmap_link *));
    if (buckets == NULL) {
        return;
    }
    if (m->size > 0) {
        m->old = m->buckets;
        m->old_size = m->size;
        m->moved = 0;
    }
    m->buckets = buckets;
    m->size = size;
}

bool hmap_insert(struct hmap *m, struct hmap_link *link, uint64_t hash)
{
    if (m->old != NULL) {
        move_some(m);
    } else if (m->count >= m->size) {
        grow(m);
    }
    if (m->buckets == NULL) {
        return false;
    }
    *link = (struct hmap_link){.hash = hash};
    push(bucket_of(m, hash), link);
    m->count++;
    return true;
}

void hmap_remove(struct hmap *m, struct hmap_link *link)
{
    struct hmap_link **at = bucket_of(m, link->hash);
    while (*at != link) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = link->next;
    link->next = NULL;
    m->count--;
    if (m->count == 0) {
        hmap_fini(m);
    }
}

static struct hmap_link *with_hash(struct hmap_link *link, uint64_t hash)
{
    while (link != NULL && link->hash != hash) {
        link = link->next;
    }
    return link;
}

struct hmap_link *hmap_first(const struct hmap *m, uint64_t hash)
{
    return m->count == 0 ? NULL : with_hash(*bucket_of(m, hash), hash);
}

struct hmap_link *hmap_next(const struct hmap_link *link)
{
    return with_hash(link->next, link->hash);
}

size_t hmap_memory(const struct hmap *m)
{
    return (m->size + m->old_size) * sizeof(struct hmap_link *);
}

void hmap_fini(struct hmap *m)
{
    free(m->buckets);
    free(m->old);
    *m = (struct hmap){0};
}
