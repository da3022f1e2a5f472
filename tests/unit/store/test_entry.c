/* The bytes of an entry: what is written is read back, sizes are exact, the drawing in entry.h
 * holds. */
#include "src/store/entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define ROOM 4096

static unsigned char room[ROOM];

static struct entry_parts write_entry_for_test(const struct entry_shape *shape)
{
    memset(room, 0xee, sizeof(room));
    unsigned char *p = entry_write_head(room, shape);
    memset(p, 'k', shape->key_len);
    memset(p + shape->key_len, 'v', shape->value_len);
    struct entry_parts parts;
    entry_parse(room, &parts);
    return parts;
}

static void entry__small_one_costs_four_bytes(void **state)
{
    (void)state;
    struct entry_shape shape = {.key_len = 16, .value_len = 100, .expires_at_ms = STORE_NO_EXPIRY};
    assert_int_equal(entry_shape_size(&shape), 120);
    shape.expires_at_ms = 5000;
    assert_int_equal(entry_shape_size(&shape), 128);
}

static void entry__lengths_are_read_back(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 127, 128, 300, 1500};
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        for (size_t j = 0; j < ARRAY_LEN(lens); j++) {
            struct entry_shape shape = {
                .key_len = lens[i], .value_len = lens[j], .expires_at_ms = STORE_NO_EXPIRY};
            struct entry_parts e = write_entry_for_test(&shape);
            assert_int_equal(e.key_len, lens[i]);
            assert_int_equal(e.value_len, lens[j]);
            assert_int_equal(e.size, entry_shape_size(&shape));
            assert_int_equal(entry_size(room), e.size);
            assert_ptr_equal(entry_key(room).data, e.key);
            assert_ptr_equal(e.value, e.key + lens[i]);
        }
    }
}

static void entry__expiry_and_aux_are_optional(void **state)
{
    (void)state;
    unsigned char aux[STORE_AUX_BYTES];
    memset(aux, 0x5a, sizeof(aux));
    struct entry_shape shape = {.key_len = 3,
                                .value_len = 5,
                                .expires_at_ms = INT64_C(123456789012),
                                .aux = aux,
                                .type = ENTRY_HASH,
                                .is_reloadable = true,
                                .space = 17};
    struct entry_parts e = write_entry_for_test(&shape);
    assert_int_equal(e.expires_at_ms, INT64_C(123456789012));
    assert_int_equal(entry_expiry(room), INT64_C(123456789012));
    assert_memory_equal(e.aux, aux, sizeof(aux));
    assert_int_equal(e.flags & ENTRY_TYPE_MASK, ENTRY_HASH);
    assert_true(e.flags & ENTRY_IS_RELOADABLE);
    assert_int_equal(e.space, 17);
    shape.expires_at_ms = STORE_NO_EXPIRY;
    shape.aux = NULL;
    e = write_entry_for_test(&shape);
    assert_int_equal(e.expires_at_ms, STORE_NO_EXPIRY);
    assert_null(e.aux);
}

static void entry__expiry_can_be_taken_away_in_place(void **state)
{
    (void)state;
    struct entry_shape shape = {.key_len = 3, .value_len = 5, .expires_at_ms = 1000};
    uint32_t size = write_entry_for_test(&shape).size;
    entry_write_expiry(room, STORE_NO_EXPIRY);
    assert_int_equal(entry_expiry(room), STORE_NO_EXPIRY);
    assert_int_equal(entry_size(room), size);
}

static void entry__far_expiry_is_cut(void **state)
{
    (void)state;
    struct entry_shape shape = {.key_len = 1, .expires_at_ms = INT64_MAX - 1};
    struct entry_parts e = write_entry_for_test(&shape);
    assert_int_equal(e.expires_at_ms, ENTRY_EXPIRY_MAX_MS);
}

static void entry__dead_one_keeps_its_size(void **state)
{
    (void)state;
    struct entry_shape shape = {.key_len = 10, .value_len = 200, .expires_at_ms = STORE_NO_EXPIRY};
    uint32_t size = write_entry_for_test(&shape).size;
    assert_false(entry_is_dead(room));
    entry_mark_dead(room);
    assert_true(entry_is_dead(room));
    assert_int_equal(entry_size(room), size);
}

