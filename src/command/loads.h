/*
 * The loads of one command: which keys it asked the sources for, and what came back. They live in
 * session->loads from the first miss that has to be loaded until the command completes, through all
 * its runs.
 */
#ifndef TARN_COMMAND_LOADS_H
#define TARN_COMMAND_LOADS_H

#include <stdbool.h>
#include <stddef.h>

#include "handler.h"
#include "tarn/source/source.h"
#include "tarn/store/store.h"

struct session_load {
    struct session_load *next; /* in its bucket of session_loads */
    struct session_loads *owner;
    struct load_waiter waiter;
    unsigned weight;
    bool is_done;
    bool is_forgotten;       /* the key was changed since by the command itself */
    enum load_status status; /* once done */
    enum entry_type type;
    int64_t sent_ms; /* when its query was sent */
    char *bytes;     /* owned; the value or the error text */
    size_t bytes_len;
    uint64_t hash;
    unsigned db;
    size_t key_len;
    char key[];
};

/* A command with more missing keys loads them in waves of this weight: the default of
 * max-client-loads. */
#define LOADS_WEIGHT_MAX (64 * SOURCE_LOAD_WEIGHT)

#define LOADS_BUCKETS_MIN 32 /* power of two */
/* A row came but its copy did not get memory, or a load could not even begin. */
#define ERROR_LOAD_MEMORY "SOURCEERR out of memory"
/* Between EXEC and its last command nothing can be waited for. */
#define ERROR_LOAD_IN_EXEC "SOURCEMISS the key was removed within this transaction"
/* A row that is to be changed in the cache has to be there. */
#define ERROR_LOAD_NOT_KEPT "SOURCEMISS the row was loaded but could not be kept"

struct session_loads {
    struct session *session;
    struct command_env *env;
    bool takes_failures; /* a failed load is a result like others: all are waited for */
    unsigned pending;
    size_t pending_weight; /* of those */
    size_t count, buckets_count;
    struct session_load **buckets; /* by hash; owned: in `few` until they are many */
    struct session_load *few[LOADS_BUCKETS_MIN];
};

/* The load of this key by the running command; NULL: it has asked for none (`loads` NULL: for no key
 * at all). */
struct session_load *loads_find(const struct session_loads *loads, const struct store_key *k);

/* The running command changed the key (NULL: all keys): what was loaded before is not its value any
 * more. Views of the result stay good until the command is done. */
void loads_forget(struct session_loads *loads, const struct store_key *k);

/* One that is not done; NULL: none (`loads` may be NULL). */
const struct session_load *loads_first_pending(const struct session_loads *loads);

/* Asks the source; `wants_new`: an old value will not do. The load may be done when this returns.
 * NULL without memory. */
struct session_load *loads_start(struct cmd_ctx *ctx, struct source_map *m,
                                 const struct store_key *k, bool wants_new);

/* The running command wants all its loads, whatever becomes of each. */
void loads_take_failures(struct cmd_ctx *ctx);

/* Work at a source that belongs to no key of the store (SOURCE TEST, SOURCE PING): `start` is
 * called on the first run of the command. NULL: it is under way, or has failed, and dispatch knows
 * what to do; the handler just returns. */
typedef enum load_start (*load_starter)(void *arg, struct load_waiter *w, struct load_result *now);
const struct session_load *loads_await(struct cmd_ctx *ctx, struct strview name, load_starter start,
                                       void *arg);

/* The text of a failed load; lives as long as the load. */
struct strview load_error(const struct session_load *load);

/* The command waits: session->ops->resume will be called once when all are done, or the first has
 * failed. */
void loads_suspend(struct session_loads *loads);

/* Ends all loads that are under way with this error (static text), which resumes the session. */
void loads_fail_all(struct session *s, const char *error);

/* Cancels what is under way and frees. Accepts a session without loads. */
void loads_drop(struct session *s);

#endif
