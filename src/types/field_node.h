/*
 * A field in memory of its own; drawn in field_table.h. Private to the types layer.
 *
 * The place in the heap of expiries is there only while the field has one: it is the first of the
 * data, so that plain fields do not pay for it.
 */
#ifndef TARN_TYPES_FIELD_NODE_H
#define TARN_TYPES_FIELD_NODE_H

#include "field_table.h"

#include <assert.h>
#include <string.h>

#define NODE_HAS_DUE   0x80000000u
#define NODE_DUE_BYTES sizeof(uint32_t)
#define NODE_IS_DEAD   0x80000000u /* of value_len: a gap, to be passed over */

struct field_node {
    struct field_node *next; /* of the bucket */
    uint32_t name_len;       /* and NODE_HAS_DUE */
    uint32_t value_len;      /* and NODE_IS_DEAD */
    char data[];
};

static_assert(offsetof(struct field_node, data) == 16, "a plain field costs two words");
static_assert(STORE_VALUE_MAX < NODE_HAS_DUE, "lengths leave room for the flags");

/* An expiry in the heap. */
struct due {
    int64_t at_ms;
    struct field_node *node;
};

static inline bool node_has_due(const struct field_node *n)
{
    return (n->name_len & NODE_HAS_DUE) != 0;
}

static inline size_t node_head_bytes(const struct field_node *n)
{
    return node_has_due(n) ? NODE_DUE_BYTES : 0;
}

static inline struct strview node_name(const struct field_node *n)
{
    return strview_of(n->data + node_head_bytes(n), n->name_len & ~NODE_HAS_DUE);
}

static inline struct strview node_value(const struct field_node *n)
{
    return strview_of(n->data + node_head_bytes(n) + (n->name_len & ~NODE_HAS_DUE), n->value_len);
}

static inline size_t node_bytes(bool has_due, size_t name_len, size_t value_len)
{
    return sizeof(struct field_node) + (has_due ? NODE_DUE_BYTES : 0) + name_len + value_len;
}

static inline uint32_t node_due_place(const struct field_node *n)
{
    uint32_t place;
    assert(node_has_due(n));
    memcpy(&place, n->data, sizeof(place));
    return place;
}

static inline void node_set_due_place(struct field_node *n, uint32_t place)
{
    memcpy(n->data, &place, sizeof(place));
}

#endif
