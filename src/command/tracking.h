/*
 * CLIENT TRACKING: clients that keep copies of values are told when these are no longer good.
 * Private to the command layer.
 *
 * In the default mode the table remembers which sessions read a key, and a change tells them, once.
 * In BCAST mode nothing is remembered: sessions name prefixes, and changes of keys that begin with
 * them are told at the end of the turn, many in one message.
 */
#ifndef TARN_COMMAND_TRACKING_H
#define TARN_COMMAND_TRACKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handler.h"
#include "tarn/base/hmap.h"
#include "tarn/base/list.h"
#include "tarn/command/command.h"

enum tracking_flag {
    TRACKING_BCAST = 1 << 0,
    TRACKING_OPTIN = 1 << 1,
    TRACKING_OPTOUT = 1 << 2,
    TRACKING_NOLOOP = 1 << 3,
    TRACKING_CACHING = 1 << 4, /* CLIENT CACHING was called for the next command */
    TRACKING_BROKEN = 1 << 5,  /* the session to redirect to is gone */
};

/* What one session asked for; part of its interests. */
struct session_tracking {
    struct hmap_link by_id;  /* tracking::sessions */
    struct session *session; /* borrowed; NULL: not in that map */
    uint64_t redirect;       /* id, 0: none */
    unsigned flags;          /* enum tracking_flag */
};

struct tracking {
    struct hmap sessions;  /* struct session_tracking: those that track, or are redirected to */
    size_t sessions_count; /* that track */
    struct hmap keys;      /* struct tracked_key */
    struct list by_age;    /* struct tracked_key, oldest first */
    struct list dropped;   /* struct tracked_key of a flush, freed in slices */
    size_t items;          /* sessions remembered for all keys together */
    size_t bytes;
    struct hmap changed;    /* struct changed_key: for BCAST, until the end of the turn */
    struct list changed_in; /* the same in order */
};

void tracking_init(struct tracking *t);
void tracking_fini(struct tracking *t);

/* Makes the session known by its id, so that invalidations find it. False without memory. */
bool tracking_register(struct command_env *env, struct session *s) WARN_UNUSED;

/* The session known by this id; NULL: none. */
struct session *tracking_find(const struct command_env *env, uint64_t id);

/* Switches tracking on (or changes its options) and off. The prefixes are joined by the caller. */
void tracking_enable(struct command_env *env, struct session *s, unsigned flags, uint64_t redirect);
void tracking_disable(struct command_env *env, struct session *s);

/* The session ends. */
void tracking_forget(struct command_env *env, struct session *s);

/* A command of a session that tracks has run: remembers the keys it read. */
void tracking_after_command(struct cmd_ctx *ctx);

/* A request is over: CLIENT CACHING was for this one only. */
void tracking_command_end(struct cmd_ctx *ctx);

/* A key changed; `by` is the session that did it, or NULL. */
void tracking_invalidate(struct command_env *env, struct strview key, const struct session *by);

/* The row of a key was loaded; `was_there`: over another value. */
void tracking_row_loaded(struct command_env *env, struct strview key, bool was_there);

/* Everything may have changed. */
void tracking_invalidate_all(struct command_env *env);

/* The end of a turn: sends what changed to BCAST sessions, keeps the table within its limit. */
void tracking_turn_end(struct command_env *env);

#endif
