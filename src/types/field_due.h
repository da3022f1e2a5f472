/*
 * The heap of a table's expiries, earliest first; every node knows its place. Private to the types
 * layer.
 */
#ifndef TARN_TYPES_FIELD_DUE_H
#define TARN_TYPES_FIELD_DUE_H

#include "field_table.h"

/* Room for one more; false: no memory. */
bool due_reserve(struct field_table *t) WARN_UNUSED;
/* Adds a node with NODE_HAS_DUE; there is room. */
void due_add(struct field_table *t, struct field_node *node, int64_t at_ms);
void due_remove(struct field_table *t, uint32_t place);
void due_change(struct field_table *t, uint32_t place, int64_t at_ms);
/* The node lies elsewhere now. */
void due_moved(struct field_table *t, struct field_node *node);

#endif
