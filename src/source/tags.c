/*
 * A tag lists the keys whose values had it when they were filled. Keys that have left the store since
 * are taken out little by little: each new member looks at the two oldest. A load that was sent
 * before its tag was invalidated may not fill, and what tags a row has is known only when it is here;
 * so a tag remembers its latest invalidation, even without members. When there are too many such
 * tags the oldest is forgotten, and loads from before that moment are taken to be void.
 */
#include "tags.h"

#include <stdlib.h>
#include <string.h>

#include "freshness.h"

#define VOIDED_MAX  4096
#define CHECKED_NEW 2

struct tag {
    struct hmap_link by_name;
    struct list in_all;    /* tags::all */
    struct list members;   /* struct tag_member::in_tag, oldest first */
    struct list in_voided; /* tags::voided, while it has no members */
    uint64_t void_seq;     /* its latest invalidation; 0: none */
    size_t len;
    char name[];
};

struct tag_member {
    struct hmap_link by_key;
    struct list in_tag;
    struct tag *tag; /* borrowed; owns this */
    uint64_t hash;
    unsigned db;
    size_t len;
    char key[];
};

void tags_init(struct tags *t)
{
    *t = (struct tags){.seq = 0};
    list_init(&t->all);
    list_init(&t->voided);
}

static void free_member(struct tags *t, struct tag_member *m)
{
    hmap_remove(&t->members, &m->by_key);
    list_remove(&m->in_tag);
    t->bytes -= sizeof(*m) + m->len;
    free(m);
}

static void leave_voided(struct tags *t, struct tag *tag)
{
    if (!list_is_empty(&tag->in_voided)) {
        list_remove(&tag->in_voided);
        t->voided_count--;
    }
}

static void free_tag(struct tags *t, struct tag *tag)
{
    leave_voided(t, tag);
    list_remove(&tag->in_all);
    hmap_remove(&t->by_name, &tag->by_name);
    t->bytes -= sizeof(*tag) + tag->len;
    free(tag);
}

/* Without members it is kept for its invalidation only. */
static void on_emptied(struct tags *t, struct tag *tag)
{
    if (tag->void_seq == 0) {
        free_tag(t, tag);
        return;
    }
    leave_voided(t, tag);
    list_push_back(&t->voided, &tag->in_voided);
    if (++t->voided_count > VOIDED_MAX) {
        struct tag *oldest = container_of(t->voided.next, struct tag, in_voided);
        t->floor = oldest->void_seq > t->floor ? oldest->void_seq : t->floor;
        free_tag(t, oldest);
    }
}

void tags_fini(struct tags *t)
{
    while (!list_is_empty(&t->all)) {
        struct tag *tag = container_of(t->all.next, struct tag, in_all);
        while (!list_is_empty(&tag->members)) {
            free_member(t, container_of(tag->members.next, struct tag_member, in_tag));
        }
        free_tag(t, tag);
    }
    hmap_fini(&t->members);
    hmap_fini(&t->by_name);
}

static struct tag *find_tag(const struct sources *s, struct strview name)
{
    struct hmap_link *link = hmap_first(&s->tags.by_name, store_hash(s->store, name));
    for (; link != NULL; link = hmap_next(link)) {
        struct tag *tag = container_of(link, struct tag, by_name);
        if (strview_eq(strview_of(tag->name, tag->len), name)) {
            return tag;
        }
    }
    return NULL;
}

static struct tag *need_tag(struct sources *s, struct strview name)
{
    struct tags *t = &s->tags;
    struct tag *tag = find_tag(s, name);
    if (tag != NULL) {
        return tag;
    }
    tag = malloc(sizeof(*tag) + name.len);
    if (tag == NULL || !hmap_insert(&t->by_name, &tag->by_name, store_hash(s->store, name))) {
        free(tag);
        return NULL;
    }
    tag->void_seq = 0;
    tag->len = name.len;
    memcpy(tag->name, name.data, name.len); /* no tag is empty */
    list_init(&tag->members);
    list_init(&tag->in_voided);
    tag->in_all = (struct list){0};
    list_push_back(&t->all, &tag->in_all);
    t->bytes += sizeof(*tag) + name.len;
    return tag;
}

