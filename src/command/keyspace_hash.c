/*
 * Hashes as keyspace.h offers them. Whoever opens a hash first has the fields taken out whose time
 * is over; one in which nothing lives is absent, as keyspace.c has it for every command.
 */
#include "keyspace.h"

#include "notify.h"
#include "observers.h"
#include "reply.h"
#include "tarn/source/source.h"

static struct hashmap_edit edit_of(struct cmd_ctx *ctx, const struct store_key *k,
                                   struct strview hash, bool is_present)
{
    return (struct hashmap_edit){
        .types = ctx->env->types, .key = k, .hash = hash, .is_present = is_present};
}

enum key_state key_read_hash(struct cmd_ctx *ctx, const struct store_key *k,
                             struct strview *hash_out)
{
    struct entry_view e;
    const enum key_state state = key_read(ctx, k, ENTRY_HASH, &e);
    if (state == KEY_WRONG_TYPE) {
        reply_error(ctx, ERROR_WRONG_TYPE);
    }
    if (state != KEY_FOUND) {
        return state;
    }
    if (LIKELY(hashmap_due_ms(e.value) > ctx->env->clock->mono_ms)) {
        *hash_out = e.value;
        return KEY_FOUND;
    }
    struct hashmap_edit edit = edit_of(ctx, k, e.value, true);
    hashmap_purge(&edit);
    hashmap_end(&edit);
    *hash_out = edit.hash;
    return edit.is_present ? KEY_FOUND : KEY_ABSENT;
}

enum key_state key_edit_hash(struct cmd_ctx *ctx, const struct store_key *k,
                             struct hashmap_edit *out)
{
    struct entry_view e;
    if (UNLIKELY(keyspace_has_maps(ctx->env))) {
        sources_void_key(ctx->env->sources, k->db, k->key);
    }
    *out = edit_of(ctx, k, (struct strview){0}, false);
    if (!key_find(ctx, k, &e)) {
        return KEY_ABSENT;
    }
    if (e.type != ENTRY_HASH) {
        reply_error(ctx, ERROR_WRONG_TYPE);
        return KEY_WRONG_TYPE;
    }
    *out = edit_of(ctx, k, e.value, true);
    hashmap_purge(out);
    return KEY_FOUND;
}

/* A failure may come after the first fields were changed. */
static void announce_hash(struct cmd_ctx *ctx, const struct hashmap_edit *edit, const char *event)
{
    if (edit->is_new && (ctx->env->observed & OBSERVED_NEW) != 0) {
        observers_key_new(ctx, edit->key);
    }
    if (event == NULL) {
        key_changed(ctx, edit->key, NULL);
    } else {
        observers_key_changed_as(ctx, edit->key, NOTIFY_HASH, event);
    }
    if (!edit->is_present) {
        key_changed(ctx, edit->key, "del");
    }
}

bool key_end_hash(struct cmd_ctx *ctx, struct hashmap_edit *edit, enum store_result result,
                  const char *event)
{
    hashmap_end(edit);
    if (UNLIKELY(ctx->env->observed != 0) && edit->is_changed) {
        announce_hash(ctx, edit, event);
    }
    if (UNLIKELY(result != STORE_OK)) {
        reply_store_error(ctx, result);
    }
    return result == STORE_OK;
}
