/* A store with the types layer on top and a clock of its own. */
#ifndef TARN_TESTS_TYPES_FIXTURE_H
#define TARN_TESTS_TYPES_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tarn/types/hashmap.h"

struct fixture {
    struct store *s;
    struct types *t;
    struct store_options store_options;
    struct types_options options;
    struct clock clock;
};

static inline void fixture_init(struct fixture *f, int64_t maxmemory)
{
    struct errtext err;
    *f = (struct fixture){
        .store_options = {.maxmemory = maxmemory, .arena_bytes = 1 << 28, .hash_seed = 7},
        .options = {.hash_max_listpack_entries = 128, .hash_max_listpack_value = 64},
        .clock = {.mono_ms = 1000000, .wall_ms = 1700000000000, .mono_us = 1000000000},
    };
    assert_int_equal(store_create(&f->s, &f->store_options, &f->clock, &err), 0);
    assert_int_equal(types_create(&f->t, f->s, &f->clock, &f->options), 0);
}

static inline void fixture_fini(struct fixture *f)
{
    store_check(f->s);
    store_destroy(f->s);
    types_destroy(f->t);
}

static inline int setup(void **state)
{
    static struct fixture f;
    fixture_init(&f, 0);
    *state = &f;
    return 0;
}

static inline int teardown(void **state)
{
    fixture_fini(*state);
    return 0;
}

static inline void fixture_wait(struct fixture *f, int64_t ms)
{
    f->clock.mono_ms += ms;
    f->clock.wall_ms += ms;
    f->clock.mono_us += ms * 1000;
}

static inline struct store_key fixture_key(struct fixture *f, const char *key)
{
    return store_key_init(f->s, 0, strview_str(key));
}

/* The hash under a key; false: absent, or nothing lives in it. */
static inline bool fixture_open(struct fixture *f, const struct store_key *k, struct strview *out)
{
    struct entry_view e;
    if (!store_peek(f->s, k, &e)) {
        return false;
    }
    assert_int_equal(e.type, ENTRY_HASH);
    *out = e.value;
    return hashmap_is_live(f->t, e.value);
}

/* As a command opens it: purged, and absent when nothing lives in it. */
static inline struct hashmap_edit fixture_edit(struct fixture *f, const struct store_key *k)
{
    struct hashmap_edit e = {.types = f->t, .key = k};
    e.is_present = fixture_open(f, k, &e.hash);
    hashmap_purge(&e);
    return e;
}

static inline enum store_result fixture_set(struct fixture *f, const char *key, const char *name,
                                            const char *value)
{
    const struct store_key k = fixture_key(f, key);
    struct hashmap_edit e = fixture_edit(f, &k);
    bool is_new;
    const enum store_result r = hashmap_set(&e, strview_str(name), strview_str(value), false,
                                            &is_new);
    hashmap_end(&e);
    return r;
}

static inline enum store_result fixture_expire(struct fixture *f, const char *key, const char *name,
                                               int64_t ttl_ms)
{
    const struct store_key k = fixture_key(f, key);
    struct hashmap_edit e = fixture_edit(f, &k);
    const enum store_result r = hashmap_set_expiry(&e, strview_str(name),
                                                   f->clock.mono_ms + ttl_ms);
    hashmap_end(&e);
    return r;
}

#endif
