/*
 * Measures the index by itself:
 *
 *   bench_index sweep [keys]          bytes per key at every size up to `keys`, in steps of 2 %
 *   bench_index lookup [keys]         ns per look-up, one by one and in batches of 32 with prefetch
 *   bench_index insert [keys]         ns per insert and the longest ones, then the same for removal
 *   bench_index churn [keys]          bytes per key and ns after many replacements at one size
 *
 * Entries are 128 bytes apart in one block and hold their own number, of which the hash is made; a
 * look-up compares that number, so it touches the memory that a look-up of the store touches.
 */
#include "src/store/index.h"

#include "tarn/base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#define ENTRY_BYTES 128
#define BATCH       32
#define LOOKUPS     1024000
#define RUNS        7

struct bench {
    char *entries; /* owned, entry of reference r at r * stride */
    size_t stride; /* 0: no entries, the hash is made of the reference alone */
    struct index *ix;
    size_t memory;
    struct rng rng;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t hash_number(uint64_t x)
{
    x = (x + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t *entry_at(const struct bench *b, uint64_t ref)
{
    return (uint64_t *)(void *)(b->entries + ref * b->stride);
}

static uint64_t bench_hash(void *ctx, uint64_t ref)
{
    const struct bench *b = ctx;

    return hash_number(b->stride == 0 ? ref : *entry_at(b, ref));
}

static void bench_prefetch(void *ctx, uint64_t ref)
{
    const struct bench *b = ctx;

    if (b->stride != 0) {
        PREFETCH(entry_at(b, ref));
    }
}

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_index: %s\n", what);
    exit(1);
}

static void bench_init(struct bench *b, size_t keys, bool with_entries)
{
    struct index_owner owner = {
        .ctx = b,
        .hash_of = bench_hash,
        .prefetch = bench_prefetch,
    };
    size_t bytes = (keys + 1) * ENTRY_BYTES;

    *b = (struct bench){.stride = with_entries ? ENTRY_BYTES : 0};
    rng_init_seed(&b->rng, 42);
    if (with_entries) {
        b->entries = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (b->entries == MAP_FAILED) {
            die("no memory for the entries");
        }
        for (size_t i = 0; i <= keys; i++) {
            *entry_at(b, i) = i;
        }
    }
    if (index_create(&b->ix, &owner, &b->memory) != 0) {
        die("no memory for the index");
    }
}

static void bench_fini(struct bench *b, size_t keys)
{
    index_destroy(b->ix);
    if (b->stride != 0) {
        (void)munmap(b->entries, (keys + 1) * ENTRY_BYTES);
    }
}

static uint64_t *find(const struct bench *b, uint64_t number, uint64_t hash)
{
    struct index_probe probe;
    uint64_t *p = index_first(b->ix, hash, &probe);

    while (p != NULL && (b->stride == 0 ? slot_ref(*p) : *entry_at(b, slot_ref(*p))) != number) {
        p = index_next(&probe);
    }
    return p;
}

static void insert(struct bench *b, uint64_t ref)
{
    if (index_insert(b->ix, hash_number(ref), slot_make(ref, 1)) == NULL) {
        die("an insert was refused");
    }
}

/* ---- sweep --------------------------------------------------------------------------------------
 */

struct sweep {
    double worst, sum;
    size_t worst_at, points;
};

static void sweep_add(struct sweep *s, const struct bench *b, size_t keys)
{
    double bytes = (double)index_memory(b->ix) / (double)keys;

    s->points++;
    s->sum += bytes;
    if (bytes > s->worst) {
        s->worst = bytes;
        s->worst_at = keys;
    }
}

static void run_sweep(size_t keys)
{
    struct bench b;
    struct sweep s = {.worst = 0};
    size_t next = 10000;
    size_t decade = 100000;

    bench_init(&b, keys, false);
    for (size_t i = 1; i <= keys; i++) {
        insert(&b, i);
        if (i == next) {
            sweep_add(&s, &b, i);
            next += next / 50;
        }
        if (i == decade || i == keys) {
            printf("up to %9zu keys: bytes per key mean %.2f, worst %.2f at %zu\n", i,
                   s.sum / (double)s.points, s.worst, s.worst_at);
            s = (struct sweep){.worst = 0};
            decade *= decade == 1000000 ? 20 : 10;
        }
    }
    bench_fini(&b, keys);
}

/* ---- look-ups -----------------------------------------------------------------------------------
 */

static double lookup_single(struct bench *b, size_t from, size_t keys, size_t rounds)
{
    uint64_t start = now_ns();
    size_t found = 0;
    uint64_t number = 0;

    for (size_t i = 0; i < rounds; i++) {
        /* The next key depends on this answer, so nothing overlaps. */
        const uint64_t *p;

        number = from + (rng_next(&b->rng) + number) % keys;
        p = find(b, number, hash_number(number));
        found += p != NULL;
        number = p == NULL ? 0 : *entry_at(b, slot_ref(*p)) & 1;
    }
    if (found != (from == 1 ? rounds : 0)) {
        die("a key was not found");
    }
    return (double)(now_ns() - start) / (double)rounds;
}

static double lookup_batch(struct bench *b, size_t from, size_t keys, size_t rounds)
{
    uint64_t start = now_ns();
    size_t found = 0;

    for (size_t i = 0; i < rounds; i += BATCH) {
        uint64_t number[BATCH];
        uint64_t hash[BATCH];
        struct index_bucket *home[BATCH];

        for (unsigned k = 0; k < BATCH; k++) {
            number[k] = from + rng_next(&b->rng) % keys;
            hash[k] = hash_number(number[k]);
            home[k] = index_prefetch(b->ix, hash[k]);
        }
        for (unsigned k = 0; k < BATCH; k++) {
            const uint64_t *slot = index_prefetched(home[k], hash[k]);

            if (slot != NULL) {
                PREFETCH(entry_at(b, slot_ref(*slot)));
            }
        }
        for (unsigned k = 0; k < BATCH; k++) {
            found += find(b, number[k], hash[k]) != NULL;
        }
    }
    if (found != (from == 1 ? rounds : 0)) {
        die("a key was not found");
    }
    return (double)(now_ns() - start) / (double)rounds;
}

static double index_only_batch(struct bench *b, size_t from, size_t keys, size_t rounds)
{
    uint64_t start = now_ns();
    uint64_t sum = 0;

    for (size_t i = 0; i < rounds; i += BATCH) {
        uint64_t hash[BATCH];

        for (unsigned k = 0; k < BATCH; k++) {
            hash[k] = hash_number(from + rng_next(&b->rng) % keys);
            (void)index_prefetch(b->ix, hash[k]);
        }
        for (unsigned k = 0; k < BATCH; k++) {
            struct index_probe probe;
            const uint64_t *p = index_first(b->ix, hash[k], &probe);

            sum += p == NULL ? 0 : *p;
        }
    }
    if (sum == 0) {
        die("nothing was found");
    }
    return (double)(now_ns() - start) / (double)rounds;
}

typedef double (*lookup_fn)(struct bench *b, size_t from, size_t keys, size_t rounds);

/* The machine is shared: the quickest of several runs is the one that was disturbed least. */
static double quickest(lookup_fn fn, struct bench *b, size_t from, size_t keys)
{
    double best = fn(b, from, keys, LOOKUPS);

    for (unsigned i = 1; i < RUNS; i++) {
        double ns = fn(b, from, keys, LOOKUPS);

        best = ns < best ? ns : best;
    }
    return best;
}

static void run_lookup(size_t keys)
{
    struct bench b;

    bench_init(&b, keys, true);
    for (size_t i = 1; i <= keys; i++) {
        insert(&b, i);
    }
    printf("%zu keys, load %.3f, ns per look-up\n", keys,
           (double)index_count(b.ix) / (double)index_slots(b.ix));
    printf("  one by one:    %6.1f found, %6.1f absent\n", quickest(lookup_single, &b, 1, keys),
           quickest(lookup_single, &b, keys + 1, keys));
    printf("  batches of %d: %6.1f found, %6.1f absent, %.1f index alone\n", BATCH,
           quickest(lookup_batch, &b, 1, keys), quickest(lookup_batch, &b, keys + 1, keys),
           quickest(index_only_batch, &b, 1, keys));
    bench_fini(&b, keys);
}

/* ---- inserting and removing ---------------------------------------------------------------------
 */

struct latency {
    uint64_t sum, calls, worst;
    uint64_t above_50us, above_100us, above_200us;
    uint64_t preempted;
    long switches; /* of this thread against its will, when last looked at */
};

/* A long call during which another process had the CPU says nothing and is counted apart. */
static void latency_add(struct latency *l, uint64_t ns)
{
    if (ns > 50000) {
        struct rusage usage;
        bool was_preempted;

        (void)getrusage(RUSAGE_THREAD, &usage);
        was_preempted = usage.ru_nivcsw != l->switches;
        l->switches = usage.ru_nivcsw;
        if (was_preempted) {
            l->preempted++;
            return;
        }
    }
    l->sum += ns;
    l->calls++;
    l->above_50us += ns > 50000;
    l->above_100us += ns > 100000;
    l->above_200us += ns > 200000;
    l->worst = ns > l->worst ? ns : l->worst;
}

static void latency_print(const struct latency *l, const char *what)
{
    printf("  %s: mean %.0f ns, longest %.0f us, longer than 50/100/200 us: %llu %llu %llu of %llu"
           " (%llu preempted)\n",
           what, (double)l->sum / (double)l->calls, (double)l->worst / 1000,
           (unsigned long long)l->above_50us, (unsigned long long)l->above_100us,
           (unsigned long long)l->above_200us, (unsigned long long)l->calls,
           (unsigned long long)l->preempted);
}

static void run_insert(size_t keys)
{
    struct bench b;
    struct latency inserts = {.sum = 0};
    struct latency removals = {.sum = 0};
    struct latency shrinks = {.sum = 0};
    uint64_t at;

    bench_init(&b, keys, true);
    at = now_ns();
    for (size_t i = 1; i <= keys; i++) {
        uint64_t then = at;

        insert(&b, i);
        at = now_ns();
        latency_add(&inserts, at - then);
    }
    printf("%zu keys, index %zu bytes\n", keys, index_memory(b.ix));
    for (size_t i = 1; i <= keys; i++) {
        uint64_t then = at;

        index_remove(b.ix, hash_number(i), find(&b, i, hash_number(i)));
        at = now_ns();
        latency_add(&removals, at - then);
        if (i % 256 == 0) {
            then = at;
            (void)index_shrink(b.ix, 256);
            at = now_ns();
            latency_add(&shrinks, at - then);
        }
    }
    latency_print(&inserts, "insert");
    latency_print(&removals, "remove");
    latency_print(&shrinks, "shrink by 256 buckets");
    printf("  afterwards index %zu bytes\n", index_memory(b.ix));
    bench_fini(&b, keys);
}

static void run_churn(size_t keys)
{
    struct bench b;
    uint64_t oldest = 1;
    uint64_t next = keys + 1;

    bench_init(&b, 0, false);
    for (size_t i = 1; i <= keys; i++) {
        insert(&b, i);
    }
    printf("%zu keys, first in first out\n", keys);
    for (unsigned turn = 0; turn <= 16; turn++) {
        struct index_probe probe;
        uint64_t start = now_ns();
        size_t lines = 0;

        for (size_t i = 0; turn != 0 && i < keys; i++, oldest++, next++) {
            index_remove(b.ix, hash_number(oldest), find(&b, oldest, hash_number(oldest)));
            insert(&b, next);
        }
        start = now_ns() - start;
        for (size_t i = 0; i < 200000; i++) {
            uint64_t hash = rng_next(&b.rng);

            for (const uint64_t *p = index_first(b.ix, hash, &probe); p; p = index_next(&probe)) {
                continue;
            }
            (void)index_first(b.ix, hash, &probe);
            lines += 1 + (probe.table->buckets[table_home(probe.table, 0)].head & 15);
        }
        printf("  turn %2u: %.2f bytes per key, %.0f ns per replacement, lines per miss %.2f\n",
               turn, (double)index_memory(b.ix) / (double)keys, (double)start / (double)keys,
               (double)lines / 200000);
        while (index_shrink(b.ix, 100000)) {
            continue;
        }
    }
    bench_fini(&b, 0);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "sweep";
    size_t keys = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;

    if (keys == 0) {
        die("how many keys?");
    }
    if (strcmp(what, "sweep") == 0) {
        run_sweep(keys);
    } else if (strcmp(what, "lookup") == 0) {
        run_lookup(keys);
    } else if (strcmp(what, "insert") == 0) {
        run_insert(keys);
    } else if (strcmp(what, "churn") == 0) {
        run_churn(keys);
    } else {
        die("sweep, lookup, insert or churn");
    }
    return 0;
}
