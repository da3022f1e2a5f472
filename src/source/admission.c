/*
 * A slot is the key's tag, the second of its first miss and the count since then. The place comes
 * from the hash's low bits, the tag from its high ones, so they tell different things.
 */
#include "admission.h"

#include <stdlib.h>

#define ADMISSION_SLOTS  8192 /* power of two; 64 KiB */
#define ADMISSION_WINDOW 60   /* seconds */
#define COUNT_MAX        255
#define SECOND_MASK      0xffffff

struct place {
    uint32_t tag, second;
    unsigned count;
};

static struct place unpack(uint64_t slot)
{
    return (struct place){.tag = (uint32_t)(slot >> 32),
                          .second = (uint32_t)(slot >> 8) & SECOND_MASK,
                          .count = (unsigned)slot & COUNT_MAX};
}

static uint64_t pack(const struct place *p)
{
    return (uint64_t)p->tag << 32 | (uint64_t)p->second << 8 | p->count;
}

void admission_fini(struct admission *a)
{
    free(a->slots);
    a->slots = NULL;
}

bool admission_count(struct admission *a, uint64_t hash, int64_t now_ms, int64_t n)
{
    if (a->slots == NULL) {
        a->slots = calloc(ADMISSION_SLOTS, sizeof(a->slots[0]));
        if (a->slots == NULL) {
            return true;
        }
    }
    uint64_t *slot = &a->slots[hash & (ADMISSION_SLOTS - 1)];
    struct place p = unpack(*slot);
    const uint32_t tag = (uint32_t)(hash >> 32);
    const uint32_t second = (uint32_t)(now_ms / 1000) & SECOND_MASK;
    const uint32_t age = (second - p.second) & SECOND_MASK;
    if (p.count == 0 || p.tag != tag || age >= ADMISSION_WINDOW) {
        p = (struct place){.tag = tag, .second = second};
    }
    p.count += p.count < COUNT_MAX;
    *slot = pack(&p);
    return p.count >= n;
}

size_t admission_memory(const struct admission *a)
{
    return a->slots != NULL ? ADMISSION_SLOTS * sizeof(a->slots[0]) : 0;
}
