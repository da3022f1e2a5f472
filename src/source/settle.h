/*
 * Changes that are applied a second time: those that a feed tells of before everybody who asks the
 * database sees them, and writes of which nobody knows whether they are still to come.
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

/* The key was forgotten now; it will be again after so long. */
void settle_add_key(struct source *src, struct strview key, int64_t delay_ms);

/* Applies what is due. */
void settle_run(struct source *src);
/* When there is something to apply next; INT64_MAX: nothing. */
int64_t settle_next_ms(const struct source *src);

#endif
