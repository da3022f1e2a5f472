/*
 * The layer's life, what becomes of objects whose entries are gone, and the sweep.
 *
 * Fields that are over are invisible at once but take memory until somebody opens their hash. The
 * sweep looks for them: it walks over all databases in small steps, within its budget, and purges
 * what it finds. There is no list of hashes with such fields: most stores have none, and then there
 * is no walk; a round that met none is the last until another field gets an expiry.
 */
#include "tarn/types/types.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "types_private.h"

#define SWEEP_SLOTS      64 /* of the index, in one step */
#define SWEEP_KEYS_BYTES (1024 * 1024)
#define BUF_KEPT_BYTES   (64 * 1024)

/* ---- options and counters ---- */

#define FIELD(f) offsetof(struct types_options, f)
static const struct option types_option_rows[] = {
    {.name = "hash-max-listpack-entries",
     .help = "OBJECT ENCODING calls a hash with more fields a hashtable; how it is kept is Tarn's "
             "choice",
     .def = "128",
     .offset = FIELD(hash_max_listpack_entries),
     .max = INT64_MAX,
     .type = OPTION_INT},
    {.name = "hash-max-listpack-value",
     .help = "OBJECT ENCODING calls a hash with a longer name or value in it a hashtable",
     .def = "64",
     .offset = FIELD(hash_max_listpack_value),
     .max = INT64_MAX,
     .type = OPTION_BYTES},
    {.name = "hash-max-ziplist-entries",
     .help = "the old name of hash-max-listpack-entries",
     .def = "128",
     .offset = FIELD(hash_max_listpack_entries),
     .max = INT64_MAX,
     .type = OPTION_INT},
    {.name = "hash-max-ziplist-value",
     .help = "the old name of hash-max-listpack-value",
     .def = "64",
     .offset = FIELD(hash_max_listpack_value),
     .max = INT64_MAX,
     .type = OPTION_BYTES},
};
#undef FIELD

const struct option_table types_option_table = {
    .title = "Types", .rows = types_option_rows, .count = ARRAY_LEN(types_option_rows)};

static const struct metric types_metric_rows[] = {
    {.name = "expired_subkeys",
     .help = "fields of hashes that reached their expiry",
     .offset = offsetof(struct types_counters, expired_subkeys),
     .kind = METRIC_COUNTER},
};

const struct metric_table types_metric_table = {
    .section = "Stats", .rows = types_metric_rows, .count = ARRAY_LEN(types_metric_rows)};

struct types_counters *types_counters(struct types *t)
{
    return &t->counters;
}

/* ---- dropped objects ---- */

static void on_drop(void *ctx, struct store_object *object)
{
    struct types *t = ctx;
    struct field_table *table = container_of(object, struct field_table, object);
    assert(object->bytes == table->bytes);
    table->next_dropped = t->dropped;
    t->dropped = table;
}

static size_t on_drain(void *ctx)
{
    struct types *t = ctx;
    struct field_table *table = t->dropped;
    size_t bytes = 0;
    while (table != NULL && bytes == 0) {
        struct field_table *next = table->next_dropped;
        if (field_table_free_some(table, &bytes)) {
            t->dropped = next;
        }
    }
    return bytes;
}

/* ---- life ---- */

int types_create(struct types **out, struct store *store, const struct clock *clock,
                 const struct types_options *options)
{
    struct types *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return -ENOMEM;
    }
    t->store = store;
    t->clock = clock;
    t->options = options;
    t->owner = (struct store_object_owner){.ctx = t, .drop = on_drop, .drain = on_drain};
    buf_init(&t->sweep.due_keys);
    store_set_object_owner(store, &t->owner);
    *out = t;
    return 0;
}

void types_destroy(struct types *t)
{
    if (t != NULL) {
        assert(t->dropped == NULL);
        chunks_fini(&t->chunks);
        buf_fini(&t->sweep.due_keys);
        free(t);
    }
}

/* ---- the sweep ---- */

void types_set_expired(struct types *t, types_expired_fn fn, void *ctx)
{
    t->expired_fn = fn;
    t->expired_ctx = ctx;
}

bool types_has_expiries(const struct types *t)
{
    return t->sweep.is_wanted;
}

static void sweep_visit(void *ctx, const struct entry_view *e)
{
    struct sweep *sweep = ctx;
    if (e->type != ENTRY_HASH) {
        return;
    }
    const int64_t due_ms = hashmap_due_ms(e->value);
    sweep->has_met_one = sweep->has_met_one || due_ms != STORE_NO_EXPIRY;
    const size_t len = e->key.len;
    if (due_ms <= sweep->now_ms && buf_len(&sweep->due_keys) + len <= SWEEP_KEYS_BYTES &&
        buf_reserve(&sweep->due_keys, sizeof(len) + len)) {
        (void)buf_append(&sweep->due_keys, &len, sizeof(len)); /* there is room */
        (void)buf_append_view(&sweep->due_keys, e->key);
    }
}

/* Purges the hash, in slices, while there is time. True: it is done. */
static bool purge_key(struct types *t, struct strview name, int64_t deadline_us)
{
    struct entry_view view;
    const struct store_key key = store_key_init(t->store, t->sweep.db, name);
    if (!store_peek(t->store, &key, &view) || view.type != ENTRY_HASH) {
        return true;
    }
    struct hashmap_edit edit = {.types = t, .key = &key, .hash = view.value, .is_present = true};
    bool is_done = false;
    do {
        hashmap_purge(&edit);
        is_done = !edit.is_present || hashmap_due_ms(edit.hash) > t->clock->mono_ms;
    } while (!is_done && clock_now_us() < deadline_us);
    hashmap_end(&edit);
    return is_done;
}

/* Some slots' worth. False: the round is over. *is_behind is set when there was no time for all. */
static bool sweep_step(struct types *t, int64_t deadline_us, bool *is_behind)
{
    struct sweep *sweep = &t->sweep;
    sweep->now_ms = t->clock->mono_ms;
    buf_clear(&sweep->due_keys);
    const uint64_t next = store_scan(t->store, sweep->db, sweep->cursor, SWEEP_SLOTS, sweep_visit,
                                     sweep);
    while (buf_len(&sweep->due_keys) > 0) {
        size_t len;
        memcpy(&len, buf_view(&sweep->due_keys).data, sizeof(len));
        buf_consume(&sweep->due_keys, sizeof(len));
        const struct strview name = strview_of(buf_view(&sweep->due_keys).data, len);
        *is_behind = !purge_key(t, name, deadline_us) || *is_behind;
        buf_consume(&sweep->due_keys, len);
    }
    if (*is_behind) {
        return true; /* the next step sees the same slots */
    }
    sweep->cursor = next;
    if (next == 0) {
        sweep->db = (sweep->db + 1) % STORE_DATABASES;
    }
    return next != 0 || sweep->db != 0;
}

bool types_tick(struct types *t, int64_t budget_us)
{
    const int64_t deadline_us = clock_now_us() + budget_us;
    bool is_behind = false;
    while (t->sweep.is_wanted) {
        if (!sweep_step(t, deadline_us, &is_behind)) {
            t->sweep.is_wanted = t->sweep.has_met_one;
            t->sweep.has_met_one = false;
            break;
        }
        if (clock_now_us() >= deadline_us) {
            break;
        }
    }
    buf_shrink(&t->sweep.due_keys, BUF_KEPT_BYTES);
    return is_behind;
}
