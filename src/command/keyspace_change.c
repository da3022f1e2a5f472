/*
 * The keyspace changed: setting, resizing, copying, removing, expiring, as keyspace.h offers it.
 *
 * Every change of a key first voids a load of it that is in the air, so that what the load brings
 * cannot come after the change; then changes the store; then tells those who watch.
 */
#include "keyspace.h"

#include <string.h>

#include "loads.h"
#include "notify.h"
#include "observers.h"
#include "reply.h"
#include "tarn/source/source.h"
#include "tarn/types/types.h"
#include "watch.h"

/* What a transaction loaded before its first command is not the value of what it changed since.
 * `k` NULL: all. */
static void forget_loaded(const struct cmd_ctx *ctx, const struct store_key *k)
{
    if (ctx->is_in_exec && ctx->session->loads != NULL) {
        loads_forget(ctx->session->loads, k);
    }
}

static void void_flight(struct cmd_ctx *ctx, const struct store_key *k)
{
    if (UNLIKELY(keyspace_has_maps(ctx->env))) {
        sources_void_key(ctx->env->sources, k->db, k->key);
        forget_loaded(ctx, k);
    }
}

/* Somebody wants to hear of new keys, and this is one. */
static bool is_new(const struct cmd_ctx *ctx, const struct store_key *k)
{
    return UNLIKELY((ctx->env->observed & OBSERVED_NEW) != 0) && !keyspace_holds(ctx->env, k);
}

/* The common end of writing a key: an error becomes the reply. */
static bool accept(struct cmd_ctx *ctx, const struct store_key *k, bool was_new,
                   enum store_result result)
{
    if (UNLIKELY(result != STORE_OK)) {
        reply_store_error(ctx, result);
        return false;
    }
    if (UNLIKELY(was_new)) {
        observers_key_new(ctx, k);
    }
    return true;
}

bool key_set(struct cmd_ctx *ctx, const struct store_key *k, struct strview value,
             int64_t expires_at_ms)
{
    const bool was_new = is_new(ctx, k);
    void_flight(ctx, k);
    if (UNLIKELY(expires_at_ms <= ctx->env->clock->mono_ms)) {
        (void)store_remove(ctx->env->store, k); /* written and expired in the same moment */
        key_changed(ctx, k, "del");
        return true;
    }
    const struct store_write w = {.expires_at_ms = expires_at_ms};
    if (!accept(ctx, k, was_new, store_set(ctx->env->store, k, value, &w))) {
        return false;
    }
    key_changed(ctx, k, NULL);
    if (expires_at_ms != STORE_NO_EXPIRY) {
        key_changed(ctx, k, "expire");
    }
    return true;
}

bool key_set_keep_expiry(struct cmd_ctx *ctx, const struct store_key *k, struct strview value)
{
    const bool was_new = is_new(ctx, k);
    void_flight(ctx, k);
    const struct store_write w = {.expires_at_ms = STORE_NO_EXPIRY, .keep_expiry = true};
    if (!accept(ctx, k, was_new, store_set(ctx->env->store, k, value, &w))) {
        return false;
    }
    key_changed(ctx, k, NULL);
    return true;
}

bool key_resize(struct cmd_ctx *ctx, const struct store_key *k, size_t len, bool is_present,
                char **out)
{
    void_flight(ctx, k);
    if (is_present) {
        if (!accept(ctx, k, false, store_resize(ctx->env->store, k, len, out))) {
            return false;
        }
        key_changed(ctx, k, NULL);
        return true;
    }
    char *bytes = NULL;
    const struct store_write w = {.expires_at_ms = STORE_NO_EXPIRY};
    const bool was_new = is_new(ctx, k);
    if (!accept(ctx, k, was_new, store_set_uninit(ctx->env->store, k, len, &w, &bytes))) {
        return false;
    }
    if (len > 0) {
        memset(bytes, 0, len);
    }
    *out = bytes;
    key_changed(ctx, k, NULL);
    return true;
}

/* Copies a cached row without what ties it to its map: under the new key no map answers for it. */
static enum store_result copy_row(struct cmd_ctx *ctx, const struct entry_view *e,
                                  const struct store_key *to)
{
    const struct store_write w = {.expires_at_ms = sources_expires_at(ctx->env->sources, e),
                                  .type = e->type};
    return store_set(ctx->env->store, to, e->value, &w);
}

bool key_copy(struct cmd_ctx *ctx, const struct store_key *from, const struct store_key *to)
{
    struct entry_view e;
    const bool was_new = (ctx->env->observed & OBSERVED_NEW) != 0; /* replaced is new as well */
    void_flight(ctx, to);
    const bool is_there = store_peek(ctx->env->store, from, &e);
    enum store_result result;
    if (is_there && e.type == ENTRY_HASH && !hashmap_is_packed(e.value)) {
        result = hashmap_copy(ctx->env->types, e.value, to, e.expires_at_ms);
    } else if (is_there && e.aux != NULL) {
        result = copy_row(ctx, &e, to);
    } else {
        result = store_copy(ctx->env->store, from, to);
    }
    if (!accept(ctx, to, was_new, result)) {
        return false;
    }
    key_changed(ctx, to, "copy_to");
    return true;
}

