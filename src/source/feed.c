/*
 * What the database says has changed is forgotten, and those above are told. Events only remove,
 * they carry no values.
 *
 * While a feed is down changes go unseen: what is cached lives for gap-ttl more and not longer, so
 * staleness stays bounded. When it is up again nobody knows what was missed: `on-gap expire` steps
 * the epoch of all maps of the source, `soft` makes their entries stale, `keep` trusts the ttl. The
 * driver listens first and reports then, so nothing falls between.
 */
#include "feed.h"

#include "probe.h"
#include "settle.h"
#include "tarn/base/log.h"

bool source_has_feed(const struct source *src)
{
    return src->options.driver.feed != DRIVER_FEED_NONE;
}

static void tell_map(struct sources *s, const struct source_map *m)
{
    if (s->observer.map_invalidated != NULL) {
        s->observer.map_invalidated(s->observer.ctx, m);
    }
}

static void forget_map(struct source_map *m)
{
    struct sources *s = m->source->owner;
    sources_invalidate_map(s, m);
    tell_map(s, m);
}

static void forget_all(struct source *src)
{
    struct sources *s = src->owner;
    for (size_t i = 0; i < s->maps_count; i++) {
        if (s->maps[i]->source == src) {
            forget_map(s->maps[i]);
        }
    }
}

static void forget_named(struct source *src, struct strview name)
{
    struct source_map *m = sources_map_by_name(src->owner, name);
    if (m != NULL && m->source == src) {
        forget_map(m);
    } else {
        forget_all(src); /* too much is safe */
    }
}

/* INT64_MAX: the feed is up. */
static void set_blind(struct source *src, int64_t at_ms)
{
    struct sources *s = src->owner;
    src->is_blind = at_ms != INT64_MAX;
    for (size_t i = 0; i < s->maps_count; i++) {
        if (s->maps[i]->source == src) {
            s->maps[i]->blind_at_ms = at_ms;
        }
    }
}

void source_feed_note_map(struct source_map *m)
{
    m->blind_at_ms = m->source->is_blind ? m->source->owner->clock->mono_ms : INT64_MAX;
}

void source_feed_start(struct source *src)
{
    if (source_has_feed(src)) {
        set_blind(src, src->owner->clock->mono_ms);
    }
}

static void soften_all(struct source *src)
{
    struct sources *s = src->owner;
    for (size_t i = 0; i < s->maps_count; i++) {
        if (s->maps[i]->source == src) {
            sources_soften_map(s, s->maps[i]);
            tell_map(s, s->maps[i]);
        }
    }
}

static void forget_missed(struct source *src)
{
    switch ((enum on_gap)src->options.on_gap) {
    case ON_GAP_EXPIRE:
        forget_all(src);
        break;
    case ON_GAP_SOFT:
        soften_all(src);
        break;
    case ON_GAP_KEEP:
        break;
    }
}

void source_apply_event(struct source *src, enum feed_event event, struct strview text)
{
    switch (event) {
    case FEED_KEY:
        (void)sources_invalidate_key(src->owner, text, false);
        break;
    case FEED_MAP:
        forget_named(src, text);
        break;
    case FEED_ALL:
        forget_all(src);
        break;
    case FEED_DOWN:
        break;
    case FEED_UP:
        forget_missed(src);
        break;
    }
}

void source_on_feed(void *ctx, enum feed_event event, struct strview text)
{
    struct source *src = ctx;
    source_apply_event(src, event, text);
    if (event == FEED_DOWN) {
        log_warning("source '%s': its feed is down, changes go unseen", src->name);
        set_blind(src, src->owner->clock->mono_ms);
        return;
    }
    settle_add(src, event, text);
    if (event == FEED_UP) {
        log_notice("source '%s': its feed is up", src->name);
        src->stats.feed_gaps++;
        set_blind(src, INT64_MAX);
        source_probe_soon(src);
    }
}

const char *source_feed_name(const struct source *src)
{
    if (!source_has_feed(src)) {
        return "none";
    }
    return src->is_blind ? "down" : "up";
}
