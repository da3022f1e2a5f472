/*
 * A store with a clock of its own, for unit tests: small segments, a fixed seed, and counts of the
 * events.
 */
#ifndef TARN_TESTS_STORE_FIXTURE_H
#define TARN_TESTS_STORE_FIXTURE_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/store/store.h"

#define FIXTURE_SEGMENT_BYTES 16384

struct fixture {
    struct store *s;
    struct store_options options;
    struct clock clock;
    unsigned events[2]; /* by enum store_event */
    char last_key[64];
};

static inline void fixture_event(void *ctx, enum store_event event, unsigned db, struct strview key)
{
    struct fixture *f = ctx;
    (void)db;
    f->events[event]++;
    snprintf(f->last_key, sizeof(f->last_key), "%.*s", STRVIEW_ARG(key));
}

/* The number of a policy by its name. */
static inline int fixture_policy(const char *name)
{
    int i = 0;
    while (strcmp(store_policy_names[i], name) != 0) {
        i++;
    }
    return i;
}

static inline void fixture_init(struct fixture *f, int64_t maxmemory, const char *policy)
{
    *f = (struct fixture){
        .options = {.maxmemory = maxmemory,
                    .maxmemory_policy = fixture_policy(policy),
                    .segment_bytes = FIXTURE_SEGMENT_BYTES,
                    .arena_bytes = 1 << 28,
                    .hash_seed = 7},
        .clock = {.mono_ms = 1000000, .wall_ms = 1700000000000, .mono_us = 1000000000},
    };
    struct errtext err;
    if (store_create(&f->s, &f->options, &f->clock, &err) != 0) {
        fprintf(stderr, "store_create: %s\n", err.text);
        abort();
    }
    store_set_event(f->s, fixture_event, f);
}

static inline void fixture_fini(struct fixture *f)
{
    store_check(f->s);
    store_destroy(f->s);
}

static inline void fixture_wait(struct fixture *f, int64_t ms)
{
    f->clock.mono_ms += ms;
    f->clock.wall_ms += ms;
    f->clock.mono_us += ms * 1000;
}

/* Upkeep until nothing is left to do. */
static inline void fixture_settle(struct fixture *f)
{
    while (store_tick(f->s, 1000)) {
    }
}

static inline struct store_key fixture_key(struct fixture *f, const char *key)
{
    return store_key_init(f->s, 0, strview_str(key));
}

static inline enum store_result fixture_set(struct fixture *f, const char *key, const char *value,
                                            int64_t ttl_ms)
{
    struct store_key k = fixture_key(f, key);
    struct store_write w = {.expires_at_ms = ttl_ms > 0 ? f->clock.mono_ms + ttl_ms : 0};
    return store_set(f->s, &k, strview_str(value), &w);
}

/* `len` bytes of `fill` under "key:<n>". */
static inline enum store_result fixture_set_n(struct fixture *f, unsigned n, size_t len,
                                              int64_t ttl_ms)
{
    char key[32];
    snprintf(key, sizeof(key), "key:%06u", n);
    struct store_key k = fixture_key(f, key);
    struct store_write w = {.expires_at_ms = ttl_ms > 0 ? f->clock.mono_ms + ttl_ms : 0};
    char *out;
    enum store_result r = store_set_uninit(f->s, &k, len, &w, &out);
    if (r == STORE_OK) {
        memset(out, 'a' + (int)(n % 26), len);
    }
    return r;
}

/* True when the key is there; counts as a use. */
static inline bool fixture_get_n(struct fixture *f, unsigned n)
{
    char key[32];
    snprintf(key, sizeof(key), "key:%06u", n);
    struct store_key k = fixture_key(f, key);
    struct entry_view v;
    return store_find(f->s, &k, &v);
}

/* The value as text, or NULL; valid until the next call. Does not count as a use. */
static inline const char *fixture_get(struct fixture *f, const char *key, char *text, size_t size)
{
    struct store_key k = fixture_key(f, key);
    struct entry_view v;
    if (!store_peek(f->s, &k, &v)) {
        return NULL;
    }
    snprintf(text, size, "%.*s", STRVIEW_ARG(v.value));
    return text;
}

#endif
