/*
 * How long commands take: per command a histogram, and what is slow in the slow log and the latency
 * monitor. Private to the command layer.
 */
#ifndef TARN_COMMAND_TIMING_H
#define TARN_COMMAND_TIMING_H

#include <stdbool.h>
#include <stdint.h>

#include "handler.h"

/* Times in nanoseconds, every power of two cut into 8: known to within 12 %. */
#define TIMING_CUTS_BITS 3
#define TIMING_OCTAVES   42 /* up to 73 minutes */
#define TIMING_BUCKETS   ((TIMING_OCTAVES - TIMING_CUTS_BITS + 1) << TIMING_CUTS_BITS)

struct timing {
    uint64_t count;
    uint64_t buckets[TIMING_BUCKETS];
};

void timing_add(struct timing *t, uint64_t ns, uint64_t weight);

/* The upper end of the bucket below which `fraction` (0..1) of all lie, in nanoseconds; 0 when
 * empty. */
uint64_t timing_quantile(const struct timing *t, double fraction);

/* How many were at most this long (exact for powers of two). */
uint64_t timing_count_up_to(const struct timing *t, uint64_t ns);

/* The command took that long, standing for `weight` runs of it. */
void timing_note(struct cmd_ctx *ctx, uint64_t ns, uint64_t weight);

/* Takes over the options that ask for every command to be timed. */
void timing_configure(struct command_env *env);

/* May one run of the command take long? Then each is timed, not one in many. */
bool timing_may_be_long(const struct command *c);

#endif
