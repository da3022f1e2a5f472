/*
 * Reading a clock twice costs as much as a GET, so the commands that always take about the same
 * time are timed now and then, each time standing for many runs; those that may take long are timed
 * every time, because a slow run that nobody saw would be missing from the slow log. When the
 * thresholds are low enough for the short ones to matter, every command is timed.
 *
 * The histogram of a command is had when it is first timed.
 */
#include "timing.h"

#include <stdlib.h>
#include <string.h>

#include "latency.h"
#include "observers.h"
#include "slowlog.h"
#include "table.h"

/* Below this even commands of constant time may be slow enough for the log. */
#define ALWAYS_BELOW_US 1000

#define CUTS (UINT64_C(1) << TIMING_CUTS_BITS)

/* The first CUTS buckets are one nanosecond wide; then each power of two has CUTS of them. */
static size_t bucket_of(uint64_t ns)
{
    if (ns < CUTS) {
        return (size_t)ns;
    }
    const unsigned octave = 63 - (unsigned)__builtin_clzll(ns);
    const unsigned shift = octave - TIMING_CUTS_BITS;
    const size_t at = ((size_t)(shift + 1) << TIMING_CUTS_BITS) + ((ns >> shift) & (CUTS - 1));
    return at < TIMING_BUCKETS ? at : TIMING_BUCKETS - 1;
}

/* The largest value of the bucket. */
static uint64_t end_of(size_t bucket)
{
    if (bucket < CUTS) {
        return bucket;
    }
    const unsigned shift = (unsigned)(bucket >> TIMING_CUTS_BITS) - 1;
    return (((bucket & (CUTS - 1)) + CUTS + 1) << shift) - 1;
}

void timing_add(struct timing *t, uint64_t ns, uint64_t weight)
{
    t->count += weight;
    t->buckets[bucket_of(ns)] += weight;
}

uint64_t timing_quantile(const struct timing *t, double fraction)
{
    const double wanted = fraction * (double)t->count;
    uint64_t seen = 0;
    for (size_t i = 0; i < TIMING_BUCKETS && t->count > 0; i++) {
        seen += t->buckets[i];
        if ((double)seen >= wanted && seen > 0) {
            return end_of(i);
        }
    }
    return 0;
}

uint64_t timing_count_up_to(const struct timing *t, uint64_t ns)
{
    uint64_t count = 0;
    for (size_t i = 0; i < TIMING_BUCKETS && end_of(i) <= ns; i++) {
        count += t->buckets[i];
    }
    return count;
}

void timing_note(struct cmd_ctx *ctx, uint64_t ns, uint64_t weight)
{
    struct command_env *env = ctx->env;
    const struct command_options *o = env->command_options;
    struct command_stat *stat = command_stat_of(env, ctx->command);
    stat->nsec += ns * weight;
    if (o->latency_tracking) {
        if (stat->timing == NULL) {
            stat->timing = calloc(1, sizeof(*stat->timing)); /* without memory there is none yet */
        }
        if (stat->timing != NULL) {
            timing_add(stat->timing, ns, weight);
        }
    }
    if (o->slowlog_log_slower_than >= 0 && ns / 1000 >= (uint64_t)o->slowlog_log_slower_than) {
        slowlog_add(ctx, ns / 1000);
    }
    if (o->latency_monitor_threshold > 0 &&
        ns / 1000000 >= (uint64_t)o->latency_monitor_threshold) {
        const bool is_fast = (ctx->command->flags & CMD_FAST) != 0;
        latency_note(env, is_fast ? LATENCY_FAST_COMMAND : LATENCY_COMMAND, ns / 1000000);
    }
}

void timing_configure(struct command_env *env)
{
    const struct command_options *o = env->command_options;
    const bool is_low = o->slowlog_log_slower_than >= 0 &&
                        o->slowlog_log_slower_than < ALWAYS_BELOW_US;
    if (is_low || o->latency_monitor_threshold > 0) {
        env->attention |= ATTENTION_TIMES;
    } else {
        env->attention &= ~(unsigned)ATTENTION_TIMES;
    }
    slowlog_trim(env);
}

bool timing_may_be_long(const struct command *c)
{
    const bool is_constant = c->complexity != NULL && strncmp(c->complexity, "O(1)", 4) == 0;
    const bool is_about_keys = strcmp(c->group, "string") == 0 || strcmp(c->name, "del") == 0 ||
                               strcmp(c->name, "unlink") == 0 || strcmp(c->name, "touch") == 0;
    return (c->flags & CMD_FAST) == 0 && !is_constant && !is_about_keys;
}
