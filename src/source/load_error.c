/*
 * Error words are chosen so that no client library gives them a meaning of its own (LOADING,
 * READONLY, MOVED and others have one).
 */
#include "load_error.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static const char *const words[LOAD_ERRORS] = {
    [LOAD_ERROR_DOWN] = "SOURCEDOWN",       [LOAD_ERROR_TIMEOUT] = "SOURCETIMEOUT",
    [LOAD_ERROR_BUSY] = "SOURCEBUSY",       [LOAD_ERROR_REFUSED] = "SOURCEERR",
    [LOAD_ERROR_BIG] = "SOURCEBIG",         [LOAD_ERROR_NOROW] = "SOURCENOROW",
    [LOAD_ERROR_UNKNOWN] = "SOURCEUNKNOWN",
};

void load_error_text(char out[LOAD_ERROR_TEXT_MAX], enum load_error code, const struct source *src,
                     const struct source_map *map, int64_t elapsed_ms, uint64_t id)
{
    const char *before = map != NULL ? "map '" : "";
    const char *name = map != NULL ? map->name : "";
    const char *after = map != NULL ? "' " : "";
    /* Names are bounded, so this fits. */
    (void)snprintf(out, LOAD_ERROR_TEXT_MAX,
                   "%s %s%s%ssource '%s' after %" PRId64 " ms id=%" PRIx64, words[code], before,
                   name, after, src->name, elapsed_ms, id);
}

void load_error_log(struct source *src, enum load_error code, const struct source_map *map,
                    uint64_t id, const char *detail)
{
    struct log_limit *limit = &src->log_limits[code];
    if (!log_limit_pass(limit, src->owner->clock->mono_ms)) {
        return;
    }
    char more[48] = "";
    if (limit->suppressed > 0) {
        (void)snprintf(more, sizeof(more), " (and %u more since)", limit->suppressed);
    }
    log_warning("%s map '%s' source '%s' id=%" PRIx64 ": %s%s", words[code],
                map != NULL ? map->name : "", src->name, id, detail, more);
}

enum load_error load_error_from_status(enum driver_status status)
{
    static const enum load_error errors[DRIVER_STATUS_COUNT] = {
        [DRIVER_DOWN] = LOAD_ERROR_DOWN,   [DRIVER_TIMEOUT] = LOAD_ERROR_TIMEOUT,
        [DRIVER_BUSY] = LOAD_ERROR_BUSY,   [DRIVER_ERROR] = LOAD_ERROR_REFUSED,
        [DRIVER_TOO_BIG] = LOAD_ERROR_BIG,
    };
    assert(status != DRIVER_OK);
    return errors[status];
}
