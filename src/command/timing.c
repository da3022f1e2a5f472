/*
 * See timing.h. The histogram of a command exists from the first time that the command is timed.
 */
#include "timing.h"

#include <stdlib.h>
#include <string.h>

#include "latency.h"
#include "observers.h"
#include "slowlog.h"
#include "table.h"

#define TIMING_FIRST 64 /* runs of a command that are all timed */
#define TIMING_EVERY 64

/* Below this even commands of constant time may be slow enough for the log. */
#define ALWAYS_BELOW_US 1000

#define CUTS (UINT64_C(1) << TIMING_CUTS_BITS)

/* May a run take long although its words are few? What goes through several keys takes long by
 * its words only. */
static bool may_be_long(const struct command *c)
{
    const bool is_constant = c->complexity != NULL && strncmp(c->complexity, "O(1)", 4) == 0;
    return (c->flags & CMD_FAST) == 0 && !is_constant && c->keys.last >= 0;
}

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

static bool is_always_timed(const struct command_env *env, const struct command *c)
{
    return (env->attention & ATTENTION_TIMES) != 0 || may_be_long(c);
}

void timing_run(struct cmd_ctx *ctx, struct command_stat *stat)
{
    const uint64_t begin_ns = clock_now_ns();
    ctx->command->handler(ctx);
    ctx->took_ns = clock_now_ns() - begin_ns;
    ctx->stands_for = stat->untimed + 1;
    stat->untimed = 0;
    if (stat->calls >= TIMING_FIRST && !is_always_timed(ctx->env, ctx->command)) {
        stat->untimed_max = TIMING_EVERY - 1;
    }
}

static void note_distribution(struct cmd_ctx *ctx, struct command_stat *stat)
{
    if (stat->timing == NULL) {
        stat->timing = calloc(1, sizeof(*stat->timing));
        if (stat->timing == NULL) {
            return; /* the next run tries again */
        }
        ctx->env->table->timings_bytes += sizeof(*stat->timing);
    }
    timing_add(stat->timing, ctx->took_ns, ctx->stands_for);
}

/* To the logs, when that is slow. */
static void log_slow(struct cmd_ctx *ctx, uint64_t us)
{
    const struct command_options *o = ctx->env->command_options;
    const uint64_t ms = us / 1000;
    if (o->slowlog_log_slower_than >= 0 && us >= (uint64_t)o->slowlog_log_slower_than) {
        slowlog_add(ctx, us);
    }
    if (o->latency_monitor_threshold > 0 && ms >= (uint64_t)o->latency_monitor_threshold) {
        const bool is_fast = (ctx->command->flags & CMD_FAST) != 0;
        latency_note(ctx->env, is_fast ? LATENCY_FAST_COMMAND : LATENCY_COMMAND, ms);
    }
}

void timing_note(struct cmd_ctx *ctx, struct command_stat *stat)
{
    stat->nsec += ctx->took_ns * ctx->stands_for;
    if (ctx->env->command_options->latency_tracking) {
        note_distribution(ctx, stat);
    }
    log_slow(ctx, ctx->took_ns / 1000);
}

void timing_note_large(struct cmd_ctx *ctx)
{
    const struct clock *clock = ctx->env->clock;
    int64_t *last_us = &ctx->env->observers->large_us;
    const int64_t now_us = clock_now_us();
    const int64_t since_us = *last_us > clock->mono_us ? *last_us : clock->mono_us;
    *last_us = now_us;
    log_slow(ctx, now_us > since_us ? (uint64_t)(now_us - since_us) : 0);
}

void timing_configure(struct command_env *env)
{
    const struct command_options *o = env->command_options;
    const bool is_low = o->slowlog_log_slower_than >= 0 &&
                        o->slowlog_log_slower_than < ALWAYS_BELOW_US;
    env->attention &= ~(unsigned)ATTENTION_TIMES;
    if (is_low || o->latency_monitor_threshold > 0 || (env->attention & ATTENTION_HOTKEYS) != 0) {
        env->attention |= ATTENTION_TIMES;
    }
    for (size_t row = 0; env->table != NULL && row < COMMAND_ROWS; row++) {
        env->table->stats[row].untimed_max = 0; /* the next run decides */
    }
    slowlog_trim(env);
}
