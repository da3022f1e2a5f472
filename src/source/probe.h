/*
 * The breaker at work on a source.
 */
#ifndef TARN_SOURCE_PROBE_H
#define TARN_SOURCE_PROBE_H

#include "sources.h"

/* A query, or a load that the source gave no chance to become one, has ended. Opens the breaker
 * when it has to: then everything that waits for a connection fails at once. */
void source_note_load(struct source *src, bool is_failure);

/* By the clock: sends the probe that is due. */
void source_probe_if_due(struct source *src);
/* There is a sign that the database is back: the probe does not wait any longer. */
void source_probe_soon(struct source *src);
/* The probe has come back, or has not. */
void source_probed(struct source *src, bool is_failure);

/* When the clock has to be looked at again; INT64_MAX: not. */
int64_t source_probe_at(const struct source *src);

const char *source_breaker_name(const struct source *src);

#endif
