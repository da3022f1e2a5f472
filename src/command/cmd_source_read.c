/*
 * SOURCE GET, LOAD, REFRESH: reads that say themselves what they want of the cache and of the
 * database.
 */
#include <stdlib.h>

#include "args.h"
#include "keyspace.h"
#include "loads.h"
#include "reply.h"
#include "table.h"
#include "tarn/source/source.h"
#include "tarn/types/hashmap.h"

/* ---- loads that are asked for ---------------------------------------------------------------- */

/* The load of the key by this command, started if there is none yet; `is_new`: not even one under
 * way will do. NULL: it has to be waited for, or there is no memory. */
static const struct session_load *want_load(struct cmd_ctx *ctx, struct source_map *map,
                                            const struct store_key *k, bool is_new)
{
    struct session_loads *loads = ctx->session->loads;
    const struct session_load *load = loads != NULL ? loads_find(loads, k) : NULL;
    if (load == NULL) {
        if (loads != NULL && loads->pending_weight + source_map_weight(map) > LOADS_WEIGHT_MAX) {
            ctx->loads_pending++;
            return NULL;
        }
        if (is_new) {
            sources_void_key(ctx->env->sources, k->db, k->key);
        }
        load = loads_start(ctx, map, k, is_new);
        if (load == NULL) {
            ctx->load_error = strview_str(ERROR_LOAD_MEMORY);
            return NULL;
        }
    }
    if (!load->is_done) {
        ctx->loads_pending++;
        return NULL;
    }
    return load;
}

/* ---- GET ------------------------------------------------------------------------------------- */

#define NO_MAXAGE INT64_MAX

struct get_args {
    bool is_cache_only, is_fresh, with_age;
    int64_t max_age_ms;
};

static bool parse_get(struct cmd_ctx *ctx, struct get_args *out)
{
    *out = (struct get_args){.max_age_ms = NO_MAXAGE};
    for (int i = 3; i < ctx->argc; i++) {
        if (arg_is(ctx, i, "cacheonly")) {
            out->is_cache_only = true;
        } else if (arg_is(ctx, i, "fresh")) {
            out->is_fresh = true;
        } else if (arg_is(ctx, i, "withage")) {
            out->with_age = true;
        } else if (arg_is(ctx, i, "maxage") && i + 1 < ctx->argc) {
            if (!arg_i64_range(ctx, ++i, 0, INT64_MAX - 1, &out->max_age_ms)) {
                return false;
            }
        } else {
            reply_error(ctx, ERROR_SYNTAX);
            return false;
        }
    }
    if (out->is_cache_only + out->is_fresh + (out->max_age_ms != NO_MAXAGE) > 1) {
        reply_error(ctx, ERROR_SYNTAX);
        return false;
    }
    return true;
}

static void reply_value(struct cmd_ctx *ctx, enum entry_type type, struct strview value)
{
    struct hashmap_iter it;
    struct hashmap_field field;
    if (type != ENTRY_HASH) {
        resp_write_bulk(ctx->reply, value);
        return;
    }
    resp_write_map(ctx->reply, hashmap_count(value));
    for (hashmap_begin(&it, ctx->env->types, value); hashmap_next(&it, &field);) {
        resp_write_bulk(ctx->reply, field.name);
        resp_write_bulk(ctx->reply, field.value);
    }
}

/* `sent_ms` negative: the age means nothing. */
static void reply_found(struct cmd_ctx *ctx, const struct get_args *args, enum entry_type type,
                        struct strview value, int64_t sent_ms)
{
    if (args->with_age) {
        resp_write_array(ctx->reply, 2);
    }
    reply_value(ctx, type, value);
    if (args->with_age) {
        resp_write_int(ctx->reply, sent_ms < 0 ? -1 : ctx->env->clock->mono_ms - sent_ms);
    }
}

static void reply_absent(struct cmd_ctx *ctx, const struct get_args *args)
{
    if (args->with_age) {
        resp_write_array(ctx->reply, 2);
        resp_write_null(ctx->reply);
        resp_write_int(ctx->reply, -1);
    } else {
        resp_write_null(ctx->reply);
    }
}

