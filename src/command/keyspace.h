/*
 * The only door from commands to the store. It knows what handlers should not have to: that a
 * cached row may be gone by its map's epoch, that a negative entry is an absent key, that a missing
 * key may have to be loaded first, that a change voids a load in flight, and what counts as a hit.
 *
 * Entries are borrowed views: valid until the next call here that changes something.
 */
#ifndef TARN_COMMAND_KEYSPACE_H
#define TARN_COMMAND_KEYSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handler.h"
#include "observers.h"
#include "tarn/store/store.h"
#include "tarn/types/hashmap.h"
#include "tarn/types/rdb_value.h"

/* Keys that are prefetched together by commands with many of them. */
#define KEY_BATCH 32

/* Argument `i` as a key of the session's database; the first key's hash is reused. */
struct store_key key_at(const struct cmd_ctx *ctx, int i);

/* Fills up to KEY_BATCH keys from arguments first, first + step, ... (below argc) and prefetches
 * their entries. Returns how many. */
size_t key_batch(const struct cmd_ctx *ctx, int first, int step, struct store_key out[KEY_BATCH]);

enum key_state {
    KEY_ABSENT,
    KEY_FOUND,
    KEY_WRONG_TYPE, /* nothing was written to the reply */
};

/* ---- reading: counts hits and misses, loads when the command is marked CMD_LOADS ---- */

/* The entry for a command that wants this type. Counts as a use. KEY_ABSENT also when the key has
 * to be loaded or its load failed: dispatch will throw the reply away. */
enum key_state key_read(struct cmd_ctx *ctx, const struct store_key *k, enum entry_type type,
                        struct entry_view *out);

/* An entry of any type. `is_use` false: looking leaves no trace in the eviction policy. */
bool key_look(struct cmd_ctx *ctx, const struct store_key *k, bool is_use, struct entry_view *out);

/* key_read() of a string, with the WRONGTYPE reply written. */
enum key_state key_read_string(struct cmd_ctx *ctx, const struct store_key *k,
                               struct strview *value_out);

/* ---- looking before a change: counts nothing, loads nothing ---- */

bool key_find(struct cmd_ctx *ctx, const struct store_key *k, struct entry_view *out);

/* key_find() for a command that changes strings, with the WRONGTYPE reply written. */
enum key_state key_find_string(struct cmd_ctx *ctx, const struct store_key *k,
                               struct strview *value_out);

/* What Redis would call the way the value is stored; cmd_key.c. */
const char *key_encoding_name(const struct cmd_ctx *ctx, const struct entry_view *e);

/* The name TYPE gives. */
const char *key_type_name(enum entry_type type);

/* Is this entry, seen by a walk, one that readers would be shown? */
bool key_is_visible(const struct cmd_ctx *ctx, const struct entry_view *e);

/* For EXEC: starts the load of a mapped key that the queued command `c` names and that is not
 * cached, and counts it in loads_pending until it is there. Shows nothing and counts as no use. */
void key_preload(struct cmd_ctx *ctx, const struct command *c, const struct store_key *k,
                 bool is_use);

/* For requests that have not been run: starts the load of a mapped key that is not cached, for
 * nobody yet. False: not one more may be started. */
bool keyspace_prefetch(struct command_env *env, const struct command *c, const struct store_key *k,
                       bool is_use);

/* Is there a live entry that readers would be shown? Leaves no trace. */
bool keyspace_holds(const struct command_env *env, const struct store_key *k);

/* ---- changing: voids loads in flight. False: the error reply was written ---- */

/* Inserts or replaces a string. `expires_at_ms` is monotonic, STORE_NO_EXPIRY or a time in the
 * past: then the key is removed. */
bool key_set(struct cmd_ctx *ctx, const struct store_key *k, struct strview value,
             int64_t expires_at_ms);
/* The same, keeping the present expiry. */
bool key_set_keep_expiry(struct cmd_ctx *ctx, const struct store_key *k,
                         struct strview value) WARN_UNUSED;
/* Gives the string of a live or an absent key this length (new bytes are zero); expiry stays. *out
 * is writable. */
