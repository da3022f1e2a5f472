/*
 * See top_keys.h. Keys are found through chains of indexes; the lightest is on top of a heap. Both
 * hold indexes into one array, so nothing moves but numbers.
 */
#include "top_keys.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool top_keys_init(struct top_keys *t, unsigned cap)
{
    assert(cap >= 1);
    assert(cap <= TOP_KEYS_MAX);
    *t = (struct top_keys){.cap = cap};
    t->keys = calloc(cap, sizeof(*t->keys));
    t->heap = calloc(cap, sizeof(*t->heap));
    if (t->keys == NULL || t->heap == NULL) {
        top_keys_fini(t);
        return false;
    }
    return true;
}

void top_keys_fini(struct top_keys *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        free(t->keys[i].name);
    }
    free(t->keys);
    free(t->heap);
    *t = (struct top_keys){.count = 0};
}

size_t top_keys_memory(const struct top_keys *t)
{
    return t->bytes + t->cap * (sizeof(*t->keys) + sizeof(*t->heap));
}

/* ---- the heap ---- */

static uint64_t weight_at(const struct top_keys *t, unsigned place)
{
    return t->keys[t->heap[place]].weight;
}

static void exchange(struct top_keys *t, unsigned a, unsigned b)
{
    const unsigned key = t->heap[a];
    t->heap[a] = t->heap[b];
    t->heap[b] = key;
    t->keys[t->heap[a]].heap_at = a;
    t->keys[t->heap[b]].heap_at = b;
}

/* The key at `place` became heavier. */
static void sink(struct top_keys *t, unsigned place)
{
    for (;;) {
        unsigned lightest = place;
        for (unsigned child = 2 * place + 1; child <= 2 * place + 2 && child < t->count; child++) {
            lightest = weight_at(t, child) < weight_at(t, lightest) ? child : lightest;
        }
        if (lightest == place) {
            return;
        }
        exchange(t, place, lightest);
        place = lightest;
    }
}

/* The key at `place`, the last one, is new. */
static void rise(struct top_keys *t, unsigned place)
{
    while (place > 0 && weight_at(t, place) < weight_at(t, (place - 1) / 2)) {
        exchange(t, place, (place - 1) / 2);
        place = (place - 1) / 2;
    }
}

/* ---- the chains ---- */

static unsigned *bucket_of(struct top_keys *t, uint64_t hash)
{
    return &t->buckets[hash % TOP_KEYS_BUCKETS];
}

static struct top_key *find(struct top_keys *t, struct strview key, uint64_t hash)
{
    for (unsigned i = *bucket_of(t, hash); i != 0; i = t->keys[i - 1].next) {
        struct top_key *k = &t->keys[i - 1];
        if (k->hash == hash && strview_eq(key, strview_of(k->name, k->len))) {
            return k;
        }
    }
    return NULL;
}

static void link_key(struct top_keys *t, unsigned index)
{
    unsigned *bucket = bucket_of(t, t->keys[index].hash);
    t->keys[index].next = *bucket;
    *bucket = index + 1;
}

static void unlink_key(struct top_keys *t, unsigned index)
{
    unsigned *at = bucket_of(t, t->keys[index].hash);
    while (*at != index + 1) {
        at = &t->keys[*at - 1].next;
    }
    *at = t->keys[index].next;
}

/* ---- keys ---- */

static char *copy_name(struct strview key)
{
    char *name = malloc(key.len + 1); /* an empty key has an address too */
    if (name != NULL && key.len > 0) {
        memcpy(name, key.data, key.len);
    }
    return name;
}

/* A place for one more key: a free one, or that of the lightest. */
static unsigned take_place(struct top_keys *t, uint64_t *weight_out)
{
    if (t->count < t->cap) {
        const unsigned index = t->count++;
        t->heap[index] = index;
        t->keys[index].heap_at = index;
        *weight_out = 0;
        return index;
    }
    const unsigned index = t->heap[0];
    struct top_key *lightest = &t->keys[index];
    *weight_out = lightest->weight;
    unlink_key(t, index);
    t->bytes -= lightest->len;
    free(lightest->name);
    return index;
}

void top_keys_add(struct top_keys *t, struct strview key, uint64_t hash, uint64_t weight)
{
    if (key.len > TOP_KEYS_KEY_MAX || weight == 0) {
        return;
    }
    struct top_key *k = find(t, key, hash);
    if (k != NULL) {
        k->weight += weight;
        sink(t, k->heap_at);
        return;
    }
    char *name = copy_name(key);
    if (name == NULL) {
        return;
    }
    uint64_t error;
    const unsigned index = take_place(t, &error);
    const unsigned place = t->keys[index].heap_at;
    t->keys[index] = (struct top_key){.weight = error + weight,
                                      .error = error,
                                      .hash = hash,
                                      .name = name,
                                      .len = key.len,
                                      .heap_at = place};
    t->bytes += key.len;
    link_key(t, index);
    sink(t, place);
    rise(t, t->keys[index].heap_at);
}

static int compare_certain(const void *a, const void *b)
{
    const struct top_key *x = *(const struct top_key *const *)a;
    const struct top_key *y = *(const struct top_key *const *)b;
    const uint64_t left = top_key_certain(x), right = top_key_certain(y);
    return (left < right) - (left > right);
}

unsigned top_keys_list(const struct top_keys *t, const struct top_key **out, unsigned max)
{
    const struct top_key *all[TOP_KEYS_MAX];
    for (unsigned i = 0; i < t->count; i++) {
        all[i] = &t->keys[i];
    }
    if (t->count > 0) {
        qsort(all, t->count, sizeof(all[0]), compare_certain);
    }
    const unsigned count = t->count < max ? t->count : max;
    if (count > 0) {
        memcpy(out, all, count * sizeof(all[0]));
    }
    return count;
}
