/*
 * Holes are found by bisection, cut where a number in them is read, and added at the end; so they
 * are in order of their numbers and of the time since which they are known.
 */
#include "change_window.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void change_window_fini(struct change_window *w)
{
    free(w->holes);
    *w = (struct change_window){0};
}

void change_window_reset(struct change_window *w, int64_t highest)
{
    w->highest = highest;
    w->count = 0;
}

static void remove_at(struct change_window *w, size_t at, size_t count)
{
    memmove(w->holes + at, w->holes + at + count, (w->count - at - count) * sizeof(w->holes[0]));
    w->count -= count;
}

static int insert_at(struct change_window *w, size_t at, struct change_hole hole)
{
    if (w->count == CHANGE_HOLES_MAX) {
        remove_at(w, 0, 1);
        at -= at > 0;
    }
    if (w->count == w->cap) {
        const size_t cap = w->cap > 0 ? 2 * w->cap : 16;
        struct change_hole *holes = realloc(w->holes, cap * sizeof(holes[0]));
        if (holes == NULL) {
            return -ENOMEM;
        }
        w->holes = holes;
        w->cap = cap;
    }
    memmove(w->holes + at + 1, w->holes + at, (w->count - at) * sizeof(w->holes[0]));
    w->holes[at] = hole;
    w->count++;
    return 0;
}

size_t change_window_find(const struct change_window *w, int64_t number)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (w->holes[middle].to < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The number is in the hole: what is left of it. */
static int cut(struct change_window *w, size_t at, int64_t number)
{
    struct change_hole *hole = &w->holes[at];
    const struct change_hole above = {number + 1, hole->to, hole->since_ms};
    if (hole->from == number && hole->to == number) {
        remove_at(w, at, 1);
    } else if (hole->from == number) {
        hole->from++;
    } else if (hole->to == number) {
        hole->to--;
    } else {
        hole->to = number - 1;
        return insert_at(w, at + 1, above);
    }
    return 0;
}

int change_window_add(struct change_window *w, int64_t number, int64_t now_ms, bool *is_new_out)
{
    assert(number > 0);
    if (number > w->highest) {
        const struct change_hole hole = {w->highest + 1, number - 1, now_ms};
        *is_new_out = true;
        w->highest = number;
        return hole.from <= hole.to ? insert_at(w, w->count, hole) : 0;
    }
    const size_t at = change_window_find(w, number);
    *is_new_out = at < w->count && w->holes[at].from <= number;
    return *is_new_out ? cut(w, at, number) : 0;
}

void change_window_age(struct change_window *w, int64_t now_ms, int64_t overlap_ms)
{
    size_t count = 0;
    while (count < w->count && now_ms - w->holes[count].since_ms >= overlap_ms) {
        count++;
    }
    if (count > 0) {
        remove_at(w, 0, count);
    }
}
