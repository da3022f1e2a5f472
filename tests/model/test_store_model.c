/*
 * Random operations on the store, compared with a plain map.
 *
 * usage: test_store_model [seed [operations [policy]]]; without a policy each one in turn. The seed
 * is printed. The map drops a key when the store says so by an event, checks that the event was
 * due, and otherwise expects every key to be there with its bytes. Negative entries leave without
 * an event, so their absence is accepted under an evicting policy.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/base/hash.h"
#include "tarn/store/store.h"

#define KEYS          1500
#define DATABASES     3
#define KEY_LEN_MAX   9000
#define VALUE_MAX     40000
#define OPS_DEFAULT   20000
#define CHECK_EVERY   997
#define SEGMENT_BYTES 16384

#define REQUIRE(cond)                                                  \
    do {                                                               \
        if (!(cond)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                   \
        }                                                              \
    } while (0)

struct model_entry {
    bool is_present;
    char *value; /* owned */
    size_t len;
    int64_t expires_at_ms;
    enum entry_type type;
    bool has_aux;
    unsigned char aux[STORE_AUX_BYTES];
};

#define PINS 12

struct pinned {
    struct store_pin pin;
    struct strview value; /* in the store */
    char *copy;           /* owned; NULL: not in use */
};

struct model {
    struct store *s;
    struct store_options options;
    struct clock clock;
    struct rng rng;
    struct model_entry map[DATABASES][KEYS];
    char *keys[KEYS]; /* owned */
    size_t key_lens[KEYS];
    uint64_t events[2];
    struct pinned pins[PINS];
};

static const char *const policies[] = {"noeviction",   "allkeys-fifo",     "allkeys-lru",
                                       "allkeys-lfu",  "allkeys-random",   "volatile-fifo",
                                       "volatile-lru", "volatile-lfu",     "volatile-random",
                                       "volatile-ttl", "allkeys-adaptive", "volatile-adaptive"};

static uint64_t below(struct model *m, uint64_t n)
{
    return rng_below(&m->rng, n);
}

/* ---- the map ---- */

static void forget(struct model_entry *e)
{
    free(e->value);
    *e = (struct model_entry){0};
}

/* The key's number stands in front. */
static unsigned key_number(struct strview key)
{
    char digits[8] = {0};
    REQUIRE(key.len >= 5);
    memcpy(digits, key.data, 5);
    return (unsigned)strtoul(digits, NULL, 10);
}

static void on_event(void *ctx, enum store_event event, unsigned db, struct strview key)
{
    struct model *m = ctx;
    unsigned n = key_number(key);
    REQUIRE(db < DATABASES && n < KEYS);
    REQUIRE(strview_eq(key, strview_of(m->keys[n], m->key_lens[n])));
    struct model_entry *e = &m->map[db][n];
    REQUIRE(e->is_present && e->type != ENTRY_NEGATIVE);
    if (event == STORE_EVENT_EXPIRED) {
        REQUIRE(e->expires_at_ms <= m->clock.mono_ms);
    } else {
        REQUIRE(m->options.maxmemory > 0);
        REQUIRE(strcmp(store_policy_names[m->options.maxmemory_policy], "noeviction") != 0);
        bool is_volatile = strncmp(store_policy_names[m->options.maxmemory_policy], "volatile",
                                   8) == 0;
        REQUIRE(!is_volatile || e->expires_at_ms != STORE_NO_EXPIRY);
    }
    m->events[event]++;
    forget(e);
}

static bool is_alive(const struct model *m, const struct model_entry *e)
{
    return e->is_present && e->expires_at_ms > m->clock.mono_ms;
}

static struct store_key key_of(struct model *m, unsigned db, unsigned n)
{
    return store_key_init(m->s, db, strview_of(m->keys[n], m->key_lens[n]));
}

static void compare(struct model *m, unsigned db, unsigned n, bool is_use)
{
    struct store_key k = key_of(m, db, n);
    struct entry_view v;
    bool found = is_use ? store_find(m->s, &k, &v) : store_peek(m->s, &k, &v);
    struct model_entry *e = &m->map[db][n];
    if (!found) {
        if (e->is_present && e->type == ENTRY_NEGATIVE) {
            forget(e); /* they leave silently */
        }
        REQUIRE(!is_alive(m, e));
        return;
    }
    REQUIRE(is_alive(m, e));
    REQUIRE(v.value.len == e->len && memcmp(v.value.data, e->value, e->len) == 0);
    REQUIRE(v.expires_at_ms == e->expires_at_ms && v.type == e->type);
    REQUIRE((v.aux != NULL) == e->has_aux);
    REQUIRE(!e->has_aux || memcmp(v.aux, e->aux, STORE_AUX_BYTES) == 0);
    REQUIRE(strview_eq(v.key, k.key));
}

