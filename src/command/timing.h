/*
 * How long commands take: per command a histogram, and what is slow in the slow log and the latency
 * monitor. Private to the command layer.
 *
 * Two looks at a clock cost as much as a look-up, so runs that always take about the same time are
 * timed one in TIMING_EVERY, standing for the ones before; those that may take long are timed every
 * time, because a slow run that nobody saw would be missing from the slow log. When the thresholds
 * are low enough for the short ones to matter, every run is timed.
 */
#ifndef TARN_COMMAND_TIMING_H
#define TARN_COMMAND_TIMING_H

#include <stdbool.h>
#include <stdint.h>

#include "handler.h"
#include "table.h"

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

/* How many were at most this long: exact where `ns` is one less than a power of two. */
uint64_t timing_count_up_to(const struct timing *t, uint64_t ns);

/* With more words any command may take long. */
#define TIMING_SHORT_WORDS 16

/* Need a run of few words not be timed? Then it counts for the next one that is. */
static inline bool timing_may_skip(const struct command_stat *stat)
{
    return stat->untimed < stat->untimed_max;
}

/* Runs the handler between two looks at the clock. */
void timing_run(struct cmd_ctx *ctx, struct command_stat *stat);

/* A timed run has come to its end: it goes to the statistics and, when it was slow, to the logs. */
void timing_note(struct cmd_ctx *ctx, struct command_stat *stat);

/* A run that stores or returns more than that may take long too. */
#define TIMING_LARGE_BYTES ((size_t)512 * 1024)

/* A run that was not timed has written a large reply. What it took at most is known, because the
 * turn of the loop began then: if that is slow it goes to the logs. */
void timing_note_large(struct cmd_ctx *ctx);

/* Takes over the options that ask for every command to be timed. */
void timing_configure(struct command_env *env);

#endif
