/*
 * The wiring. server_create() builds the layers from the lowest to the highest, server_destroy()
 * takes them down in the opposite order; what one layer knows of another is a pointer handed over
 * here.
 *
 *     options, clock -> store -> types -> sources -> commands -> net -> tick, signals
 *
 * The end: SIGTERM, SIGINT and SHUTDOWN stop the listeners and drain the connections (their
 * requests are answered, then they are closed); when the last is gone, or after shutdown-timeout,
 * the loop ends. A second signal ends the process at once.
 */
#include "tarn/server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ev.h>

#include "config.h"
#include "config_rewrite.h"
#include "signals.h"
#include "tarn/base/clock.h"
#include "tarn/base/hash.h"
#include "tarn/base/log.h"
#include "tarn/base/metric.h"
#include "tarn/base/option.h"
#include "tarn/command/command.h"
#include "tarn/net/net.h"
#include "tarn/server/args.h"
#include "tarn/source/source.h"
#include "tarn/store/store.h"
#include "tarn/types/types.h"
#include "tick.h"
#include "version.h"

struct server {
    const struct args *args; /* borrowed */
    struct config_values values;
    struct option_set *options; /* owned; and all pointers below */
    struct config config;
    struct metric_registry metrics;
    struct clock clock;
    struct ev_loop *loop;
    struct store *store;
    struct types *types;
    struct sources *sources;
    struct command_env env;
    bool has_env;
    struct net *net;
    struct tick tick;
    struct signals signals;
    struct ev_timer end_timer;  /* the longest that draining may take */
    struct ev_timer stop_timer; /* due in the turn after the end began */
    bool is_ending;
    bool has_pidfile;
    enum server_exit exit_code;
};

/* ---- the end --------------------------------------------------------------------------------- */

static void on_drained(void *ctx)
{
    struct server *s = ctx;
    ev_break(s->loop, EVBREAK_ALL);
}

static void on_end_timeout(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    (void)w;
    (void)revents;
    log_warning("clients did not take their replies within shutdown-timeout");
    ev_break(loop, EVBREAK_ALL);
}

/* In a turn of its own: SHUTDOWN may be run by a session that an answer of the sources resumed. */
static void on_end_begun(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    struct server *s = w->data;
    sources_stop(s->sources);
}

/* Fits command_host::shutdown. Who waits for a load is told at once that there will be none. */
static void begin_end(void *ctx)
{
    struct server *s = ctx;
    if (s->is_ending) {
        return;
    }
    s->is_ending = true;
    log_notice("shutting down: %zu clients to drain", s->env.sessions_count);
    ev_timer_init(&s->end_timer, on_end_timeout, (double)s->values.process.shutdown_timeout_s, 0.0);
    ev_timer_start(s->loop, &s->end_timer);
    ev_timer_init(&s->stop_timer, on_end_begun, 0.0, 0.0);
    s->stop_timer.data = s;
    ev_timer_start(s->loop, &s->stop_timer);
    net_drain(s->net, on_drained, s);
}

static void remove_pidfile(struct server *s)
{
    if (s->has_pidfile) {
        (void)unlink(s->values.process.pidfile);
        s->has_pidfile = false;
    }
}

static void on_signal_end(void *ctx)
{
    struct server *s = ctx;
    if (s->is_ending) {
        log_warning("second signal: exiting at once");
        remove_pidfile(s);
        _exit(SERVER_EXIT_FAILED);
    }
    begin_end(s);
}

static void on_signal_reopen(void *ctx)
{
    struct server *s = ctx;
    const char *path = s->values.process.logfile;
    int result = path[0] != '\0' ? log_set_file(path) : 0;
    if (result < 0) {
        log_warning("cannot open %s: %s; the old log stays", path, strerror(-result));
    }
}

/* ---- what layers ask of each other ----------------------------------------------------------- */

/* Fits command_host::memory. */
static void beside_memory(void *ctx, struct command_memory *out)
{
    const struct server *s = ctx;
    *out = (struct command_memory){
        .connections = s->net != NULL ? net_memory(s->net) : 0,
        .client_buffers = s->net != NULL ? net_buffer_memory(s->net) : 0,
        .sources = s->sources != NULL ? sources_memory(s->sources) : 0,
    };
}

/* What the limit counts beside the store: everything but the buffers of clients. */
static size_t other_memory(void *ctx)
{
    struct server *s = ctx;
    struct command_memory beside;
    beside_memory(s, &beside);
    return beside.connections + beside.sources + (s->has_env ? command_memory(&s->env) : 0);
}

static int apply_net(void *ctx, const struct option *option, struct errtext *err)
{
    struct server *s = ctx;
    return net_apply_option(s->net, option, err);
}

