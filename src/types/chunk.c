/*
 * Chunks; see chunk.h. The reservation costs nothing until it is touched, and is made when the
 * first large hash comes: most processes have none.
 */
#include "chunk.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tarn/base/option.h"

static_assert(sizeof(struct chunk) <= CHUNK_HEAD_BYTES, "the head fits");

#define RESERVE_BYTES     ((size_t)1 << 36) /* at least, if the system gives that much */
#define RESERVE_BYTES_MIN ((size_t)1 << 28)
#define FREE_CAP_MIN      64u

/* Twice the machine's memory, as the store reserves for its log, or what a limit on addresses
 * leaves of it. */
static bool reserve(struct chunks *c)
{
    size_t bytes = size_max(2 * (size_t)option_memory_total(), RESERVE_BYTES);
    void *p = MAP_FAILED;
    for (; bytes >= RESERVE_BYTES_MIN; bytes /= 2) {
        p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                 -1, 0);
        if (p != MAP_FAILED) {
            break;
        }
    }
    if (p == MAP_FAILED) {
        return false;
    }
    (void)madvise(p, bytes, MADV_NOHUGEPAGE); /* counted by the small page */
    /* Up to one chunk is lost to the alignment. */
    const uintptr_t at = ((uintptr_t)p + CHUNK_BYTES - 1) & ~(uintptr_t)(CHUNK_BYTES - 1);
    c->base = (char *)at;
    c->count = (uint32_t)(bytes / CHUNK_BYTES - 1);
    return true;
}

void chunks_fini(struct chunks *c)
{
    assert(c->free_count == c->high);
    if (c->base != NULL) {
        memory_unpoison(c->base, (size_t)c->high * CHUNK_BYTES);
        (void)munmap(c->base, (size_t)c->count * CHUNK_BYTES);
    }
    free(c->free_ids);
    *c = (struct chunks){0};
}

/* A place on the stack for every chunk that is handed out, so that giving back cannot fail. */
static bool make_place(struct chunks *c)
{
    if (c->high < c->free_cap) {
        return true;
    }
    const uint32_t cap = c->free_cap > 0 ? 2 * c->free_cap : FREE_CAP_MIN;
    uint32_t *fresh = realloc(c->free_ids, cap * sizeof(*fresh));
    if (fresh == NULL) {
        return false;
    }
    c->free_ids = fresh;
    c->free_cap = cap;
    return true;
}

struct chunk *chunk_take(struct chunks *c)
{
    uint32_t id;
    if (c->base == NULL && !reserve(c)) {
        return NULL;
    }
    if (c->free_count > 0) {
        id = c->free_ids[--c->free_count];
    } else if (c->high < c->count && make_place(c)) {
        id = c->high++;
    } else {
        return NULL;
    }
    struct chunk *ch = (struct chunk *)(void *)(c->base + (size_t)id * CHUNK_BYTES);
    memory_unpoison(ch, CHUNK_HEAD_BYTES);
    memory_poison((char *)ch + CHUNK_HEAD_BYTES, CHUNK_ROOM);
    *ch = (struct chunk){.used = CHUNK_HEAD_BYTES};
    return ch;
}

void chunk_give(struct chunks *c, struct chunk *ch)
{
    const size_t cost = chunk_cost(ch->used);
    const uint32_t id = (uint32_t)(((char *)ch - c->base) / CHUNK_BYTES);
    memory_poison(ch, CHUNK_BYTES);
    (void)madvise(ch, cost, MADV_DONTNEED);
    c->free_ids[c->free_count++] = id;
}
