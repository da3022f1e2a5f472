/*
 * HOTKEYS START STOP GET RESET, as Redis 8.6 defines them outside of a cluster.
 */
#include "args.h"
#include "hotkeys.h"
#include "observers.h"
#include "reply.h"
#include "session_text.h"
#include "table.h"
#include "tarn/base/num.h"

#define METRICS_MAX   2
#define COUNT_DEFAULT 10
#define SLOT_LAST     16383 /* there is no cluster: one range of all slots */

/* METRICS count name...: the index behind it, 0 when the error was written. */
static int parse_metrics(struct cmd_ctx *ctx, struct hotkeys_args *out)
{
    static const struct {
        const char *word, *twice;
        unsigned metric;
    } metrics[] = {{"cpu", "ERR METRICS CPU defined more than once!", HOTKEYS_CPU},
                   {"net", "ERR METRICS NET defined more than once!", HOTKEYS_NET}};
    int64_t count;
    if (ctx->argc < 4 || !arg_is(ctx, 2, "metrics")) {
        reply_error(ctx, "ERR METRICS parameter is required");
        return 0;
    }
    if (!num_parse_i64(ctx->argv[3], &count) || count < 1 || count > METRICS_MAX) {
        resp_write_errorf(ctx->reply, "ERR METRICS count must be > 0 and <= %d", METRICS_MAX);
        return 0;
    }
    if (4 + count > ctx->argc) {
        reply_error(ctx, "ERR METRICS count does not match number of metric types provided");
        return 0;
    }
    for (int i = 4; i < 4 + count; i++) {
        for (size_t k = 0; k < ARRAY_LEN(metrics); k++) {
            if (!arg_is(ctx, i, metrics[k].word)) {
                continue; /* metrics of later versions are passed over */
            }
            if ((out->metrics & metrics[k].metric) != 0) {
                reply_error(ctx, metrics[k].twice);
                return 0;
            }
            out->metrics |= metrics[k].metric;
        }
    }
    if (out->metrics == 0) {
        reply_error(ctx, "ERR METRICS no valid metrics passed. Supported: CPU|NET");
        return 0;
    }
    return 4 + (int)count;
}

/* The number of an option, in its range; otherwise `error` is written. */
static bool parse_number(struct cmd_ctx *ctx, int i, int64_t max, const char *error, int64_t *out)
{
    if (!num_parse_i64(ctx->argv[i], out) || *out < 1 || *out > max) {
        reply_error(ctx, error);
        return false;
    }
    return true;
}

static bool parse_option(struct cmd_ctx *ctx, int i, struct hotkeys_args *out)
{
    int64_t count;
    if (arg_is(ctx, i, "slots")) {
        reply_error(ctx, "ERR SLOTS parameter cannot be used in non-cluster mode");
    } else if (i + 1 == ctx->argc) {
        reply_error(ctx, ERROR_SYNTAX);
    } else if (arg_is(ctx, i, "count")) {
        if (parse_number(ctx, i + 1, HOTKEYS_COUNT_MAX, "ERR COUNT must be between 1 and 64",
                         &count)) {
            out->count = (unsigned)count;
            return true;
        }
    } else if (arg_is(ctx, i, "duration")) {
        return parse_number(ctx, i + 1, HOTKEYS_DURATION_MAX,
                            "ERR DURATION must be between 1 and 1000000", &out->duration_s);
    } else if (arg_is(ctx, i, "sample")) {
        return parse_number(ctx, i + 1, INT32_MAX, "ERR SAMPLE ratio must be positive",
                            &out->sample);
    } else {
        reply_error(ctx, ERROR_SYNTAX);
    }
    return false;
}

void cmd_hotkeys_start(struct cmd_ctx *ctx)
{
    struct hotkeys_args args = {.count = COUNT_DEFAULT, .sample = 1};
    const struct hotkeys *h = ctx->env->observers->hotkeys;
    if (h != NULL && h->is_active) {
        reply_error(ctx, "ERR hotkey tracking session already in progress");
        return;
    }
    int i = parse_metrics(ctx, &args);
    if (i == 0) {
        return;
    }
    for (; i < ctx->argc; i += 2) {
        if (!parse_option(ctx, i, &args)) {
            return;
        }
    }
    if (hotkeys_start(ctx->env, &args)) {
        resp_write_ok(ctx->reply);
    } else {
        reply_error(ctx, ERROR_NO_MEMORY);
    }
}