static int apply_store(void *ctx, const struct option *option, struct errtext *err)
{
    struct server *s = ctx;
    (void)option;
    int result = store_apply_options(s->store, err);
    if (result == 0) {
        net_set_maxmemory(s->net, s->values.store.maxmemory);
    }
    return result;
}

static int apply_command(void *ctx, const struct option *option, struct errtext *err)
{
    struct server *s = ctx;
    return command_apply_option(&s->env, option, err);
}

static int apply_process(void *ctx, const struct option *option, struct errtext *err)
{
    struct server *s = ctx;
    (void)option;
    (void)err;
    log_set_level((enum log_level)s->values.process.loglevel);
    return 0;
}

/* ---- creation, layer by layer ---------------------------------------------------------------- */

static enum server_exit exit_of(enum config_result result, struct errtext *err)
{
    switch (result) {
    case CONFIG_OK:
        return SERVER_EXIT_OK;
    case CONFIG_BAD_FILE:
        return SERVER_EXIT_CONFIG;
    case CONFIG_BAD_ARGS:
        return SERVER_EXIT_USAGE;
    case CONFIG_NO_MEMORY:
        break;
    }
    errtext_set(err, "no memory for the configuration");
    return SERVER_EXIT_OS;
}

static enum server_exit load_config(struct server *s, struct errtext *err)
{
    const struct config_apply apply = {.net = apply_net,
                                       .store = apply_store,
                                       .command = apply_command,
                                       .process = apply_process,
                                       .ctx = s};
    if (config_values_bind(&s->values, &apply, &s->options) < 0) {
        errtext_set(err, "no memory for the options");
        return SERVER_EXIT_OS;
    }
    s->config.options = s->options;
    return exit_of(config_load(&s->config, s->args, err), err);
}

static enum server_exit open_log(struct server *s, struct errtext *err)
{
    const char *path = s->values.process.logfile;
    log_set_level((enum log_level)s->values.process.loglevel);
    int result = path[0] != '\0' ? log_set_file(path) : 0;
    if (result < 0) {
        errtext_set(err, "logfile: cannot open %s: %s", path, strerror(-result));
        return SERVER_EXIT_CONFIG;
    }
    return SERVER_EXIT_OK;
}

static int rewrite_config(void *ctx, struct errtext *err)
{
    const struct server *s = ctx;
    const int result = config_rewrite(s->args->config_file, s->options, s->sources, err);
    if (result == 0) {
        log_notice("wrote the options to %s", s->args->config_file);
    } else {
        log_warning("cannot rewrite %s: %s", s->args->config_file, err->text);
    }
    return result;
}

static void fill_host(struct server *s)
{
    const char *file = s->args->config_file;
    unsigned char bytes[20];
    random_bytes(bytes, sizeof(bytes));
    struct command_host *host = &s->env.host;
    *host = (struct command_host){
        .ctx = s,
        .shutdown = begin_end,
        .memory = beside_memory,
        .started_wall_ms = s->clock.wall_ms,
        .started_mono_ms = s->clock.mono_ms,
        .rewrite_config = rewrite_config,
        .config_file = file != NULL && strcmp(file, "-") != 0 ? file : "",
        .executable = s->args->executable,
        .tcp_port = (int)s->values.net.port,
    };
    for (size_t i = 0; i < sizeof(bytes); i++) {
        (void)snprintf(host->run_id + 2 * i, 3, "%02x", bytes[i]);
    }
}

static void warn_of_readable_secrets(const struct server *s)
{
    const char *file = s->args->config_file;
    struct stat info;
    if (file != NULL && sources_have_passwords(s->sources) && stat(file, &info) == 0 &&
        (info.st_mode & S_IROTH) != 0) {
        log_warning("%s holds a database's password and everybody may read it: chmod o-r, or use "
                    "password-file",
                    file);
    }
}

