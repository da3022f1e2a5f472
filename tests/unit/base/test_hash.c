/* The keyed hash: repeatable with a key, another function with another, and spread evenly. */
#include "tarn/base/hash.h"

#include <stdlib.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void hash__same_key_same_bytes_same_hash(void **state)
{
    struct hash_key a;
    struct hash_key b;
    hash_key_init_seed(&a, 7);
    hash_key_init_seed(&b, 7);
    assert_memory_equal(&a, &b, sizeof(a));
    static char text[1000];
    memset(text, 'k', sizeof(text));
    for (size_t len = 0; len <= sizeof(text); len++) {
        assert_true(hash_bytes(&a, strview_of(text, len)) == hash_bytes(&b, strview_of(text, len)));
    }
    assert_true(hash_bytes(&a, strview_of(NULL, 0)) == hash_bytes(&a, strview_of("x", 0)));
}

/* Every path of XXH3 (0, 1-3, 4-8, 9-16, 17-128, 129-240, longer) must depend on the secret. */
static void hash__secret_matters_at_every_length(void **state)
{
    struct hash_key key;
    struct hash_key other;
    hash_key_init_seed(&key, 1);
    static char text[400];
    memset(text, 'k', sizeof(text));
    for (size_t len = 0; len <= sizeof(text); len++) {
        other = key;
        memset(other.secret, 0x5a, sizeof(other.secret));
        struct strview v = strview_of(text, len);
        assert_true(hash_bytes(&key, v) != hash_bytes(&other, v));
        other = key;
        other.seed ^= 2;
        assert_true(hash_bytes(&key, v) != hash_bytes(&other, v));
    }
}

static uint64_t rotate_left(uint64_t x, int n)
{
    return (x << n) | (x >> (64 - n));
}

/* The first, linear step of what XXH3 does with 4..8 bytes, undone: the step to the 64th power is
 * the identity, so its 63rd is its inverse. Needs no secret, which is the point. */
static uint64_t steer(uint64_t wanted)
{
    for (int i = 0; i < 63; i++) {
        wanted ^= rotate_left(wanted, 49) ^ rotate_left(wanted, 24);
    }
    return rotate_left(wanted, 32);
}

/* Two keys that differ in a way chosen to survive the fixed mixing of XXH3. Without the last,
 * secret multiplication some of these pairs never meet in their lower bits, whatever the secret; so
 * keys could be chosen by how they meet. Each must meet about as often as chance has it. */
static void hash__differences_of_short_keys_cannot_be_steered(void **state)
{
    enum { SECRETS = 4096, BITS = 6 };
    for (int shift = 0; shift < 64; shift++) {
        int meetings = 0;
        for (uint64_t s = 0; s < SECRETS; s++) {
            struct hash_key key;
            hash_key_init_seed(&key, s);
            uint64_t a = UINT64_C(0x3131313131313131);
            uint64_t b = a ^ steer(UINT64_C(1) << shift);
            uint64_t mixed = hash_bytes(&key, strview_of(&a, 8)) ^
                             hash_bytes(&key, strview_of(&b, 8));
            meetings += (mixed & ((1 << BITS) - 1)) == 0;
        }
        /* 64 expected, standard deviation 8. */
        assert_in_range(meetings, 16, 128);
    }
}

static void hash__random_keys_differ(void **state)
{
    struct hash_key a;
    struct hash_key b;
    hash_key_init_random(&a);
    hash_key_init_random(&b);
    assert_memory_not_equal(a.secret, b.secret, sizeof(a.secret));
    assert_true(a.seed != b.seed);
}

/* Chi-square over the lowest and the highest byte, for counting keys as caches have them. */
static void hash__spreads_counted_keys_evenly(void **state)
{
    enum { KEYS = 256 * 400, BINS = 256 };
    struct hash_key key;
    hash_key_init_seed(&key, 42);
    static unsigned low[BINS];
    static unsigned high[BINS];
    for (uint32_t i = 0; i < KEYS; i++) {
        uint64_t h = hash_bytes(&key, strview_of(&i, sizeof(i)));
        low[h & 255]++;
        high[h >> 56]++;
    }
    double chi_low = 0;
    double chi_high = 0;
    for (int i = 0; i < BINS; i++) {
        double expected = (double)KEYS / BINS;
        chi_low += (low[i] - expected) * (low[i] - expected) / expected;
        chi_high += (high[i] - expected) * (high[i] - expected) / expected;
    }
    /* 255 degrees of freedom: mean 255, standard deviation 22.6. */
    assert_true(chi_low < 255 + 5 * 23);
    assert_true(chi_high < 255 + 5 * 23);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void hash__short_keys_do_not_collide(void **state)
{
    enum { KEYS = 1 + 256 + 65536 };
    static uint64_t hashes[KEYS];
    struct hash_key key;
    hash_key_init_seed(&key, 3);
    size_t n = 0;
    hashes[n++] = hash_bytes(&key, strview_of("", 0));
    for (unsigned i = 0; i < 256; i++) {
        unsigned char c = (unsigned char)i;
        hashes[n++] = hash_bytes(&key, strview_of(&c, 1));
    }
    for (unsigned i = 0; i < 65536; i++) {
        uint16_t c = (uint16_t)i;
        hashes[n++] = hash_bytes(&key, strview_of(&c, 2));
    }
    qsort(hashes, n, sizeof(hashes[0]), compare_u64);
    for (size_t i = 1; i < n; i++) {
        assert_true(hashes[i] != hashes[i - 1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash__same_key_same_bytes_same_hash),
        cmocka_unit_test(hash__secret_matters_at_every_length),
        cmocka_unit_test(hash__differences_of_short_keys_cannot_be_steered),
        cmocka_unit_test(hash__random_keys_differ),
        cmocka_unit_test(hash__spreads_counted_keys_evenly),
        cmocka_unit_test(hash__short_keys_do_not_collide),
    };
    return cmocka_run_group_tests_name("base/hash", tests, NULL, NULL);
}
