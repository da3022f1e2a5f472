/*
 * Lines to stderr (or a file): `2026-01-31T12:00:00.123+01:00 notice text`. The one permitted
 * process-wide state of the program, because a message may come from any depth and any thread.
 *
 * Control bytes in a message are escaped, so that a key or a peer cannot forge lines.
 */
#ifndef TARN_BASE_LOG_H
#define TARN_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "tarn/base/compiler.h"

/* Redis's names: debug, verbose, notice, warning; nothing shows nothing. */
enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING, LOG_NOTHING };

void log_set_level(enum log_level level);

/* Appends to the file from now on; an empty path means stderr. Returns 0 or -errno, the sink
 * unchanged. */
int log_set_file(const char *path) WARN_UNUSED;

void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)
#define log_verbose(...) log_write(LOG_VERBOSE, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)

/* One line per second and place: `if (log_limit(&limit, now_ms)) log_warning(...)`. The owner
 * embeds the struct, zeroed; `suppressed` says how many were swallowed since the last line. */
struct log_limit {
    int64_t next_ms;
    unsigned suppressed; /* valid after a pass, until the next call */
    unsigned swallowed;
};
bool log_limit_pass(struct log_limit *l, int64_t now_ms);

#endif