/* Answers from memory, if what is there will do. */
static bool get_cached(struct cmd_ctx *ctx, const struct get_args *args, const struct store_key *k)
{
    struct entry_view e;
    if (args->is_fresh || (ctx->session->loads != NULL && loads_find(ctx->session->loads, k)) ||
        !store_find(ctx->env->store, k, &e)) {
        return false;
    }
    if (e.aux == NULL) {
        reply_found(ctx, args, e.type, e.value, -1);
        return true;
    }
    const int64_t sent_ms = sources_sent_at(&e);
    if (ctx->env->clock->mono_ms - sent_ms > args->max_age_ms) {
        return false;
    }
    const enum source_freshness freshness = sources_judge(ctx->env->sources, k, &e,
                                                          !args->is_cache_only);
    if (freshness == SOURCE_GONE) {
        return false;
    }
    if (freshness == SOURCE_ABSENT) {
        reply_absent(ctx, args);
    } else {
        reply_found(ctx, args, e.type, e.value, sent_ms);
    }
    return true;
}

/* SOURCE GET key [CACHEONLY | FRESH | MAXAGE ms] [WITHAGE] */
void cmd_source_get(struct cmd_ctx *ctx)
{
    struct get_args args;
    const struct store_key key = key_at(ctx, 2);
    if (!parse_get(ctx, &args) || get_cached(ctx, &args, &key)) {
        return;
    }
    struct source_map *map = keyspace_has_maps(ctx->env) ? sources_match(ctx->env->sources, key.key)
                                                         : NULL;
    if (map == NULL || args.is_cache_only || (ctx->session->flags & SESSION_NO_LOAD) != 0) {
        reply_absent(ctx, &args);
        return;
    }
    const bool is_new = args.is_fresh || args.max_age_ms != NO_MAXAGE;
    const struct session_load *load = want_load(ctx, map, &key, is_new);
    if (load == NULL) {
        return;
    }
    if (load->status == LOAD_FAILED) {
        ctx->load_error = load_error(load);
    } else if (load->status == LOAD_ABSENT) {
        reply_absent(ctx, &args);
    } else {
        reply_found(ctx, &args, load->type, strview_of(load->bytes, load->bytes_len),
                    load->sent_ms);
    }
}

/* ---- LOAD, REFRESH --------------------------------------------------------------------------- */

struct load_counts {
    int64_t loaded, cached, absent, failed;
};

static bool is_cached(struct cmd_ctx *ctx, const struct store_key *k)
{
    struct entry_view e;
    return (ctx->session->loads == NULL || loads_find(ctx->session->loads, k) == NULL) &&
           store_peek(ctx->env->store, k, &e) &&
           (e.aux == NULL || sources_peek(ctx->env->sources, &e) == SOURCE_FRESH);
}

static void load_key(struct cmd_ctx *ctx, const struct store_key *k, bool is_forced,
                     struct load_counts *counts)
{
    struct source_map *map = sources_match(ctx->env->sources, k->key);
    if (map == NULL) {
        counts->absent++;
        return;
    }
    if (!is_forced && is_cached(ctx, k)) {
        counts->cached++;
        return;
    }
    const struct session_load *load = want_load(ctx, map, k, is_forced);
    if (load != NULL) {
        counts->loaded += load->status == LOAD_FOUND;
        counts->absent += load->status == LOAD_ABSENT;
        counts->failed += load->status == LOAD_FAILED;
    }
}

static void load_keys(struct cmd_ctx *ctx, bool is_forced)
{
    struct load_counts counts = {0};
    if (!keyspace_has_maps(ctx->env)) {
        reply_error(ctx, "ERR no map is configured");
        return;
    }
    loads_take_failures(ctx);
    for (int i = 2; i < ctx->argc; i++) {
        const struct store_key key = key_at(ctx, i);
        load_key(ctx, &key, is_forced, &counts);
    }
    resp_write_map(ctx->reply, 4);
    resp_write_bulk_str(ctx->reply, "loaded");
    resp_write_int(ctx->reply, counts.loaded);
    resp_write_bulk_str(ctx->reply, "cached");
    resp_write_int(ctx->reply, counts.cached);
    resp_write_bulk_str(ctx->reply, "absent");
    resp_write_int(ctx->reply, counts.absent);
    resp_write_bulk_str(ctx->reply, "failed");
    resp_write_int(ctx->reply, counts.failed);
}

/* SOURCE LOAD key...: those that are not cached. */
void cmd_source_load(struct cmd_ctx *ctx)
{
    load_keys(ctx, false);
}

/* SOURCE REFRESH key...: all of them, anew. */
void cmd_source_refresh(struct cmd_ctx *ctx)
{
    load_keys(ctx, true);
}
