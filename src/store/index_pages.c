/*
 * Memory of the index's tables, so that what the index counts is what the process holds.
 *
 * Tables of two pages and more are runs of pages in chunks of 2 MiB that are mapped one by one,
 * aligned to their size. The chunk's first page is its header, so a table leads to its chunk by its
 * address alone. Chunks are listed by the longest run they have free (which is at most
 * PAGES_RUN_MAX and does not cross a group of 64 pages).
 *
 * A page is in use, or clean (never touched, or given back: it reads as zero and costs nothing), or
 * dirty: free, but still held. Growing tables free runs that others take soon after, so a few dirty
 * pages are kept; beyond that the chunk's are given back with MADV_DONTNEED. A chunk without tables
 * is unmapped.
 *
 * No huge pages: they would save 3 % of a GET's CPU at ten million keys, which is less than two runs
 * differ by, and memory would go in steps of 2 MiB.
 *
 * Smaller tables, at most some hundred KiB of them, come from malloc().
 */
#include "index_pages.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES   4096u
#define CHUNK_BYTES  (2u << 20)
#define GROUP_PAGES  64u
#define CHUNK_GROUPS (CHUNK_BYTES / PAGE_BYTES / GROUP_PAGES)

/* Dirty pages kept: so many, and one for so many in use. */
#define DIRTY_MIN   16
#define DIRTY_SHARE 128

/* What malloc() spends beside the usable size. */
#define MALLOC_HEADER sizeof(size_t)

struct chunk {
    struct list link; /* in index_pages::by_run */
    uint64_t used[CHUNK_GROUPS];
    uint64_t dirty[CHUNK_GROUPS]; /* never set together with used */
    uint32_t pages_used;          /* the header not counted */
};

static_assert(PAGE_BYTES == PAGE_BUCKETS * sizeof(struct index_bucket), "a page of buckets");
static_assert(sizeof(struct chunk) <= PAGE_BYTES, "the header is one page");

static bool may_allocate(struct index *ix, size_t bytes)
{
    return ix->owner.may_allocate == NULL || ix->owner.may_allocate(ix->owner.ctx, bytes);
}

static void account(struct index *ix, size_t plus, size_t minus)
{
    ix->memory += plus - minus;
    *ix->memory_total += plus - minus;
}

/* ---- runs of pages ------------------------------------------------------------------------------
 */

static uint64_t run_mask(unsigned first, unsigned pages)
{
    return ((UINT64_C(1) << pages) - 1) << first;
}

/* A bit at every page of the group from which `pages` are free. */
static uint64_t runs_of(uint64_t used, unsigned pages)
{
    uint64_t starts = ~used;

    for (unsigned i = 1; i < pages; i++) {
        starts &= ~used >> i;
    }
    return starts;
}

static unsigned longest_run(const struct chunk *c)
{
    unsigned longest = 0;

    for (unsigned g = 0; g < CHUNK_GROUPS; g++) {
        while (longest < PAGES_RUN_MAX && runs_of(c->used[g], longest + 1) != 0) {
            longest++;
        }
    }
    return longest;
}

static void chunk_list(struct index_pages *pages, struct chunk *c)
{
    list_remove(&c->link);
    list_push_front(&pages->by_run[longest_run(c)], &c->link);
}

static char *page_at(struct chunk *c, unsigned group, unsigned page)
{
    return (char *)c + (size_t)(group * GROUP_PAGES + page) * PAGE_BYTES;
}

/* ---- chunks -------------------------------------------------------------------------------------
 */

static struct chunk *chunk_create(struct index *ix)
{
    struct index_pages *pages = &ix->pages;
    size_t excess;
    struct chunk *c;
    char *p = mmap(NULL, 2 * (size_t)CHUNK_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED) {
        return NULL;
    }
    excess = CHUNK_BYTES - (uintptr_t)p % CHUNK_BYTES;
    if (excess != CHUNK_BYTES) {
        (void)munmap(p, excess); /* splitting a mapping may fail: it then only costs addresses */
        p += excess;
    }
    (void)munmap(p + CHUNK_BYTES,
                 2 * (size_t)CHUNK_BYTES - CHUNK_BYTES - (excess == CHUNK_BYTES ? 0 : excess));
    (void)madvise(p, CHUNK_BYTES, ix->owner.huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    c = (struct chunk *)(void *)p;
    *c = (struct chunk){.used = {1}};
    list_init(&c->link);
    pages->chunks++;
    account(ix, PAGE_BYTES, 0);
    return c;
}

/* Gives the chunk's dirty pages back to the system. */
static void chunk_clean(struct index *ix, struct chunk *c)
{
    for (unsigned g = 0; g < CHUNK_GROUPS; g++) {
        while (c->dirty[g] != 0) {
            unsigned first = ctz64(c->dirty[g]);
            uint64_t rest = ~(c->dirty[g] >> first);
            unsigned pages = rest == 0 ? GROUP_PAGES : ctz64(rest);

            (void)madvise(page_at(c, g, first), (size_t)pages * PAGE_BYTES, MADV_DONTNEED);
            c->dirty[g] &= pages == GROUP_PAGES ? 0 : ~run_mask(first, pages);
            ix->pages.dirty -= pages;
            account(ix, 0, (size_t)pages * PAGE_BYTES);
        }
    }
}

static void chunk_destroy(struct index *ix, struct chunk *c)
{
    size_t bytes = PAGE_BYTES;

    for (unsigned g = 0; g < CHUNK_GROUPS; g++) {
        size_t dirty = bits_set(c->dirty[g]);

        ix->pages.dirty -= dirty;
        bytes += dirty * PAGE_BYTES;
    }
    list_remove(&c->link);
    ix->pages.chunks--;
    (void)munmap(c, CHUNK_BYTES);
    account(ix, 0, bytes);
}

/* A free run in the chunk, which has one. */
static struct index_bucket *chunk_take(struct index *ix, struct chunk *c, unsigned pages)
{
    unsigned g = 0;
    unsigned first;
    uint64_t mask;
    size_t dirty;
    char *p;

