/*
 * INFO: sections of `field:value` lines with Redis's names, so that redis-cli, exporters and
 * dashboards read them.
 *
 * Each section is a row: a name, whether it is shown by default, and a function that writes its
 * lines. Plain counters are not listed here: a section ends with whatever the metric registry holds
 * under its name. Fields that mean nothing in a cache without persistence or replication are given
 * where known tools stop working without them, and only there.
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
#include "tarn/base/histogram.h"
#include "tarn/base/log.h"
#include "tarn/source/source.h"
#include "version.h"

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
        "monotonic_clock:CLOCK_BOOTTIME\r\nmultiplexing_api:epoll\r\ngcc_version:%d.%d.%"
        "d\r\nprocess_id:%ld\r\n"
        "run_id:%s\r\ntcp_port:%d\r\n",
        IDENTITY_REDIS_VERSION, TARN_VERSION, os.sysname, os.release, os.machine,
        sizeof(void *) * 8, __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__, (long)getpid(),
        env->host.run_id, env->host.tcp_port);
    buf_printf(out,
               "server_time_usec:%lld\r\nuptime_in_seconds:%lld\r\nuptime_in_days:%lld\r\nhz:"
               "10\r\nconfigured_hz:10\r\n"
               "executable:%s\r\nconfig_file:%s\r\n",
               (long long)env->clock->wall_ms * 1000, (long long)uptime_s,
               (long long)uptime_s / 86400, env->host.executable, env->host.config_file);
}

static void info_clients(struct command_env *env, struct buf *out)
{
    struct buf limit;
    buf_init(&limit);
    (void)option_set_get(env->options, strview_str("maxclients"), &limit);
    buf_printf(out,
               "connected_clients:%zu\r\ncluster_connections:0\r\ntracking_clients:%zu\r\n"
               "maxclients:%.*s\r\n",
               env->sessions_count, env->observers->tracking.sessions_count,
               STRVIEW_ARG(buf_view(&limit)));
    buf_fini(&limit);
}

/* Nothing is ever saved; loaders and readiness checks look at `loading`. */
static void info_persistence(struct command_env *env, struct buf *out)
{
    buf_append_str(
        out,
        "loading:0\r\nasync_loading:0\r\nrdb_changes_since_last_save:0\r\nrdb_bgsave_in_progress:"
        "0\r\n"
        "rdb_last_bgsave_status:ok\r\naof_enabled:0\r\naof_rewrite_in_progress:0\r\n"
        "aof_rewrite_scheduled:0\r\naof_last_bgrewrite_status:ok\r\naof_last_write_status:ok\r\n");
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
    buf_append_str(out, "role:master\r\nconnected_slaves:0\r\nmaster_repl_offset:0\r\n");
}

static void info_cpu(struct command_env *env, struct buf *out)
{
    struct rusage self;
    if (getrusage(RUSAGE_SELF, &self) == 0) {
        buf_printf(out, "used_cpu_sys:%ld.%06ld\r\nused_cpu_user:%ld.%06ld\r\n",
                   (long)self.ru_stime.tv_sec, (long)self.ru_stime.tv_usec,
                   (long)self.ru_utime.tv_sec, (long)self.ru_utime.tv_usec);
    }
}

static void info_modules(struct command_env *env, struct buf *out)
{
}

static void info_cluster(struct command_env *env, struct buf *out)
{
    buf_append_str(out, "cluster_enabled:0\r\n");
}

static void info_keyspace(struct command_env *env, struct buf *out)
{
    for (unsigned db = 0; db < STORE_DATABASES; db++) {
        size_t keys = store_count(env->store, db);
        if (keys > 0) {
            buf_printf(out, "db%u:keys=%zu,expires=%zu,avg_ttl=0\r\n", db, keys,
                       store_count_volatile(env->store, db));
        }
    }
}

/* ---- sources: one line each, as field=value pairs
 * ------------------------------------------------------- */

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

/* ---- sections
 * ------------------------------------------------------------------------------------------ */

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
