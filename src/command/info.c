/*
 * INFO: sections of `field:value` lines with Redis's names, so that redis-cli, exporters and
 * dashboards read them.
 *
 * Each section is a row: a name, whether it is shown by default, and a function that writes its
 * lines. Plain counters are not listed here: a section ends with whatever the metric registry holds
 * under its name. Fields of Redis that mean nothing in a cache (persistence, replication, scripts,
 * modules) are there with the values of a Redis that uses none of it, because exporters and
 * dashboards take a field that is missing for a fault.
 */
#include "info.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "command_stats.h"
#include "identity.h"
#include "info_memory.h"
#include "observers.h"
#include "rates.h"
#include "tarn/base/histogram.h"
#include "tarn/base/log.h"
#include "tarn/source/source.h"
#include "version.h"

#define CLIENTS_LOOKED_AT 1024
#define TTL_SAMPLES       32

static void append_metric(void *arg, const struct metric_table *table, const struct metric *metric,
                          uint64_t value)
{
    buf_printf(arg, "%s:%llu\r\n", metric->name, (unsigned long long)value);
}

static void info_server(struct command_env *env, struct buf *out)
{
    struct utsname os = {.sysname = ""};
    int64_t uptime_s = (env->clock->mono_ms - env->host.started_mono_ms) / 1000;
    (void)uname(&os); /* an empty name is all that can happen */
    buf_printf(
        out,
        "redis_version:%s\r\ntarn_version:%s\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\n"
        "redis_build_id:0\r\nredis_mode:standalone\r\nos:%s %s %s\r\narch_bits:%zu\r\n"
        "monotonic_clock:CLOCK_BOOTTIME\r\nmultiplexing_api:epoll\r\n"
        "atomicvar_api:none\r\ngcc_version:%d.%d.%d\r\nprocess_id:%ld\r\n"
        "process_supervised:no\r\nrun_id:%s\r\ntcp_port:%d\r\n",
        IDENTITY_REDIS_VERSION, TARN_VERSION, os.sysname, os.release, os.machine,
        sizeof(void *) * 8, __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__, (long)getpid(),
        env->host.run_id, env->host.tcp_port);
    buf_printf(out,
               "server_time_usec:%lld\r\nuptime_in_seconds:%lld\r\nuptime_in_days:%lld\r\nhz:"
               "10\r\nconfigured_hz:10\r\n"
               "lru_clock:%lld\r\nexecutable:%s\r\nconfig_file:%s\r\nio_threads_active:0\r\n",
               (long long)env->clock->wall_ms * 1000, (long long)uptime_s,
               (long long)uptime_s / 86400, (long long)(env->clock->wall_ms / 1000 & 0xffffff),
               env->host.executable, env->host.config_file);
}

/* The fullest buffers there are at the moment, among so many clients. */
static void append_fullest_buffers(struct command_env *env, struct buf *out)
{
    size_t input = 0, output = 0, left = CLIENTS_LOOKED_AT;
    list_for_each (link, &env->sessions) {
        const struct session *s = container_of(link, struct session, link);
        size_t query, query_free, unsent, memory;
        if (left-- == 0) {
            break;
        }
        s->ops->buffers(s, &query, &query_free, &unsent, &memory);
        input = query > input ? query : input;
        output = unsent > output ? unsent : output;
    }
    buf_printf(out, "client_recent_max_input_buffer:%zu\r\nclient_recent_max_output_buffer:%zu\r\n",
               input, output);
}

static void info_clients(struct command_env *env, struct buf *out)
{
    struct buf limit;
    buf_init(&limit);
    (void)option_set_get(env->options, strview_str("maxclients"), &limit);
    buf_printf(out,
               "connected_clients:%zu\r\ncluster_connections:0\r\ntracking_clients:%zu\r\n"
               "maxclients:%.*s\r\nclients_in_timeout_table:0\r\n",
               env->sessions_count, env->observers->tracking.sessions_count,
               STRVIEW_ARG(buf_view(&limit)));
    buf_fini(&limit);
    append_fullest_buffers(env, out);
}

/* Names of fields whose value is 0, separated by blanks. */
static void append_zeros(struct buf *out, const char *names)
{
    while (*names != '\0') {
        const size_t len = strcspn(names, " ");
        buf_printf(out, "%.*s:0\r\n", (int)len, names);
        names += len + strspn(names + len, " ");
    }
}