bool tags_is_void(const struct sources *s, struct strview name, uint64_t seq)
{
    if (s->tags.seq == seq) {
        return false;
    }
    const struct tag *tag = find_tag(s, name);
    return s->tags.floor > seq || (tag != NULL && tag->void_seq > seq);
}

static uint64_t member_hash(const struct tag *tag, const struct store_key *k)
{
    return tag->by_name.hash * UINT64_C(0x9e3779b97f4a7c15) ^ (k->hash + k->db);
}

static bool is_member(const struct tags *t, const struct tag *tag, const struct store_key *k)
{
    struct hmap_link *link = hmap_first(&t->members, member_hash(tag, k));
    for (; link != NULL; link = hmap_next(link)) {
        const struct tag_member *m = container_of(link, struct tag_member, by_key);
        if (m->tag == tag && m->db == k->db && strview_eq(strview_of(m->key, m->len), k->key)) {
            return true;
        }
    }
    return false;
}

static struct store_key key_of(const struct tag_member *m)
{
    return (struct store_key){.key = strview_of(m->key, m->len), .hash = m->hash, .db = m->db};
}

/* Takes out the oldest members whose keys are gone; those that are not go to the end. */
static void look_at_oldest(struct sources *s, struct tag *tag)
{
    for (int i = 0; i < CHECKED_NEW && !list_is_empty(&tag->members); i++) {
        struct tag_member *m = container_of(tag->members.next, struct tag_member, in_tag);
        const struct store_key k = key_of(m);
        struct entry_view e;
        if (!store_peek(s->store, &k, &e) || e.aux == NULL) {
            free_member(&s->tags, m);
        } else {
            list_remove(&m->in_tag);
            list_push_back(&tag->members, &m->in_tag);
        }
    }
}

bool tags_add(struct sources *s, struct strview name, const struct store_key *k)
{
    struct tags *t = &s->tags;
    struct tag *tag = need_tag(s, name);
    if (tag == NULL) {
        return false;
    }
    if (is_member(t, tag, k)) {
        return true;
    }
    look_at_oldest(s, tag);
    struct tag_member *m = malloc(sizeof(*m) + k->key.len);
    if (m == NULL || !hmap_insert(&t->members, &m->by_key, member_hash(tag, k))) {
        free(m);
        if (list_is_empty(&tag->members)) {
            on_emptied(t, tag);
        }
        return false;
    }
    m->tag = tag;
    m->hash = k->hash;
    m->db = k->db;
    m->len = k->key.len;
    if (m->len > 0) {
        memcpy(m->key, k->key.data, m->len);
    }
    m->in_tag = (struct list){0};
    list_push_back(&tag->members, &m->in_tag);
    leave_voided(t, tag);
    t->bytes += sizeof(*m) + m->len;
    return true;
}

/* True: there was something. */
static bool forget_member(struct sources *s, const struct tag_member *m, bool is_soft)
{
    const struct store_key k = key_of(m);
    struct entry_view e;
    if (!store_peek(s->store, &k, &e) || e.aux == NULL) {
        return false;
    }
    const struct freshness f = freshness_of(s, &e);
    const bool was_good = freshness_can_serve(&f, s->clock->mono_ms);
    if (was_good) {
        f.map->stats.invalidated++;
    }
    if (is_soft) {
        sources_shorten(s, &k, s->clock->mono_ms);
    } else {
        (void)store_remove(s->store, &k); /* peeked: it is there */
    }
    if (s->observer.key_invalidated != NULL) {
        s->observer.key_invalidated(s->observer.ctx, k.key, 1u << k.db);
    }
    return was_good;
}

int64_t sources_invalidate_tag(struct sources *s, struct strview name, bool is_soft)
{
    struct tags *t = &s->tags;
    int64_t count = 0;
    if (name.len == 0) {
        return 0;
    }
    t->seq++;
    struct tag *tag = need_tag(s, name);
    if (tag == NULL) { /* no memory to remember it: every load under way is taken for void */
        t->floor = t->seq;
        return 0;
    }
    tag->void_seq = t->seq;
    list_for_each_safe (it, &tag->members) {
        struct tag_member *m = container_of(it, struct tag_member, in_tag);
        count += forget_member(s, m, is_soft);
        if (!is_soft) {
            free_member(t, m);
        }
    }
    if (list_is_empty(&tag->members)) {
        on_emptied(t, tag);
    }
    return count;
}
