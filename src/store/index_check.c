/*
 * The check of the index's invariants, as slow as it must be: for tests, fuzzers and DEBUG. The
 * owner must be able to tell the hash of every slot.
 */
#include "index.h"

#include "index_table.h"

#include <stdio.h>
#include <stdlib.h>

static void check_that(bool holds, const char *what)
{
    if (!holds) {
        (void)fprintf(stderr, "index_check: %s\n", what);
        abort();
    }
}

#define CHECK(condition) check_that((condition), #condition)

static bool probe_finds(const struct index *ix, uint64_t hash, const uint64_t *slot)
{
    struct index_probe probe;
    const uint64_t *p = index_first(ix, hash, &probe);

    while (p != NULL && p != slot) {
        p = index_next(&probe);
    }
    return p != NULL;
}

/* Returns the slots in use; adds to displaced[home] what lies in another bucket. */
static unsigned check_bucket(const struct index *ix, const struct index_table *t, unsigned b,
                             uint16_t *displaced)
{
    const struct index_bucket *bucket = &t->buckets[b];
    unsigned used = 0;

    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        uint64_t tag = bucket->head >> (8 * (i + 1)) & 0xff;
        uint64_t hash;
        uint64_t fraction;

        CHECK((tag == 0) == (bucket->slot[i] == 0));
        if (tag == 0) {
            continue;
        }
        CHECK(slot_ref(bucket->slot[i]) != 0);
        hash = ix->owner.hash_of(ix->owner.ctx, slot_ref(bucket->slot[i]));
        CHECK(tag == hash_tag(hash));
        CHECK(probe_finds(ix, hash, &bucket->slot[i]));
        (void)index_locate(hash, &fraction);
        displaced[table_home(t, fraction)] += table_home(t, fraction) != b;
        used++;
    }
    return used;
}

static void check_table(const struct index *ix, const struct index_table *t)
{
    uint16_t *displaced = calloc(t->buckets_count, sizeof(*displaced));
    unsigned used = 0;

    CHECK(displaced != NULL);
    CHECK(t->buckets_count == (t->step == 0 ? 1 : table_buckets(t->step)));
    CHECK((t->buckets == &ix->empty) == (t->step == 0));
    for (unsigned b = 0; b < t->buckets_count; b++) {
        used += check_bucket(ix, t, b, displaced);
    }
    for (unsigned b = 0; b < t->buckets_count; b++) {
        unsigned reach = (unsigned)(t->buckets[b].head & 15);
        unsigned number = (unsigned)(t->buckets[b].head >> 4 & 15);

        CHECK(reach < t->buckets_count);
        CHECK((reach == 0) == (number == 0));
        CHECK(number == 15 || number == displaced[b]);
    }
    CHECK(used == t->count);
    free(displaced);
}

void index_check(const struct index *ix)
{
    size_t count = 0;
    size_t slots = 0;

    for (unsigned i = 0; i < INDEX_REGIONS; i++) {
        const struct index_region *r = &ix->region[i];
        size_t deepest = 0;

        CHECK(r->depth <= ix->depth_max);
        CHECK((r->dir == &r->first) == (r->depth == 0));
        for (size_t at = 0; at <= region_mask(r); at += region_entries_of(r, at)) {
            const struct index_table *t = &r->dir[at];

            CHECK(t->depth <= r->depth);
            CHECK(region_first_entry(r, at) == at);
            check_table(ix, t);
            for (size_t k = 1; k < region_entries_of(r, at); k++) {
                CHECK(t[k].buckets == t->buckets && t[k].buckets_count == t->buckets_count);
                CHECK(t[k].depth == t->depth && t[k].step == t->step && t[k].count == 0);
            }
            deepest += t->depth == r->depth;
            count += t->count;
            slots += (size_t)table_buckets(t->step) * BUCKET_SLOTS;
        }
        CHECK(deepest == r->deepest);
    }
    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        CHECK(ix->empty.slot[i] == 0);
    }
    CHECK(ix->empty.head == 0);
    CHECK(count == ix->count);
    CHECK(slots == ix->slots);
    CHECK(*ix->memory_total >= ix->memory);
}