/* Nothing is ever saved; loaders and readiness checks look at `loading`. */
static void info_persistence(struct command_env *env, struct buf *out)
{
    append_zeros(out,
                 "loading async_loading current_cow_peak current_cow_size current_cow_size_age");
    buf_append_str(out, "current_fork_perc:0.00\r\n");
    append_zeros(out, "current_save_keys_processed current_save_keys_total "
                      "rdb_changes_since_last_save rdb_bgsave_in_progress");
    buf_printf(out,
               "rdb_last_save_time:%lld\r\nrdb_last_bgsave_status:ok\r\n"
               "rdb_last_bgsave_time_sec:-1\r\nrdb_current_bgsave_time_sec:-1\r\n",
               (long long)env->host.started_wall_ms / 1000);
    append_zeros(out, "rdb_saves rdb_last_cow_size rdb_last_load_keys_expired "
                      "rdb_last_load_keys_loaded aof_enabled aof_rewrite_in_progress "
                      "aof_rewrite_scheduled");
    buf_append_str(out, "aof_last_rewrite_time_sec:-1\r\naof_current_rewrite_time_sec:-1\r\n"
                        "aof_last_bgrewrite_status:ok\r\naof_last_write_status:ok\r\n");
    append_zeros(out, "aof_rewrites aof_rewrites_consecutive_failures aof_last_cow_size "
                      "module_fork_in_progress module_fork_last_cow_size");
}

/* How long single turns of the loop took, sleep excluded: what every client had to wait at most. */
static void append_turns(struct command_env *env, struct buf *out)
{
    const struct histogram *h = env->turn_us;
    if (h != NULL) {
        buf_printf(out,
                   "turns:%llu\r\nturn_us_p50:%llu\r\nturn_us_p99:%llu\r\nturn_us_p999:%llu\r\n"
                   "turn_us_max:%llu\r\n",
                   (unsigned long long)h->count, (unsigned long long)histogram_quantile(h, 0.5),
                   (unsigned long long)histogram_quantile(h, 0.99),
                   (unsigned long long)histogram_quantile(h, 0.999), (unsigned long long)h->max);
    }
}

static void info_stats(struct command_env *env, struct buf *out)
{
    struct store_stats stats;
    store_stats(env->store, &stats);
    buf_printf(out,
               "instantaneous_ops_per_sec:%.0f\r\ninstantaneous_input_kbps:%.2f\r\n"
               "instantaneous_output_kbps:%.2f\r\ninstantaneous_input_repl_kbps:0.00\r\n"
               "instantaneous_output_repl_kbps:0.00\r\nexpired_stale_perc:0.00\r\n",
               rates_per_second(env, RATE_COMMANDS), rates_per_second(env, RATE_INPUT_BYTES) / 1024,
               rates_per_second(env, RATE_OUTPUT_BYTES) / 1024);
    append_zeros(out, "total_net_repl_input_bytes total_net_repl_output_bytes sync_full "
                      "sync_partial_ok sync_partial_err expired_time_cap_reached_count "
                      "expire_cycle_cpu_milliseconds total_eviction_exceeded_time "
                      "current_eviction_exceeded_time latest_fork_usec total_forks "
                      "migrate_cached_sockets slave_expires_tracked_keys active_defrag_hits "
                      "active_defrag_misses active_defrag_key_hits active_defrag_key_misses "
                      "total_active_defrag_time current_active_defrag_time "
                      "unexpected_error_replies dump_payload_sanitizations "
                      "io_threaded_reads_processed io_threaded_writes_processed "
                      "reply_buffer_shrinks reply_buffer_expands");
    buf_printf(out, "expire_lag_ms:%lld\r\n", (long long)stats.expire_lag_ms);
    append_turns(env, out);
    const struct topics *topics = env->observers->topics;
    const struct tracking *tracking = &env->observers->tracking;
    buf_printf(out,
               "tracking_total_keys:%zu\r\ntracking_total_items:%zu\r\n"
               "tracking_total_prefixes:%zu\r\n",
               tracking->keys.count, tracking->items, topics[TOPIC_PREFIX].by_name.count);
    buf_printf(out, "pubsub_channels:%zu\r\npubsub_patterns:%zu\r\npubsubshard_channels:%zu\r\n",
               topics[TOPIC_CHANNEL].by_name.count, topics[TOPIC_PATTERN].by_name.count,
               topics[TOPIC_SHARD_CHANNEL].by_name.count);
}

static void info_replication(struct command_env *env, struct buf *out)
{
    buf_printf(out,
               "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n"
               "master_replid:%s\r\nmaster_replid2:%040d\r\nmaster_repl_offset:0\r\n"
               "second_repl_offset:-1\r\n",
               env->host.run_id, 0);
    append_zeros(out, "repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset "
                      "repl_backlog_histlen");
}

