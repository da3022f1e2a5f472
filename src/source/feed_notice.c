/*
 * Notices: what a trigger sends and every feed that carries text passes on. One notice names one or
 * more changes, a line each:
 *
 *     user:42          the row of this key changed
 *     !user            any row of the map `user` may have changed
 *
 * A notice that says nothing, or whose line says only `!`, is taken for "anything may have
 * changed": forgetting too much is safe, forgetting too little is not.
 */
#include "tarn/source/driver.h"

#include <string.h>

static void report_line(const struct driver_events *events, struct strview line)
{
    if (line.len > 0 && line.data[0] != '!') {
        events->feed(events->ctx, FEED_KEY, line);
    } else if (line.len > 1) {
        events->feed(events->ctx, FEED_MAP, strview_of(line.data + 1, line.len - 1));
    } else {
        events->feed(events->ctx, FEED_ALL, strview_of("", 0));
    }
}

void driver_feed_notice(const struct driver_events *events, struct strview notice)
{
    if (notice.len > 0 && notice.data[notice.len - 1] == '\n') {
        notice.len--;
    }
    for (;;) {
        const char *end = notice.len > 0 ? memchr(notice.data, '\n', notice.len) : NULL;
        if (end == NULL) {
            report_line(events, notice);
            return;
        }
        size_t len = (size_t)(end - notice.data);
        report_line(events, strview_of(notice.data, len));
        notice = strview_of(end + 1, notice.len - len - 1);
    }
}
