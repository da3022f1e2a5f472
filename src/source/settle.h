/*
 * Change notices that are applied a second time: of feeds that may tell of a change before everybody
 * who asks the database sees it.
 */
#ifndef TARN_SOURCE_SETTLE_H
#define TARN_SOURCE_SETTLE_H

#include "tarn/base/buf.h"
#include "tarn/source/driver.h"

struct source;

#define SETTLE_BYTES_MAX (4 * 1024 * 1024) /* beyond that: anything may have changed */

/* Zeroed: nothing waits. */
struct settle {
    struct buf events; /* in order of time: struct settle_event, then its text */
    bool is_overflown; /* too many came: at `all_at_ms` everything is forgotten */
    int64_t all_at_ms;
};

void settle_fini(struct settle *s);

/* The event was applied now; it will be again after settle-ms, if the source's feed needs it. */
void settle_add(struct source *src, enum feed_event event, struct strview text);

/* Applies what is due. */
void settle_run(struct source *src);
/* When there is something to apply next; INT64_MAX: nothing. */
int64_t settle_next_ms(const struct source *src);

#endif
