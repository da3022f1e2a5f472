/*
 * Loads that nobody waits for yet.
 */
#ifndef TARN_SOURCE_REFRESH_H
#define TARN_SOURCE_REFRESH_H

#include "sources.h"

/* A hit found its value, whose query was sent at `sent_ms`, old. Starts a load in the background
 * unless one is under way, the last one has just failed, or a limit speaks against it. Does not
 * touch the store. */
void refresh_start(struct source_map *m, const struct store_key *k, int64_t sent_ms);

#endif
