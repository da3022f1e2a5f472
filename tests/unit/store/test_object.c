/* Values that are objects of another layer: the store counts them, and hands back each one exactly
 * once. */
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* An object that is freed in slices of SLICE bytes. */
struct box {
    struct store_object object;
    struct box *next; /* when dropped */
};

#define SLICE 1000

struct boxes {
    struct fixture f;
    struct store_object_owner owner;
    struct box *dropped;
    unsigned made, drops, freed;
};

static void on_drop(void *ctx, struct store_object *object)
{
    struct boxes *b = ctx;
    struct box *box = (struct box *)object;
    box->next = b->dropped;
    b->dropped = box;
    b->drops++;
}

static size_t on_drain(void *ctx)
{
    struct boxes *b = ctx;
    struct box *box = b->dropped;
    if (box == NULL) {
        return 0;
    }
    if (box->object.bytes > SLICE) {
        box->object.bytes -= SLICE;
        return SLICE;
    }
    const size_t bytes = box->object.bytes;
    b->dropped = box->next;
    free(box);
    b->freed++;
    return bytes;
}

static void boxes_init(struct boxes *b, int64_t maxmemory, const char *policy)
{
    *b = (struct boxes){.owner = {.ctx = b, .drop = on_drop, .drain = on_drain}};
    fixture_init(&b->f, maxmemory, policy);
    store_set_object_owner(b->f.s, &b->owner);
}

static int setup(void **state)
{
    static struct boxes b;
    boxes_init(&b, 0, "noeviction");
    *state = &b;
    return 0;
}

/* Whatever happened: every object came back once and was freed. */
static int teardown(void **state)
{
    struct boxes *b = *state;
    fixture_fini(&b->f);
    assert_int_equal(b->drops, b->made);
    assert_int_equal(b->freed, b->made);
    return 0;
}

static enum store_result put_box(struct boxes *b, const char *key, size_t bytes, int64_t ttl_ms)
{
    struct store_key k = fixture_key(&b->f, key);
    struct box *box = calloc(1, sizeof(*box));
    assert_non_null(box);
    box->object.bytes = bytes;
    struct store_object *object = &box->object;
    const struct store_write w = {
        .type = ENTRY_HASH,
        .owns_object = true,
        .expires_at_ms = ttl_ms > 0 ? b->f.clock.mono_ms + ttl_ms : 0,
    };
    const enum store_result r = store_set(b->f.s, &k, strview_of(&object, sizeof(object)), &w);
    if (r == STORE_OK) {
        b->made++;
    } else {
        free(box);
    }
    return r;
}

/* The box under a key, NULL when there is none. */
static struct box *box_at(struct boxes *b, const char *key)
{
    struct store_key k = fixture_key(&b->f, key);
    struct entry_view v;
    struct box *box;
    if (!store_peek(b->f.s, &k, &v) || v.type != ENTRY_HASH) {
        return NULL;
    }
    assert_int_equal(v.value.len, sizeof(box));
    memcpy(&box, v.value.data, sizeof(box));
    return box;
}

static size_t bytes_outside(struct boxes *b)
{
    struct store_stats st;
    store_stats(b->f.s, &st);
    return st.bytes_large;
}

static void object__is_counted_and_freed_in_slices(void **state)
{
    struct boxes *b = *state;
    struct store_key k = fixture_key(&b->f, "k");
    const size_t before = store_used_memory(b->f.s);
    assert_int_equal(put_box(b, "k", 5000, 0), STORE_OK);
    assert_int_equal(bytes_outside(b), 5000);
    assert_true(store_used_memory(b->f.s) >= before + 5000);
    assert_true(store_entry_memory(b->f.s, &k) >= 5000);
    store_object_resized(b->f.s, &k, 7000);
    assert_int_equal(bytes_outside(b), 7000);
    store_check(b->f.s);
    assert_true(store_remove(b->f.s, &k));
    assert_int_equal(b->drops, 1);
    assert_int_equal(b->freed, 0); /* that takes time, and is counted meanwhile */
    struct store_stats st;
    store_stats(b->f.s, &st);
    assert_int_equal(st.bytes_large, 0);
    assert_int_equal(st.bytes_dropped, 7000);
    fixture_settle(&b->f);
    assert_int_equal(b->freed, 1);
}

static void object__goes_when_it_is_replaced(void **state)
{
    struct boxes *b = *state;
    assert_int_equal(put_box(b, "k", 100, 0), STORE_OK);
    assert_int_equal(put_box(b, "k", 200, 0), STORE_OK);
    assert_int_equal(b->drops, 1);
    assert_int_equal(fixture_set(&b->f, "k", "text", 0), STORE_OK);
    assert_int_equal(b->drops, 2);
    assert_int_equal(bytes_outside(b), 0);
    assert_int_equal(put_box(b, "k", 300, 0), STORE_OK);
    assert_int_equal(bytes_outside(b), 300);
    store_flush(b->f.s, 0);
    assert_int_equal(b->drops, 3);
}

