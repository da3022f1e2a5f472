/*
 * HOTKEYS: which keys cost the most processor time and network bytes while it is on. Private to the
 * command layer.
 */
#ifndef TARN_COMMAND_HOTKEYS_H
#define TARN_COMMAND_HOTKEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "handler.h"
#include "top_keys.h"

#define HOTKEYS_COUNT_MAX    64
#define HOTKEYS_DURATION_MAX 1000000 /* seconds */

enum hotkeys_metric { HOTKEYS_CPU = 1 << 0, HOTKEYS_NET = 1 << 1 };

struct hotkeys_args {
    unsigned metrics;   /* enum hotkeys_metric */
    unsigned count;     /* keys to tell of */
    int64_t duration_s; /* 0: until STOP */
    int64_t sample;     /* one command in so many */
};

struct hotkeys {
    struct hotkeys_args args;
    bool is_active;
    int64_t began_ms, began_wall_ms, ended_ms; /* ended_ms: when it is not active any more */
    int64_t user_us, system_us;     /* processor time of the process: at the start, then used */
    uint64_t total_ns, total_bytes; /* of all commands */
    struct top_keys by_time, by_bytes;
};

/* Begins anew; nothing is running. False without memory. */
bool hotkeys_start(struct command_env *env, const struct hotkeys_args *args) WARN_UNUSED;

/* Ends the collection and keeps what it found. */
void hotkeys_stop(struct command_env *env);

/* Processor time since the start of a collection that is active. */
void hotkeys_processor(const struct hotkeys *h, int64_t *user_us, int64_t *system_us);

/* Forgets it all. */
void hotkeys_drop(struct command_env *env);

/* A command has run, and was timed. */
void hotkeys_note(struct cmd_ctx *ctx);

/* Ten times a second: the end of the duration. */
void hotkeys_tick(struct command_env *env);

size_t hotkeys_memory(const struct command_env *env);

#endif
