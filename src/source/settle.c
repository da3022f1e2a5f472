/*
 * A queue in order of time. An event that is applied too late, or twice, costs a load; one that is
 * lost costs a wrong value. So what finds no room becomes one event that means everything.
 */
#include "settle.h"

#include <string.h>

#include "deadline.h"
#include "feed.h"

#define EVENTS_AT_ONCE 1000

struct settle_event {
    int64_t at_ms;
    uint32_t text_len;
    enum feed_event event;
};

void settle_fini(struct settle *s)
{
    buf_fini(&s->events);
}

static bool needs_settling(const struct source *src)
{
    return src->options.driver.feed == DRIVER_FEED_CHANGELOG &&
           (src->driver->abilities & DRIVER_FEED_IS_LOOSE) != 0 && src->options.settle_ms > 0;
}

/* What waits becomes one event. */
static void overflow(struct source *src, int64_t at_ms)
{
    struct settle *s = &src->settle;
    buf_fini(&s->events);
    if (s->is_overflown) { /* again, so soon: not to be put off for ever */
        source_apply_event(src, FEED_ALL, strview_of("", 0));
    }
    s->is_overflown = true;
    s->all_at_ms = at_ms;
}

void settle_add(struct source *src, enum feed_event event, struct strview text)
{
    struct settle *s = &src->settle;
    if (!needs_settling(src)) {
        return;
    }
    const struct settle_event e = {.at_ms = src->owner->clock->mono_ms + src->options.settle_ms,
                                   .text_len = (uint32_t)text.len,
                                   .event = event};
    const bool has_room = text.len <= SETTLE_BYTES_MAX &&
                          buf_len(&s->events) <= SETTLE_BYTES_MAX - text.len;
    if (!has_room || !buf_append(&s->events, &e, sizeof(e)) || !buf_append_view(&s->events, text)) {
        overflow(src, e.at_ms);
    }
    deadline_arm(src->owner, e.at_ms);
}

static struct settle_event first(const struct settle *s)
{
    struct settle_event e;
    memcpy(&e, buf_view(&s->events).data, sizeof(e));
    return e;
}

void settle_run(struct source *src)
{
    struct settle *s = &src->settle;
    const int64_t now_ms = src->owner->clock->mono_ms;
    if (s->is_overflown && s->all_at_ms <= now_ms) {
        s->is_overflown = false;
        source_apply_event(src, FEED_ALL, strview_of("", 0));
    }
    for (unsigned i = 0; i < EVENTS_AT_ONCE && buf_len(&s->events) > 0; i++) {
        const struct settle_event e = first(s);
        if (e.at_ms > now_ms) {
            break;
        }
        source_apply_event(src, e.event,
                           strview_of(buf_view(&s->events).data + sizeof(e), e.text_len));
        buf_consume(&s->events, sizeof(e) + e.text_len);
    }
}

int64_t settle_next_ms(const struct source *src)
{
    const struct settle *s = &src->settle;
    const int64_t all_ms = s->is_overflown ? s->all_at_ms : INT64_MAX;
    const int64_t first_ms = buf_len(&s->events) > 0 ? first(s).at_ms : INT64_MAX;
    return first_ms < all_ms ? first_ms : all_ms;
}
