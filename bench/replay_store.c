/*
 * Replays a trace through the store in this process.
 *
 * For `equal_bytes` every size is scaled by one factor, so that the budget is 256 segments, a power
 * of two each, and entries are large enough for their header to fit into their size. A key is its
 * number, 8 bytes. The limit is moved along with what index and tables take, so that the log alone
 * has the budget. Values of this mode are never written: their bytes are of no interest.
 */
#include "replay.h"

#include "tarn/store/store.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define SEGMENTS          256
#define SEGMENT_BYTES_MIN (16u * 1024)
#define SEGMENT_BYTES_MAX (8u * 1024 * 1024)
#define ENTRY_MEAN_MIN    128.0 /* with less, rounding to 8 bytes would matter */
#define ENTRY_BYTES_MIN   16
#define ENTRY_ALIGN       8
#define LARGE_PART        8  /* a value above this part of a segment has a block of its own */
#define LARGE_OVERHEAD    56 /* entry of such a value, and what comes before it in its block */
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
    uint64_t budget; /* of the log; 0: maxmemory counts */
    char *value;     /* owned */
};

void replay_key(char out[REPLAY_KEY_CHARS], uint32_t key)
{
    memcpy(out, "key:", 4);
    for (unsigned i = REPLAY_KEY_CHARS; i-- > 4; key /= 10) {
        out[i] = (char)('0' + key % 10);
    }
}

static int policy_number(const char *name)
{
    for (int i = 0; store_policy_names[i] != NULL; i++) {
        if (strcmp(store_policy_names[i], name) == 0) {
            return i;
        }
    }
    die("no such policy: %s", name);
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
    /* Blocks shall take their size, not whole pages. */
    (void)mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024);
}

/* Bytes of value so that the entry takes the scaled size. */
static size_t scaled_value_len(const struct replay *r, uint32_t size)
{
    size_t total = (size_t)((double)size * r->scale / ENTRY_ALIGN + 0.5) * ENTRY_ALIGN;
    total = size_max(total, ENTRY_BYTES_MIN);
    size_t head = 2 + 1 + sizeof(uint64_t);
    size_t len = total - head - (total - head > 128 ? 2 : 1);
    return len > (size_t)r->options.segment_bytes / LARGE_PART ? total - LARGE_OVERHEAD : len;
}

static void adjust_limit(struct replay *r)
{
    if (r->budget > 0) {
        struct store_stats stats;
        struct errtext err;
        store_stats(r->store, &stats);
        uint64_t overhead = stats.bytes_index + stats.bytes_other + stats.bytes_dead;
        r->options.maxmemory = (int64_t)(r->budget + overhead);
        if (store_apply_options(r->store, &err) != 0) {
            die("%s", err.text);
        }
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
    } else {
        store_tune_allocator();
    }
    if (store_create(&r->store, &r->options, &r->clock, &err) != 0) {
        die("%s", err.text);
    }
    adjust_limit(r);
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
    if (r->budget > 0) {
        char *ignored;
        return store_set_uninit(r->store, k, scaled_value_len(r, q->size), &w, &ignored);
    }
    return store_set(r->store, k, strview_of(r->value, replay_value_len(q->size)), &w);
}

static void request(struct replay *r, const struct request *q, struct replay_result *out)
{
    char text[REPLAY_KEY_CHARS];
    uint64_t number = q->key;
    struct strview key = strview_of(&number, sizeof(number));
    if (r->budget == 0) {
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
        if (i % LIMIT_REQUESTS == 0) {
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
