/*
 * Topics: names that sessions ask to hear about (channels, patterns, watched keys, prefixes of
 * tracked keys), and who asked. Private to the command layer.
 *
 *     topics --by_name--> topic --members--> membership <--joined-- session
 *
 * A membership is one session in one topic, found in constant time from either side and by the
 * pair. A topic lives as long as it has members.
 */
#ifndef TARN_COMMAND_TOPIC_H
#define TARN_COMMAND_TOPIC_H

#include <stdbool.h>
#include <stddef.h>

#include "tarn/base/compiler.h"
#include "tarn/base/hmap.h"
#include "tarn/base/list.h"
#include "tarn/store/store.h"

struct session;

/* Topics of one kind that one session may be in. */
#define TOPICS_PER_SESSION_MAX (1 << 20)

enum topic_kind {
    TOPIC_CHANNEL,
    TOPIC_PATTERN,
    TOPIC_SHARD_CHANNEL,
    TOPIC_WATCHED, /* keys under WATCH; the only kind with a database */
    TOPIC_PREFIX,  /* of CLIENT TRACKING BCAST */
    TOPIC_KINDS
};

struct topic {
    struct hmap_link by_name;
    struct list all;     /* topics::all */
    struct list members; /* membership::in_topic, in order of joining */
    size_t members_count;
    struct store_key name; /* its bytes follow the struct */
};

struct membership {
    struct hmap_link by_pair;
    struct list in_topic, in_session;
    struct topic *topic;     /* borrowed; lives as long as this */
    struct session *session; /* borrowed; leaves before it ends */
    bool is_marked;          /* for the kind's own use */
};

/* All topics of one kind. */
struct topics {
    struct hmap by_name, by_pair;
    struct list all; /* struct topic::all, in order of creation */
    size_t bytes;    /* of topics and memberships */
};

/* The topics of one kind that a session is in. */
struct joined {
    struct list list; /* membership::in_session, in order of joining */
    size_t count;
};

void topics_init(struct topics *t);
void topics_fini(struct topics *t);

/* Bytes held, buckets included. */
size_t topics_memory(const struct topics *t);

struct topic *topics_find(const struct topics *t, const struct store_key *name);
struct membership *topics_find_member(const struct topics *t, const struct topic *topic,
                                      const struct session *s);

enum topic_join {
    TOPIC_JOINED,
    TOPIC_ALREADY_IN,
    TOPIC_REFUSED, /* no memory, or the session is in too many */
};
/* *out is the membership unless refused. */
enum topic_join topics_join(struct topics *t, const struct store_key *name, struct session *s,
                            struct joined *joined, struct membership **out) WARN_UNUSED;

/* Ends a membership; `joined` is the session's list that holds it. Frees the topic with its last
 * member. */
void topics_leave(struct topics *t, struct joined *joined, struct membership *m);
void topics_leave_all(struct topics *t, struct joined *joined);

static inline void joined_init(struct joined *joined)
{
    list_init(&joined->list);
    joined->count = 0;
}

#endif
