/*
 * Which numbers of a changelog have been read, for databases whose commits do not come in the order
 * of the numbers: a transaction takes a number, others that took later ones commit first.
 *
 *     read:    1 2 3 . 5 6 . . 9
 *                    ^     ^^^     holes: read again and again, for `overlap` since they were passed
 *                                  over, because somebody may still commit them
 *
 * A number is new once. A hole that is given up was a transaction that was rolled back, or one that
 * took longer than `overlap`.
 */
#ifndef TARN_SOURCE_CHANGE_WINDOW_H
#define TARN_SOURCE_CHANGE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANGE_HOLES_MAX 65536 /* beyond that the oldest is given up early */

struct change_hole {
    int64_t from, to;
    int64_t since_ms; /* when a number above it was read */
};

struct change_window {
    int64_t highest;           /* above it nothing was read */
    struct change_hole *holes; /* owned; in order, none beyond `highest` */
    size_t count, cap;
};

void change_window_fini(struct change_window *w);

/* Forgets everything; nothing up to `highest` is new. */
void change_window_reset(struct change_window *w, int64_t highest);

/* Index of the first hole that does not end below the number; `count`: there is none. */
size_t change_window_find(const struct change_window *w, int64_t number);

/* A number was read. True: for the first time. -ENOMEM leaves the holes as they were: what they
 * stand for may be missed. */
int change_window_add(struct change_window *w, int64_t number, int64_t now_ms, bool *is_new_out);

/* Gives up holes that were passed over longer ago. */
void change_window_age(struct change_window *w, int64_t now_ms, int64_t overlap_ms);

#endif
