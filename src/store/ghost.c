/*
 * Ghosts; see ghost.h. A fingerprint of 15 bits in a bucket of 16 cells takes a strange key for a
 * ghost once in 2 000 look-ups, which is far below what the policy can notice.
 */
#include "ghost.h"

#include "tarn/base/compiler.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES   4096u
#define BUCKET_CELLS 16
#define BUCKETS_MIN  64
#define EPOCHS       4096 /* in which the evictions of one cacheful are counted */
#define EPOCH_MASK   0xffffu
/* Room for all that is worth remembering, in percent of the cached keys. */
#define CELLS_PERCENT 120

void ghost_forget(struct ghost *g)
{
    if (g->cells != NULL) {
        assert(g->waste == NULL);
        *g = (struct ghost){.waste = g->cells, .waste_bytes = g->bytes};
    }
}

static void drain(struct ghost *g, size_t bytes)
{
    if (g->waste_bytes == 0) {
        return;
    }
    size_t keep = g->waste_bytes > bytes ? (g->waste_bytes - bytes) & ~(size_t)(PAGE_BYTES - 1) : 0;
    (void)munmap((char *)g->waste + keep, g->waste_bytes - keep);
    g->waste_bytes = keep;
    g->waste = keep > 0 ? g->waste : NULL;
}

/* A page's first touch costs as much as several ghosts, and they are scattered. */
static void touch(struct ghost *g, size_t bytes)
{
    bytes = size_min(bytes, g->bytes - g->ready);
    memset((char *)g->cells + g->ready, 0, bytes);
    g->ready += bytes;
}

bool ghost_work(struct ghost *g, size_t bytes)
{
    if (g->waste_bytes > 0) {
        drain(g, bytes);
        return true;
    }
    if (g->ready < g->bytes) {
        touch(g, bytes);
        return true;
    }
    return false;
}

void ghost_fini(struct ghost *g)
{
    drain(g, SIZE_MAX);
    ghost_forget(g);
    drain(g, SIZE_MAX);
}

static size_t buckets_for(size_t keys)
{
    return keys * CELLS_PERCENT / 100 / BUCKET_CELLS + BUCKETS_MIN;
}

size_t ghost_bytes_for(size_t keys)
{
    return buckets_for(keys) * BUCKET_CELLS * sizeof(uint32_t);
}

bool ghost_fit(struct ghost *g, size_t keys)
{
    if (g->cells != NULL && keys <= g->keys + g->keys / 2 && keys >= g->keys / 3) {
        return g->ready == g->bytes;
    }
    ghost_forget(g);
    if (g->waste_bytes > GHOST_AT_ONCE) {
        return false; /* first, so that there is never the memory of both */
    }
    drain(g, SIZE_MAX);
    size_t bytes = ghost_bytes_for(keys);
    void *cells = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (cells == MAP_FAILED) {
        return false;
    }
    *g = (struct ghost){.cells = cells,
                        .buckets = buckets_for(keys),
                        .bytes = bytes,
                        .keys = keys > BUCKETS_MIN ? keys : BUCKETS_MIN,
                        .unit = keys / EPOCHS + 1};
    if (bytes <= GHOST_AT_ONCE) {
        touch(g, bytes);
    }
    return g->ready == g->bytes;
}

static uint32_t *bucket_of(const struct ghost *g, uint64_t hash)
{
    return g->cells + ((hash >> 32) * g->buckets >> 32) * BUCKET_CELLS;
}

void ghost_prefetch(const struct ghost *g, uint64_t hash)
{
    if (g->ready > 0) {
        PREFETCH(bucket_of(g, hash));
    }
}

/* Never 0, and made of bits that do not choose the bucket. */
static uint32_t fingerprint(uint64_t hash)
{
    uint32_t f = (uint32_t)(hash & 0x7fff);
    return f != 0 ? f : 1;
}

static uint32_t epochs_since(uint32_t cell, uint32_t now)
{
    return (now - cell) & EPOCH_MASK;
}

/* The cell that is worth least: by its age in the measure of its origin. */
static unsigned stalest_of(const struct ghost *g, const uint32_t *bucket)
{
    static_assert(GHOST_ORIGINS == 2, "an origin is a bit");
    unsigned place = 0;
    uint32_t stalest = 0;
    for (unsigned i = 0; i < BUCKET_CELLS; i++) {
        if (bucket[i] == 0) {
            return i;
        }
        const uint32_t origin = bucket[i] >> 31;
        const uint32_t stale = epochs_since(bucket[i], g->epoch[origin]) *
                               (origin == GHOST_FROM_MAIN ? GHOST_MAIN_PART : 1);
        if (stale >= stalest) {
            stalest = stale;
            place = i;
        }
    }
    return place;
}

void ghost_add(struct ghost *g, uint64_t hash, enum ghost_origin origin)
{
    if (g->cells == NULL || g->ready < g->bytes) {
        return;
    }
    uint32_t *bucket = bucket_of(g, hash);
    bucket[stalest_of(g, bucket)] = (uint32_t)origin << 31 | fingerprint(hash) << 16 |
                                    g->epoch[origin];
    if (++g->in_epoch[origin] == g->unit) {
        g->in_epoch[origin] = 0;
        g->epoch[origin] = (g->epoch[origin] + 1) & EPOCH_MASK;
    }
}

bool ghost_take(struct ghost *g, uint64_t hash, enum ghost_origin *origin, uint64_t *age)
{
    if (g->cells == NULL || g->ready < g->bytes) {
        return false;
    }
    uint32_t *bucket = bucket_of(g, hash);
    for (unsigned i = 0; i < BUCKET_CELLS; i++) {
        if (bucket[i] != 0 && (bucket[i] >> 16 & 0x7fff) == fingerprint(hash)) {
            *origin = (enum ghost_origin)(bucket[i] >> 31);
            *age = epochs_since(bucket[i], g->epoch[*origin]) * g->unit;
            bucket[i] = 0;
            return true;
        }
    }
    return false;
}