static void compare_all(struct model *m)
{
    store_check(m->s);
    for (unsigned db = 0; db < DATABASES; db++) {
        size_t count = 0, count_volatile = 0;
        for (unsigned n = 0; n < KEYS; n++) {
            compare(m, db, n, false);
            const struct model_entry *e = &m->map[db][n];
            if (e->is_present && e->type != ENTRY_NEGATIVE) {
                count++;
                count_volatile += e->expires_at_ms != STORE_NO_EXPIRY;
            }
        }
        REQUIRE(store_count(m->s, db) == count);
        REQUIRE(store_count_volatile(m->s, db) == count_volatile);
    }
    struct store_stats st;
    store_stats(m->s, &st);
    REQUIRE(st.expired == m->events[STORE_EVENT_EXPIRED] &&
            st.evicted == m->events[STORE_EVENT_EVICTED]);
}

/* ---- operations ---- */

static size_t random_len(struct model *m)
{
    switch (below(m, 10)) {
    case 0:
        return below(m, 8);
    case 1:
        return below(m, VALUE_MAX);
    case 2:
        return below(m, 3000);
    default:
        return 20 + below(m, 200);
    }
}

static int64_t random_expiry(struct model *m)
{
    static const int64_t spans_ms[] = {50, 2000, 30000, 4000000};
    uint64_t i = below(m, 8);
    return i < 4 ? m->clock.mono_ms + 1 + (int64_t)below(m, (uint64_t)spans_ms[i])
                 : STORE_NO_EXPIRY;
}

static char *random_bytes_of(struct model *m, size_t len)
{
    char *p = malloc(len + 1);
    REQUIRE(p != NULL);
    uint64_t word = rng_next(&m->rng);
    for (size_t i = 0; i < len; i++) {
        p[i] = (char)(word >> (i % 8 * 8)) ^ (char)i;
    }
    return p;
}

static void op_set(struct model *m, unsigned db, unsigned n)
{
    struct store_key k = key_of(m, db, n);
    size_t len = random_len(m);
    char *value = random_bytes_of(m, len);
    unsigned char aux[STORE_AUX_BYTES];
    memset(aux, (int)below(m, 256), sizeof(aux));
    struct store_write w = {
        .expires_at_ms = random_expiry(m),
        .type = below(m, 20) == 0 ? ENTRY_NEGATIVE : ENTRY_STRING,
        .aux = below(m, 4) == 0 ? aux : NULL,
        .keep_expiry = below(m, 5) == 0,
        .leaves_first = below(m, 6) == 0,
    };
    struct model_entry *e = &m->map[db][n];
    int64_t old_ms = is_alive(m, e) ? e->expires_at_ms : 0;
    enum store_result r;
    if (below(m, 3) == 0) {
        char *out;
        r = store_set_uninit(m->s, &k, len, &w, &out);
        if (r == STORE_OK) {
            memcpy(out, value, len);
        }
    } else {
        r = store_set(m->s, &k, strview_of(value, len), &w);
    }
    if (r != STORE_OK) {
        REQUIRE(r == STORE_FULL && m->options.maxmemory > 0);
        free(value);
        return;
    }
    struct entry_view v;
    int64_t kept = w.expires_at_ms;
    if (w.keep_expiry && old_ms != 0 && store_peek(m->s, &k, &v) && v.expires_at_ms != kept) {
        REQUIRE(v.expires_at_ms == old_ms); /* the other: the old entry was evicted to make room */
        kept = old_ms;
    }
    forget(e);
    *e = (struct model_entry){.is_present = true,
                              .value = value,
                              .len = len,
                              .expires_at_ms = kept,
                              .type = w.type,
                              .has_aux = w.aux != NULL};
    memcpy(e->aux, aux, sizeof(aux));
}

