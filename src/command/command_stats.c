/*
 * Statistics per command: what dispatch counted, in the lines Redis gives, which exporters and
 * dashboards read.
 */
#include "command_stats.h"

#include <string.h>

#include "table.h"

void command_stats_append_commands(struct command_env *env, struct buf *out)
{
    for (size_t i = 0; i < COMMAND_ROWS; i++) {
        const struct command_stat *stat = &env->table->stats[i];
        if (stat->calls > 0 || stat->rejected > 0 || stat->failed > 0) {
            buf_printf(out,
                       "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,"
                       "failed_calls=%llu\r\n",
                       command_rows[i].full_name, (unsigned long long)stat->calls,
                       (unsigned long long)stat->usec,
                       stat->calls > 0 ? (double)stat->usec / (double)stat->calls : 0.0,
                       (unsigned long long)stat->rejected, (unsigned long long)stat->failed);
        }
    }
}

void command_stats_reset(struct command_env *env)
{
    memset(env->table->stats, 0, sizeof(env->table->stats));
}
