/*
 * The latest loads that took long, and what they were for: SOURCE SLOWLOG.
 */
#ifndef TARN_SOURCE_SLOW_H
#define TARN_SOURCE_SLOW_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tarn/base/compiler.h"
#include "tarn/base/strview.h"

#define SLOW_LOADS   128
#define SLOW_KEY_MAX 96
#define SLOW_MAP_MAX 65 /* as long as a name can be */

struct slow_load {
    int64_t wall_ms, took_us;
    char map[SLOW_MAP_MAX];
    size_t key_len;
    char key[SLOW_KEY_MAX]; /* cut */
};

struct slow_log {
    uint64_t count; /* since the start; the newest is at (count - 1) % SLOW_LOADS */
    struct slow_load loads[SLOW_LOADS];
};

static inline void slow_log_add(struct slow_log *l, const char *map, struct strview key,
                                int64_t took_us, int64_t wall_ms)
{
    struct slow_load *load = &l->loads[l->count++ % SLOW_LOADS];
    *load = (struct slow_load){
        .wall_ms = wall_ms, .took_us = took_us, .key_len = size_min(key.len, SLOW_KEY_MAX)};
    (void)strncpy(load->map, map, SLOW_MAP_MAX - 1);
    if (load->key_len > 0) {
        memcpy(load->key, key.data, load->key_len);
    }
}

#endif
