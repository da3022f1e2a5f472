/*
 * Which keys are in use most, and which loads were slow. The store knows how often (or how recently)
 * an entry was used; going through all of them would take too long, so the answer comes from a
 * sample of entries picked at random.
 */
#include "sources.h"

#define SAMPLE 20000

struct hot {
    struct hot_key {
        int64_t score;
        size_t len;
        char key[SLOW_KEY_MAX];
    } keys[SOURCE_HOT_MAX];
    size_t count, wanted;
};

static bool is_in(const struct hot *h, struct strview key)
{
    for (size_t i = 0; i < h->count; i++) {
        if (strview_eq(strview_of(h->keys[i].key, h->keys[i].len), key)) {
            return true;
        }
    }
    return false;
}

/* Keeps the list in order, hottest first. */
static void insert(struct hot *h, struct strview key, int64_t score)
{
    if (key.len > SLOW_KEY_MAX || is_in(h, key) ||
        (h->count == h->wanted && score <= h->keys[h->count - 1].score)) {
        return;
    }
    size_t at = h->count < h->wanted ? h->count++ : h->count - 1;
    while (at > 0 && h->keys[at - 1].score < score) {
        h->keys[at] = h->keys[at - 1];
        at--;
    }
    h->keys[at] = (struct hot_key){.score = score, .len = key.len};
    memcpy(h->keys[at].key, key.data, key.len);
}

void sources_hot(struct sources *s, const struct source_map *m, size_t n, source_hot_fn each,
                 void *ctx)
{
    struct hot h = {.wanted = n < SOURCE_HOT_MAX ? n : SOURCE_HOT_MAX};
    for (int i = 0; i < SAMPLE && h.wanted > 0; i++) {
        struct entry_view e;
        int64_t idle_ms = 0;
        int freq = 0;
        if (!store_random(s->store, 0, &e)) {
            break;
        }
        if (e.aux == NULL || aux_decode(e.aux).map >= s->maps_count ||
            s->maps[aux_decode(e.aux).map]->is_gone ||
            (m != NULL && s->maps[aux_decode(e.aux).map] != m)) {
            continue;
        }
        const struct store_key k = store_key_init(s->store, 0, e.key);
        if (store_idle(s->store, &k, &idle_ms, &freq)) {
            insert(&h, e.key, freq >= 0 ? freq : -idle_ms);
        }
    }
    for (size_t i = 0; i < h.count; i++) {
        each(ctx, strview_of(h.keys[i].key, h.keys[i].len), h.keys[i].score);
    }
}

void sources_slow(const struct sources *s, size_t n, source_slow_fn each, void *ctx)
{
    const struct slow_log *l = &s->slow;
    const uint64_t have = l->count < SLOW_LOADS ? l->count : SLOW_LOADS;
    for (uint64_t i = 0; i < have && i < n; i++) {
        const struct slow_load *load = &l->loads[(l->count - 1 - i) % SLOW_LOADS];
        each(ctx, &(struct source_slow_load){.map = strview_str(load->map),
                                             .key = strview_of(load->key, load->key_len),
                                             .took_us = load->took_us,
                                             .wall_ms = load->wall_ms});
    }
}