static void entry__large_ones_point_outside(void **state)
{
    (void)state;
    struct large *l = large_create(50000);
    assert_non_null(l);
    struct entry_shape shape = {
        .key_len = 4, .value_len = 50000, .expires_at_ms = STORE_NO_EXPIRY, .is_large = true};
    unsigned char *p = entry_write_head(room, &shape);
    memcpy(p, "abcd", 4);
    memcpy(p + 4, &l, sizeof(l));
    struct entry_parts e;
    entry_parse(room, &e);
    assert_ptr_equal(e.large, l);
    assert_ptr_equal(e.value, l->data);
    assert_memory_equal(entry_key(room).data, "abcd", 4);
    assert_true(e.size < 32);
    assert_int_equal(entry_size(room), e.size);

    shape.is_key_large = true;
    p = entry_write_head(room, &shape);
    memcpy(p, &l, sizeof(l));
    entry_parse(room, &e);
    assert_ptr_equal(e.key, l->data);
    assert_ptr_equal(e.value, l->data + 4);
    assert_ptr_equal(entry_key(room).data, l->data);
    large_destroy(l);
}

static void entry__length_and_block_change_in_place(void **state)
{
    (void)state;
    struct large *a = large_create(40000), *b = large_create(45000);
    assert_true(a != NULL && b != NULL);
    unsigned char aux[STORE_AUX_BYTES] = {1};
    struct entry_shape shape = {
        .key_len = 200, .value_len = 40000, .expires_at_ms = 77, .aux = aux, .is_large = true};
    unsigned char *p = entry_write_head(room, &shape);
    memset(p, 'k', 200);
    memcpy(p + 200, &a, sizeof(a));
    entry_write_large(room, b);
    entry_write_value_len(room, 45000);
    struct entry_parts e;
    entry_parse(room, &e);
    assert_ptr_equal(e.large, b);
    assert_int_equal(e.value_len, 45000);
    assert_int_equal(e.expires_at_ms, 77);
    large_destroy(a);
    large_destroy(b);
}

static void filler__tells_its_size(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {8, 16, 4096, 8 * 1024 * 1024};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        filler_write(room, sizes[i]);
        assert_true(entry_is_filler(room));
        assert_true(entry_is_dead(room));
        assert_int_equal(entry_size(room), sizes[i]);
    }
}

static void large__counts_what_the_system_gave(void **state)
{
    (void)state;
    static const size_t lens[] = {3000, 16384, 100000, 3 * 1024 * 1024};
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        struct large *l = large_create(lens[i]);
        assert_non_null(l);
        assert_true(l->bytes >= lens[i] && l->bytes <= lens[i] + 4200);
        assert_true(large_capacity(l) >= lens[i]);
        assert_true(large_cost(lens[i]) + 64 >= l->bytes);
        memset(l->data, 'x', lens[i]);
        large_destroy(l);
    }
}

static void large__resize_keeps_the_prefix(void **state)
{
    (void)state;
    static const size_t lens[] = {3000, 9000, 200000, 5000000, 20000, 2000};
    struct large *l = large_create(1000);
    assert_non_null(l);
    memset(l->data, 'p', 1000);
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        l = large_resize(l, lens[i]);
        assert_non_null(l);
        assert_true(large_capacity(l) >= lens[i]);
        for (size_t at = 0; at < 1000; at++) {
            assert_int_equal(l->data[at], 'p');
        }
    }
    large_destroy(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entry__small_one_costs_four_bytes),
        cmocka_unit_test(entry__lengths_are_read_back),
        cmocka_unit_test(entry__expiry_and_aux_are_optional),
        cmocka_unit_test(entry__expiry_can_be_taken_away_in_place),
        cmocka_unit_test(entry__far_expiry_is_cut),
        cmocka_unit_test(entry__dead_one_keeps_its_size),
        cmocka_unit_test(entry__large_ones_point_outside),
        cmocka_unit_test(entry__length_and_block_change_in_place),
        cmocka_unit_test(filler__tells_its_size),
        cmocka_unit_test(large__counts_what_the_system_gave),
        cmocka_unit_test(large__resize_keeps_the_prefix),
    };
    return cmocka_run_group_tests_name("store/entry", tests, NULL, NULL);
}