/* Copies a value to another key while it lies in the store. */
static void op_set_borrowed(struct model *m, unsigned db, unsigned n)
{
    struct store_key from = key_of(m, db, n);
    unsigned to_n = (unsigned)below(m, KEYS);
    struct store_key to = key_of(m, db, to_n);
    struct entry_view v;
    if (!store_peek(m->s, &from, &v)) {
        return;
    }
    size_t skip = v.value.len > 0 ? below(m, v.value.len) : 0;
    size_t len = v.value.len - skip;
    char *value = malloc(len + 1);
    REQUIRE(value != NULL);
    memcpy(value, v.value.data + skip, len);
    enum store_result r = store_set(m->s, &to, strview_of(v.value.data + skip, len),
                                    &(struct store_write){0});
    if (r != STORE_OK) {
        REQUIRE(r == STORE_FULL && m->options.maxmemory > 0);
        free(value);
        return;
    }
    struct model_entry *e = &m->map[db][to_n];
    forget(e);
    *e = (struct model_entry){
        .is_present = true, .value = value, .len = len, .expires_at_ms = STORE_NO_EXPIRY};
}

static void op_remove(struct model *m, unsigned db, unsigned n)
{
    struct store_key k = key_of(m, db, n);
    bool removed = store_remove(m->s, &k);
    struct model_entry *e = &m->map[db][n];
    REQUIRE(removed == is_alive(m, e) || e->type == ENTRY_NEGATIVE);
    forget(e);
}

static void op_expire(struct model *m, unsigned db, unsigned n)
{
    struct store_key k = key_of(m, db, n);
    int64_t at_ms = random_expiry(m);
    enum store_result r = store_set_expiry(m->s, &k, at_ms);
    struct model_entry *e = &m->map[db][n];
    if (r == STORE_OK) {
        REQUIRE(is_alive(m, e));
        e->expires_at_ms = at_ms;
    } else if (r == STORE_NOT_FOUND) {
        REQUIRE(!is_alive(m, e) || e->type == ENTRY_NEGATIVE);
    } else {
        REQUIRE(r == STORE_FULL && m->options.maxmemory > 0);
    }
}

static void op_resize(struct model *m, unsigned db, unsigned n)
{
    struct store_key k = key_of(m, db, n);
    struct model_entry *e = &m->map[db][n];
    size_t len = below(m, 3) == 0 ? random_len(m) : e->len + below(m, 30);
    char *out;
    enum store_result r = store_resize(m->s, &k, len, &out);
    if (r != STORE_OK) {
        REQUIRE(r == STORE_FULL ? m->options.maxmemory > 0
                                : !is_alive(m, e) || e->type == ENTRY_NEGATIVE);
        return;
    }
    e->value = realloc(e->value, len + 1);
    REQUIRE(e->value != NULL);
    if (len > e->len) {
        memset(e->value + e->len, 0, len - e->len);
    }
    e->len = len;
    REQUIRE(memcmp(out, e->value, len) == 0);
    for (size_t i = 0; i < len; i += 1 + len / 7) {
        out[i] = e->value[i] = (char)below(m, 256);
    }
}

static void op_copy(struct model *m, unsigned db, unsigned n)
{
    unsigned to_db = (unsigned)below(m, DATABASES), to_n = (unsigned)below(m, KEYS);
    struct store_key from = key_of(m, db, n), to = key_of(m, to_db, to_n);
    bool is_rename = below(m, 2) == 0;
    enum store_result r = is_rename ? store_rename(m->s, &from, &to) : store_copy(m->s, &from, &to);
    struct model_entry *a = &m->map[db][n], *b = &m->map[to_db][to_n];
    if (r != STORE_OK) {
        REQUIRE(r == STORE_FULL ? m->options.maxmemory > 0
                                : !is_alive(m, a) || a->type == ENTRY_NEGATIVE);
        return;
    }
    struct entry_view v;
    REQUIRE(store_peek(m->s, &to, &v));
    if (a == b) {
        return;
    }
    /* The source may have been evicted to make room; its copy holds what it had. */
    struct model_entry copy = {.is_present = true,
                               .len = v.value.len,
                               .expires_at_ms = v.expires_at_ms,
                               .type = v.type,
                               .has_aux = v.aux != NULL};
    if (a->is_present) {
        REQUIRE(a->len == v.value.len && memcmp(a->value, v.value.data, a->len) == 0);
        REQUIRE(a->expires_at_ms == v.expires_at_ms && a->type == v.type &&
                a->has_aux == copy.has_aux);
    }
    copy.value = malloc(copy.len + 1);
    REQUIRE(copy.value != NULL);
    memcpy(copy.value, v.value.data, copy.len);
    if (v.aux != NULL) {
        memcpy(copy.aux, v.aux, STORE_AUX_BYTES);
    }
    forget(b);
    *b = copy;
    if (is_rename) {
        forget(a);
    }
}

