/*
 * Deadlines of waiters and flights: one timer for all. Each map has its lists in order of time, so
 * finding what is due is a look at the front of each.
 */
#ifndef TARN_SOURCE_DEADLINE_H
#define TARN_SOURCE_DEADLINE_H

#include "sources.h"

void deadline_add_flight(struct deadlines *d, struct flight *f);
void deadline_add_held(struct deadlines *d, struct flight *f);
void deadline_add_waiter(struct deadlines *d, struct load_waiter *w);

/* All of them end with SOURCEDOWN; `why` is for the log. */
void deadlines_fail(struct deadlines *d, const char *why);

/* Something is due then: the timer is set when it would come later. */
void deadline_arm(struct sources *s, int64_t at_ms);

#endif
