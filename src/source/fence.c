/*
 * A table of times by the key's hash. Two keys that share a place fence each other, which costs a
 * load from the primary and never a wrong answer; so it needs no list and forgets nothing early.
 *
 * A fit replica has what was committed max-lag ago, by a check that is a few seconds old at most;
 * after that the fence is of no use and falls. Maps have the time of their last epoch. FLUSHALL
 * raises none: it would send a cold cache's whole load to the primary.
 */
#include "fence.h"

#include <errno.h>
#include <stdlib.h>

#include "sources.h"

#define FENCE_PLACES    8192
#define NEVER           (INT64_MIN / 2)
#define FENCE_MARGIN_MS 4000 /* a check's period and its timeout, and the age of a sample */

int fences_init(struct sources *s)
{
    bool has_replicas = false;
    for (size_t i = 0; i < s->sources_count; i++) {
        has_replicas = has_replicas || s->sources[i]->options.driver.replicas[0] != '\0';
    }
    if (!has_replicas || s->fences != NULL) {
        return 0;
    }
    s->fences = malloc(FENCE_PLACES * sizeof(s->fences[0]));
    if (s->fences == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < FENCE_PLACES; i++) {
        s->fences[i] = NEVER;
    }
    return 0;
}

void fence_key(struct sources *s, uint64_t hash)
{
    if (s->fences != NULL) {
        s->fences[hash % FENCE_PLACES] = s->clock->mono_ms;
    }
}

bool fence_holds(const struct flight *f)
{
    const struct sources *s = f->source->owner;
    const struct driver_options *o = &f->source->options.driver;
    if (s->fences == NULL || f->map == NULL || o->read_from == READ_FROM_PRIMARY) {
        return false;
    }
    int64_t since_ms = s->clock->mono_ms - o->max_lag_ms - FENCE_MARGIN_MS;
    bool is_map_fenced = (f->map->epoch > 0 && f->map->epoch_at_ms > since_ms) ||
                         (f->map->soft_at_ms >= 0 && f->map->soft_at_ms > since_ms);
    return is_map_fenced || s->fences[f->hash % FENCE_PLACES] > since_ms;
}