bool key_resize(struct cmd_ctx *ctx, const struct store_key *k, size_t len, bool is_present,
                char **out) WARN_UNUSED;
/* Copies an entry, replacing the other; the copy of a cached row is an ordinary key. */
bool key_copy(struct cmd_ctx *ctx, const struct store_key *from,
              const struct store_key *to) WARN_UNUSED;
bool key_rename(struct cmd_ctx *ctx, const struct store_key *from,
                const struct store_key *to) WARN_UNUSED;

/* Renames a key to the same name in another database. */
bool key_move(struct cmd_ctx *ctx, const struct store_key *from,
              const struct store_key *to) WARN_UNUSED;
/* Puts a value that came from RESTORE under the key; `value` is spent. */
bool key_restore(struct cmd_ctx *ctx, const struct store_key *k, struct rdb_value *value,
                 int64_t expires_at_ms) WARN_UNUSED;

/* True when readers would have seen the key. */
bool key_remove(struct cmd_ctx *ctx, const struct store_key *k);

/* Sets the expiry of a present key (STORE_NO_EXPIRY takes it away); a time in the past removes it.
 * The life of a cached row is only ever shortened. False: the error reply was written. */
bool key_expire(struct cmd_ctx *ctx, const struct store_key *k, int64_t expires_at_ms);

/* A change was asked for that an absent key does not show: a load under way may not be stored as if
 * nothing had been said. */
void key_void(struct cmd_ctx *ctx, const struct store_key *k);

/* The key changed: those who watch, track or listen hear of it. Called by the functions above; for
 * handlers that change a value in place. `event` NULL: the command's own (its row's `event`);
 * otherwise one of the generic class. */
static inline void key_changed(struct cmd_ctx *ctx, const struct store_key *k, const char *event)
{
    if (UNLIKELY(ctx->env->observed != 0)) {
        observers_key_changed(ctx, k, event);
    }
}

/* STORE_DATABASES: all. */
void keyspace_flush(struct cmd_ctx *ctx, unsigned db);
void keyspace_swap(struct cmd_ctx *ctx, unsigned a, unsigned b);

/* ---- hashes ---- */

/* key_read() of a hash, with the WRONGTYPE reply written. */
enum key_state key_read_hash(struct cmd_ctx *ctx, const struct store_key *k,
                             struct strview *hash_out);

/* key_find() for a command that changes a hash, with the WRONGTYPE reply written. Otherwise *out is
 * ready for changes, also of an absent key, and key_end_hash() has to follow. */
enum key_state key_edit_hash(struct cmd_ctx *ctx, const struct store_key *k,
                             struct hashmap_edit *out);
/* `result` is the first failure, or STORE_OK. False: it became the reply. `event` NULL: by what the
 * command is for. */
bool key_end_hash(struct cmd_ctx *ctx, struct hashmap_edit *edit, enum store_result result,
                  const char *event);

/* ---- maps ---- */

/* Before a command that may grow memory, with what others hold by now. False: there is no room. */
static inline bool keyspace_make_room(struct command_env *env)
{
    store_ask_others(env->store);
    return store_make_room(env->store) == STORE_OK;
}

/* Does read-through play any part in this process? */
bool keyspace_has_maps(const struct command_env *env);

/* When the command may not write a key it names (CMD_MAPPED_WRITE, CMD_MAPPED_DEST): writes
 * -SOURCEWRITE and returns false. */
bool keyspace_may_write(struct cmd_ctx *ctx) WARN_UNUSED;

/* Does the command look at what a mapped key holds before it does anything? */
bool keyspace_reads_first(const struct command *c, int argc);

/* For a command that writes, where there are maps: true when its handler is not to run, because the
 * database does it (and the reply is written), or because something has to be waited for. */
bool keyspace_takes_over(struct cmd_ctx *ctx) WARN_UNUSED;

/* After its handler: a value that was written in the cache alone lives no longer than a row. */
void keyspace_bound_lives(struct cmd_ctx *ctx);

#endif