/* With the command's own names for what happens to either key. */
static bool rename_as(struct cmd_ctx *ctx, const struct store_key *from, const struct store_key *to,
                      const char *from_event, const char *to_event)
{
    struct entry_view e;
    const bool was_new = (ctx->env->observed & OBSERVED_NEW) != 0; /* replaced is new as well */
    void_flight(ctx, from);
    void_flight(ctx, to);
    const bool is_row = store_peek(ctx->env->store, from, &e) && e.aux != NULL;
    if (!accept(ctx, to, was_new,
                is_row ? copy_row(ctx, &e, to) : store_rename(ctx->env->store, from, to))) {
        return false;
    }
    if (is_row) {
        (void)store_remove(ctx->env->store, from);
    }
    key_changed(ctx, from, from_event);
    key_changed(ctx, to, to_event);
    return true;
}

bool key_rename(struct cmd_ctx *ctx, const struct store_key *from, const struct store_key *to)
{
    return rename_as(ctx, from, to, "rename_from", "rename_to");
}

bool key_move(struct cmd_ctx *ctx, const struct store_key *from, const struct store_key *to)
{
    return rename_as(ctx, from, to, "move_from", "move_to");
}

bool key_restore(struct cmd_ctx *ctx, const struct store_key *k, struct rdb_value *value,
                 int64_t expires_at_ms)
{
    const bool was_new = (ctx->env->observed & OBSERVED_NEW) != 0; /* replaced is new as well */
    void_flight(ctx, k);
    if (value->is_over || expires_at_ms <= ctx->env->clock->mono_ms) {
        (void)key_remove(ctx, k);
        return true;
    }
    if (!accept(ctx, k, was_new, rdb_value_put(ctx->env->types, value, k, expires_at_ms))) {
        return false;
    }
    key_changed(ctx, k, NULL);
    return true;
}

bool key_remove(struct cmd_ctx *ctx, const struct store_key *k)
{
    struct entry_view e;
    bool was_visible;
    if (LIKELY(!keyspace_has_maps(ctx->env) && !types_has_expiries(ctx->env->types))) {
        was_visible = store_remove(ctx->env->store, k);
    } else {
        was_visible = store_peek(ctx->env->store, k, &e) && key_is_visible(ctx, &e);
        void_flight(ctx, k);
        (void)store_remove(ctx->env->store, k);
    }
    if (was_visible) {
        key_changed(ctx, k, "del");
    }
    return was_visible;
}

bool key_expire(struct cmd_ctx *ctx, const struct store_key *k, int64_t expires_at_ms)
{
    struct entry_view e;
    if (expires_at_ms <= ctx->env->clock->mono_ms) {
        (void)key_remove(ctx, k);
        return true;
    }
    void_flight(ctx, k);
    if (!store_peek(ctx->env->store, k, &e)) {
        return true;
    }
    if (e.aux != NULL) {
        if (expires_at_ms < sources_expires_at(ctx->env->sources, &e)) {
            sources_shorten(ctx->env->sources, k, expires_at_ms);
            key_changed(ctx, k, "expire");
        }
        return true;
    }
    if (!accept(ctx, k, false, store_set_expiry(ctx->env->store, k, expires_at_ms))) {
        return false;
    }
    if (expires_at_ms != STORE_NO_EXPIRY) {
        key_changed(ctx, k, "expire");
    } else if (e.expires_at_ms != STORE_NO_EXPIRY) {
        key_changed(ctx, k, "persist");
    }
    return true;
}

void key_void(struct cmd_ctx *ctx, const struct store_key *k)
{
    void_flight(ctx, k);
}

void keyspace_flush(struct cmd_ctx *ctx, unsigned db)
{
    if (keyspace_has_maps(ctx->env)) {
        sources_void_db(ctx->env->sources, db);
        forget_loaded(ctx, NULL);
    }
    if ((ctx->env->observed & OBSERVED_WATCHES) != 0) {
        watch_touch_db(ctx->env, db);
    }
    store_flush(ctx->env->store, db);
    if ((ctx->env->observed & OBSERVED_TRACKING) != 0) {
        tracking_invalidate_all(ctx->env);
    }
}

void keyspace_swap(struct cmd_ctx *ctx, unsigned a, unsigned b)
{
    if (a == b) {
        return; /* nobody's keys change */
    }
    if (keyspace_has_maps(ctx->env)) {
        sources_void_db(ctx->env->sources, a);
        sources_void_db(ctx->env->sources, b);
        forget_loaded(ctx, NULL);
    }
    if ((ctx->env->observed & OBSERVED_WATCHES) != 0) {
        watch_touch_swapped(ctx->env, a, b);
    }
    store_swap(ctx->env->store, a, b);
    if ((ctx->env->observed & OBSERVED_TRACKING) != 0) {
        tracking_invalidate_all(ctx->env);
    }
}
