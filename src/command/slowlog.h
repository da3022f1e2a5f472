/*
 * The slow log: the latest commands that took longer than slowlog-log-slower-than. Private to the
 * command layer.
 */
#ifndef TARN_COMMAND_SLOWLOG_H
#define TARN_COMMAND_SLOWLOG_H

#include <stddef.h>
#include <stdint.h>

#include "handler.h"
#include "tarn/base/list.h"

/* What is kept of a command; more is said to be there. */
#define SLOWLOG_ARGS_MAX      32
#define SLOWLOG_ARG_BYTES_MAX 128

struct slowlog {
    struct list entries; /* newest first */
    size_t count;
    uint64_t next_id;
    size_t bytes;
};

void slowlog_init(struct slowlog *log);
void slowlog_fini(struct slowlog *log);

void slowlog_add(struct cmd_ctx *ctx, uint64_t took_us);

/* Drops what is more than slowlog-max-len. */
void slowlog_trim(struct command_env *env);

#endif
