/*
 * The environment of commands: its table, its options and its counters. Everything else in it is
 * wired by the owner.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command_stats.h"
#include "notify.h"
#include "observers.h"
#include "table.h"
#include "tarn/command/command.h"
#include "timing.h"

static const char *const permissions[] = {
    [PERMISSION_NO] = "no", [PERMISSION_LOCAL] = "local", [PERMISSION_YES] = "yes", NULL};

static const struct option option_rows[] = {
    {.name = "proto-max-bulk-len",
     .help = "longest argument of a request, and longest string value",
     .def = "512mb",
     .offset = offsetof(struct command_options, proto_max_bulk_len),
     .min = 1024 * 1024,
     .max = STORE_VALUE_MAX,
     .type = OPTION_BYTES},
    {.name = "enable-debug-command",
     .help = "allow DEBUG, which can stop or slow the server",
     .def = "no",
     .offset = offsetof(struct command_options, enable_debug_command),
     .type = OPTION_BOOL,
     .flags = OPTION_FIXED},
    {.name = "enable-source-command",
     .help =
         "allow SOURCE ADD, MAP, SET, DEL, WARM QUERY and WARM FILE, with which a client can reach "
         "other databases and files: no, yes, or local: to clients of this machine",
     .def = "no",
     .offset = offsetof(struct command_options, enable_source_command),
     .type = OPTION_ENUM,
     .names = permissions,
     .flags = OPTION_FIXED},
    {.name = "requirepass",
     .help = "password that clients must give with AUTH; clear text, or sha256: and the digest",
     .def = "",
     .offset = offsetof(struct command_options, requirepass),
     .type = OPTION_PASSWORD},
    {.name = "tracking-table-max-keys",
     .help = "keys remembered for CLIENT TRACKING; above it the oldest are declared changed; 0: no "
             "limit",
     .def = "1000000",
     .offset = offsetof(struct command_options, tracking_table_max_keys),
     .min = 0,
     .max = INT64_MAX,
     .type = OPTION_INT},
    {.name = "slowlog-log-slower-than",
     .help = "microseconds a command may take before it is in the slow log; negative: no log",
     .def = "10000",
     .offset = offsetof(struct command_options, slowlog_log_slower_than),
     .min = -1,
     .max = INT64_MAX,
     .type = OPTION_INT},
    {.name = "slowlog-max-len",
     .help = "commands kept in the slow log",
     .def = "128",
     .offset = offsetof(struct command_options, slowlog_max_len),
     .min = 0,
     .max = 1 << 20,
     .type = OPTION_INT},
    {.name = "latency-tracking",
     .help = "collect times per command, for INFO latencystats and LATENCY HISTOGRAM",
     .def = "yes",
     .offset = offsetof(struct command_options, latency_tracking),
     .type = OPTION_BOOL},
    {.name = "latency-tracking-info-percentiles",
     .help = "percentiles that INFO latencystats shows",
     .def = "50 99 99.9",
     .offset = offsetof(struct command_options, latency_tracking_info_percentiles),
     .type = OPTION_STRINGS},
    {.name = "latency-monitor-threshold",
     .help = "milliseconds from which LATENCY records an event; 0: off",
     .def = "0",
     .offset = offsetof(struct command_options, latency_monitor_threshold),
     .min = 0,
     .max = INT64_MAX,
     .type = OPTION_INT},
    {.name = "notify-keyspace-events",
     .help = "events of keys to publish: K and E choose the channels, g$lshzxetd or A the classes, "
             "m misses, n new keys",
     .def = "",
     .offset = offsetof(struct command_options, notify_keyspace_events),
     .type = OPTION_STRING},
};
const struct option_table command_option_table = {
    .title = "Commands", .rows = option_rows, .count = ARRAY_LEN(option_rows)};

static const struct metric metric_rows[] = {
    {.name = "total_commands_processed",
     .help = "commands that were run",
     .offset = offsetof(struct command_metrics, commands_processed)},
    {.name = "keyspace_hits",
     .help = "reads of a key that was there",
     .offset = offsetof(struct command_metrics, keyspace_hits)},
    {.name = "keyspace_misses",
     .help = "reads of a key that was not there, or had to be loaded",
     .offset = offsetof(struct command_metrics, keyspace_misses)},
    {.name = "total_error_replies",
     .help = "replies that were errors",
     .offset = offsetof(struct command_metrics, error_replies)},
    {.name = "acl_access_denied_auth",
     .help = "wrong passwords",
     .offset = offsetof(struct command_metrics, denied_auths)},
};
const struct metric_table command_metric_table = {
    .section = "Stats", .rows = metric_rows, .count = ARRAY_LEN(metric_rows)};

static const struct metric client_metric_rows[] = {
    {.name = "blocked_clients",
     .help = "clients whose command waits for a load",
     .offset = offsetof(struct command_metrics, blocked_clients),
     .kind = METRIC_GAUGE},
};
const struct metric_table command_client_metric_table = {
    .section = "Clients", .rows = client_metric_rows, .count = ARRAY_LEN(client_metric_rows)};

int command_env_init(struct command_env *env)
{
    struct command_table *table = calloc(1, sizeof(*table));
    if (table == NULL || observers_init(env) < 0) {
        free(table);
        return -ENOMEM;
    }
    const bool has_events = notify_configure(env);
    if (!has_events || command_stats_misfit_of_percentiles(env) != NULL) {
        observers_fini(env);
        free(table);
        return has_events ? -ERANGE : -EINVAL;
    }
    timing_configure(env);
    command_table_init(table);
    env->table = table;
    rng_init_random(&env->rng);
    list_init(&env->sessions);
    env->sessions_count = 0;
    return 0;
}

void command_env_fini(struct command_env *env)
{
    observers_fini(env);
    if (env->table != NULL) {
        command_table_reset_stats(env->table);
    }
    free(env->table);
    env->table = NULL;
}

int command_apply_option(void *ctx, const struct option *option, struct errtext *err)
{
    struct command_env *env = ctx;
    if (strcmp(option->name, "notify-keyspace-events") == 0 && !notify_configure(env)) {
        errtext_set(err, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        return -EINVAL;
    }
    if (strcmp(option->name, "latency-tracking-info-percentiles") == 0 &&
        command_stats_misfit_of_percentiles(env) != NULL) {
        errtext_set(err, "%s", command_stats_misfit_of_percentiles(env));
        return -EINVAL;
    }
    timing_configure(env);
    return 0;
}
