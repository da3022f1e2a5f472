/*
 * What commands may do to keys that belong to a map: by its option `writes` refuse them, let them
 * change the cache alone, or make them changes of the database.
 *
 * A write through is a wait like a load: the command is suspended, and its second run finds the
 * result and replies. Only whole changes of one key can be statements: SET key value, HSET, and DEL
 * of one key.
 *
 * In the cache alone, a command that changes a part of a value needs the value first: it is loaded
 * before the handler runs.
 */
#include "keyspace.h"

#include "loads.h"
#include "reply.h"
#include "table.h"
#include "tarn/source/source.h"

/* ---- may it? --------------------------------------------------------------------------------- */

/* The write that this command could be, if its map has a statement for it; false: none. */
static bool write_kind(const struct cmd_ctx *ctx, enum source_write *out)
{
    switch (ctx->command->id) {
    case COMMAND_ID_set:
        *out = SOURCE_WRITE_SET;
        return ctx->argc == 3;
    case COMMAND_ID_hset:
    case COMMAND_ID_hmset:
        *out = SOURCE_WRITE_HSET;
        return ctx->argc >= 4 && ctx->argc % 2 == 0;
    case COMMAND_ID_del:
    case COMMAND_ID_unlink:
        *out = SOURCE_WRITE_DEL;
        return ctx->argc == 2;
    default:
        return false;
    }
}

static void refuse(struct cmd_ctx *ctx, const struct source_map *map, const char *way_out)
{
    const struct strview source = source_map_source_name(map);
    resp_write_errorf(ctx->reply, "SOURCEWRITE key is loaded from source '%.*s'; %s",
                      STRVIEW_ARG(source), way_out);
}

static bool is_writable(struct cmd_ctx *ctx, int i)
{
    enum source_write kind;
    const struct source_map *map = sources_match(ctx->env->sources, ctx->argv[i]);
    if (map == NULL || source_map_is_local(map)) {
        return true;
    }
    if (!write_kind(ctx, &kind) || !source_map_writes(map, kind)) {
        refuse(ctx, map, "write to the database, then DEL it");
        return false;
    }
    if ((ctx->session->flags & SESSION_IN_MULTI) != 0) {
        refuse(ctx, map, "a write to it cannot be part of a transaction");
        return false;
    }
    return true;
}

/* DEL always may forget; but where it means the row, it has to be a command of its own. */
static bool may_delete(struct cmd_ctx *ctx, int i)
{
    const struct source_map *map = sources_match(ctx->env->sources, ctx->argv[i]);
    if (map == NULL || !source_map_writes(map, SOURCE_WRITE_DEL)) {
        return true;
    }
    if (ctx->argc != 2 || (ctx->session->flags & SESSION_IN_MULTI) != 0) {
        refuse(ctx, map, "DEL removes its row: one key at a time, outside of transactions");
        return false;
    }
    return true;
}

static COLD bool may_write_keys(struct cmd_ctx *ctx)
{
    const struct command *c = ctx->command;
    if ((c->flags & CMD_MAPPED_DEST) != 0) {
        return is_writable(ctx, c->keys.last);
    }
    const bool is_del = c->id == COMMAND_ID_del || c->id == COMMAND_ID_unlink;
    if ((c->flags & CMD_MAPPED_WRITE) == 0 && !is_del) {
        return true;
    }
    const int last = command_last_key(c, ctx->argv, ctx->argc);
    for (int i = c->keys.first; i > 0 && i <= last; i += c->keys.step) {
        if (is_del ? !may_delete(ctx, i) : !is_writable(ctx, i)) {
            return false;
        }
    }
    return true;
}

bool keyspace_may_write(struct cmd_ctx *ctx)
{
    return LIKELY(!keyspace_has_maps(ctx->env)) || may_write_keys(ctx);
}

/* ---- through --------------------------------------------------------------------------------- */

struct writing {
    struct sources *sources;
    struct source_map *map;
    enum source_write kind;
    struct source_write_args args;
};

static enum load_start start_write(void *arg, struct load_waiter *w, struct load_result *now)
{
    struct writing *writing = arg;
    return sources_write(writing->sources, writing->map, writing->kind, &writing->args, w, now);
}

