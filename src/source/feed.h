/*
 * The feed of a source: the database says what changed.
 */
#ifndef TARN_SOURCE_FEED_H
#define TARN_SOURCE_FEED_H

#include "sources.h"

enum on_gap { ON_GAP_EXPIRE, ON_GAP_SOFT, ON_GAP_KEEP };

/* Is the source to have a feed? */
bool source_has_feed(const struct source *src);

/* A map was added: it is blind when its source is. */
void source_feed_note_map(struct source_map *m);

/* The source starts: until its feed is up, changes go unseen. */
void source_feed_start(struct source *src);

/* Driver event; ctx is the struct source. */
void source_on_feed(void *ctx, enum feed_event event, struct strview text);

/* What an event makes to be forgotten, and nothing else. */
void source_apply_event(struct source *src, enum feed_event event, struct strview text);

const char *source_feed_name(const struct source *src);

#endif
