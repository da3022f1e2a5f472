/*
 * Commands' door to the store, see keyspace.h.
 *
 * A read goes through these steps: has this command loaded the key already (then its result is the
 * answer, whatever the store holds by now); is there a live entry; is it still good by the rules of
 * its map; must the key be loaded. The plain case, a hit on an ordinary key, is one look-up and two
 * predictable branches.
 *
 * Hits and misses are summed in the context and counted by dispatch when the command completes, so
 * a command that is run again after its loads counts once; a loaded read counts as a miss.
 */
#include "keyspace.h"

#include <assert.h>
#include <string.h>

#include "loads.h"
#include "reply.h"
#include "table.h"
#include "tarn/source/source.h"

bool keyspace_has_maps(const struct command_env *env)
{
    return env->sources != NULL && sources_has_maps(env->sources);
}

struct store_key key_at(const struct cmd_ctx *ctx, int i)
{
    const struct strview key = ctx->argv[i];
    const struct store_key *first = ctx->first_key;
    if (LIKELY(first != NULL && first->key.data == key.data && first->key.len == key.len)) {
        return *first;
    }
    return store_key_init(ctx->env->store, ctx->session->db, key);
}

size_t key_batch(const struct cmd_ctx *ctx, int first, int step, struct store_key out[KEY_BATCH])
{
    struct store_key *keys[KEY_BATCH];
    unsigned n = 0;
    for (int i = first; i < ctx->argc && n < KEY_BATCH; i += step) {
        out[n] = key_at(ctx, i);
        keys[n] = &out[n];
        n++;
    }
    store_prefetch(ctx->env->store, keys, n);
    return n;
}

/* ---- looking ---- */

enum lookup {
    LOOKUP_MISS,   /* the store does not know: a mapped key may be loaded */
    LOOKUP_ABSENT, /* known to have no row */
    LOOKUP_LIVE,
};

/* `reader`: the session that reads the key: its hit goes into the counters of the row's map and may
 * start a load in the background. NULL: somebody who only looks. */
static NO_INLINE enum lookup judge_other(const struct command_env *env, const struct store_key *k,
                                         const struct entry_view *e, const struct session *reader)
{
    struct sources *sources = env->sources;
    if (UNLIKELY(e->type == ENTRY_HASH) && !hashmap_is_live(env->types, e->value)) {
        return LOOKUP_MISS;
    }
    if (LIKELY(e->aux == NULL) || sources == NULL) {
        return e->type == ENTRY_NEGATIVE ? LOOKUP_ABSENT : LOOKUP_LIVE;
    }
    const bool may_load = reader != NULL && (reader->flags & SESSION_NO_LOAD) == 0;
    switch (reader != NULL ? sources_judge(sources, k, e, may_load) : sources_peek(sources, e)) {
    case SOURCE_FRESH:
    case SOURCE_STALE:
        return LOOKUP_LIVE;
    case SOURCE_ABSENT:
        return LOOKUP_ABSENT;
    case SOURCE_GONE:
        break;
    }
    return LOOKUP_MISS;
}

static inline enum lookup judge(const struct command_env *env, const struct store_key *k,
                                const struct entry_view *e, const struct session *reader)
{
    const bool is_plain = e->type == ENTRY_STRING && e->aux == NULL;
    return LIKELY(is_plain) ? LOOKUP_LIVE : judge_other(env, k, e, reader);
}

/* The entry in the store, as a use or without a trace. */
static ALWAYS_INLINE bool find_entry(const struct cmd_ctx *ctx, const struct store_key *k,
                                     bool is_use, struct entry_view *out)
{
    struct store *store = ctx->env->store;
    const bool leaves_trace = is_use && (ctx->session->flags & SESSION_NO_TOUCH) == 0;
    return leaves_trace ? store_find(store, k, out) : store_peek(store, k, out);
}

/* A command that may load is a reader of maps; it counts on its first run only. */
static ALWAYS_INLINE enum lookup look_up(const struct cmd_ctx *ctx, const struct store_key *k,
                                         bool is_use, struct entry_view *out)
{
    if (!find_entry(ctx, k, is_use, out)) {
        return LOOKUP_MISS;
    }
    const bool reads = (ctx->command->flags & CMD_LOADS) != 0 && !ctx->is_rerun;
    return judge(ctx->env, k, out, reads ? ctx->session : NULL);
}

