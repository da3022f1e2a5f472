/*
 * LATENCY HISTORY LATEST RESET GRAPH DOCTOR HISTOGRAM, and the samples they show.
 *
 * There are two events: commands that are fast by their kind, and the others. Both series have a
 * fixed size. HISTOGRAM is independent of the threshold; it shows what latency-tracking collects.
 */
#include "latency.h"

#include <string.h>

#include "args.h"
#include "observers.h"
#include "reply.h"
#include "table.h"
#include "timing.h"

#define GRAPH_WIDTH 60 /* of the longest bar */

static const char *const event_names[LATENCY_EVENTS] = {[LATENCY_COMMAND] = "command",
                                                        [LATENCY_FAST_COMMAND] = "fast-command"};

static struct latency_series *series_of(const struct command_env *env, int event)
{
    return &env->observers->latency[event];
}

/* The sample number `i`, oldest first. */
static struct latency_sample *sample_at(struct latency_series *s, unsigned i)
{
    const unsigned first = s->count < LATENCY_SAMPLES ? 0 : s->next;
    return &s->samples[(first + i) % LATENCY_SAMPLES];
}

void latency_note(struct command_env *env, enum latency_event event, uint64_t ms)
{
    struct latency_series *s = series_of(env, event);
    const int64_t now_s = env->clock->wall_ms / 1000;
    s->max_ms = ms > s->max_ms ? ms : s->max_ms;
    if (s->count > 0) {
        struct latency_sample *last = sample_at(s, s->count - 1);
        if (last->at_s == now_s) {
            last->ms = ms > last->ms ? ms : last->ms;
            return;
        }
    }
    s->samples[s->next] = (struct latency_sample){.at_s = now_s, .ms = ms};
    s->next = (s->next + 1) % LATENCY_SAMPLES;
    s->count += s->count < LATENCY_SAMPLES;
}

/* The series of this name when it has samples, else NULL. */
static struct latency_series *find_series(const struct cmd_ctx *ctx, struct strview name)
{
    for (int i = 0; i < LATENCY_EVENTS; i++) {
        if (strview_eq(name, strview_str(event_names[i])) && series_of(ctx->env, i)->count > 0) {
            return series_of(ctx->env, i);
        }
    }
    return NULL;
}

void cmd_latency_history(struct cmd_ctx *ctx)
{
    struct latency_series *s = find_series(ctx, ctx->argv[2]);
    const unsigned count = s != NULL ? s->count : 0;
    resp_write_array(ctx->reply, count);
    for (unsigned i = 0; i < count; i++) {
        const struct latency_sample *sample = sample_at(s, i);
        resp_write_array(ctx->reply, 2);
        resp_write_int(ctx->reply, sample->at_s);
        resp_write_int(ctx->reply, (int64_t)sample->ms);
    }
}

void cmd_latency_latest(struct cmd_ctx *ctx)
{
    size_t count = 0;
    for (int i = 0; i < LATENCY_EVENTS; i++) {
        count += series_of(ctx->env, i)->count > 0;
    }
    resp_write_array(ctx->reply, count);
    for (int i = 0; i < LATENCY_EVENTS; i++) {
        struct latency_series *s = series_of(ctx->env, i);
        if (s->count > 0) {
            const struct latency_sample *last = sample_at(s, s->count - 1);
            resp_write_array(ctx->reply, 4);
            resp_write_bulk_str(ctx->reply, event_names[i]);
            resp_write_int(ctx->reply, last->at_s);
            resp_write_int(ctx->reply, (int64_t)last->ms);
            resp_write_int(ctx->reply, (int64_t)s->max_ms);
        }
    }
}

void cmd_latency_reset(struct cmd_ctx *ctx)
{
    int64_t count = 0;
    for (int i = 0; i < LATENCY_EVENTS; i++) {
        bool is_named = ctx->argc == 2;
        for (int k = 2; k < ctx->argc; k++) {
            is_named = is_named || arg_is(ctx, k, event_names[i]);
        }
        if (is_named && series_of(ctx->env, i)->count > 0) {
            *series_of(ctx->env, i) = (struct latency_series){0};
            count++;
        }
    }
    resp_write_int(ctx->reply, count);
}

/* ---- texts for people ---- */

static void append_age(struct buf *out, int64_t age_s)
{
    if (age_s < 60) {
        buf_printf(out, "%3llds", (long long)age_s);
    } else if (age_s < 3600) {
        buf_printf(out, "%3lldm", (long long)age_s / 60);
    } else {
        buf_printf(out, "%3lldh", (long long)age_s / 3600);
    }
}

