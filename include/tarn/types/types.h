/*
 * Values with an inside. The store keeps bytes under keys; this layer gives the bytes of an entry
 * of a richer type their meaning, and owns the memory of values that are too large to be a piece of
 * the log. Today that is the hash (hashmap.h).
 *
 * Pure as the store is: no event loop, no sockets; time is the store's clock.
 */
#ifndef TARN_TYPES_TYPES_H
#define TARN_TYPES_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "tarn/base/compiler.h"
#include "tarn/base/metric.h"
#include "tarn/base/option.h"
#include "tarn/store/store.h"

struct types; /* opaque */

/* How a hash is kept is this layer's own choice; the options say what it is called. */
struct types_options {
    int64_t hash_max_listpack_entries; /* more fields: a hashtable */
    int64_t hash_max_listpack_value;   /* a longer name or value: a hashtable */
};
extern const struct option_table types_option_table;

/* The counters of INFO. */
struct types_counters {
    uint64_t expired_subkeys; /* fields that reached their expiry */
};
extern const struct metric_table types_metric_table;

/* Becomes the owner of the store's objects. All pointers are borrowed; changes of `options` hold
 * for what is written afterwards. 0 or -errno. */
int types_create(struct types **out, struct store *store, const struct clock *clock,
                 const struct types_options *options) WARN_UNUSED;

/* After the store is destroyed, which hands all objects back. Accepts NULL. */
void types_destroy(struct types *t);

struct types_counters *types_counters(struct types *t);

/* Called when fields of a key are taken out because they are over; is_gone: and the key with the
 * last of them. The key is borrowed during the call; the callee may not call the store. */
typedef void (*types_expired_fn)(void *ctx, const struct store_key *key, bool is_gone);
void types_set_expired(struct types *t, types_expired_fn fn, void *ctx);

/* May there be fields with an expiry at all? */
bool types_has_expiries(const struct types *t);

/* Takes out fields whose time is over before anybody meets them, for at most about `budget_us`.
 * Call it ten times a second, and again soon when it returns true: there are more. */
bool types_tick(struct types *t, int64_t budget_us);

#endif
