/*
 * Measures the store by itself, as the server uses it:
 *
 *   bench-store MODE [--keys N] [--operations N] [--value BYTES]
 *
 * Fills a store with N keys (1 M), then runs one kind of operation on keys in random order and
 * prints the time of each:
 *
 *   find          look-ups one by one, each copying the value
 *   find-batch    the same in batches, prefetched in phases
 *   set           overwrites of the same size, in batches
 *   insert        new keys
 *   reclaim       new keys into a store that is full: each evicts about one other
 *   expire        keys that are not touched again; the time includes writing them
 *
 * Under callgrind two runs that differ only in the number of operations give the instructions of
 * one operation: see instructions.py.
 */
#include "tarn/base/hash.h"
#include "tarn/base/num.h"
#include "tarn/store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "replay.h"

#define KEYS_DEFAULT       1000000
#define OPERATIONS_DEFAULT 4000000
#define ROUNDS             4 /* the quickest counts: it was disturbed least */
#define BATCH              64
#define VALUE_MAX          (64 * 1024)
#define TICK_OPERATIONS    256
#define TICK_US            1000
#define EXPIRE_MS          5000
#define SEED               1
#define DEFAULT_POLICY     "allkeys-adaptive"

struct bench {
    struct store *store;
    struct store_options options;
    struct clock clock;
    struct rng rng;
    uint32_t keys, next; /* numbers of keys: below `keys` written by the fill */
    size_t value_len;
    int64_t ttl_ms;
    char value[VALUE_MAX], copy[VALUE_MAX];
};

/* A key with the bytes it is a view of. */
struct key {
    struct store_key key;
    char bytes[REPLAY_KEY_CHARS];
};

static void key_make(const struct bench *b, struct key *k, uint32_t number)
{
    replay_key(k->bytes, number);
    k->key = store_key_init(b->store, 0, strview_of(k->bytes, sizeof(k->bytes)));
}

static void find(struct bench *b, const struct store_key *k)
{
    struct entry_view e;
    if (!store_find(b->store, k, &e)) {
        die("a key is missing");
    }
    memcpy(b->copy, e.value.data, e.value.len);
}

static void set(struct bench *b, const struct store_key *k)
{
    const struct store_write w = {.expires_at_ms = b->ttl_ms > 0 ? b->clock.mono_ms + b->ttl_ms
                                                                 : 0};
    if (store_make_room(b->store) != STORE_OK ||
        store_set(b->store, k, strview_of(b->value, b->value_len), &w) != STORE_OK) {
        die("the store is full");
    }
}

static uint32_t any_key(struct bench *b)
{
    return (uint32_t)rng_below(&b->rng, b->keys);
}

/* ---- modes: `count` operations ---- */

static void run_find(struct bench *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct key k;
        key_make(b, &k, any_key(b));
        find(b, &k.key);
    }
}

static void in_batches(struct bench *b, uint32_t count,
                       void (*operation)(struct bench *b, const struct store_key *k))
{
    struct key keys[BATCH];
    struct store_key *pointers[BATCH];
    for (uint32_t done = 0; done < count; done += BATCH) {
        for (unsigned i = 0; i < BATCH; i++) {
            key_make(b, &keys[i], any_key(b));
            pointers[i] = &keys[i].key;
        }
        store_prefetch(b->store, pointers, BATCH);
        for (unsigned i = 0; i < BATCH; i++) {
            operation(b, &keys[i].key);
        }
    }
}

static void run_find_batch(struct bench *b, uint32_t count)
{
    in_batches(b, count, find);
}

static void run_set(struct bench *b, uint32_t count)
{
    in_batches(b, count, set);
}

static void run_insert(struct bench *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct key k;
        key_make(b, &k, b->next++);
        set(b, &k.key);
        if (i % TICK_OPERATIONS == 0) {
            (void)store_tick(b->store, TICK_US);
        }
    }
}

static void run_expire(struct bench *b, uint32_t count)
{
    b->ttl_ms = EXPIRE_MS;
    run_insert(b, count);
    b->clock.mono_ms += EXPIRE_MS + 1;
    b->clock.mono_us += (EXPIRE_MS + 1) * 1000;
    while (store_tick(b->store, TICK_US)) {
    }
    if (store_count(b->store, 0) != b->keys) {
        die("expired keys are left");
    }
}

struct mode {
    const char *name;
    void (*run)(struct bench *b, uint32_t count);
    bool is_limited; /* maxmemory is what the fill takes */
};

static const struct mode modes[] = {
    {"find", run_find, false},     {"find-batch", run_find_batch, false},
    {"set", run_set, false},       {"insert", run_insert, false},
    {"reclaim", run_insert, true}, {"expire", run_expire, false},
};

/* ---- command line ---- */

static const struct mode *mode_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        if (strcmp(modes[i].name, name) == 0) {
            return &modes[i];
        }
    }
    die("bench-store: no such mode: %s", name);
}

static int policy_named(const char *name)
{
    int i = 0;
    while (strcmp(store_policy_names[i], name) != 0) {
        i++;
    }
    return i;
}

static uint32_t number_of(const char *text, int64_t max)
{
    int64_t n;
    if (!num_parse_i64(strview_str(text), &n) || n < 0 || n > max) {
        die("bench-store: not a number up to %lld: %s", (long long)max, text);
    }
    return (uint32_t)n;
}

static void fill(struct bench *b)
{
    struct errtext err = {0};
    b->options.hash_seed = SEED;
    b->clock = (struct clock){.mono_ms = 1000, .wall_ms = 1000, .mono_us = 1000000};
    if (store_create(&b->store, &b->options, &b->clock, &err) != 0) {
        die("%s", err.text);
    }
    rng_init_seed(&b->rng, SEED);
    run_insert(b, b->keys);
}

int main(int argc, char **argv)
{
    static struct bench b = {.keys = KEYS_DEFAULT, .value_len = 100};
    uint32_t operations = OPERATIONS_DEFAULT;
    const struct mode *mode = mode_named(argc > 1 ? argv[1] : "find-batch");
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--keys") == 0) {
            b.keys = number_of(argv[i + 1], INT32_MAX);
        } else if (strcmp(argv[i], "--operations") == 0) {
            operations = number_of(argv[i + 1], INT32_MAX);
        } else if (strcmp(argv[i], "--value") == 0) {
            b.value_len = number_of(argv[i + 1], VALUE_MAX);
        } else {
            die("bench-store: no such option: %s", argv[i]);
        }
    }
    fill(&b);
    if (mode->is_limited) {
        struct errtext err = {0};
        b.options.maxmemory = (int64_t)store_used_memory(b.store);
        b.options.maxmemory_policy = policy_named(DEFAULT_POLICY);
        if (store_apply_options(b.store, &err) != 0) {
            die("%s", err.text);
        }
    }
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < ROUNDS; i++) {
        const uint64_t begin = bench_cpu_ns();
        mode->run(&b, operations / ROUNDS);
        const uint64_t took = bench_cpu_ns() - begin;
        best = took < best ? took : best;
    }
    printf("%-10s %u keys of %zu bytes: %.1f ns\n", mode->name, b.keys, b.value_len,
           operations >= ROUNDS ? (double)best / (operations / ROUNDS) : 0.0);
    store_destroy(b.store);
    return 0;
}
