/*
 * Where entries are written: one open segment (head) for each queue and class of remaining time to
 * live. Private to the store.
 */
#ifndef TARN_STORE_APPEND_H
#define TARN_STORE_APPEND_H

#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

struct store;

/* Class of an expiry at this moment: 0 without one, else by the power of two of the seconds that
 * remain. */
unsigned ttl_class_of(const struct store *s, int64_t expires_at_ms);

enum append_for {
    APPEND_FOR_CALLER,    /* within the limit; makes room by reclaiming */
    APPEND_FOR_RECLAIMER, /* never reclaims; may use the reserve */
    APPEND_RESERVED,      /* the same: room was made before, as far as that was possible */
};

/* Room for `size` bytes, counted as live. NULL: the limit or the arena does not allow it. *moved is
 * set when entries may have moved or died meanwhile; it may be NULL for the reclaimer. */
unsigned char *append_entry(struct store *s, enum segment_queue queue, unsigned ttl_class,
                            uint32_t size, enum append_for who, bool *moved);

/* To be called after an entry with a block of so many bytes was appended: a head also fills up with
 * what its entries own outside, and is sealed when another like it would not fit. */
void append_seal_if_full(struct store *s, uint32_t id, size_t block_bytes);

/* Takes a head out of use; it goes to the end of its queue. */
void append_seal(struct store *s, uint32_t id);

#endif