void cmd_hotkeys_stop(struct cmd_ctx *ctx)
{
    const struct hotkeys *h = ctx->env->observers->hotkeys;
    if (h == NULL || !h->is_active) {
        resp_write_null(ctx->reply);
        return;
    }
    hotkeys_stop(ctx->env);
    resp_write_ok(ctx->reply);
}

void cmd_hotkeys_reset(struct cmd_ctx *ctx)
{
    const struct hotkeys *h = ctx->env->observers->hotkeys;
    if (h != NULL && h->is_active) {
        reply_error(ctx, "ERR hotkey tracking session in progress, stop tracking first");
        return;
    }
    hotkeys_drop(ctx->env);
    resp_write_ok(ctx->reply);
}

/* ---- GET ---- */

static void write_number(struct resp_writer *w, const char *name, uint64_t value)
{
    resp_write_bulk_str(w, name);
    resp_write_int(w, (int64_t)value);
}

static void write_keys(struct resp_writer *w, const char *name, const struct hotkeys *h,
                       const struct top_keys *keys, uint64_t unit)
{
    const struct top_key *list[HOTKEYS_COUNT_MAX];
    const unsigned count = top_keys_list(keys, list, h->args.count);
    resp_write_bulk_str(w, name);
    resp_write_array(w, (size_t)count * 2);
    for (unsigned i = 0; i < count; i++) {
        resp_write_bulk(w, strview_of(list[i]->name, list[i]->len));
        resp_write_int(w, (int64_t)(top_key_certain(list[i]) / unit));
    }
}

/* Processor time that the collection has taken so far, or took. */
static void write_processor(struct resp_writer *w, const struct hotkeys *h)
{
    int64_t user_us = h->user_us, system_us = h->system_us;
    if (h->is_active) {
        hotkeys_processor(h, &user_us, &system_us);
    }
    write_number(w, "total-cpu-time-user-ms", (uint64_t)user_us / 1000);
    write_number(w, "total-cpu-time-sys-ms", (uint64_t)system_us / 1000);
}

void cmd_hotkeys_get(struct cmd_ctx *ctx)
{
    struct resp_writer *w = ctx->reply;
    hotkeys_tick(ctx->env);
    const struct hotkeys *h = ctx->env->observers->hotkeys;
    if (h == NULL) {
        resp_write_null(w);
        return;
    }
    const bool has_cpu = (h->args.metrics & HOTKEYS_CPU) != 0;
    const bool has_net = (h->args.metrics & HOTKEYS_NET) != 0;
    const int64_t end_ms = h->is_active ? ctx->env->clock->mono_ms : h->ended_ms;
    resp_write_array(w, 1);
    resp_write_map(w, 7 + (has_cpu ? 3 : 0) + (has_net ? 2 : 0));
    write_number(w, "tracking-active", h->is_active);
    write_number(w, "sample-ratio", (uint64_t)h->args.sample);
    resp_write_bulk_str(w, "selected-slots");
    resp_write_array(w, 1);
    resp_write_array(w, 2);
    resp_write_int(w, 0);
    resp_write_int(w, SLOT_LAST);
    write_number(w, "all-commands-all-slots-us", h->total_ns / 1000);
    write_number(w, "net-bytes-all-commands-all-slots", h->total_bytes);
    write_number(w, "collection-start-time-unix-ms", (uint64_t)h->began_wall_ms);
    write_number(w, "collection-duration-ms", (uint64_t)(end_ms - h->began_ms));
    if (has_cpu) {
        write_processor(w, h);
    }
    if (has_net) {
        write_number(w, "total-net-bytes", h->total_bytes);
    }
    if (has_cpu) {
        write_keys(w, "by-cpu-time-us", h, &h->by_time, 1000);
    }
    if (has_net) {
        write_keys(w, "by-net-bytes", h, &h->by_bytes, 1);
    }
}