static enum server_exit build_layers(struct server *s, struct errtext *err)
{
    s->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (s->loop == NULL) {
        errtext_set(err, "cannot create the event loop: %s", strerror(errno));
        return SERVER_EXIT_OS;
    }
    clock_update(&s->clock);
    if (store_create(&s->store, &s->values.store, &s->clock, err) < 0) {
        return SERVER_EXIT_OS;
    }
    if (types_create(&s->types, s->store, &s->clock, &s->values.types) < 0) {
        errtext_set(err, "no memory for the types");
        return SERVER_EXIT_OS;
    }
    if (sources_create(&s->sources, s->loop, s->store, &s->clock, err) < 0) {
        return SERVER_EXIT_OS;
    }
    enum server_exit code = exit_of(config_apply_directives(&s->config, s->sources, err), err);
    if (code != SERVER_EXIT_OK) {
        return code;
    }
    warn_of_readable_secrets(s);
    s->env = (struct command_env){
        .store = s->store,
        .types = s->types,
        .sources = s->sources,
        .clock = &s->clock,
        .options = s->options,
        .metrics = &s->metrics,
        .command_options = &s->values.command,
    };
    fill_host(s);
    int result = command_env_init(&s->env);
    if (result < 0) {
        errtext_set(err,
                    result == -EINVAL   ? "notify-keyspace-events: the letters are Ag$lshzxeKEtmdn"
                    : result == -ERANGE ? "latency-tracking-info-percentiles: numbers from 0 to 100"
                                        : "no memory for the command table");
        return result == -ENOMEM ? SERVER_EXIT_OS : SERVER_EXIT_CONFIG;
    }
    s->has_env = true;
    result = net_create(&s->net, s->loop, &s->values.net, &s->env, err);
    if (result != 0) {
        return result < 0 ? SERVER_EXIT_OS : SERVER_EXIT_CONFIG;
    }
    net_set_maxmemory(s->net, s->values.store.maxmemory);
    store_set_other_memory(s->store, other_memory, s);
    metric_registry_add(&s->metrics, &store_metric_table, store_counters(s->store));
    metric_registry_add(&s->metrics, &command_metric_table, &s->env.stats);
    metric_registry_add(&s->metrics, &command_client_metric_table, &s->env.stats);
    metric_registry_add(&s->metrics, &types_metric_table, types_counters(s->types));
    metric_registry_add(&s->metrics, &net_metric_table, net_metrics(s->net));
    if (sources_start(s->sources, err) < 0) {
        return SERVER_EXIT_CONFIG;
    }
    return SERVER_EXIT_OK;
}

enum server_exit server_create(struct server **out, const struct args *args, struct errtext *err)
{
    struct server *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        errtext_set(err, "no memory");
        return SERVER_EXIT_OS;
    }
    s->args = args;
    enum server_exit code = load_config(s, err);
    args_hide_passwords(args);
    if (code == SERVER_EXIT_OK && args->action == ARGS_SERVE) {
        code = open_log(s, err);
    }
    if (code == SERVER_EXIT_OK) {
        code = build_layers(s, err);
    }
    if (code != SERVER_EXIT_OK) {
        server_destroy(s);
        return code;
    }
    *out = s;
    return SERVER_EXIT_OK;
}

/* ---- serving --------------------------------------------------------------------------------- */

static enum server_exit write_pidfile(struct server *s, struct errtext *err)
{
    const char *path = s->values.process.pidfile;
    if (path[0] == '\0') {
        return SERVER_EXIT_OK;
    }
    FILE *f = fopen(path, "we");
    bool is_written = f != NULL && fprintf(f, "%ld\n", (long)getpid()) > 0;
    is_written = (f == NULL || fclose(f) == 0) && is_written;
    if (!is_written) {
        errtext_set(err, "pidfile: cannot write %s: %s", path, strerror(errno));
        return SERVER_EXIT_CONFIG;
    }
    s->has_pidfile = true;
    return SERVER_EXIT_OK;
}

enum server_exit server_run(struct server *s, struct errtext *err)
{
    const char *file = s->args->config_file;
    log_notice("tarn %s, process %ld, configuration %s%s", TARN_VERSION, (long)getpid(),
               file != NULL ? file : "of defaults",
               s->args->count > 0 ? " and the command line" : "");
    int result = net_listen(s->net, err);
    if (result != NET_OK) {
        return result == NET_BIND_FAILED ? SERVER_EXIT_UNAVAILABLE : SERVER_EXIT_CONFIG;
    }
    enum server_exit code = write_pidfile(s, err);
    if (code != SERVER_EXIT_OK) {
        return code;
    }
    command_note_memory(&s->env);
    tick_start(&s->tick, s->loop, &s->env);
    s->signals = (struct signals){.on_end = on_signal_end, .on_reopen = on_signal_reopen, .ctx = s};
    signals_start(&s->signals, s->loop);
    log_notice("Ready to accept connections");
    (void)ev_run(s->loop, 0); /* ends by ev_break */
    log_notice("ended");
    return SERVER_EXIT_OK;
}

void server_destroy(struct server *s)
{
    if (s == NULL) {
        return;
    }
    signals_stop(&s->signals);
    tick_stop(&s->tick);
    if (s->is_ending) {
        ev_timer_stop(s->loop, &s->end_timer);
        ev_timer_stop(s->loop, &s->stop_timer);
    }
    if (s->sources != NULL) {
        sources_stop(s->sources);
    }
    net_destroy(s->net);
    if (s->has_env) {
        command_env_fini(&s->env);
    }
    sources_destroy(s->sources);
    store_destroy(s->store);
    types_destroy(s->types);
    if (s->loop != NULL) {
        ev_loop_destroy(s->loop);
    }
    remove_pidfile(s);
    config_fini(&s->config);
    option_set_destroy(s->options);
    free(s);
}
