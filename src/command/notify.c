/*
 * Events are messages like any other; nothing is done for them unless somebody is subscribed. The
 * names of events are Redis's; a command's own event is in its row (`event`), those that many share
 * are named where they happen (keyspace.c).
 */
#include "notify.h"

#include <assert.h>
#include <string.h>

#include "observers.h"
#include "pubsub.h"

/* Channel names beyond this are not kept in memory between events. */
#define CHANNEL_KEEP_BYTES 4096

#define NOTIFY_ALL                                                                           \
    (NOTIFY_GENERIC | NOTIFY_STRING | NOTIFY_LIST | NOTIFY_SET | NOTIFY_HASH | NOTIFY_ZSET | \
     NOTIFY_EXPIRED | NOTIFY_EVICTED | NOTIFY_STREAM | NOTIFY_MODULE)

static const struct {
    char letter;
    unsigned classes;
} letters[] = {
    {'A', NOTIFY_ALL},      {'g', NOTIFY_GENERIC}, {'$', NOTIFY_STRING}, {'l', NOTIFY_LIST},
    {'s', NOTIFY_SET},      {'h', NOTIFY_HASH},    {'z', NOTIFY_ZSET},   {'x', NOTIFY_EXPIRED},
    {'e', NOTIFY_EVICTED},  {'t', NOTIFY_STREAM},  {'d', NOTIFY_MODULE}, {'K', NOTIFY_KEYSPACE},
    {'E', NOTIFY_KEYEVENT}, {'m', NOTIFY_MISS},    {'n', NOTIFY_NEW},
};
static_assert(ARRAY_LEN(letters) < NOTIFY_TEXT_MAX, "all letters fit");

bool notify_parse(struct strview text, unsigned *classes_out)
{
    unsigned classes = 0;
    for (size_t i = 0; i < text.len; i++) {
        size_t k = 0;
        while (k < ARRAY_LEN(letters) && letters[k].letter != text.data[i]) {
            k++;
        }
        if (k == ARRAY_LEN(letters)) {
            return false;
        }
        classes |= letters[k].classes;
    }
    *classes_out = classes;
    return true;
}

void notify_print(unsigned classes, char out[NOTIFY_TEXT_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        if ((classes & letters[i].classes) == letters[i].classes) {
            out[len++] = letters[i].letter;
            classes &= ~letters[i].classes;
        }
    }
    out[len] = '\0';
}

bool notify_configure(struct command_env *env)
{
    char *text = env->command_options->notify_keyspace_events;
    unsigned classes = 0;
    if (text != NULL) {
        if (!notify_parse(strview_str(text), &classes)) {
            return false;
        }
        char shown[NOTIFY_TEXT_MAX];
        notify_print(classes, shown);
        memcpy(text, shown, strlen(shown) + 1); /* never longer than what was parsed */
    }
    env->observers->notify = classes;
    const bool is_on = (classes & (NOTIFY_KEYSPACE | NOTIFY_KEYEVENT)) != 0;
    env->observed &= ~(unsigned)(OBSERVED_EVENTS | OBSERVED_NEW | OBSERVED_MISSES);
    env->observed |= is_on ? OBSERVED_EVENTS : 0;
    env->observed |= is_on && (classes & NOTIFY_NEW) != 0 ? OBSERVED_NEW : 0;
    env->observed |= is_on && (classes & NOTIFY_MISS) != 0 ? OBSERVED_MISSES : 0;
    return true;
}

static void publish(struct command_env *env, const char *kind, unsigned db, struct strview name,
                    struct strview message)
{
    struct buf *channel = &env->observers->channel;
    buf_clear(channel);
    buf_printf(channel, "__%s@%u__:", kind, db);
    buf_append_view(channel, name);
    if (!channel->failed) {
        (void)pubsub_publish(env, TOPIC_CHANNEL, buf_view(channel), message);
    }
    buf_clear(channel);
    buf_shrink(channel, CHANNEL_KEEP_BYTES);
}

void notify_event(struct command_env *env, enum notify_class class, const char *event,
                  const struct store_key *k)
{
    const unsigned classes = env->observers->notify;
    if ((classes & class) == 0 || !pubsub_has_listeners(env->observers->topics)) {
        return;
    }
    if ((classes & NOTIFY_KEYSPACE) != 0) {
        publish(env, "keyspace", k->db, k->key, strview_str(event));
    }
    if ((classes & NOTIFY_KEYEVENT) != 0) {
        publish(env, "keyevent", k->db, strview_str(event), k->key);
    }
}

enum notify_class notify_class_of(const struct command *c)
{
    static const struct {
        const char *group;
        enum notify_class class;
    } groups[] = {{"string", NOTIFY_STRING}, {"bitmap", NOTIFY_STRING}, {"hash", NOTIFY_HASH},
                  {"list", NOTIFY_LIST},     {"set", NOTIFY_SET},       {"sorted-set", NOTIFY_ZSET},
                  {"stream", NOTIFY_STREAM}};
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        if (strcmp(c->group, groups[i].group) == 0) {
            return groups[i].class;
        }
    }
    return NOTIFY_GENERIC;
}
