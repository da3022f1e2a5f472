/*
 * The feeds of SQLite: a table that triggers write keys to (`invalidate changelog <table>`), or
 * only the news that somebody has committed (`invalidate data-version`).
 */
#ifndef TARN_SOURCE_SQLITE_FEED_H
#define TARN_SOURCE_SQLITE_FEED_H

#include "tarn/source/driver.h"

struct sqlite_feed;

/* Starts asking. `config` and `path` are borrowed for the feed's life, and for ever when its thread
 * cannot be ended. 0 or -errno. */
int sqlite_feed_open(struct sqlite_feed **out, const struct upstream_config *config,
                     const char *path) WARN_UNUSED;
/* False: its thread hangs and was left behind. Accepts NULL. */
bool sqlite_feed_close(struct sqlite_feed *f, int64_t wait_ms);

/* The table and the triggers of a map. */
void sqlite_feed_ddl(const struct driver_ddl *d, struct buf *out);

#endif
