/*
 * Who wants to hear of what happens: watched keys, channels, notifications, tracked keys. One
 * struct per environment, one small struct per session that takes part, and one function that the
 * keyspace calls on every change. Private to the command layer.
 *
 * env->observed has a bit for each kind of interest in changes of keys; while it is 0 a change
 * costs one predictable branch.
 */
#ifndef TARN_COMMAND_OBSERVERS_H
#define TARN_COMMAND_OBSERVERS_H

#include <stdbool.h>
#include <stddef.h>

#include "auth.h"
#include "handler.h"
#include "hotkeys.h"
#include "latency.h"
#include "pause.h"
#include "rates.h"
#include "slowlog.h"
#include "tarn/base/buf.h"
#include "tarn/command/command.h"
#include "topic.h"
#include "tracking.h"

struct source_map;

enum observed {
    OBSERVED_WATCHES = 1 << 0,  /* some key is watched */
    OBSERVED_EVENTS = 1 << 1,   /* notify-keyspace-events is on */
    OBSERVED_TRACKING = 1 << 2, /* some session tracks keys */
    OBSERVED_NEW = 1 << 3,      /* events include those of new keys */
    OBSERVED_MISSES = 1 << 4,   /* and those of reads that found nothing */
};

/* Bits of command_env::attention: what makes dispatch look twice at every command. */
enum attention {
    ATTENTION_MONITOR = 1 << 0, /* somebody is shown every command */
    ATTENTION_PAUSE = 1 << 1,   /* commands may have to wait */
    ATTENTION_TIMES = 1 << 2,   /* every command is timed */
    ATTENTION_HOTKEYS = 1 << 3, /* and its keys are weighed */
};

struct observers {
    struct auth auth;
    struct topics topics[TOPIC_KINDS];
    struct buf pending;        /* pushes to the session whose command is running: they come after
                                  its reply */
    size_t transactions_bytes; /* of queued commands */
    unsigned notify;           /* enum notify_class: events that are wanted */
    struct tracking tracking;
    struct list monitors; /* struct interests::monitors */
    struct pause pause;
    struct slowlog slowlog;
    struct latency_series latency[LATENCY_EVENTS];
    struct rates rates;
    int64_t large_us;        /* when the latest command that moved many bytes had ended */
    struct hotkeys *hotkeys; /* owned; NULL: no collection was started */
    struct buf channel;      /* notify.c: the name it is publishing to */
};

/* What one session listens to; created when it begins to. */
struct interests {
    struct session *session; /* borrowed; owns this */
    struct joined joined[TOPIC_KINDS];
    struct session_tracking tracking;
    struct list monitors; /* observers::monitors, while it monitors */
};

int observers_init(struct command_env *env) WARN_UNUSED;
void observers_fini(struct command_env *env);

/* Bytes held for transactions, subscriptions and the like. */
size_t observers_memory(const struct command_env *env);

/* The session's interests, created on first use; NULL without memory. */
struct interests *observers_interests(struct session *s);

/* How many topics of a kind the session is in. */
static inline size_t observers_count(const struct session *s, enum topic_kind kind)
{
    return s->interests != NULL ? s->interests->joined[kind].count : 0;
}

/* The session is reset: it listens to nothing any more. */
void observers_quiet(struct command_env *env, struct session *s);

/* The session ends. */
void observers_forget(struct command_env *env, struct session *s);

/* A push outside of the session's replies: begin, write it whole, end. False: the session is about
 * to be closed and gets nothing. */
bool observers_push_begin(struct command_env *env, struct session *s,
                          struct resp_writer *out) WARN_UNUSED;
void observers_push_end(struct command_env *env, struct session *s);

/* After the reply of the running command: what was pushed to its session meanwhile. */
void observers_flush_pending(struct command_env *env, struct session *s);

/* All rows of a map (NULL: of every map) were declared stale. */
void observers_map_invalidated(struct command_env *env, const struct source_map *map);

/* The slow side of keyspace.h's key_changed(): the key changed. `event` NULL: by what the command
 * is for; otherwise that event, of the generic class. */
void observers_key_changed(struct cmd_ctx *ctx, const struct store_key *k, const char *event);

/* The same for an event of another class (notify.h). */
void observers_key_changed_as(struct cmd_ctx *ctx, const struct store_key *k, unsigned class,
                              const char *event);

/* The key was created by the running command, or was looked for and not found. */
void observers_key_new(struct cmd_ctx *ctx, const struct store_key *k);
void observers_key_missed(struct cmd_ctx *ctx, const struct store_key *k);

#endif
