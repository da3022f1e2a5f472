/*
 * Fences: after an invalidation a replica may not know yet what the next reader has to see, so for a
 * while the key is loaded from the primary.
 */
#ifndef TARN_SOURCE_FENCE_H
#define TARN_SOURCE_FENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "tarn/base/compiler.h"

struct flight;
struct sources;

/* Room for fences, if a source has replicas. 0 or -ENOMEM. */
int fences_init(struct sources *s) WARN_UNUSED;

/* The key, whose hash this is, was invalidated just now. */
void fence_key(struct sources *s, uint64_t hash);

/* Must the flight's query go to the primary? */
bool fence_holds(const struct flight *f);

#endif
