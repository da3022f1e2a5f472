/*
 * Made-up traces; see trace.h.
 *
 * Zipf ranks come from inverting the distribution's integral (exact enough for caches, and without
 * a table): rank = the x for which the integral of t^-alpha from 1 to x is a uniform part of the
 * whole. Ranks are spread over the key numbers by a bijection, so that neighbours in popularity are
 * not neighbours in number.
 */
#include "trace.h"

#include "tarn/base/hash.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define SCAN_ONE_IN  5
#define SHIFTS       10
#define SHIFT_PART   5 /* one key in so many changes its place at every shift */
#define SPREAD_PRIME 2654435761u

struct zipf {
    double alpha, whole, keys;
};

static void zipf_init(struct zipf *z, double keys, double alpha)
{
    *z = (struct zipf){.alpha = alpha, .keys = keys};
    z->whole = fabs(alpha - 1) < 1e-9 ? log(keys + 1)
                                      : (pow(keys + 1, 1 - alpha) - 1) / (1 - alpha);
}

static uint32_t zipf_draw(const struct zipf *z, struct rng *rng)
{
    double u = (double)(rng_next(rng) >> 11) * 0x1p-53 * z->whole;
    double x = fabs(z->alpha - 1) < 1e-9 ? exp(u) : pow(u * (1 - z->alpha) + 1, 1 / (1 - z->alpha));
    double rank = floor(x) - 1;
    return (uint32_t)(rank < 0 ? 0 : rank >= z->keys ? z->keys - 1 : rank);
}

/* From a half of the mean to twice: the logarithm is uniform, the mean is `mean`. */
static uint32_t size_of(uint32_t key, uint32_t mean)
{
    double part = (double)(key * SPREAD_PRIME) / 4294967296.0;
    return (uint32_t)(mean * 0.924196 * pow(4, part - 0.5)) + 1;
}

struct making {
    struct trace *t;
    const struct generate *g;
    struct zipf zipf;
    struct rng rng;
    uint32_t fresh; /* next key that was never asked */
    size_t scan_left;
};

/* Keys are renumbered by first appearance at the end. */
static void number_keys(struct trace *t, uint32_t keys)
{
    uint32_t *ids = calloc(keys, sizeof(*ids));
    if (ids == NULL) {
        die("no memory for a made-up trace");
    }
    for (size_t i = 0; i < t->count; i++) {
        struct request *r = &t->requests[i];
        if (ids[r->key] == 0) {
            ids[r->key] = ++t->keys;
            t->footprint += r->size;
        }
        r->key = ids[r->key] - 1;
    }
    free(ids);
}

static uint32_t next_scan(struct making *m)
{
    uint32_t key = zipf_draw(&m->zipf, &m->rng);
    if (m->scan_left == 0 && rng_below(&m->rng, m->g->keys) == 0) {
        m->scan_left = m->g->keys / (SCAN_ONE_IN - 1);
    }
    if (m->scan_left > 0) {
        m->scan_left--;
        return m->fresh++;
    }
    return key;
}

static uint32_t next_shift(const struct making *m, size_t i, struct rng *rng)
{
    uint32_t rank = zipf_draw(&m->zipf, rng);
    uint64_t phase = i / (m->g->requests / SHIFTS + 1);
    /* Every fifth rank, another fifth each time, goes to a key that had no rank before. */
    for (uint64_t p = phase; p > 0; p--) {
        if (rank % SHIFT_PART == p % SHIFT_PART) {
            return (uint32_t)(p * m->g->keys) + rank;
        }
    }
    return rank;
}

bool trace_generate(struct trace *t, const char *kind, const struct generate *g)
{
    bool is_scan = strcmp(kind, "scan") == 0, is_shift = strcmp(kind, "shift") == 0;
    if (!is_scan && !is_shift && strcmp(kind, "zipf") != 0) {
        return false;
    }
    *t = (struct trace){0};
    (void)snprintf(t->name, sizeof(t->name), "%s", kind);
    struct making m = {.t = t, .g = g, .fresh = g->keys};
    zipf_init(&m.zipf, g->keys, g->alpha);
    rng_init_seed(&m.rng, g->seed);
    for (size_t i = 0; i < g->requests; i++) {
        uint32_t key = is_scan    ? next_scan(&m)
                       : is_shift ? next_shift(&m, i, &m.rng)
                                  : zipf_draw(&m.zipf, &m.rng);
        trace_append(
            t, (struct request){.time_s = (uint32_t)i, .key = key, .size = size_of(key, g->size)});
    }
    uint32_t keys = is_shift ? g->keys * (SHIFTS + 1) : m.fresh > g->keys ? m.fresh : g->keys;
    number_keys(t, keys);
    return true;
}