static void op_aux(struct model *m, unsigned db, unsigned n)
{
    struct store_key k = key_of(m, db, n);
    unsigned char aux[STORE_AUX_BYTES];
    memset(aux, (int)below(m, 256), sizeof(aux));
    struct model_entry *e = &m->map[db][n];
    if (store_set_aux(m->s, &k, aux)) {
        REQUIRE(is_alive(m, e) && e->has_aux);
        memcpy(e->aux, aux, sizeof(aux));
    } else {
        REQUIRE(!is_alive(m, e) || !e->has_aux || e->type == ENTRY_NEGATIVE);
    }
}

static void unpin(struct model *m, struct pinned *p)
{
    if (p->copy != NULL) {
        REQUIRE(memcmp(p->copy, p->value.data, p->value.len) == 0);
        store_unpin(m->s, &p->pin);
        free(p->copy);
        *p = (struct pinned){0};
    }
}

/* What is pinned keeps its place and its bytes, whatever is done meanwhile. */
static void op_pin(struct model *m, unsigned db, unsigned n)
{
    struct pinned *p = &m->pins[below(m, PINS)];
    unpin(m, p);
    struct store_key k = key_of(m, db, n);
    struct entry_view v;
    if (below(m, 2) == 0 && store_peek(m->s, &k, &v) && v.value.len > 0 &&
        store_pin(m->s, &v, &p->pin)) {
        p->value = v.value;
        p->copy = malloc(v.value.len);
        REQUIRE(p->copy != NULL);
        memcpy(p->copy, v.value.data, v.value.len);
    }
}

struct seen {
    struct model *m;
    unsigned db;
    bool keys[KEYS];
};

static void on_scan(void *ctx, const struct entry_view *v)
{
    struct seen *seen = ctx;
    unsigned n = key_number(v->key);
    REQUIRE(n < KEYS && is_alive(seen->m, &seen->m->map[seen->db][n]));
    seen->keys[n] = true;
}

static void op_scan(struct model *m, unsigned db)
{
    struct seen seen = {.m = m, .db = db};
    uint64_t cursor = 0;
    do {
        cursor = store_scan(m->s, db, cursor, 1 + below(m, 50), on_scan, &seen);
    } while (cursor != 0);
    for (unsigned n = 0; n < KEYS; n++) {
        const struct model_entry *e = &m->map[db][n];
        REQUIRE(seen.keys[n] == (is_alive(m, e) && e->type != ENTRY_NEGATIVE));
    }
    struct entry_view v;
    bool any = false;
    for (unsigned n = 0; n < KEYS && !any; n++) {
        any = seen.keys[n];
    }
    REQUIRE(store_random(m->s, db, &v) == any);
    REQUIRE(!any || seen.keys[key_number(v.key)]);
}

static void op_flush(struct model *m, unsigned db)
{
    bool all = below(m, 4) == 0;
    store_flush(m->s, all ? STORE_DATABASES : db);
    for (unsigned d = 0; d < DATABASES; d++) {
        for (unsigned n = 0; n < KEYS && (all || d == db); n++) {
            forget(&m->map[d][n]);
        }
    }
}

static void op_swap(struct model *m, unsigned db)
{
    unsigned other = (unsigned)below(m, DATABASES);
    store_swap(m->s, db, other);
    for (unsigned n = 0; n < KEYS && other != db; n++) {
        struct model_entry e = m->map[db][n];
        m->map[db][n] = m->map[other][n];
        m->map[other][n] = e;
    }
}

static void op_limit(struct model *m, bool may_switch)
{
    struct errtext err;
    m->options.maxmemory = below(m, 5) == 0 ? 0 : (int64_t)(400000 + below(m, 1500000));
    if (may_switch && below(m, 12) == 0) {
        m->options.maxmemory_policy = (int)below(m, sizeof(policies) / sizeof(policies[0]));
    }
    REQUIRE(store_apply_options(m->s, &err) == 0);
    struct store_stats st;
    store_stats(m->s, &st);
    REQUIRE(st.bytes_live <= st.segments_used * st.segment_bytes);
}

static void op_time(struct model *m)
{
    int64_t step_ms = (int64_t)below(m, below(m, 50) == 0 ? 100000 : 200);
    m->clock.mono_ms += step_ms;
    m->clock.mono_us += step_ms * 1000;
    m->clock.wall_ms += step_ms;
}

