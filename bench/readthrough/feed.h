/*
 * How far the cache has heard of commits. A thread sends numbered notices of its own through the
 * database's channel, and waits until the cache tells those who track keys. The database hands out
 * notices in the order of commits, so when number N has come out at the cache, the notices of all
 * commits that had returned before N was sent have been processed.
 */
#ifndef BENCH_READTHROUGH_FEED_H
#define BENCH_READTHROUGH_FEED_H

#include "client.h"

struct feed {
    struct app *app; /* borrowed; told_us is kept up to date */
    pthread_t thread;
    struct histogram window; /* us between the sending of a notice and its coming out */
};

/* The body of the thread; the argument is a struct feed. */
void *feed_run(void *feed);

#endif
