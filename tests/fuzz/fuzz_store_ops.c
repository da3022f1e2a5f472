/*
 * Bytes as operations on a store: four bytes each (operation, key, two of an argument), after two
 * that choose policy and limit. Every invariant is checked at the end and now and then; a small map
 * remembers only length and first byte of each value, which must agree.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/store/store.h"

#define KEYS          64
#define OPS_MAX       4000
#define CHECK_EVERY   512
#define REQUIRE(cond) ((cond) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct known {
    bool is_set; /* false: nothing is claimed */
    size_t len;
    char first;
};

struct run {
    struct store *s;
    struct clock clock;
    struct store_options options;
    struct known known[KEYS];
};

static struct store_key key_of(struct run *r, unsigned n, char text[8])
{
    memset(text, 'k', 8);
    text[0] = (char)('0' + n % KEYS);
    return store_key_init(r->s, n >> 6 & 1, strview_of(text, 1 + n % 8));
}

static void on_event(void *ctx, enum store_event event, unsigned db, struct strview key)
{
    struct run *r = ctx;
    (void)event;
    (void)db;
    r->known[(unsigned char)(key.data[0] - '0') % KEYS].is_set = false;
}

static void check_known(struct run *r, unsigned n)
{
    char text[8];
    struct store_key k = key_of(r, n, text);
    struct known *known = &r->known[n % KEYS];
    struct entry_view v;
    bool found = store_find(r->s, &k, &v);
    if (known->is_set && k.db == 0 && n % KEYS % 8 == n % 8) {
        REQUIRE(found && v.value.len == known->len);
        REQUIRE(v.value.len == 0 || v.value.data[0] == known->first);
    }
}

static void set(struct run *r, unsigned n, unsigned arg, bool has_expiry)
{
    char text[8];
    struct store_key k = key_of(r, n, text);
    struct store_write w = {.expires_at_ms = has_expiry ? r->clock.mono_ms + arg % 5000 : 0,
                            .is_reloadable = arg % 7 == 0,
                            .leaves_first = arg % 11 == 0,
                            .keep_expiry = arg % 5 == 0};
    size_t len = arg % 16 == 0 ? arg : arg % 300;
    char *out;
    r->known[n % KEYS].is_set = false;
    if (store_set_uninit(r->s, &k, len, &w, &out) == STORE_OK) {
        memset(out, (int)arg, len);
        r->known[n % KEYS] = (struct known){
            .is_set = k.db == 0 && !has_expiry && !w.keep_expiry, .len = len, .first = (char)arg};
    }
}

static void change(struct run *r, unsigned op, unsigned n, unsigned arg)
{
    char text[8], other[8];
    struct store_key k = key_of(r, n, text), to = key_of(r, arg, other);
    char *out;
    r->known[n % KEYS].is_set = r->known[arg % KEYS].is_set = false;
    switch (op) {
    case 0:
        (void)store_remove(r->s, &k);
        break;
    case 1:
        REQUIRE(store_set_expiry(r->s, &k, r->clock.mono_ms + arg % 9000) <= STORE_FULL);
        break;
    case 2:
        REQUIRE(store_resize(r->s, &k, arg, &out) <= STORE_FULL);
        break;
    case 3:
        REQUIRE(store_copy(r->s, &k, &to) <= STORE_FULL);
        break;
    default:
        REQUIRE(store_rename(r->s, &k, &to) <= STORE_FULL);
        break;
    }
}

static void whole(struct run *r, unsigned op, unsigned n, unsigned arg)
{
    struct errtext err;
    memset(r->known, 0, sizeof(r->known));
    if (op == 0) {
        store_flush(r->s, n % 3 == 0 ? STORE_DATABASES : n % 2);
    } else if (op == 1) {
        store_swap(r->s, 0, n % 2);
    } else {
        r->options.maxmemory = arg % 3 == 0 ? 0 : 200000 + (int64_t)arg * 16;
        r->options.maxmemory_policy = (int)(n % 12);
        REQUIRE(store_apply_options(r->s, &err) == 0);
    }
}

static void one(struct run *r, const uint8_t *op)
{
    unsigned n = op[1], arg = (unsigned)(op[2] | op[3] << 8);
    switch (op[0] % 16) {
    case 12:
        r->clock.mono_ms += arg % 3000;
        r->clock.mono_us = r->clock.mono_ms * 1000;
        break;
    case 13:
        (void)store_tick(r->s, arg % 4 == 0 ? 0 : 100000);
        break;
    case 14:
        whole(r, op[0] >> 4 & 3, n, arg);
        break;
    case 15:
        check_known(r, n);
        break;
    default:
        if (op[0] % 16 < 7) {
            set(r, n, arg, op[0] % 16 < 3);
        } else {
            change(r, op[0] % 16 - 7, n, arg);
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct run r = {
        .options = {.maxmemory = data[1] % 4 == 0 ? 0 : 200000 + data[1] * 1000,
                    .maxmemory_policy = data[0] % 12,
                    .segment_bytes = 16384,
                    .arena_bytes = 1 << 24,
                    .hash_seed = 1},
        .clock = {.mono_ms = 1000, .wall_ms = 1000, .mono_us = 1000000},
    };
    struct errtext err;
    REQUIRE(store_create(&r.s, &r.options, &r.clock, &err) == 0);
    store_set_event(r.s, on_event, &r);
    unsigned ops = 0;
    for (size_t at = 2; at + 4 <= size && ops < OPS_MAX; at += 4) {
        one(&r, data + at);
        if (++ops % CHECK_EVERY == 0) {
            store_check(r.s);
        }
    }
    store_check(r.s);
    store_destroy(r.s);
    return 0;
}
