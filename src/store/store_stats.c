/* Numbers about the store, and its options and metrics as tables. */
#include "store_private.h"

static const struct option store_option_rows[] = {
    {.name = "maxmemory",
     .help = "memory limit: bytes, units, or a percentage of the machine's memory; 0: none",
     .def = "0",
     .offset = offsetof(struct store_options, maxmemory),
     .max = INT64_MAX,
     .type = OPTION_MEMORY},
    {.name = "maxmemory-policy",
     .help = "what leaves when the limit is reached",
     .def = "allkeys-adaptive",
     .names = store_policy_names,
     .offset = offsetof(struct store_options, maxmemory_policy),
     .type = OPTION_ENUM},
    {.name = "store-segment-bytes",
     .help = "size of a segment, a power of two; 0: chosen from maxmemory",
     .def = "0",
     .offset = offsetof(struct store_options, segment_bytes),
     .max = SEGMENT_BYTES_MAX,
     .type = OPTION_BYTES,
     .flags = OPTION_FIXED},
    {.name = "store-arena-bytes",
     .help = "address space to reserve; 0: twice the machine's memory",
     .def = "0",
     .offset = offsetof(struct store_options, arena_bytes),
     .max = INT64_MAX,
     .type = OPTION_BYTES,
     .flags = OPTION_FIXED},
    {.name = "store-huge-pages",
     .help =
         "ask for pages of 2 MiB where the system allows: large stores answer faster, and memory "
         "comes and goes in such steps, not all of them counted",
     .def = "no",
     .offset = offsetof(struct store_options, huge_pages),
     .type = OPTION_BOOL,
     .flags = OPTION_FIXED},
    {.name = "store-hash-seed",
     .help = "fixed seed of the key hash, for tests that must repeat; 0: random",
     .def = "0",
     .offset = offsetof(struct store_options, hash_seed),
     .max = INT64_MAX,
     .type = OPTION_INT,
     .flags = OPTION_FIXED},
};

const struct option_table store_option_table = {
    .title = "Memory",
    .rows = store_option_rows,
    .count = ARRAY_LEN(store_option_rows),
};

static const struct metric store_metric_rows[] = {
    {.name = "expired_keys",
     .help = "keys that reached their expiry",
     .offset = offsetof(struct store_counters, expired_keys),
     .kind = METRIC_COUNTER},
    {.name = "evicted_keys",
     .help = "keys that left because of the memory limit",
     .offset = offsetof(struct store_counters, evicted_keys),
     .kind = METRIC_COUNTER},
    {.name = "store_bytes_copied",
     .help = "bytes of entries that the reclaimer moved",
     .offset = offsetof(struct store_counters, bytes_copied),
     .kind = METRIC_COUNTER},
    {.name = "store_bytes_evicted",
     .help = "bytes of entries that were evicted",
     .offset = offsetof(struct store_counters, bytes_evicted),
     .kind = METRIC_COUNTER},
};

const struct metric_table store_metric_table = {
    .section = "Stats",
    .rows = store_metric_rows,
    .count = ARRAY_LEN(store_metric_rows),
};

struct store_counters *store_counters(struct store *s)
{
    return &s->counters;
}

size_t store_other_bytes(const struct store *s)
{
    return sizeof(*s) + s->segs.high * sizeof(struct segment) +
           s->due.touched * sizeof(struct due) + ghost_memory(&s->adaptive.ghost);
}

void store_stats(const struct store *s, struct store_stats *out)
{
    size_t in_use = s->segs.resident_bytes - s->segs.free_bytes;
    *out = (struct store_stats){
        .expired = s->counters.expired_keys,
        .evicted = s->counters.evicted_keys,
        .bytes_copied = s->counters.bytes_copied,
        .bytes_evicted = s->counters.bytes_evicted,
        .segments_used = s->segs.used,
        .segments_free = s->segs.free_resident.count,
        .segment_bytes = s->segs.segment_bytes,
        .bytes_live = s->live_bytes,
        .bytes_dead = in_use - size_min(in_use, s->live_bytes),
        .bytes_large = s->large_bytes,
        .bytes_dropped = s->dropped_bytes,
        .bytes_index = s->index_memory,
        .bytes_other = store_other_bytes(s),
        .bytes_negative = s->negative_bytes,
        .expire_lag_ms = s->expire_lag_ms,
    };
    for (unsigned i = 0; i < SPACES; i++) {
        const struct index *ix = s->spaces[i].ix;
        out->index_slots += ix != NULL ? index_slots(ix) : 0;
        out->index_entries += ix != NULL ? index_count(ix) : 0;
    }
}

size_t store_negative_bytes(const struct store *s)
{
    size_t count = 0;
    for (unsigned i = 0; i < SPACES; i++) {
        count += s->spaces[i].count_negative;
    }
    /* At most as many as there are entries, so the product is a part of the index' memory. */
    double part = s->count > 0 ? (double)count / (double)s->count : 0;
    return s->negative_bytes + (size_t)(part * (double)s->index_memory);
}

bool store_negative_fits(const struct store *s, double part)
{
    return s->limit == 0 || (double)store_negative_bytes(s) < part * (double)s->limit;
}

size_t store_entry_memory(struct store *s, const struct store_key *k)
{
    const uint64_t *slot = store_lookup_live(s, k);
    if (slot == NULL) {
        return 0;
    }
    struct entry_parts e;
    entry_parse(entry_at(&s->segs, slot_ref(*slot)), &e);
    const struct index *ix = space_of_db(s, k->db)->ix;
    return e.size + entry_outside(&e) + index_memory(ix) / index_count(ix);
}
