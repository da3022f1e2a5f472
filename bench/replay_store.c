/*
 * Replays a trace through the store in this process.
 *
 * With `equal_bytes` a run can be compared with a simulation that knows no overhead: every size is
 * scaled by one factor, so that the budget is 256 segments of a power of two, and the limit is
 * moved along with all that the store holds beyond the scaled sizes of its live entries (index,
 * headers, tables, rounding, unused ends of segments). As in the simulations, what takes more than
 * a quarter of the budget is not inserted. A key is its number, 8 bytes; values are never written,
 * as their bytes are of no interest.
 */
#include "replay.h"

#include "tarn/store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define SEGMENTS          256
#define SEGMENT_BYTES_MIN (128u * 1024) /* makes the steps in which the index grows small */
#define SEGMENT_BYTES_MAX (8u * 1024 * 1024)
#define ENTRY_MEAN_MIN    64.0 /* so that few entries are smaller than a header and a key */
#define ENTRY_HEAD_BYTES  13
#define ADMIT_PART        4
#define HASH_SEED         42
#define TICK_REQUESTS     64
#define TICK_US           500
#define LIMIT_REQUESTS    16
#define TIME_FIRST_MS     1000000

struct replay {
    const struct replay_plan *plan;
    struct store_options options;
    struct clock clock;
    struct store *store;
    double scale;
    uint64_t budget; /* equal_bytes: for scaled sizes; 0 otherwise */
    uint64_t held;   /* scaled sizes of the live entries */
    uint32_t *sizes; /* owned; equal_bytes: latest size of each key */
    char *value;     /* owned */
};

static int policy_number(const char *name)
{
    for (int i = 0; store_policy_names[i] != NULL; i++) {
        if (strcmp(store_policy_names[i], name) == 0) {
            return i;
        }
    }
    die("no such policy: %s", name);
}

static uint64_t scaled(const struct replay *r, uint32_t size)
{
    return (uint64_t)((double)size * r->scale);
}

static void note_eviction(void *ctx, enum store_event event, unsigned db, struct strview key)
{
    struct replay *r = ctx;
    uint64_t number;
    memcpy(&number, key.data, sizeof(number));
    r->held -= scaled(r, r->sizes[number]);
}

static void plan_equal_bytes(struct replay *r)
{
    const struct trace *t = r->plan->trace;
    double capacity = r->plan->fraction * (double)t->footprint;
    double mean = (double)t->footprint / t->keys;
    uint32_t segment = SEGMENT_BYTES_MIN;
    while (segment < SEGMENT_BYTES_MAX && mean * SEGMENTS * segment / capacity < ENTRY_MEAN_MIN) {
        segment *= 2;
    }
    r->budget = (uint64_t)SEGMENTS * segment;
    r->scale = (double)r->budget / capacity;
    r->options.segment_bytes = segment;
    r->sizes = calloc(t->keys, sizeof(*r->sizes));
    if (r->sizes == NULL) {
        die("no memory for the sizes of the keys");
    }
}

static void adjust_limit(struct replay *r)
{
    struct store_stats stats;
    struct errtext err;
    store_stats(r->store, &stats);
    uint64_t all = stats.bytes_live + stats.bytes_dead + stats.bytes_large + stats.bytes_index +
                   stats.bytes_other;
    r->options.maxmemory = (int64_t)(r->budget + all - r->held);
    if (store_apply_options(r->store, &err) != 0) {
        die("%s", err.text);
    }
}

static void start(struct replay *r)
{
    struct errtext err;
    r->options = (struct store_options){
        .maxmemory = (int64_t)r->plan->memory,
        .maxmemory_policy = policy_number(r->plan->policy),
        .hash_seed = HASH_SEED,
    };
    if (r->plan->equal_bytes) {
        plan_equal_bytes(r);
    }
    if (store_create(&r->store, &r->options, &r->clock, &err) != 0) {
        die("%s", err.text);
    }
    if (r->plan->equal_bytes) {
        store_set_event(r->store, note_eviction, r);
        adjust_limit(r);
    }
    uint32_t size_max_seen = 1;
    for (size_t i = 0; i < r->plan->trace->count; i++) {
        uint32_t size = r->plan->trace->requests[i].size;
        size_max_seen = size > size_max_seen ? size : size_max_seen;
    }
    r->value = calloc(1, size_max_seen);
    if (r->value == NULL) {
        die("no memory for a value");
    }
}

static enum store_result insert(struct replay *r, const struct store_key *k,
                                const struct request *q)
{
    int64_t expires_at_ms = q->ttl_s > 0 ? r->clock.mono_ms + (int64_t)q->ttl_s * 1000 : 0;
    struct store_write w = {.expires_at_ms = expires_at_ms};
    return store_set(r->store, k, strview_of(r->value, replay_value_len(q->size)), &w);
}

static void insert_scaled(struct replay *r, const struct store_key *k, const struct request *q)
{
    uint64_t bytes = scaled(r, q->size);
    if (bytes > r->budget / ADMIT_PART) {
        return;
    }
    char *ignored;
    size_t len = bytes > ENTRY_HEAD_BYTES ? bytes - ENTRY_HEAD_BYTES : 0;
    if (store_set_uninit(r->store, k, len, &(struct store_write){0}, &ignored) == STORE_OK) {
        r->sizes[q->key] = q->size;
        r->held += bytes;
    }
}

static void request(struct replay *r, const struct request *q, struct replay_result *out)
{
    char text[REPLAY_KEY_CHARS];
    uint64_t number = q->key;
    struct strview key = strview_of(&number, sizeof(number));
    if (!r->plan->equal_bytes) {
        replay_key(text, q->key);
        key = strview_of(text, sizeof(text));
    }
    struct store_key k = store_key_init(r->store, 0, key);
    struct entry_view found;
    out->requests++;
    out->bytes += q->size;
    if (store_find(r->store, &k, &found)) {
        out->hits++;
        out->hit_bytes += q->size;
    } else if (r->plan->equal_bytes) {
        insert_scaled(r, &k, q);
    } else {
        (void)insert(r, &k, q); /* what does not fit is not cached */
    }
}

static void finish(struct replay *r, struct replay_result *out)
{
    struct store_stats stats;
    store_stats(r->store, &stats);
    out->bytes_copied = stats.bytes_copied;
    out->bytes_evicted = stats.bytes_evicted;
    out->keys = store_count(r->store, 0);
    out->used_memory = store_used_memory(r->store);
    store_destroy(r->store);
    free(r->value);
    free(r->sizes);
}

void replay_in_process(const struct replay_plan *plan, struct replay_result *out)
{
    struct replay r = {.plan = plan, .clock = {.mono_ms = TIME_FIRST_MS}};
    *out = (struct replay_result){0};
    size_t rss_before = bench_rss(0);
    start(&r);
    uint64_t cpu_before = bench_cpu_ns();
    for (size_t i = 0; i < plan->trace->count; i++) {
        const struct request *q = &plan->trace->requests[i];
        r.clock.mono_ms = TIME_FIRST_MS + (int64_t)q->time_s * 1000;
        r.clock.mono_us = r.clock.mono_ms * 1000;
        request(&r, q, out);
        if (plan->equal_bytes && i % LIMIT_REQUESTS == 0) {
            adjust_limit(&r);
        }
        if (i % TICK_REQUESTS == 0) {
            (void)store_tick(r.store, TICK_US);
        }
    }
    out->cpu_ns = bench_cpu_ns() - cpu_before;
    size_t rss = bench_rss(0);
    out->rss = rss > rss_before ? rss - rss_before : 0;
    finish(&r, out);
}