/* Fields of the processor time of `who`; nothing when the kernel does not say. */
static void append_cpu(struct buf *out, int who, const char *suffix)
{
    struct rusage used;
    if (getrusage(who, &used) == 0) {
        buf_printf(out, "used_cpu_sys%s:%ld.%06ld\r\nused_cpu_user%s:%ld.%06ld\r\n", suffix,
                   (long)used.ru_stime.tv_sec, (long)used.ru_stime.tv_usec, suffix,
                   (long)used.ru_utime.tv_sec, (long)used.ru_utime.tv_usec);
    }
}

static void info_cpu(struct command_env *env, struct buf *out)
{
    append_cpu(out, RUSAGE_SELF, "");
    append_cpu(out, RUSAGE_CHILDREN, "_children");
    append_cpu(out, RUSAGE_THREAD, "_main_thread");
}

static void info_modules(struct command_env *env, struct buf *out)
{
}

static void info_cluster(struct command_env *env, struct buf *out)
{
    buf_append_str(out, "cluster_enabled:0\r\n");
}

/* Milliseconds that keys with a time to live have left, as a sample of them says. */
static int64_t average_ttl(struct command_env *env, unsigned db)
{
    int64_t sum = 0, count = 0;
    for (int i = 0; i < TTL_SAMPLES && store_count_volatile(env->store, db) > 0; i++) {
        struct entry_view e;
        if (store_random(env->store, db, &e) && e.expires_at_ms != STORE_NO_EXPIRY) {
            sum += e.expires_at_ms - env->clock->mono_ms;
            count++;
        }
    }
    return count > 0 ? sum / count : 0;
}

static void info_keyspace(struct command_env *env, struct buf *out)
{
    for (unsigned db = 0; db < STORE_DATABASES; db++) {
        size_t keys = store_count(env->store, db);
        if (keys > 0) {
            buf_printf(out, "db%u:keys=%zu,expires=%zu,avg_ttl=%lld\r\n", db, keys,
                       store_count_volatile(env->store, db), (long long)average_ttl(env, db));
        }
    }
}

/* ---- sources: one line each, as field=value pairs -------------------------------------------- */

struct line {
    struct command_env *env;
    struct buf *out;
    bool has_fields;
};

static void append_field(void *arg, const char *name, struct strview value)
{
    struct line *line = arg;
    buf_printf(line->out, "%s%s=", line->has_fields ? "," : "", name);
    buf_append_view(line->out, value);
    line->has_fields = true;
}

static void append_source(void *arg, struct strview name)
{
    struct line line = *(struct line *)arg;
    buf_printf(line.out, "source_%.*s:", STRVIEW_ARG(name));
    (void)sources_describe(line.env->sources, name, append_field, &line);
    buf_append_str(line.out, "\r\n");
}

static void append_map(void *arg, struct strview name)
{
    struct line line = *(struct line *)arg;
    buf_printf(line.out, "map_%.*s:", STRVIEW_ARG(name));
    (void)sources_describe_map(line.env->sources, name, append_field, &line);
    buf_append_str(line.out, "\r\n");
}

static void info_sources(struct command_env *env, struct buf *out)
{
    if (env->sources != NULL) {
        struct line line = {.env = env, .out = out};
        sources_walk(env->sources, append_source, &line);
        sources_walk_maps(env->sources, append_map, &line);
    }
}

/* ---- sections -------------------------------------------------------------------------------- */

struct section {
    const char *name;
    void (*append)(struct command_env *env, struct buf *out);
    bool is_default;
};

static const struct section sections[] = {
    {"Server", info_server, true},
    {"Clients", info_clients, true},
    {"Memory", info_memory, true},
    {"Persistence", info_persistence, true},
    {"Stats", info_stats, true},
    {"Replication", info_replication, true},
    {"CPU", info_cpu, true},
    {"Modules", info_modules, true},
    {"Commandstats", command_stats_append_commands, false},
    {"Errorstats", command_stats_append_errors, true},
    {"Latencystats", command_stats_append_latencies, false},
    {"Cluster", info_cluster, true},
    {"Keyspace", info_keyspace, true},
    {"Sources", info_sources, true},
};

static bool is_selected(const struct section *section, const struct strview *names, int count)
{
    if (count == 0) {
        return section->is_default;
    }
    for (int i = 0; i < count; i++) {
        if (strview_eq_nocase(names[i], section->name) || strview_eq_nocase(names[i], "all") ||
            strview_eq_nocase(names[i], "everything") ||
            (strview_eq_nocase(names[i], "default") && section->is_default)) {
            return true;
        }
    }
    return false;
}

void info_append(struct command_env *env, const struct strview *names, int count, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        if (!is_selected(&sections[i], names, count)) {
            continue;
        }
        buf_printf(out, "%s# %s\r\n", buf_len(out) > 0 ? "\r\n" : "", sections[i].name);
        sections[i].append(env, out);
        metric_registry_walk(env->metrics, sections[i].name, append_metric, out);
    }
}
