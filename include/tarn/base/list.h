/*
 * Intrusive doubly linked list. A declaration names what it links:
 *     struct list conns; // struct conn::link
 * A link that is in no list is zeroed or self-linked; list_remove() leaves it self-linked, so
 * removing twice is harmless.
 */
#ifndef TARN_BASE_LIST_H
#define TARN_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "tarn/base/compiler.h"

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert_after(struct list *at, struct list *link)
{
    link->prev = at;
    link->next = at->next;
    at->next->prev = link;
    at->next = link;
}

static inline void list_push_front(struct list *l, struct list *link)
{
    list_insert_after(l, link);
}

static inline void list_push_back(struct list *l, struct list *link)
{
    list_insert_after(l->prev, link);
}

static inline void list_remove(struct list *link)
{
    if (link->next != NULL) {
        link->prev->next = link->next;
        link->next->prev = link->prev;
    }
    list_init(link);
}

/* NULL when empty. */
static inline struct list *list_pop_front(struct list *l)
{
    struct list *link = l->next;
    if (link == l) {
        return NULL;
    }
    list_remove(link);
    return link;
}

/* Moves all links of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_splice_back(struct list *to, struct list *from)
{
    if (list_is_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_for_each(it, l) for (struct list *it = (l)->next; (it) != (l); (it) = (it)->next)
/* The body may remove `it`, and nothing else. */
#define list_for_each_safe(it, l)                                         \
    for (struct list *it = (l)->next, *it##_next = it->next; (it) != (l); \
         (it) = it##_next, it##_next = (it)->next)

#endif
