/*
 * A policy that takes over a full store does as well after a minute as in a store of its own that
 * began at the same moment: every pair of them, on a Zipf stream with changing popularity, on a
 * simulated clock.
 *
 * Both stores see the same requests: a GET, and a SET when it misses. A minute after the switch
 * their hits are counted for another minute; the one with the past may have at most POINTS_MAX
 * points fewer.
 */
#include "tarn/store/store.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define LIMIT         (4 << 20)
#define SEGMENT_BYTES (16 * 1024)
#define KEYS          60000 /* three times what fits */
#define VALUE_BYTES   200
#define TTL_MS        (3600 * 1000)
#define PER_SECOND    2500
#define MINUTE        (60 * PER_SECOND) /* requests */
#define DRIFT         20 /* requests after which the popular keys are others by one */
#define TICK_REQUESTS 64
#define TICK_US       500
#define POINTS_MAX    2.0

static const char *const policies[] = {"noeviction",   "allkeys-fifo",     "allkeys-lru",
                                       "allkeys-lfu",  "allkeys-random",   "volatile-ttl",
                                       "volatile-lru", "allkeys-adaptive", "volatile-adaptive"};
#define POLICIES (sizeof(policies) / sizeof(policies[0]))

struct cache {
    struct store *s;
    struct store_options options;
    struct clock clock;
};

static int policy_number(const char *name)
{
    int i = 0;
    while (strcmp(store_policy_names[i], name) != 0) {
        i++;
    }
    return i;
}

static void cache_open(struct cache *c, const char *policy, unsigned at)
{
    *c = (struct cache){.options = {.maxmemory = LIMIT,
                                    .maxmemory_policy = policy_number(policy),
                                    .segment_bytes = SEGMENT_BYTES,
                                    .arena_bytes = 1 << 28,
                                    .hash_seed = 3},
                        .clock = {.mono_ms = 1000000 + (int64_t)at * 1000 / PER_SECOND}};
    struct errtext err;
    assert_int_equal(store_create(&c->s, &c->options, &c->clock, &err), 0);
}

/* A number that looks random (the last steps of MurmurHash3's). */
static uint64_t scramble(uint64_t n)
{
    n = (n ^ n >> 33) * UINT64_C(0xff51afd7ed558ccd);
    n = (n ^ n >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return n ^ n >> 33;
}

/* The key of the n-th request: rank by Zipf with exponent 1, shifted as time goes by. */
static uint64_t key_at(unsigned n)
{
    const double u = (double)(scramble(n + 1) >> 11) * 0x1p-53;
    const uint64_t rank = (uint64_t)exp(u * log(KEYS)) - 1;
    return (rank + n / DRIFT) % KEYS;
}

/* Requests from..to; returns the hits. */
static unsigned run(struct cache *c, unsigned from, unsigned to)
{
    static const char value[VALUE_BYTES];
    unsigned hits = 0;
    for (unsigned n = from; n < to; n++) {
        c->clock.mono_ms = 1000000 + (int64_t)n * 1000 / PER_SECOND;
        c->clock.mono_us = c->clock.mono_ms * 1000;
        const uint64_t number = key_at(n);
        const struct store_key k = store_key_init(c->s, 0, strview_of(&number, sizeof(number)));
        struct entry_view view;
        if (store_find(c->s, &k, &view)) {
            hits++;
        } else {
            const struct store_write w = {.expires_at_ms = c->clock.mono_ms + TTL_MS};
            const enum store_result r = store_set(c->s, &k, strview_of(value, VALUE_BYTES), &w);
            assert_true(r == STORE_OK || r == STORE_FULL);
        }
        if (n % TICK_REQUESTS == 0) {
            (void)store_tick(c->s, TICK_US);
        }
    }
    return hits;
}

static void switch_to(struct cache *c, const char *policy)
{
    struct errtext err;
    c->options.maxmemory_policy = policy_number(policy);
    assert_int_equal(store_apply_options(c->s, &err), 0);
}

static void check_switches_to(const char *to)
{
    struct cache fresh;
    cache_open(&fresh, to, MINUTE);
    (void)run(&fresh, MINUTE, 2 * MINUTE);
    const double wanted = 100.0 * run(&fresh, 2 * MINUTE, 3 * MINUTE) / MINUTE;
    store_destroy(fresh.s);
    for (unsigned i = 0; i < POLICIES; i++) {
        if (strcmp(policies[i], to) == 0) {
            continue;
        }
        struct cache c;
        cache_open(&c, policies[i], 0);
        (void)run(&c, 0, MINUTE);
        switch_to(&c, to);
        (void)run(&c, MINUTE, 2 * MINUTE);
        const double points = 100.0 * run(&c, 2 * MINUTE, 3 * MINUTE) / MINUTE;
        print_message("# %s to %s: %.2f %% hits, %.2f fresh\n", policies[i], to, points, wanted);
        assert_true(points >= wanted - POINTS_MAX);
        store_check(c.s);
        store_destroy(c.s);
    }
}

#define SWITCH(name, policy)                                                  \
    static void switch__to_##name##_is_as_good_as_a_fresh_start(void **state) \
    {                                                                         \
        (void)state;                                                          \
        check_switches_to(policy);                                            \
    }
SWITCH(fifo, "allkeys-fifo")
SWITCH(lru, "allkeys-lru")
SWITCH(lfu, "allkeys-lfu")
SWITCH(random, "allkeys-random")
SWITCH(ttl, "volatile-ttl")
SWITCH(volatile_lru, "volatile-lru")
SWITCH(adaptive, "allkeys-adaptive")
SWITCH(volatile_adaptive, "volatile-adaptive")
#undef SWITCH

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(switch__to_fifo_is_as_good_as_a_fresh_start),
        cmocka_unit_test(switch__to_lru_is_as_good_as_a_fresh_start),
        cmocka_unit_test(switch__to_lfu_is_as_good_as_a_fresh_start),
        cmocka_unit_test(switch__to_random_is_as_good_as_a_fresh_start),
        cmocka_unit_test(switch__to_ttl_is_as_good_as_a_fresh_start),
        cmocka_unit_test(switch__to_volatile_lru_is_as_good_as_a_fresh_start),
        cmocka_unit_test(switch__to_adaptive_is_as_good_as_a_fresh_start),
        cmocka_unit_test(switch__to_volatile_adaptive_is_as_good_as_a_fresh_start),
    };
    return cmocka_run_group_tests_name("model/policy-switch", tests, NULL, NULL);
}
