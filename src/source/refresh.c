/*
 * Background loads: a hit on an ageing value (refresh-ahead) or a stale one (stale-ttl) starts one.
 * It is a flight like any other, so readers join it and events void it; until somebody joins, it
 * stays behind loads that are waited for. When it fails the old value stays, and error-hold keeps
 * the next hit from trying again at once.
 */
#include "refresh.h"

#include "load.h"

void refresh_start(struct source_map *m, const struct store_key *k, int64_t sent_ms)
{
    struct source *src = m->source;
    struct sources *s = src->owner;
    const int64_t now_ms = s->clock->mono_ms;
    if (m->options.writes == WRITES_LOCAL || now_ms - sent_ms < m->options.min_reload_ms ||
        load_find_flight(s, k) != NULL || load_refuse_source(src, FLIGHT_READ).detail != NULL) {
        return;
    }
    const struct flight_plan plan = {.source = src,
                                     .map = m,
                                     .key = *k,
                                     .started_ms = now_ms,
                                     .deadline_ms = now_ms + map_load_timeout(m),
                                     .purpose = FLIGHT_READ,
                                     .is_background = true,
                                     .is_admitted = true};
    if (load_refuse_flight(src, &plan).detail == NULL && flight_create(&plan) != NULL) {
        m->stats.refreshes++;
    }
}
