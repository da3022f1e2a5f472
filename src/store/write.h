/* What store_write.c and store_change.c share: writing one entry under a key. Private to the store.
 */
#ifndef TARN_STORE_WRITE_H
#define TARN_STORE_WRITE_H

#include "store_private.h"

/* A key or value above this part of a segment lies in a block of its own. In small segments the
 * part is larger, so that most blocks are pages of their own. */
#define LARGE_PART                8
#define LARGE_PART_SMALL          4
#define LARGE_SMALL_SEGMENT_BYTES (64 * 1024)

static inline bool write_is_large(const struct store *s, size_t len)
{
    bool is_small = s->segs.segment_bytes <= LARGE_SMALL_SEGMENT_BYTES;
    return len > s->segs.segment_bytes / (is_small ? LARGE_PART_SMALL : LARGE_PART);
}

/* An entry to be written. */
struct put {
    struct entry_shape shape; /* is_large, is_key_large and space are filled in by write_entry() */
    const char *value;        /* shape.value_len bytes, or NULL: the caller fills them in later */
    struct large
        *block; /* for a large value: take over this one instead of making one; NULL: make one */
    bool is_absent;   /* the key: it was looked for already */
    bool keep_expiry; /* of the entry that is replaced, when there is one */
    bool is_rewrite; /* of an entry that is there, hardly larger: rather above the limit than not */
};

/* Inserts or replaces; *value_out (may be NULL) is where the value lies. On failure nothing has
 * changed but that others may have been evicted, and `block` is still the caller's. */
enum store_result write_entry(struct store *s, const struct store_key *k, struct put *p,
                              char **value_out);

/* Between these two calls the views stay readable even if their entries move or die. */
void borrow(struct store *s, struct strview a, struct strview b);
void borrow_end(struct store *s);

/* Adds the entry to (sign 1) or takes it out of (-1) the counts of its space. */
void write_count(struct store *s, unsigned char *e, int sign);

/* Bytes that the entry can occupy where it is: its own, fillers behind it, and the rest of an open
 * head's pages. */
uint32_t write_room(const struct store *s, unsigned char *e, uint32_t size);
/* After an entry of `old_size` bytes with `room` became one of `new_size` in its place. */
void write_resized(struct store *s, unsigned char *e, uint32_t old_size, uint32_t new_size,
                   uint32_t room);

#endif
