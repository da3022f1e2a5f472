/*
 * Ways through a table: bucket by bucket, by cursor, at random; and the check of its invariants.
 *
 * A cursor is the upper CURSOR_BITS of a hash with its bits in reverse order. A bucket of depth d
 * (its hashes agree in their d lowest bits) is then a range of 2^(64 - d) such numbers, and a table
 * that grows or shrinks only splits or joins ranges; so an iteration that always goes on at the end
 * of the range it has seen misses nothing that stays.
 */
#include "field_table.h"

#include <stdio.h>
#include <stdlib.h>

#include "counted.h"
#include "field_memory.h"

#define CURSOR_BITS 48
/* Longest chain whose last nodes a random pick reaches as often as the others. */
#define RANDOM_CHAIN_MAX 16

const struct field_node *field_table_chain(const struct field_table *t, size_t bucket)
{
    return bucket < t->buckets ? t->pages[bucket / FIELD_PAGE_BUCKETS][bucket % FIELD_PAGE_BUCKETS]
                               : NULL;
}

const struct field_node *field_node_read(const struct field_table *t, const struct field_node *n,
                                         struct hashmap_field *out)
{
    *out = (struct hashmap_field){
        .name = node_name(n),
        .value = node_value(n),
        .expires_at_ms = node_has_due(n) ? t->due[node_due_place(n)].at_ms : STORE_NO_EXPIRY,
    };
    return n->next;
}

/* ---- cursors ---- */

static uint64_t reverse_bits(uint64_t x)
{
    x = (x >> 1 & UINT64_C(0x5555555555555555)) | (x & UINT64_C(0x5555555555555555)) << 1;
    x = (x >> 2 & UINT64_C(0x3333333333333333)) | (x & UINT64_C(0x3333333333333333)) << 2;
    x = (x >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (x & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
    x = (x >> 8 & UINT64_C(0x00ff00ff00ff00ff)) | (x & UINT64_C(0x00ff00ff00ff00ff)) << 8;
    x = (x >> 16 & UINT64_C(0x0000ffff0000ffff)) | (x & UINT64_C(0x0000ffff0000ffff)) << 16;
    return x >> 32 | x << 32;
}

size_t field_table_bucket_of(const struct field_table *t, uint64_t cursor)
{
    return field_table_bucket_of_hash(t, reverse_bits(cursor << (64 - CURSOR_BITS)));
}

uint64_t field_table_next_cursor(const struct field_table *t, uint64_t cursor)
{
    const uint64_t place = cursor << (64 - CURSOR_BITS);
    const size_t bucket = field_table_bucket_of(t, cursor);
    const unsigned log2 = 63 - clz64(t->buckets);
    const size_t half = (size_t)1 << log2;
    const bool is_split = bucket >= half || bucket + half < t->buckets;
    const unsigned depth = is_split ? log2 + 1 : log2;
    const uint64_t range_end = place | (UINT64_MAX >> depth); /* depth is below CURSOR_BITS */
    return (range_end + 1) >> (64 - CURSOR_BITS);
}

/* ---- random ---- */

void field_table_random(const struct field_table *t, struct rng *rng, struct hashmap_field *out)
{
    assert(t->count > 0);
    /* A bucket and a place in a chain: every node that has such a place is as likely as another. */
    for (;;) {
        const struct field_node *n = field_table_chain(t, rng_below(rng, t->buckets));
        uint64_t skip = rng_below(rng, RANDOM_CHAIN_MAX);
        while (n != NULL && skip > 0) {
            n = n->next;
            skip--;
        }
        if (n != NULL) {
            (void)field_node_read(t, n, out);
            return;
        }
    }
}

/* ---- check ---- */

#define CHECK(cond)                                                                       \
    do {                                                                                  \
        if (!(cond)) {                                                                    \
            fprintf(stderr, "field_table_check: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

void field_table_check(const struct field_table *t)
{
    size_t bytes = malloc_usable_size((void *)(uintptr_t)t) + COUNTED_WORD_BYTES;
    size_t count = 0, with_due = 0, node_bytes_sum = 0;
    CHECK(t->buckets <= t->room);
    bytes += counted_bytes(t->pages) + counted_bytes(t->due);
    for (size_t p = 0; p * FIELD_PAGE_BUCKETS < t->room; p++) {
        bytes += counted_bytes(t->pages[p]);
    }
    for (size_t b = 0; b < t->buckets; b++) {
        for (struct field_node *n = t->pages[b / FIELD_PAGE_BUCKETS][b % FIELD_PAGE_BUCKETS];
             n != NULL; n = n->next) {
            CHECK(field_table_bucket_of_hash(t, store_hash(t->store, node_name(n))) == b);
            CHECK(!node_has_due(n) || t->due[node_due_place(n)].node == n);
            const size_t size = node_bytes(node_has_due(n), node_name(n).len, node_value(n).len);
            CHECK((n->value_len & NODE_IS_DEAD) == 0);
            node_bytes_sum += size;
            with_due += node_has_due(n) ? 1 : 0;
            count++;
        }
    }
    for (size_t i = 1; i < t->due_count; i++) {
        CHECK(t->due[(i - 1) / 2].at_ms <= t->due[i].at_ms);
    }
    for (size_t i = 0; i < t->due_count; i++) {
        CHECK(t->due[i].at_ms <= t->latest_due_ms);
    }
    CHECK(count == t->count && with_due == t->due_count);
    const struct field_memory_sums sums = field_memory_check(t);
    if (t->alone_count == 0) {
        CHECK(bytes + sums.cost == t->bytes);
        CHECK(sums.live >= node_bytes_sum && sums.live <= node_bytes_sum + 8 * count);
    }
}