/* What a load of this command says of the key. */
static bool read_load(struct cmd_ctx *ctx, const struct session_load *load, struct entry_view *out)
{
    if (!load->is_done) {
        ctx->loads_pending++;
        return false;
    }
    if (load->status == LOAD_FAILED) {
        ctx->load_error = load_error(load);
    }
    if (load->status != LOAD_FOUND) {
        return false;
    }
    *out = (struct entry_view){
        .key = strview_of(load->key, load->key_len),
        .value = strview_of(load->bytes, load->bytes_len),
        .expires_at_ms = STORE_NO_EXPIRY,
        .type = load->type,
    };
    return true;
}

/* The map that a missing key is to be loaded from by this session; NULL: none. */
static struct source_map *map_to_load(const struct cmd_ctx *ctx, const struct store_key *k,
                                      bool is_use)
{
    if ((ctx->session->flags & SESSION_NO_LOAD) != 0 || !keyspace_has_maps(ctx->env)) {
        return NULL;
    }
    struct source_map *map = sources_match(ctx->env->sources, k->key);
    return map != NULL && (is_use || source_map_exists_loads(map)) ? map : NULL;
}

/* Starts a load; NULL when it has to wait for the next run (then it counts as pending), or got no
 * memory (then that is the command's error). */
static const struct session_load *start_load(struct cmd_ctx *ctx, struct source_map *map,
                                             const struct store_key *k)
{
    const struct session_loads *loads = ctx->session->loads;
    if (loads != NULL && loads->pending_weight + source_map_weight(map) > LOADS_WEIGHT_MAX) {
        ctx->loads_pending++;
        return NULL;
    }
    const struct session_load *load = loads_start(ctx, map, k, false);
    if (load == NULL) {
        ctx->load_error = strview_str(ERROR_LOAD_MEMORY);
    }
    return load;
}

/* Whatever type the key has. */
#define ANY_TYPE (-1)

/* After a miss: asks the source when the key belongs to a map. */
static NO_INLINE enum key_state load_missing(struct cmd_ctx *ctx, const struct store_key *k,
                                             bool is_use, int type, struct entry_view *out)
{
    if ((ctx->command->flags & CMD_LOADS) == 0 || ctx->load_error.len > 0) {
        return KEY_ABSENT;
    }
    struct source_map *map = map_to_load(ctx, k, is_use);
    if (map == NULL) {
        return KEY_ABSENT;
    }
    if (type != ANY_TYPE && (int)source_map_type(map) != type) {
        return KEY_WRONG_TYPE; /* no row of it would do */
    }
    if (ctx->is_in_exec) {
        ctx->load_error = strview_str(ERROR_LOAD_IN_EXEC);
        return KEY_ABSENT;
    }
    const struct session_load *load = start_load(ctx, map, k);
    return load != NULL && read_load(ctx, load, out) ? KEY_FOUND : KEY_ABSENT;
}

/* The map that the key of a command which does not run now is to be loaded from; NULL: it is
 * cached, or none is, or rows of another type. */
static struct source_map *map_to_preload(const struct command_env *env, const struct command *c,
                                         const struct store_key *k, bool is_use)
{
    struct entry_view e;
    if (store_peek(env->store, k, &e) && judge(env, k, &e, NULL) != LOOKUP_MISS) {
        return NULL;
    }
    struct source_map *map = sources_match(env->sources, k->key);
    if (map == NULL || (!is_use && !source_map_exists_loads(map)) ||
        ((c->flags & CMD_MAPPED_WRITE) != 0 && !source_map_is_local(map))) {
        return NULL;
    }
    const bool wants_hash = strcmp(c->group, "hash") == 0;
    const bool wants_string = strcmp(c->group, "string") == 0 || strcmp(c->group, "bitmap") == 0;
    const bool is_hash = source_map_type(map) == ENTRY_HASH;
    return (wants_hash && !is_hash) || (wants_string && is_hash) ? NULL : map;
}

void key_preload(struct cmd_ctx *ctx, const struct command *c, const struct store_key *k,
                 bool is_use)
{
    const struct session_load *load = loads_find(ctx->session->loads, k);
    if (load == NULL) {
        const bool may_load = (ctx->session->flags & SESSION_NO_LOAD) == 0;
        struct source_map *map = may_load ? map_to_preload(ctx->env, c, k, is_use) : NULL;
        if (map == NULL) {
            return;
        }
        if (ctx->is_in_exec) {
            ctx->load_error = strview_str(ERROR_LOAD_IN_EXEC);
            return;
        }
        load = start_load(ctx, map, k);
    }
    if (load != NULL && !load->is_done) {
        ctx->loads_pending++;
    }
}

