/*
 * Watched keys are topics of the kind TOPIC_WATCHED. A change marks the sessions that watch the key
 * and nothing else; they let go of their keys at EXEC, DISCARD or UNWATCH.
 *
 * A key that goes by itself is not announced reliably (nobody may have met the expired entry yet).
 * So a membership is marked when the key was there at WATCH, and EXEC looks whether it still is. A
 * key that was absent or expired at WATCH and still is has not changed.
 */
#include "watch.h"

#include "keyspace.h"
#include "observers.h"
#include "tarn/source/source.h"

static struct topics *watched(const struct command_env *env)
{
    return &env->observers->topics[TOPIC_WATCHED];
}

/* Keeps the bit that spares writers the look-up. */
static void update_observed(struct command_env *env)
{
    if (list_is_empty(&watched(env)->all)) {
        env->observed &= ~(unsigned)OBSERVED_WATCHES;
    } else {
        env->observed |= OBSERVED_WATCHES;
    }
}

bool watch_add(struct cmd_ctx *ctx, const struct store_key *k)
{
    struct interests *interests = observers_interests(ctx->session);
    struct membership *m;
    if (interests == NULL) {
        return false;
    }
    switch (
        topics_join(watched(ctx->env), k, ctx->session, &interests->joined[TOPIC_WATCHED], &m)) {
    case TOPIC_JOINED:
        m->is_marked = keyspace_holds(ctx->env, k);
        update_observed(ctx->env);
        return true;
    case TOPIC_ALREADY_IN:
        return true;
    case TOPIC_REFUSED:
        break;
    }
    return false;
}

void watch_drop(struct command_env *env, struct session *s)
{
    s->flags &= ~(unsigned)SESSION_TOUCHED;
    if (s->interests != NULL) {
        topics_leave_all(watched(env), &s->interests->joined[TOPIC_WATCHED]);
        update_observed(env);
    }
}

bool watch_is_broken(struct command_env *env, const struct session *s)
{
    if (s->interests == NULL) {
        return false;
    }
    list_for_each (link, &s->interests->joined[TOPIC_WATCHED].list) {
        const struct membership *m = container_of(link, struct membership, in_session);
        if (m->is_marked && !keyspace_holds(env, &m->topic->name)) {
            return true;
        }
    }
    return false;
}

static void touch(struct topic *topic)
{
    list_for_each (link, &topic->members) {
        container_of(link, struct membership, in_topic)->session->flags |= SESSION_TOUCHED;
    }
}

void watch_touch(struct command_env *env, const struct store_key *k)
{
    struct topic *topic = topics_find(watched(env), k);
    if (topic != NULL) {
        touch(topic);
    }
}

void watch_touch_db(struct command_env *env, unsigned db)
{
    list_for_each (link, &watched(env)->all) {
        struct topic *topic = container_of(link, struct topic, all);
        if ((db == STORE_DATABASES || topic->name.db == db) && keyspace_holds(env, &topic->name)) {
            touch(topic);
        }
    }
}

void watch_touch_swapped(struct command_env *env, unsigned a, unsigned b)
{
    list_for_each (link, &watched(env)->all) {
        struct topic *topic = container_of(link, struct topic, all);
        if (topic->name.db != a && topic->name.db != b) {
            continue;
        }
        struct store_key other = topic->name;
        other.db = topic->name.db == a ? b : a;
        if (keyspace_holds(env, &topic->name) || keyspace_holds(env, &other)) {
            touch(topic);
        }
    }
}

void watch_touch_map(struct command_env *env, const struct source_map *map)
{
    list_for_each (link, &watched(env)->all) {
        struct topic *topic = container_of(link, struct topic, all);
        const struct source_map *of = sources_match(env->sources, topic->name.key);
        if (of != NULL && (map == NULL || of == map)) {
            touch(topic);
        }
    }
}
