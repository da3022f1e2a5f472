/* A binary heap; see field_due.h. */
#include "field_due.h"

#include "counted.h"
#include "field_node.h"

#define DUE_CAP_MIN 4

bool due_reserve(struct field_table *t)
{
    if (t->due_count < t->due_cap) {
        return true;
    }
    const size_t cap = t->due_cap > 0 ? t->due_cap * 2 : DUE_CAP_MIN;
    struct due *fresh = counted_resize(&t->bytes, t->due, cap * sizeof(*fresh));
    if (fresh == NULL || cap > UINT32_MAX) {
        return false;
    }
    t->due = fresh;
    t->due_cap = cap;
    return true;
}

static void put(struct field_table *t, size_t place, struct due item)
{
    t->due[place] = item;
    node_set_due_place(item.node, (uint32_t)place);
}

/* Finds the place for an item that may belong higher or lower than `place`. */
static void settle(struct field_table *t, size_t place, struct due item)
{
    while (place > 0 && t->due[(place - 1) / 2].at_ms > item.at_ms) {
        put(t, place, t->due[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * place + 1;
        if (child + 1 < t->due_count && t->due[child + 1].at_ms < t->due[child].at_ms) {
            child++;
        }
        if (child >= t->due_count || t->due[child].at_ms >= item.at_ms) {
            break;
        }
        put(t, place, t->due[child]);
        place = child;
    }
    put(t, place, item);
}

static void note_latest(struct field_table *t, int64_t at_ms)
{
    const bool is_only = t->due_count == 1;
    t->latest_due_ms = is_only || at_ms > t->latest_due_ms ? at_ms : t->latest_due_ms;
}

void due_add(struct field_table *t, struct field_node *node, int64_t at_ms)
{
    assert(t->due_count < t->due_cap);
    t->due_count++;
    note_latest(t, at_ms);
    settle(t, t->due_count - 1, (struct due){.at_ms = at_ms, .node = node});
}

void due_remove(struct field_table *t, uint32_t place)
{
    assert(place < t->due_count);
    t->due_count--;
    if (place < t->due_count) {
        settle(t, place, t->due[t->due_count]);
    }
    if (t->due_count == 0) {
        counted_free(&t->bytes, t->due);
        t->due = NULL;
        t->due_cap = 0;
    }
}

void due_change(struct field_table *t, uint32_t place, int64_t at_ms)
{
    note_latest(t, at_ms);
    settle(t, place, (struct due){.at_ms = at_ms, .node = t->due[place].node});
}

void due_moved(struct field_table *t, struct field_node *node)
{
    t->due[node_due_place(node)].node = node;
}