static void object__keeps_its_entry_company(void **state)
{
    struct boxes *b = *state;
    struct store_key k = fixture_key(&b->f, "k"), other = fixture_key(&b->f, "another key");
    assert_int_equal(put_box(b, "k", 100, 0), STORE_OK);
    assert_int_equal(put_box(b, "another key", 50, 0), STORE_OK);
    struct box *box = box_at(b, "k");
    assert_int_equal(store_set_expiry(b->f.s, &k, b->f.clock.mono_ms + 1000), STORE_OK);
    assert_int_equal(store_set_expiry(b->f.s, &k, b->f.clock.mono_ms + 100000000), STORE_OK);
    assert_ptr_equal(box_at(b, "k"), box);
    assert_int_equal(b->drops, 0);
    assert_int_equal(store_rename(b->f.s, &k, &other), STORE_OK);
    assert_int_equal(b->drops, 1); /* the one that was there */
    assert_ptr_equal(box_at(b, "another key"), box);
    assert_null(box_at(b, "k"));
    assert_int_equal(bytes_outside(b), 100);
    store_check(b->f.s);
}

static void object__under_a_large_key(void **state)
{
    struct boxes *b = *state;
    struct store_key k = fixture_key(&b->f, "k");
    char *big = malloc(100001);
    assert_non_null(big);
    memset(big, 'b', 100000);
    big[100000] = '\0';
    struct store_key to = fixture_key(&b->f, big);
    assert_int_equal(put_box(b, "k", 100, 0), STORE_OK);
    struct box *box = box_at(b, "k");
    assert_int_equal(store_rename(b->f.s, &k, &to), STORE_OK);
    assert_ptr_equal(box_at(b, big), box);
    assert_true(bytes_outside(b) > 100000);
    store_check(b->f.s);
    assert_int_equal(store_set_expiry(b->f.s, &to, b->f.clock.mono_ms + 1000), STORE_OK);
    store_check(b->f.s);
    assert_int_equal(store_rename(b->f.s, &to, &k), STORE_OK);
    assert_ptr_equal(box_at(b, "k"), box);
    assert_int_equal(bytes_outside(b), 100);
    assert_int_equal(b->drops, 0);
    free(big);
}

static void object__expires(void **state)
{
    struct boxes *b = *state;
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(put_box(b, key, 100, 1000), STORE_OK);
    }
    fixture_wait(&b->f, 5000);
    fixture_settle(&b->f);
    assert_int_equal(b->freed, 100);
}

static void object__survives_compaction_and_flush_of_all(void **state)
{
    struct boxes *b = *state;
    for (unsigned i = 0; i < 2000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", i % 300);
        assert_int_equal(fixture_set_n(&b->f, i, 100, 0), STORE_OK);
        assert_int_equal(put_box(b, key, 100 + i, 0), STORE_OK);
    }
    fixture_settle(&b->f);
    store_check(b->f.s);
    assert_int_equal(b->drops, 1700);
    store_flush(b->f.s, STORE_DATABASES);
    fixture_settle(&b->f);
    assert_int_equal(b->freed, 2000);
    assert_int_equal(bytes_outside(b), 0);
}

static void object__is_evicted_and_makes_room(void **state)
{
    struct boxes b;
    boxes_init(&b, 4 << 20, "allkeys-lru");
    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(store_make_room(b.f.s), STORE_OK);
        assert_int_equal(put_box(&b, key, 20000, 0), STORE_OK);
        assert_true(store_used_memory(b.f.s) < (5 << 20));
    }
    assert_true(b.freed > 2000);
    store_check(b.f.s);
    struct boxes *p = &b;
    (void)teardown((void **)&p);
}

/* The store is full: the entry stays, with its object. */
static void object__stays_when_a_move_fails(void **state)
{
    struct boxes b;
    (void)state;
    boxes_init(&b, 2 << 20, "noeviction");
    struct store_key k = fixture_key(&b.f, "k"), to = fixture_key(&b.f, "to");
    assert_int_equal(put_box(&b, "k", 100, 0), STORE_OK);
    unsigned n = 0;
    while (fixture_set_n(&b.f, n, 1000, 0) == STORE_OK) {
        n++;
    }
    store_object_resized(b.f.s, &k, 3 << 20);
    assert_int_equal(store_rename(b.f.s, &k, &to), STORE_FULL);
    assert_non_null(box_at(&b, "k"));
    assert_int_equal(b.drops, 0);
    store_check(b.f.s);
    struct boxes *p = &b;
    (void)teardown((void **)&p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(object__is_counted_and_freed_in_slices),
        TEST(object__goes_when_it_is_replaced),
        TEST(object__keeps_its_entry_company),
        TEST(object__under_a_large_key),
        TEST(object__expires),
        TEST(object__survives_compaction_and_flush_of_all),
        cmocka_unit_test(object__is_evicted_and_makes_room),
        cmocka_unit_test(object__stays_when_a_move_fails),
    };
    return cmocka_run_group_tests_name("store/object", tests, NULL, NULL);
}