static void reply_written(struct cmd_ctx *ctx, enum source_write kind)
{
    if (kind == SOURCE_WRITE_DEL) {
        resp_write_int(ctx->reply, 1);
    } else if (ctx->command->id == COMMAND_ID_hset) {
        resp_write_int(ctx->reply, 0); /* columns are there already */
    } else {
        resp_write_ok(ctx->reply);
    }
}

static bool write_through(struct cmd_ctx *ctx)
{
    struct writing writing = {.sources = ctx->env->sources};
    if (!write_kind(ctx, &writing.kind)) {
        return false;
    }
    writing.map = sources_match(ctx->env->sources, ctx->argv[1]);
    if (writing.map == NULL || !source_map_writes(writing.map, writing.kind)) {
        return false;
    }
    writing.args = (struct source_write_args){.key = key_at(ctx, 1),
                                              .arrived_ms = ctx->session->active_ms,
                                              .values = ctx->argv + 2,
                                              .values_count = (size_t)ctx->argc - 2};
    if (loads_await(ctx, ctx->argv[1], start_write, &writing) != NULL) {
        reply_written(ctx, writing.kind);
    }
    return true;
}

/* ---- local ----------------------------------------------------------------------------------- */

/* Does the command write whole values, whatever was there? */
static bool overwrites(const struct command *c, int argc)
{
    switch (c->id) {
    case COMMAND_ID_setex:
    case COMMAND_ID_psetex:
    case COMMAND_ID_mset:
        return true;
    case COMMAND_ID_set:
        return argc == 3 || argc == 5; /* EX and the like; NX, XX, GET look first */
    default:
        return false;
    }
}

bool keyspace_reads_first(const struct command *c, int argc)
{
    return (c->flags & CMD_LOADS) != 0 ||
           ((c->flags & CMD_MAPPED_WRITE) != 0 && !overwrites(c, argc));
}

/* The row was loaded for a command that changes it: is it there to be changed? */
static void check_loaded(struct cmd_ctx *ctx, const struct store_key *k)
{
    const struct session_load *load = loads_find(ctx->session->loads, k);
    if (load == NULL || !load->is_done) {
        return;
    }
    if (load->status == LOAD_FAILED) {
        ctx->load_error = load_error(load);
    } else if (load->status == LOAD_FOUND && !keyspace_holds(ctx->env, k)) {
        ctx->load_error = strview_str(ERROR_LOAD_NOT_KEPT);
    }
}

/* True: its keys have to be loaded first, or could not be. */
static bool load_first(struct cmd_ctx *ctx)
{
    const struct command *c = ctx->command;
    if ((c->flags & CMD_MAPPED_WRITE) == 0 || overwrites(c, ctx->argc)) {
        return false;
    }
    const int last = command_last_key(c, ctx->argv, ctx->argc);
    for (int i = c->keys.first; i > 0 && i <= last; i += c->keys.step) {
        const struct store_key key = key_at(ctx, i);
        key_preload(ctx, c, &key, true);
        check_loaded(ctx, &key);
    }
    return ctx->loads_pending > 0 || ctx->load_error.len > 0;
}

bool keyspace_takes_over(struct cmd_ctx *ctx)
{
    return (!ctx->is_in_exec && write_through(ctx)) || load_first(ctx);
}

void keyspace_bound_lives(struct cmd_ctx *ctx)
{
    const struct command *c = ctx->command;
    const int last = command_last_key(c, ctx->argv, ctx->argc);
    for (int i = c->keys.first; i > 0 && i <= last; i += c->keys.step) {
        const struct source_map *map = sources_match(ctx->env->sources, ctx->argv[i]);
        if (map == NULL || !source_map_is_local(map) || source_map_ttl_ms(map) <= 0) {
            continue;
        }
        const struct store_key key = key_at(ctx, i);
        const int64_t end_ms = ctx->env->clock->mono_ms + source_map_ttl_ms(map);
        struct entry_view e;
        if (store_peek(ctx->env->store, &key, &e) && e.aux == NULL && e.expires_at_ms > end_ms &&
            store_set_expiry(ctx->env->store, &key, end_ms) != STORE_OK) {
            (void)store_remove(ctx->env->store,
                               &key); /* no memory: rather no value than for ever */
        }
    }
}
