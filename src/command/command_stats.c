/*
 * Statistics per command: what dispatch counted, in the lines Redis gives, which exporters and
 * dashboards read.
 */
#include "command_stats.h"

#include <string.h>

#include "table.h"
#include "tarn/base/num.h"
#include "timing.h"

void command_stats_append_commands(struct command_env *env, struct buf *out)
{
    for (size_t i = 0; i < COMMAND_ROWS; i++) {
        const struct command_stat *stat = &env->table->stats[i];
        if (stat->calls > 0 || stat->rejected > 0 || stat->failed > 0) {
            buf_printf(out,
                       "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,"
                       "failed_calls=%llu\r\n",
                       command_rows[i].full_name, (unsigned long long)stat->calls,
                       (unsigned long long)(stat->nsec / 1000),
                       stat->calls > 0 ? (double)stat->nsec / 1000.0 / (double)stat->calls : 0.0,
                       (unsigned long long)stat->rejected, (unsigned long long)stat->failed);
        }
    }
}

/* ---- percentiles ---- */

/* Takes the next word of the list; false when it is no number. */
static bool next_percentile(struct strview *rest, long double *out)
{
    size_t len = 0;
    while (len < rest->len && rest->data[len] != ' ') {
        len++;
    }
    const struct strview word = strview_of(rest->data, len);
    const size_t used = len < rest->len ? len + 1 : len;
    *rest = strview_of(rest->data + used, rest->len - used);
    return num_parse_ldouble(word, out);
}

static struct strview percentiles_of(const struct command_env *env)
{
    const char *text = env->command_options->latency_tracking_info_percentiles;
    return strview_str(text != NULL ? text : "");
}

const char *command_stats_misfit_of_percentiles(const struct command_env *env)
{
    struct strview rest = percentiles_of(env);
    long double percentile;
    while (rest.len > 0) {
        if (!next_percentile(&rest, &percentile)) {
            return "Invalid latency-tracking-info-percentiles parameters";
        }
        if (!(percentile >= 0 && percentile <= 100)) {
            return "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
        }
    }
    return NULL;
}

static void append_percentiles(const struct command_env *env, const struct timing *t,
                               struct buf *out)
{
    struct strview rest = percentiles_of(env);
    const char *comma = "";
    long double percentile;
    while (rest.len > 0 && next_percentile(&rest, &percentile)) {
        const uint64_t ns = timing_quantile(t, (double)percentile / 100.0);
        buf_printf(out, "%sp%Lg=%.3f", comma, percentile, (double)ns / 1000.0);
        comma = ",";
    }
}

void command_stats_append_latencies(struct command_env *env, struct buf *out)
{
    for (size_t i = 0; i < COMMAND_ROWS; i++) {
        const struct timing *t = env->table->stats[i].timing;
        if (t != NULL && t->count > 0) {
            buf_printf(out, "latency_percentiles_usec_%s:", command_rows[i].full_name);
            append_percentiles(env, t, out);
            buf_append_str(out, "\r\n");
        }
    }
}

/* ---- errors ---- */

void command_stats_count_error(const struct cmd_ctx *ctx)
{
    const struct strview out = buf_view(ctx->reply->out);
    const char *code = out.data + ctx->reply_start + 1;
    const size_t max = size_min(out.len - ctx->reply_start - 1, ERROR_CODE_MAX);
    size_t len = 0;
    while (len < max && code[len] >= '0' && code[len] <= 'Z') {
        len++;
    }
    ctx->env->stats.error_replies++;
    struct error_stats *errors = &ctx->env->table->errors;
    for (size_t i = 0; i < errors->count; i++) {
        if (strview_eq(strview_str(errors->codes[i].code), strview_of(code, len))) {
            errors->codes[i].count++;
            return;
        }
    }
    if (errors->count < ERROR_CODES_MAX && len > 0) {
        struct error_count *e = &errors->codes[errors->count++];
        *e = (struct error_count){.count = 1};
        memcpy(e->code, code, len);
    }
}

void command_stats_append_errors(struct command_env *env, struct buf *out)
{
    const struct error_stats *errors = &env->table->errors;
    for (size_t i = 0; i < errors->count; i++) {
        buf_printf(out, "errorstat_%s:count=%llu\r\n", errors->codes[i].code,
                   (unsigned long long)errors->codes[i].count);
    }
}

void command_stats_reset(struct command_env *env)
{
    command_table_reset_stats(env->table);
    env->table->errors.count = 0;
}
