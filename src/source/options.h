/*
 * What can be set on a source and on a map. The rows (defaults, ranges, help) are in options.c.
 */
#ifndef TARN_SOURCE_OPTIONS_H
#define TARN_SOURCE_OPTIONS_H

#include <stdint.h>

#include "breaker.h"
#include "settings.h"
#include "tarn/source/driver.h"

struct source_options {
    int64_t pool; /* 0: the driver's default */
    int64_t load_timeout_ms;
    int64_t max_queue;
    int64_t max_waiters, max_waiters_per_key;
    int64_t inflight_memory;
    int64_t max_client_loads;
    struct driver_options driver;
    int64_t background_share;
    struct breaker_options breaker;
    int64_t gap_ttl_ms, on_gap, settle_ms;
    int64_t slow_load_ms;
};
extern const struct setting_table source_settings;

/* An option that the driver cannot do anything with is refused. 0 or -EINVAL with text. */
int source_options_check(const struct source_options *o, const struct source_driver *driver,
                         struct errtext *err) WARN_UNUSED;

enum map_writes { WRITES_REJECT, WRITES_LOCAL, WRITES_THROUGH };
enum map_priority { PRIORITY_NORMAL, PRIORITY_LOW };

struct map_options {
    int64_t as, null, rows, bytes, invalid_utf8; /* the enums of shape.h */
    int64_t ttl_ms, jitter, negative_ttl_ms;
    int64_t stale_ttl_ms, stale_error_ttl_ms;
    int64_t refresh_ahead; /* share of a life after which a hit reloads; 0: never */
    int64_t soft_timeout_ms, min_reload_ms;
    int64_t admit;
    int64_t negative_share;
    int64_t priority;        /* enum map_priority */
    int64_t load_timeout_ms; /* 0: the source's */
    int64_t error_hold_ms;
    int64_t max_value, max_row, max_param;
    int64_t exists_loads;
    int64_t writes;
    int64_t max_rows; /* of jsonrows */
    char ttl_column[SETTING_NAME_MAX], expires_column[SETTING_NAME_MAX];
    char canon[SETTING_NAME_MAX], bulk[SETTING_NAME_MAX];
    char bulk_query[SETTING_LIST_MAX];
    char on_set[SETTING_LIST_MAX], on_hset[SETTING_LIST_MAX], on_del[SETTING_LIST_MAX];
    char tags[SETTING_LIST_MAX]; /* templates, each ended by a NUL; an empty one ends the list */
    char table[SETTING_NAME_MAX];
};
extern const struct setting_table map_settings;

#endif