    while (runs_of(c->used[g], pages) == 0) {
        g++;
    }
    first = ctz64(runs_of(c->used[g], pages));
    mask = run_mask(first, pages);
    p = page_at(c, g, first);
    for (unsigned i = 0; i < pages; i++) {
        if ((c->dirty[g] >> (first + i) & 1) != 0) {
            memset(p + (size_t)i * PAGE_BYTES, 0, PAGE_BYTES);
        }
    }
    dirty = bits_set(c->dirty[g] & mask);
    ix->pages.dirty -= dirty;
    account(ix, (pages - dirty) * PAGE_BYTES, 0);
    c->dirty[g] &= ~mask;
    c->used[g] |= mask;
    c->pages_used += pages;
    ix->pages.in_use += pages;
    return (struct index_bucket *)(void *)p;
}

static struct index_bucket *run_alloc(struct index *ix, unsigned pages)
{
    struct index_pages *all = &ix->pages;
    struct chunk *c = NULL;
    struct index_bucket *b;

    for (unsigned run = pages; c == NULL && run <= PAGES_RUN_MAX; run++) {
        if (!list_is_empty(&all->by_run[run])) {
            c = container_of(all->by_run[run].next, struct chunk, link);
        }
    }
    if (c == NULL) {
        c = chunk_create(ix);
    }
    if (c == NULL) {
        return NULL;
    }
    b = chunk_take(ix, c, pages);
    chunk_list(all, c);
    return b;
}

static void run_free(struct index *ix, struct index_bucket *b, unsigned pages)
{
    uintptr_t offset = (uintptr_t)b % CHUNK_BYTES;
    struct chunk *c = (struct chunk *)(void *)((char *)b - offset);
    unsigned page = (unsigned)(offset / PAGE_BYTES);
    uint64_t mask = run_mask(page % GROUP_PAGES, pages);

    assert((c->used[page / GROUP_PAGES] & mask) == mask);
    c->used[page / GROUP_PAGES] &= ~mask;
    c->dirty[page / GROUP_PAGES] |= mask;
    c->pages_used -= pages;
    ix->pages.in_use -= pages;
    ix->pages.dirty += pages;
    if (c->pages_used == 0) {
        chunk_destroy(ix, c);
        return;
    }
    if (ix->pages.dirty > DIRTY_MIN + ix->pages.in_use / DIRTY_SHARE) {
        chunk_clean(ix, c);
    }
    chunk_list(&ix->pages, c);
}

/* ---- calls --------------------------------------------------------------------------------------
 */

void index_pages_init(struct index_pages *pages)
{
    *pages = (struct index_pages){.chunks = 0};
    for (unsigned i = 0; i < ARRAY_LEN(pages->by_run); i++) {
        list_init(&pages->by_run[i]);
    }
}

struct index_bucket *index_pages_alloc(struct index *ix, size_t buckets)
{
    size_t bytes = buckets * sizeof(struct index_bucket);
    struct index_bucket *b;

    if (!may_allocate(ix, bytes)) {
        return NULL;
    }
    if (buckets >= 2 * PAGE_BUCKETS) {
        return run_alloc(ix, (unsigned)(buckets / PAGE_BUCKETS));
    }
    b = aligned_alloc(sizeof(struct index_bucket), bytes);
    if (b != NULL) {
        memset(b, 0, bytes);
        account(ix, malloc_usable_size(b) + MALLOC_HEADER, 0);
    }
    return b;
}

void index_pages_free(struct index *ix, struct index_bucket *buckets, size_t count)
{
    if (count >= 2 * PAGE_BUCKETS) {
        run_free(ix, buckets, (unsigned)(count / PAGE_BUCKETS));
    } else {
        index_bytes_free(ix, buckets);
    }
}

size_t index_pages_worst(size_t buckets)
{
    return buckets * sizeof(struct index_bucket) + PAGE_BYTES;
}

void *index_bytes_alloc(struct index *ix, size_t bytes)
{
    void *p = may_allocate(ix, bytes) ? malloc(bytes) : NULL;

    if (p != NULL) {
        account(ix, malloc_usable_size(p) + MALLOC_HEADER, 0);
    }
    return p;
}

void index_bytes_free(struct index *ix, void *p)
{
    account(ix, 0, malloc_usable_size(p) + MALLOC_HEADER);
    free(p);
}
