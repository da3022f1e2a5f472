/* See field_memory.h. */
#include "field_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "chunk.h"

#define NODE_ALIGN 8u
/* Longer nodes have pages of their own. */
#define NODE_IN_CHUNK_MAX (CHUNK_ROOM / 4)
/* Gaps that are suffered: this part of what lives, and a chunk. */
#define GAPS_PART 3
/* Nodes looked at with every change while there are too many gaps. */
#define TIDY_NODES  8
#define FREE_CHUNKS 4 /* in a slice */

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) & ~(unit - 1);
}

static bool is_alone(size_t bytes)
{
    return bytes > NODE_IN_CHUNK_MAX;
}

/* What a node takes, in its chunk or in pages. */
static size_t room_of(size_t bytes)
{
    return is_alone(bytes) ? round_up(bytes, CHUNK_PAGE_BYTES) : round_up(bytes, NODE_ALIGN);
}

bool node_fits(size_t have_bytes, size_t want_bytes)
{
    return is_alone(have_bytes) == is_alone(want_bytes) &&
           room_of(have_bytes) == room_of(want_bytes);
}

static size_t bytes_of(const struct field_node *n)
{
    return node_bytes(node_has_due(n), node_name(n).len, n->value_len & ~NODE_IS_DEAD);
}

/* ---- chunks of the table ---- */

static void unlink_chunk(struct field_table *t, struct chunk *ch)
{
    *(ch->older != NULL ? &ch->older->newer : &t->oldest) = ch->newer;
    *(ch->newer != NULL ? &ch->newer->older : &t->newest) = ch->older;
}

/* The chunk that is being emptied, if it is this one, begins at its start again. */
static void give_chunk(struct field_table *t, struct chunk *ch)
{
    t->tidy_offset = ch == t->oldest ? CHUNK_HEAD_BYTES : t->tidy_offset;
    t->bytes -= chunk_cost(ch->used);
    t->chunk_used -= ch->used - CHUNK_HEAD_BYTES;
    unlink_chunk(t, ch);
    chunk_give(t->chunks, ch);
}

static struct chunk *add_chunk(struct field_table *t)
{
    struct chunk *ch = chunk_take(t->chunks);
    if (ch != NULL) {
        ch->older = t->newest;
        *(t->newest != NULL ? &t->newest->newer : &t->oldest) = ch;
        t->newest = ch;
        t->tidy_offset = t->oldest == ch ? CHUNK_HEAD_BYTES : t->tidy_offset;
        t->bytes += chunk_cost(ch->used);
    }
    return ch;
}

/* ---- nodes ---- */

static struct field_node *take_alone(struct field_table *t, size_t bytes)
{
    const size_t room = room_of(bytes);
    void *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return NULL;
    }
    t->bytes += room;
    t->alone_count++;
    return p;
}

struct field_node *node_take(struct field_table *t, size_t bytes)
{
    if (is_alone(bytes)) {
        return take_alone(t, bytes);
    }
    const uint32_t room = (uint32_t)room_of(bytes);
    struct chunk *ch = t->newest;
    if ((ch == NULL || ch->used + room > CHUNK_BYTES) && (ch = add_chunk(t)) == NULL) {
        return NULL;
    }
    char *at = (char *)ch + ch->used;
    memory_unpoison(at, room);
    t->bytes -= chunk_cost(ch->used);
    ch->used += room;
    ch->live += room;
    t->bytes += chunk_cost(ch->used);
    t->chunk_used += room;
    t->chunk_live += room;
    return (struct field_node *)(void *)at;
}

void node_give(struct field_table *t, struct field_node *n)
{
    const size_t bytes = bytes_of(n), room = room_of(bytes);
    if (is_alone(bytes)) {
        t->bytes -= room;
        t->alone_count--;
        (void)munmap(n, room);
        return;
    }
    struct chunk *ch = chunk_of(n);
    n->value_len |= NODE_IS_DEAD;
    memory_poison(n->data, room - sizeof(*n));
    ch->live -= (uint32_t)room;
    t->chunk_live -= room;
    if (ch->live == 0) {
        give_chunk(t, ch);
    }
}

void node_give_alone(struct field_table *t, struct field_node *n)
{
    if (is_alone(bytes_of(n))) {
        node_give(t, n);
    }
}

/* ---- gaps ---- */

static bool is_untidy(const struct field_table *t)
{
    const size_t gaps = t->chunk_used - t->chunk_live;
    return gaps > CHUNK_BYTES && gaps > t->chunk_live / GAPS_PART && t->oldest != t->newest;
}

void field_memory_tidy(struct field_table *t)
{
    for (unsigned i = 0; i < TIDY_NODES && is_untidy(t); i++) {
        struct chunk *ch = t->oldest;
        assert(t->tidy_offset < ch->used); /* a chunk without living nodes is not there any more */
        struct field_node *n = (struct field_node *)(void *)((char *)ch + t->tidy_offset);
        const size_t bytes = bytes_of(n);
        t->tidy_offset += (uint32_t)room_of(bytes);
        if ((n->value_len & NODE_IS_DEAD) == 0) {
            struct field_node *copy = node_take(t, bytes);
            if (copy == NULL) {
                t->tidy_offset -= (uint32_t)room_of(bytes);
                return;
            }
            memcpy(copy, n, bytes);
            field_table_node_moved(t, n, copy);
            node_give(t, n);
        }
    }
}

/* ---- the end ---- */

bool field_memory_free_some(struct field_table *t)
{
    assert(t->alone_count == 0);
    for (unsigned i = 0; i < FREE_CHUNKS && t->oldest != NULL; i++) {
        give_chunk(t, t->oldest);
    }
    return t->oldest == NULL;
}

struct field_memory_sums field_memory_check(const struct field_table *t)
{
    struct field_memory_sums sums = {0};
    size_t used = 0;
    for (const struct chunk *ch = t->oldest; ch != NULL; ch = ch->newer) {
        sums.cost += chunk_cost(ch->used);
        sums.live += ch->live;
        used += ch->used - CHUNK_HEAD_BYTES;
    }
    if (used != t->chunk_used || sums.live != t->chunk_live) {
        fprintf(stderr, "field_memory_check: sums of chunks differ\n");
        abort();
    }
    return sums;
}