static void one_op(struct model *m, bool may_switch)
{
    unsigned db = (unsigned)below(m, DATABASES), n = (unsigned)below(m, KEYS);
    unsigned dice = (unsigned)below(m, 1000);
    if (dice < 350) {
        op_set(m, db, n);
    } else if (dice < 600) {
        compare(m, db, n, true);
    } else if (dice < 680) {
        op_remove(m, db, n);
    } else if (dice < 760) {
        op_expire(m, db, n);
    } else if (dice < 830) {
        op_resize(m, db, n);
    } else if (dice < 870) {
        op_copy(m, db, n);
    } else if (dice < 900) {
        op_set_borrowed(m, db, n);
    } else if (dice < 920) {
        op_aux(m, db, n);
    } else if (dice < 926) {
        op_pin(m, db, n);
    } else if (dice < 960) {
        op_time(m);
    } else if (dice < 990) {
        (void)store_tick(m->s, (int64_t)below(m, 200));
    } else if (dice < 993) {
        op_scan(m, db);
    } else if (dice < 996) {
        op_limit(m, may_switch);
    } else if (dice < 998) {
        op_swap(m, db);
    } else if (below(m, 20) == 0) {
        op_flush(m, db);
    }
}

/* ---- run ---- */

static void make_keys(struct model *m)
{
    for (unsigned n = 0; n < KEYS; n++) {
        m->key_lens[n] = n % 211 == 7 ? KEY_LEN_MAX - n : 6 + n % 90;
        m->keys[n] = malloc(m->key_lens[n] + 1);
        REQUIRE(m->keys[n] != NULL);
        memset(m->keys[n], 'k', m->key_lens[n]);
        char digits[8];
        snprintf(digits, sizeof(digits), "%05u", n);
        memcpy(m->keys[n], digits, 5);
    }
}

static void run(uint64_t seed, uint64_t ops, int policy, bool may_switch)
{
    struct model *m = calloc(1, sizeof(*m));
    REQUIRE(m != NULL);
    rng_init_seed(&m->rng, seed);
    m->clock = (struct clock){.mono_ms = 1000000, .wall_ms = 1700000000000, .mono_us = 1000000000};
    m->options = (struct store_options){.maxmemory = 800000,
                                        .maxmemory_policy = policy,
                                        .segment_bytes = SEGMENT_BYTES,
                                        .arena_bytes = 1 << 28,
                                        .hash_seed = (int64_t)(seed >> 1 | 1)};
    make_keys(m);
    struct errtext err;
    REQUIRE(store_create(&m->s, &m->options, &m->clock, &err) == 0);
    store_set_event(m->s, on_event, m);
    for (uint64_t i = 0; i < ops; i++) {
        one_op(m, may_switch);
        if (i % CHECK_EVERY == 0) {
            compare_all(m);
        }
    }
    compare_all(m);
    store_flush(m->s, STORE_DATABASES);
    for (unsigned i = 0; i < PINS; i++) {
        unpin(m, &m->pins[i]);
    }
    while (store_tick(m->s, 1000)) {
    }
    store_check(m->s);
    struct store_stats st;
    store_stats(m->s, &st);
    printf("# evicted %llu, expired %llu, copied %llu bytes\n", (unsigned long long)st.evicted,
           (unsigned long long)st.expired, (unsigned long long)st.bytes_copied);
    REQUIRE(st.bytes_large == 0 && st.bytes_live == 0 && st.segments_used == 0);
    store_destroy(m->s);
    for (unsigned n = 0; n < KEYS; n++) {
        for (unsigned db = 0; db < DATABASES; db++) {
            forget(&m->map[db][n]);
        }
        free(m->keys[n]);
    }
    free(m);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t ops = argc > 2 ? strtoull(argv[2], NULL, 10) : OPS_DEFAULT;
    int count = (int)(sizeof(policies) / sizeof(policies[0]));
    int ran = 0;
    printf("# seed %llu, %llu operations each\n", (unsigned long long)seed,
           (unsigned long long)ops);
    for (int policy = 0; policy < count; policy++) {
        REQUIRE(strcmp(policies[policy], store_policy_names[policy]) == 0);
        if (argc > 3 && strcmp(argv[3], policies[policy]) != 0) {
            continue;
        }
        run(seed, ops, policy, argc <= 3);
        printf("ok %d - %s\n", ++ran, policies[policy]);
        fflush(stdout);
    }
    printf("1..%d\n", ran);
    return 0;
}
