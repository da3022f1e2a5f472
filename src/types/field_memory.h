/*
 * Where the nodes of a table lie. Private to the types layer.
 *
 * Nodes are written one behind the other into chunks and never move by themselves; a node that goes
 * leaves a gap. When the gaps are more than a part of everything, the oldest chunk is emptied, a
 * few nodes with every change: those that live are written anew at the end. A node too long for
 * that has pages of its own.
 */
#ifndef TARN_TYPES_FIELD_MEMORY_H
#define TARN_TYPES_FIELD_MEMORY_H

#include "field_node.h"

/* Room for a node of so many bytes; NULL: no memory. */
struct field_node *node_take(struct field_table *t, size_t bytes) WARN_UNUSED;

/* The node is no longer used; its lengths are still those it was taken with. */
void node_give(struct field_table *t, struct field_node *n);

/* When the table is freed: gives it back only if it has pages of its own. */
void node_give_alone(struct field_table *t, struct field_node *n);

/* Do both sizes take the same room, so that a node may go from one to the other where it is? */
bool node_fits(size_t have_bytes, size_t want_bytes);

/* After a change: empties a little of the oldest chunk when there are too many gaps. Moves nodes.
 */
void field_memory_tidy(struct field_table *t);

/* Frees a slice of what is left when no node is used any more. True: all of it. */
bool field_memory_free_some(struct field_table *t);

/* Sums for field_table_check(). */
struct field_memory_sums {
    size_t cost, live;
};
struct field_memory_sums field_memory_check(const struct field_table *t);

#endif