/* One bar per sample, oldest first. */
void cmd_latency_graph(struct cmd_ctx *ctx)
{
    struct latency_series *s = find_series(ctx, ctx->argv[2]);
    if (s == NULL) {
        const struct strview name = word_shown(ctx->argv[2], SHOWN_MAX);
        resp_write_errorf(ctx->reply, "ERR No samples available for event '%.*s'",
                          STRVIEW_ARG(name));
        return;
    }
    uint64_t high = 0, low = UINT64_MAX;
    for (unsigned i = 0; i < s->count; i++) {
        const uint64_t ms = sample_at(s, i)->ms;
        high = ms > high ? ms : high;
        low = ms < low ? ms : low;
    }
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "%.*s - high %llu ms, low %llu ms (all time high %llu ms)\n",
               STRVIEW_ARG(ctx->argv[2]), (unsigned long long)high, (unsigned long long)low,
               (unsigned long long)s->max_ms);
    for (unsigned i = 0; i < s->count; i++) {
        const struct latency_sample *sample = sample_at(s, i);
        const int width = (int)(sample->ms * GRAPH_WIDTH / high);
        append_age(&text, ctx->env->clock->wall_ms / 1000 - sample->at_s);
        buf_append_str(&text, " ago ");
        for (int k = 0; k <= width; k++) {
            buf_append_char(&text, '#');
        }
        buf_printf(&text, " %llu\n", (unsigned long long)sample->ms);
    }
    resp_write_verbatim(ctx->reply, "txt", buf_view(&text));
    buf_fini(&text);
}

static void append_advice(struct command_env *env, struct buf *text)
{
    bool has_samples = false;
    for (int i = 0; i < LATENCY_EVENTS; i++) {
        struct latency_series *s = series_of(env, i);
        uint64_t sum = 0;
        for (unsigned k = 0; k < s->count; k++) {
            sum += sample_at(s, k)->ms;
        }
        if (s->count > 0) {
            has_samples = true;
            buf_printf(text, "%s: %u seconds with slow runs, on average %llu ms, at worst %llu ms\n",
                       event_names[i], s->count, (unsigned long long)(sum / s->count),
                       (unsigned long long)s->max_ms);
        }
    }
    if (!has_samples) {
        buf_append_str(text, "Nothing took longer than latency-monitor-threshold.\n");
        return;
    }
    buf_append_str(text, "SLOWLOG GET shows which commands these were. Commands that look at many "
                         "keys at once (KEYS, long MGET and DEL, BITCOUNT of large values) make "
                         "all clients wait; if fast commands are slow as well, look for swapping "
                         "or for other work on this machine's processors.\n");
}

void cmd_latency_doctor(struct cmd_ctx *ctx)
{
    struct buf text;
    buf_init(&text);
    if (ctx->env->command_options->latency_monitor_threshold == 0) {
        buf_append_str(&text, "The latency monitor is off. CONFIG SET latency-monitor-threshold "
                              "<milliseconds> switches it on.\n");
    } else {
        append_advice(ctx->env, &text);
    }
    resp_write_verbatim(ctx->reply, "txt", buf_view(&text));
    buf_fini(&text);
}

/* ---- HISTOGRAM ---- */

static bool has_timing(const struct command_env *env, const struct command *c)
{
    return env->table->stats[c->id].timing != NULL && env->table->stats[c->id].timing->count > 0;
}

/* Cumulative counts at the powers of two, in microseconds, where they grow. */
static void write_histogram(struct cmd_ctx *ctx, const struct command *c)
{
    struct resp_writer *w = ctx->reply;
    const struct command_stat *stat = &ctx->env->table->stats[c->id];
    resp_write_bulk_str(w, c->full_name);
    resp_write_map(w, 2);
    resp_write_bulk_str(w, "calls");
    resp_write_int(w, (int64_t)stat->timing->count);
    resp_write_bulk_str(w, "histogram_usec");
    const size_t begin = reply_mark(ctx);
    size_t pairs = 0;
    uint64_t before = 0;
    for (uint64_t us = 1; before < stat->timing->count && us <= UINT64_C(1) << 32; us *= 2) {
        const uint64_t count = timing_count_up_to(stat->timing, us * 1000);
        if (count > before) {
            resp_write_int(w, (int64_t)us);
            resp_write_int(w, (int64_t)count);
            pairs++;
            before = count;
        }
    }
    const size_t end = reply_mark(ctx);
    resp_write_map(w, pairs);
    reply_head_first(ctx, begin, end);
}

/* A container stands for its subcommands. */
static bool is_named(const struct cmd_ctx *ctx, const struct command *c)
{
    for (int i = 2; i < ctx->argc; i++) {
        if (arg_is(ctx, i, c->full_name) || (c->parent != NULL && arg_is(ctx, i, c->parent->name))) {
            return true;
        }
    }
    return ctx->argc == 2;
}

void cmd_latency_histogram(struct cmd_ctx *ctx)
{
    const size_t begin = reply_mark(ctx);
    size_t count = 0;
    for (size_t i = 0; i < COMMAND_ROWS; i++) {
        if (has_timing(ctx->env, &command_rows[i]) && is_named(ctx, &command_rows[i])) {
            write_histogram(ctx, &command_rows[i]);
            count++;
        }
    }
    const size_t end = reply_mark(ctx);
    resp_write_map(ctx->reply, count);
    reply_head_first(ctx, begin, end);
}
