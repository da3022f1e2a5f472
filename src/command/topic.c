/*
 * See topic.h. Two maps: topics by name, memberships by the pair of topic and session; the rest is
 * lists. The hash of a name is the store's, keyed by a secret, so chosen names do not collide.
 */
#include "topic.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/command/session.h"

static uint64_t pair_hash(const struct topic *topic, const struct session *s)
{
    uint64_t h = (uint64_t)(uintptr_t)topic ^ s->id * UINT64_C(0x9e3779b97f4a7c15);
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

void topics_init(struct topics *t)
{
    *t = (struct topics){0};
    list_init(&t->all);
}

void topics_fini(struct topics *t)
{
    assert(t->by_pair.count == 0);
    hmap_fini(&t->by_name);
    hmap_fini(&t->by_pair);
}

size_t topics_memory(const struct topics *t)
{
    return t->bytes + hmap_memory(&t->by_name) + hmap_memory(&t->by_pair);
}

struct topic *topics_find(const struct topics *t, const struct store_key *name)
{
    for (struct hmap_link *l = hmap_first(&t->by_name, name->hash); l != NULL; l = hmap_next(l)) {
        struct topic *topic = container_of(l, struct topic, by_name);
        if (topic->name.db == name->db && strview_eq(topic->name.key, name->key)) {
            return topic;
        }
    }
    return NULL;
}

struct membership *topics_find_member(const struct topics *t, const struct topic *topic,
                                      const struct session *s)
{
    struct hmap_link *l = hmap_first(&t->by_pair, pair_hash(topic, s));
    for (; l != NULL; l = hmap_next(l)) {
        struct membership *m = container_of(l, struct membership, by_pair);
        if (m->topic == topic && m->session == s) {
            return m;
        }
    }
    return NULL;
}

static size_t topic_bytes(const struct topic *topic)
{
    return sizeof(*topic) + topic->name.key.len;
}

static struct topic *create_topic(struct topics *t, const struct store_key *name)
{
    struct topic *topic = malloc(sizeof(*topic) + name->key.len);
    if (topic == NULL) {
        return NULL;
    }
    *topic = (struct topic){.name = *name};
    topic->name.key = strview_of(topic + 1, name->key.len);
    if (name->key.len > 0) {
        memcpy(topic + 1, name->key.data, name->key.len);
    }
    list_init(&topic->members);
    if (!hmap_insert(&t->by_name, &topic->by_name, name->hash)) {
        free(topic);
        return NULL;
    }
    list_push_back(&t->all, &topic->all);
    t->bytes += topic_bytes(topic);
    return topic;
}

static void drop_if_empty(struct topics *t, struct topic *topic)
{
    if (topic->members_count == 0) {
        t->bytes -= topic_bytes(topic);
        hmap_remove(&t->by_name, &topic->by_name);
        list_remove(&topic->all);
        free(topic);
    }
}

static struct membership *create_membership(struct topics *t, struct topic *topic,
                                            struct session *s, struct joined *joined)
{
    struct membership *m = malloc(sizeof(*m));
    if (m == NULL) {
        return NULL;
    }
    *m = (struct membership){.topic = topic, .session = s};
    if (!hmap_insert(&t->by_pair, &m->by_pair, pair_hash(topic, s))) {
        free(m);
        return NULL;
    }
    list_push_back(&topic->members, &m->in_topic);
    topic->members_count++;
    list_push_back(&joined->list, &m->in_session);
    joined->count++;
    t->bytes += sizeof(*m);
    return m;
}

enum topic_join topics_join(struct topics *t, const struct store_key *name, struct session *s,
                            struct joined *joined, struct membership **out)
{
    struct topic *topic = topics_find(t, name);
    struct membership *m = topic != NULL ? topics_find_member(t, topic, s) : NULL;
    if (m != NULL) {
        *out = m;
        return TOPIC_ALREADY_IN;
    }
    if (joined->count >= TOPICS_PER_SESSION_MAX) {
        return TOPIC_REFUSED;
    }
    topic = topic != NULL ? topic : create_topic(t, name);
    if (topic == NULL) {
        return TOPIC_REFUSED;
    }
    m = create_membership(t, topic, s, joined);
    if (m == NULL) {
        drop_if_empty(t, topic);
        return TOPIC_REFUSED;
    }
    *out = m;
    return TOPIC_JOINED;
}

void topics_leave(struct topics *t, struct joined *joined, struct membership *m)
{
    struct topic *topic = m->topic;
    assert(joined->count > 0);
    hmap_remove(&t->by_pair, &m->by_pair);
    list_remove(&m->in_topic);
    list_remove(&m->in_session);
    topic->members_count--;
    joined->count--;
    t->bytes -= sizeof(*m);
    free(m);
    drop_if_empty(t, topic);
}

void topics_leave_all(struct topics *t, struct joined *joined)
{
    while (!list_is_empty(&joined->list)) {
        topics_leave(t, joined, container_of(joined->list.next, struct membership, in_session));
    }
}
