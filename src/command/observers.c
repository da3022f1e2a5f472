/*
 * See observers.h. This file owns the shared state and the delivery of pushes; what each kind of
 * observer does is in its own file.
 *
 * A push to the session whose own command is running waits in `pending` until the reply is
 * finished: the reply may still be cut back, and a push in the middle of one could not be told from
 * it.
 */
#include "observers.h"

#include <errno.h>
#include <stdlib.h>

#include "monitor.h"
#include "notify.h"
#include "pubsub.h"
#include "tarn/source/source.h"
#include "watch.h"
#include "tarn/types/types.h"

size_t observers_memory(const struct command_env *env)
{
    const struct observers *o = env->observers;
    size_t bytes = sizeof(*o) + o->transactions_bytes + o->tracking.bytes + o->slowlog.bytes +
                   hotkeys_memory(env) + hmap_memory(&o->tracking.keys);
    for (int kind = 0; kind < TOPIC_KINDS; kind++) {
        bytes += topics_memory(&o->topics[kind]);
    }
    return bytes;
}

struct interests *observers_interests(struct session *s)
{
    if (s->interests != NULL) {
        return s->interests;
    }
    struct interests *interests = malloc(sizeof(*interests));
    if (interests == NULL) {
        return NULL;
    }
    *interests = (struct interests){.session = s};
    list_init(&interests->monitors);
    for (int kind = 0; kind < TOPIC_KINDS; kind++) {
        joined_init(&interests->joined[kind]);
    }
    s->interests = interests;
    return interests;
}

void observers_quiet(struct command_env *env, struct session *s)
{
    if (s->interests == NULL) {
        return;
    }
    watch_drop(env, s);
    tracking_disable(env, s);
    monitor_leave(env, s);
    for (int kind = 0; kind < TOPIC_KINDS; kind++) {
        topics_leave_all(&env->observers->topics[kind], &s->interests->joined[kind]);
    }
    pubsub_update_session(s);
}

void observers_forget(struct command_env *env, struct session *s)
{
    if (s->interests == NULL) {
        return;
    }
    observers_quiet(env, s);
    tracking_forget(env, s);
    free(s->interests);
    s->interests = NULL;
}

bool observers_push_begin(struct command_env *env, struct session *s, struct resp_writer *out)
{
    if ((s->flags & SESSION_CLOSING) != 0) {
        return false;
    }
    *out = session_writer(s);
    if (s == env->running) {
        out->out = &env->observers->pending;
    }
    return true;
}

void observers_push_end(struct command_env *env, struct session *s)
{
    if (s != env->running) {
        s->ops->wake(s); /* a failure to append closes the connection when it is flushed */
    }
}

void observers_flush_pending(struct command_env *env, struct session *s)
{
    struct buf *pending = &env->observers->pending;
    buf_append_view(s->out, buf_view(pending));
    s->out->failed = s->out->failed || pending->failed;
    buf_fini(pending);
}

void observers_key_changed(struct cmd_ctx *ctx, const struct store_key *k, const char *event)
{
    const struct command *c = ctx->command;
    if (event != NULL) {
        observers_key_changed_as(ctx, k, NOTIFY_GENERIC, event);
    } else {
        observers_key_changed_as(ctx, k, notify_class_of(c), c->event != NULL ? c->event : c->name);
    }
}

void observers_key_changed_as(struct cmd_ctx *ctx, const struct store_key *k, unsigned class,
                              const char *event)
{
    struct command_env *env = ctx->env;
    if ((env->observed & OBSERVED_WATCHES) != 0) {
        watch_touch(env, k);
    }
    if ((env->observed & OBSERVED_TRACKING) != 0) {
        tracking_invalidate(env, k->key, ctx->session);
    }
    if ((env->observed & OBSERVED_EVENTS) != 0) {
        notify_event(env, class, event, k);
    }
}

void observers_key_new(struct cmd_ctx *ctx, const struct store_key *k)
{
    notify_event(ctx->env, NOTIFY_NEW, "new", k);
}

void observers_key_missed(struct cmd_ctx *ctx, const struct store_key *k)
{
    notify_event(ctx->env, NOTIFY_MISS, "keymiss", k);
}

/* Entries that left by themselves. May be called while a command runs, in the middle of a call of
 * the store: nothing here calls it back. */
static void on_store_event(void *arg, enum store_event event, unsigned db, struct strview key)
{
    struct command_env *env = arg;
    if (LIKELY(env->observed == 0)) {
        return;
    }
    const struct store_key k = {.key = key, .db = db};
    if ((env->observed & OBSERVED_TRACKING) != 0) {
        tracking_invalidate(env, key, NULL);
    }
    if ((env->observed & OBSERVED_EVENTS) != 0) {
        if (event == STORE_EVENT_EXPIRED) {
            notify_event(env, NOTIFY_EXPIRED, "expired", &k);
        } else {
            notify_event(env, NOTIFY_EVICTED, "evicted", &k);
        }
    }
}

