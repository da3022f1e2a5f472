/*
 * Publishing. A message is written straight into the output of each subscriber, in the order in
 * which they subscribed; the limits of output are net's business, and it looks after every message,
 * so a subscriber that does not read is closed and costs the others nothing.
 *
 * Patterns are tried one by one, each at a bounded cost (base/glob).
 */
#include "pubsub.h"

#include "observers.h"
#include "tarn/base/glob.h"

static void send_message(struct command_env *env, struct session *s, const char *kind,
                         struct strview channel, struct strview message)
{
    struct resp_writer w;
    if (observers_push_begin(env, s, &w)) {
        resp_write_push(&w, 3);
        resp_write_bulk_str(&w, kind);
        resp_write_bulk(&w, channel);
        resp_write_bulk(&w, message);
        observers_push_end(env, s);
    }
}

static void send_match(struct command_env *env, struct session *s, struct strview pattern,
                       struct strview channel, struct strview message)
{
    struct resp_writer w;
    if (observers_push_begin(env, s, &w)) {
        resp_write_push(&w, 4);
        resp_write_bulk_str(&w, "pmessage");
        resp_write_bulk(&w, pattern);
        resp_write_bulk(&w, channel);
        resp_write_bulk(&w, message);
        observers_push_end(env, s);
    }
}

static size_t publish_to_patterns(struct command_env *env, struct strview channel,
                                  struct strview message)
{
    size_t sent = 0;
    list_for_each (link, &env->observers->topics[TOPIC_PATTERN].all) {
        const struct topic *topic = container_of(link, struct topic, all);
        if (!glob_match(topic->name.key, channel)) {
            continue;
        }
        list_for_each (it, &topic->members) {
            const struct membership *m = container_of(it, struct membership, in_topic);
            send_match(env, m->session, topic->name.key, channel, message);
            sent++;
        }
    }
    return sent;
}

size_t pubsub_publish(struct command_env *env, enum topic_kind kind, struct strview channel,
                      struct strview message)
{
    const struct store_key name = store_key_init(env->store, 0, channel);
    const struct topic *topic = topics_find(&env->observers->topics[kind], &name);
    size_t sent = 0;
    if (topic != NULL) {
        list_for_each (it, &topic->members) {
            const struct membership *m = container_of(it, struct membership, in_topic);
            send_message(env, m->session, kind == TOPIC_CHANNEL ? "message" : "smessage", channel,
                         message);
            sent++;
        }
    }
    return kind == TOPIC_CHANNEL ? sent + publish_to_patterns(env, channel, message) : sent;
}

void pubsub_update_session(struct session *s)
{
    if (observers_count(s, TOPIC_CHANNEL) + observers_count(s, TOPIC_PATTERN) +
            observers_count(s, TOPIC_SHARD_CHANNEL) >
        0) {
        s->flags |= SESSION_SUBSCRIBER;
    } else {
        s->flags &= ~(unsigned)SESSION_SUBSCRIBER;
    }
}
