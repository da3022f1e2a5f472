/*
 * tarn-load: fill, warm up, measure, report. On a terminal a line on standard error shows how it
 * goes; the results alone are on standard output.
 */
#include "control.h"
#include "engine.h"
#include "options.h"
#include "procstat.h"
#include "report.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILL_PIPELINE 64

enum exit_code { EXIT_FINE = 0, EXIT_WRONG = 1, EXIT_USAGE = 64, EXIT_FAILED = 69 };

/* What the progress line needs. */
struct progress {
    const char *what;
    int pid;
    uint64_t replies;
    int64_t ns; /* when the line was shown last; 0 before */
    struct procstat server;
    bool was_shown;
};

static void show_progress(void *arg, const struct tally *t)
{
    struct progress *p = arg;
    struct procstat server = {.user_ns = 0};
    double seconds = (double)(t->last_ns - (p->ns != 0 ? p->ns : t->first_ns)) / 1e9;
    if (seconds <= 0) {
        return;
    }
    bool has_server = p->pid > 0 && procstat_read(p->pid, &server);
    fprintf(stderr, "\r%s %4.0f s  %9.0f requests/s  p99 %8.1f us", p->what,
            (double)(t->last_ns - t->first_ns) / 1e9, (double)(t->replies - p->replies) / seconds,
            (double)histogram_quantile(&t->latency, 0.99) / 1e3);
    if (has_server) {
        double cpu = (double)(server.user_ns + server.system_ns) -
                     (double)(p->server.user_ns + p->server.system_ns);
        fprintf(stderr, "  server %3.0f %% busy, %.0f MiB ", cpu / seconds / 1e7,
                (double)server.rss_bytes / (1 << 20));
    }
    p->replies = t->replies;
    p->ns = t->last_ns;
    p->server = server;
    p->was_shown = true;
}

/* Runs a phase and clears its progress line. */
static bool run(struct engine *e, const struct phase *phase, struct tally *tally, const char *what)
{
    struct progress *p = e->progress_arg;
    *p = (struct progress){.what = what, .pid = p->pid};
    (void)procstat_read(p->pid, &p->server);
    bool fine = engine_run(e, phase, tally);
    if (p->was_shown) {
        fputs("\r\033[K", stderr);
    }
    return fine;
}

static bool fill(struct engine *e, struct tally *tally)
{
    const struct options *o = e->options;
    struct key_space every;
    key_space_init(&every, KEYS_SEQUENTIAL, o->keys, 0);
    struct phase phase = {
        .requests = o->keys,
        .pipeline = FILL_PIPELINE,
        .ttl_ms = o->ttl_ms,
        .keys = &every,
    };
    return run(e, &phase, tally, "fill   ");
}

static bool warm_up(struct engine *e, const struct phase *measured, struct tally *tally)
{
    struct phase phase = *measured;
    phase.requests = 0;
    phase.seconds = e->options->warmup;
    return run(e, &phase, tally, "warm up");
}

/* The phases in order; the measured one ends up in `tally`. */
static bool run_all(struct engine *e, struct tally *tally, struct report *report)
{
    const struct options *o = e->options;
    struct key_space keys;
    key_space_init(&keys, o->distribution, o->keys, o->zipf_exponent);
    struct phase phase = {
        .requests = o->requests,
        .seconds = o->seconds,
        .rate = o->rate,
        .pipeline = o->pipeline,
        .read_share = o->read_share,
        .hit_share = o->hit_share,
        .ttl_ms = o->ttl_ms,
        .keys = &keys,
    };
    if (o->fill && !fill(e, tally)) {
        return false;
    }
    if (o->warmup > 0 && !warm_up(e, &phase, tally)) {
        return false;
    }
    report->has_server = report->pid > 0 && procstat_read(report->pid, &report->before);
    if (!run(e, &phase, tally, "measure")) {
        return false;
    }
    report->has_server = report->has_server && procstat_read(report->pid, &report->after);
    return true;
}

static bool pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)core, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        fprintf(stderr, "tarn-load: core %d: %s\n", core, strerror(errno));
        return false;
    }
    return true;
}

static enum exit_code load(const struct options *o, struct tally *tally)
{
    struct engine engine;
    struct report report = {.options = o, .tally = tally};
    struct progress progress = {.what = ""};
    if (o->core >= 0 && !pin(o->core)) {
        return EXIT_FAILED;
    }
    if (!engine_init(&engine, o)) {
        engine_fini(&engine);
        return EXIT_FAILED;
    }
    report.pid = o->pid > 0 ? o->pid : control_server_pid(o);
    progress.pid = report.pid;
    engine.progress_arg = &progress;
    engine.progress = isatty(STDERR_FILENO) ? show_progress : NULL;
    bool fine = run_all(&engine, tally, &report);
    engine_fini(&engine);
    if (!fine) {
        return EXIT_FAILED;
    }
    report_print(&report);
    if (tally->errors > 0) {
        fprintf(stderr, "tarn-load: %llu requests refused, first: %s\n",
                (unsigned long long)tally->errors, tally->first_error);
    }
    if (tally->wrong > 0) {
        fprintf(stderr, "tarn-load: %llu replies were wrong\n", (unsigned long long)tally->wrong);
    }
    return tally->wrong > 0 ? EXIT_WRONG : EXIT_FINE;
}

int main(int argc, char **argv)
{
    struct options options;
    switch (options_parse(&options, argc, argv)) {
    case OPTIONS_DONE:
        return EXIT_FINE;
    case OPTIONS_WRONG:
        return EXIT_USAGE;
    case OPTIONS_RUN:
        break;
    }
    struct tally *tally = calloc(1, sizeof(*tally));
    if (tally == NULL) {
        fprintf(stderr, "tarn-load: no memory\n");
        return EXIT_FAILED;
    }
    enum exit_code code = load(&options, tally);
    free(tally);
    return (int)code;
}