/* Fields of a hash whose time is over, and the key with the last of them. */
static void on_fields_expired(void *arg, const struct store_key *key, bool is_gone)
{
    struct command_env *env = arg;
    if (LIKELY(env->observed == 0)) {
        return;
    }
    if ((env->observed & OBSERVED_WATCHES) != 0) {
        watch_touch(env, key);
    }
    if ((env->observed & OBSERVED_TRACKING) != 0) {
        tracking_invalidate(env, key->key, NULL);
    }
    if ((env->observed & OBSERVED_EVENTS) != 0) {
        notify_event(env, NOTIFY_HASH, "hexpired", key);
        if (is_gone) {
            notify_event(env, NOTIFY_GENERIC, "del", key);
        }
    }
}

static void on_filled(void *arg, const struct store_key *k, bool was_there)
{
    struct command_env *env = arg;
    if ((env->observed & OBSERVED_WATCHES) != 0 && was_there) {
        watch_touch(env, k);
    }
    if ((env->observed & OBSERVED_TRACKING) != 0) {
        tracking_row_loaded(env, k->key, was_there);
    }
    if ((env->observed & OBSERVED_EVENTS) != 0) {
        notify_event(env, NOTIFY_GENERIC, "load", k);
    }
}

static void on_key_invalidated(void *arg, struct strview key, unsigned databases)
{
    struct command_env *env = arg;
    if ((env->observed & OBSERVED_TRACKING) != 0) {
        tracking_invalidate(env, key, NULL);
    }
    if ((env->observed & (OBSERVED_WATCHES | OBSERVED_EVENTS)) == 0) {
        return;
    }
    for (unsigned db = 0; db < STORE_DATABASES; db++) {
        const struct store_key k = store_key_init(env->store, db, key);
        if ((env->observed & OBSERVED_WATCHES) != 0) {
            watch_touch(env, &k);
        }
        if ((env->observed & OBSERVED_EVENTS) != 0 && (databases >> db & 1) != 0) {
            notify_event(env, NOTIFY_GENERIC, "sourceinval", &k);
        }
    }
}

static void on_map_invalidated(void *arg, const struct source_map *map)
{
    observers_map_invalidated(arg, map);
}

void observers_map_invalidated(struct command_env *env, const struct source_map *map)
{
    if ((env->observed & OBSERVED_WATCHES) != 0) {
        watch_touch_map(env, map);
    }
    if ((env->observed & OBSERVED_TRACKING) != 0) {
        tracking_invalidate_all(env); /* which keys belong to a map is not known without a walk */
    }
}

/* ---- life ---- */

int observers_init(struct command_env *env)
{
    struct observers *o = calloc(1, sizeof(*o));
    if (o == NULL) {
        return -ENOMEM;
    }
    for (int kind = 0; kind < TOPIC_KINDS; kind++) {
        topics_init(&o->topics[kind]);
    }
    tracking_init(&o->tracking);
    slowlog_init(&o->slowlog);
    list_init(&o->monitors);
    env->observers = o;
    if (env->sources != NULL) {
        const struct source_observer observer = {.ctx = env,
                                                 .filled = on_filled,
                                                 .key_invalidated = on_key_invalidated,
                                                 .map_invalidated = on_map_invalidated};
        sources_set_observer(env->sources, &observer);
    }
    store_set_event(env->store, on_store_event, env);
    types_set_expired(env->types, on_fields_expired, env);
    return 0;
}

void observers_fini(struct command_env *env)
{
    struct observers *o = env->observers;
    if (o == NULL) {
        return;
    }
    for (int kind = 0; kind < TOPIC_KINDS; kind++) {
        topics_fini(&o->topics[kind]);
    }
    store_set_event(env->store, NULL, NULL);
    types_set_expired(env->types, NULL, NULL);
    if (env->sources != NULL) {
        sources_set_observer(env->sources, NULL);
    }
    hotkeys_drop(env);
    tracking_fini(&o->tracking);
    slowlog_fini(&o->slowlog);
    buf_fini(&o->pending);
    buf_fini(&o->channel);
    free(o);
    env->observers = NULL;
}

void command_turn_end(struct command_env *env)
{
    const struct tracking *t = &env->observers->tracking;
    store_ask_others(env->store);
    if (UNLIKELY((env->observed & OBSERVED_TRACKING) != 0 || !list_is_empty(&t->dropped))) {
        tracking_turn_end(env);
    }
}

void command_tick(struct command_env *env)
{
    pause_tick(env);
    rates_tick(env);
    hotkeys_tick(env);
}
