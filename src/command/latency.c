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
#include "tarn/source/source.h"
#include "timing.h"

#define GRAPH_WIDTH 60 /* of the longest bar */

/* Steps of HISTOGRAM: 2^10 ns to 2^36 ns, a minute; the last holds what is longer. */
#define HISTOGRAM_FIRST 10
#define HISTOGRAM_END   37

static const char *const event_names[LATENCY_EVENTS] = {
    [LATENCY_COMMAND] = "command", [LATENCY_FAST_COMMAND] = "fast-command"};

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
            buf_printf(text,
                       "%s: %u seconds with slow runs, on average %llu ms, at worst %llu ms\n",
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

/* How many runs were not longer than so many nanoseconds; UINT64_MAX: all. */
typedef uint64_t (*count_fn)(const void *of, uint64_t ns);

static uint64_t count_runs(const void *of, uint64_t ns)
{
    const struct timing *t = of;
    return ns == UINT64_MAX ? t->count : timing_count_up_to(t, ns);
}

static uint64_t count_loads(const void *of, uint64_t ns)
{
    return sources_count_loads(of, ns == UINT64_MAX ? ns : ns / 1000);
}

/* Cumulative counts at 1024 ns times the powers of two, given in microseconds, where they grow. */
static void write_histogram(struct cmd_ctx *ctx, const char *name, count_fn count, const void *of)
{
    struct resp_writer *w = ctx->reply;
    const uint64_t total = count(of, UINT64_MAX);
    resp_write_bulk_str(w, name);
    resp_write_map(w, 2);
    resp_write_bulk_str(w, "calls");
    resp_write_int(w, (int64_t)total);
    resp_write_bulk_str(w, "histogram_usec");
    const size_t begin = reply_mark(ctx);
    size_t pairs = 0;
    uint64_t before = 0;
    for (unsigned power = HISTOGRAM_FIRST; before < total && power < HISTOGRAM_END; power++) {
        const uint64_t ns = UINT64_C(1) << power;
        const uint64_t so_far = power + 1 == HISTOGRAM_END ? total : count(of, ns - 1);
        if (so_far > before) {
            resp_write_int(w, (int64_t)(ns / 1000));
            resp_write_int(w, (int64_t)so_far);
            pairs++;
            before = so_far;
        }
    }
    const size_t end = reply_mark(ctx);
    resp_write_map(w, pairs);
    reply_head_first(ctx, begin, end);
}

/* A container stands for its subcommands. */
static bool is_named(const struct cmd_ctx *ctx, const char *name, const char *parent)
{
    for (int i = 2; i < ctx->argc; i++) {
        if (arg_is(ctx, i, name) || (parent != NULL && arg_is(ctx, i, parent))) {
            return true;
        }
    }
    return ctx->argc == 2;
}

/* Of commands by name, and of loads under the name `source`: the time a command waits for its load
 * is no part of its own. */
void cmd_latency_histogram(struct cmd_ctx *ctx)
{
    const struct sources *sources = ctx->env->sources;
    const size_t begin = reply_mark(ctx);
    size_t count = 0;
    for (size_t i = 0; i < COMMAND_ROWS; i++) {
        const struct command *c = &command_rows[i];
        const char *parent = c->parent != NULL ? c->parent->name : NULL;
        if (has_timing(ctx->env, c) && is_named(ctx, c->full_name, parent)) {
            write_histogram(ctx, c->full_name, count_runs, ctx->env->table->stats[i].timing);
            count++;
        }
    }
    if (sources != NULL && is_named(ctx, "source", NULL) &&
        sources_count_loads(sources, UINT64_MAX) > 0) {
        write_histogram(ctx, "source", count_loads, sources);
        count++;
    }
    const size_t end = reply_mark(ctx);
    resp_write_map(ctx->reply, count);
    reply_head_first(ctx, begin, end);
}
