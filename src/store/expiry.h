/*
 * Which segment holds entries that expire, and when. Private to the store.
 *
 * A segment knows bounds of the expiry of its live entries. The heap holds every segment with such
 * entries, ordered by the moment at which sweeping it pays: when an eighth of its span has passed.
 * Segments whose first entry is due earlier than that are swept ahead of time as far as the pace
 * allows, so that the lag stays small without scanning in vain.
 */
#ifndef TARN_STORE_EXPIRY_H
#define TARN_STORE_EXPIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"

struct store;
struct segment;

struct due {
    int64_t due_ms;
    uint32_t seg;
};

struct due_heap {
    struct due *items; /* reserved for every segment of the arena */
    uint32_t count;
    uint32_t touched; /* highest count so far */
    size_t reserved_bytes;
};

/* Time that sweeps in vain may take. */
struct expiry_pace {
    int64_t credit_ns;
    int64_t updated_us; /* mono_us of the latest top-up */
    uint32_t hand;      /* where the search for segments swept ahead of time goes on */
};

int due_heap_init(struct due_heap *h, uint32_t segments) WARN_UNUSED;
void due_heap_fini(struct due_heap *h);

/* An entry with this expiry was written to the segment (or got it there). */
void expiry_note(struct store *s, uint32_t id, int64_t expires_at_ms);
/* The segment is no longer of interest. */
void expiry_forget(struct store *s, uint32_t id);
/* Puts the segment where its bounds say; takes it out when nothing there expires. */
void expiry_requeue(struct store *s, uint32_t id);

/* A sweep ended: what it looked at in vain is charged to the pace. */
void expiry_charge(struct store *s, uint32_t visited, uint32_t expelled);

/* One slice of proactive expiry; false when nothing is due. */
bool expiry_step(struct store *s);

#endif
