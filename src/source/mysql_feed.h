/*
 * The feed of MySQL and MariaDB: a table that triggers write keys to (`invalidate changelog
 * <table>`).
 */
#ifndef TARN_SOURCE_MYSQL_FEED_H
#define TARN_SOURCE_MYSQL_FEED_H

#include "mysql_conn.h"
#include "tarn/source/driver.h"

struct mysql_feed;

/* Starts asking. `config` and `target` are borrowed for the feed's life, and for ever when its
 * thread cannot be ended. 0 or -errno. */
int mysql_feed_open(struct mysql_feed **out, const struct upstream_config *config,
                    struct mysql_target *target) WARN_UNUSED;
/* False: its thread hangs and was left behind. Accepts NULL. */
bool mysql_feed_close(struct mysql_feed *f, int64_t wait_ms);

/* The table and the triggers of a map. */
void mysql_ddl(const struct driver_ddl *d, struct buf *out);

/* Appends a name that may have a schema in front, `shop`.`item`. */
void mysql_append_name(struct buf *out, struct strview name);

#endif