bool keyspace_prefetch(struct command_env *env, const struct command *c, const struct store_key *k,
                       bool is_use)
{
    struct source_map *map = map_to_preload(env, c, k, is_use);
    return map == NULL || sources_prefetch(env->sources, map, k);
}

bool keyspace_holds(const struct command_env *env, const struct store_key *k)
{
    struct entry_view e;
    return store_peek(env->store, k, &e) && judge(env, k, &e, NULL) == LOOKUP_LIVE;
}

static NO_INLINE void on_miss(struct cmd_ctx *ctx, const struct store_key *k)
{
    ctx->misses++;
    if (UNLIKELY((ctx->env->observed & OBSERVED_MISSES) != 0) && !ctx->is_rerun) {
        observers_key_missed(ctx, k);
    }
}

/* Inlined down to the store, what is rare kept out: 28 instructions less for a GET. */
static ALWAYS_INLINE enum key_state look(struct cmd_ctx *ctx, const struct store_key *k,
                                         bool is_use, int type, struct entry_view *out)
{
    if (UNLIKELY(ctx->session->loads != NULL)) {
        const struct session_load *load = loads_find(ctx->session->loads, k);
        if (load != NULL) {
            ctx->misses++;
            return read_load(ctx, load, out) ? KEY_FOUND : KEY_ABSENT;
        }
    }
    switch (look_up(ctx, k, is_use, out)) {
    case LOOKUP_LIVE:
        ctx->hits++;
        return KEY_FOUND;
    case LOOKUP_ABSENT:
        on_miss(ctx, k);
        return KEY_ABSENT;
    case LOOKUP_MISS:
        break;
    }
    on_miss(ctx, k);
    return load_missing(ctx, k, is_use, type, out);
}

bool key_look(struct cmd_ctx *ctx, const struct store_key *k, bool is_use, struct entry_view *out)
{
    if (look(ctx, k, is_use, ANY_TYPE, out) != KEY_FOUND) {
        return false;
    }
    if (out->aux != NULL && ctx->env->sources != NULL) {
        out->expires_at_ms = sources_expires_at(ctx->env->sources, out);
    }
    return true;
}

enum key_state key_read(struct cmd_ctx *ctx, const struct store_key *k, enum entry_type type,
                        struct entry_view *out)
{
    const enum key_state state = look(ctx, k, true, (int)type, out);
    return LIKELY(state != KEY_FOUND || out->type == type) ? state : KEY_WRONG_TYPE;
}

enum key_state key_read_string(struct cmd_ctx *ctx, const struct store_key *k,
                               struct strview *value_out)
{
    struct entry_view e;
    const enum key_state state = key_read(ctx, k, ENTRY_STRING, &e);
    if (LIKELY(state == KEY_FOUND)) {
        *value_out = e.value;
    } else if (state == KEY_WRONG_TYPE) {
        reply_error(ctx, ERROR_WRONG_TYPE);
    }
    return state;
}

bool key_find(struct cmd_ctx *ctx, const struct store_key *k, struct entry_view *out)
{
    if (!find_entry(ctx, k, true, out) || !key_is_visible(ctx, out)) {
        return false;
    }
    if (UNLIKELY(out->aux != NULL) && ctx->env->sources != NULL) {
        out->expires_at_ms = sources_expires_at(ctx->env->sources, out);
    }
    return true;
}

enum key_state key_find_string(struct cmd_ctx *ctx, const struct store_key *k,
                               struct strview *value_out)
{
    struct entry_view e;
    if (!key_find(ctx, k, &e)) {
        return KEY_ABSENT;
    }
    if (e.type != ENTRY_STRING) {
        reply_error(ctx, ERROR_WRONG_TYPE);
        return KEY_WRONG_TYPE;
    }
    *value_out = e.value;
    return KEY_FOUND;
}

const char *key_type_name(enum entry_type type)
{
    switch (type) {
    case ENTRY_STRING:
        return "string";
    case ENTRY_HASH:
        return "hash";
    case ENTRY_NEGATIVE:
        break;
    }
    return "none";
}

bool key_is_visible(const struct cmd_ctx *ctx, const struct entry_view *e)
{
    return judge(ctx->env, NULL, e, NULL) == LOOKUP_LIVE;
}
