/*
 * readthrough: an application in front of a cache in front of PostgreSQL, as so many clients, and
 * what they saw: latency of reads, errors, reads that missed a commit. bench/readthrough.py starts
 * the servers, breaks them on the way, and says so on standard input: `d` the database goes down,
 * `u` it is up again.
 *
 * Prints one JSON object.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "feed.h"

#define CLIENTS_MAX 1000
#define SECONDS_MAX 3600

enum exit_code { EXIT_FINE = 0, EXIT_USAGE = 64, EXIT_FAILED = 69 };

struct run {
    struct app app;
    struct feed feed;
    uint64_t clients, seconds, seed, rate;
};

static const struct option long_options[] = {
    {"mode", required_argument, NULL, 'm'},
    {"port", required_argument, NULL, 'p'},
    {"database", required_argument, NULL, 'd'},
    {"rows", required_argument, NULL, 'r'},
    {"clients", required_argument, NULL, 'c'},
    {"seconds", required_argument, NULL, 's'},
    {"writes", required_argument, NULL, 'w'},
    {"reports", required_argument, NULL, 'q'},
    {"ttl", required_argument, NULL, 't'},
    {"report-ttl", required_argument, NULL, 'T'},
    {"seed", required_argument, NULL, 'S'},
    {"rate", required_argument, NULL, 'R'},
    {NULL, 0, NULL, 0},
};

static int usage(void)
{
    fputs("usage: readthrough --mode tarn|aside --port PORT --database CONNINFO [--rows N]\n"
          "         [--clients N] [--seconds N] [--rate OPERATIONS_PER_SECOND] [--writes PERCENT]\n"
          "         [--reports PERCENT] [--ttl SECONDS] [--report-ttl SECONDS] [--seed N]\n",
          stderr);
    return EXIT_USAGE;
}

static bool number_option(const char *text, double min, double max, double *out)
{
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    return errno == 0 && end != text && *end == '\0' && *out >= min && *out <= max;
}

static bool take_option(struct run *run, int letter, const char *text)
{
    struct app *app = &run->app;
    double n = 0;
    bool is_fine = true;
    switch (letter) {
    case 'm':
        app->mode = strcmp(text, "aside") == 0 ? APP_ASIDE : APP_TARN;
        return app->mode == APP_ASIDE || strcmp(text, "tarn") == 0;
    case 'd':
        app->database = text;
        return true;
    case 'p':
        is_fine = number_option(text, 1, 65535, &n);
        app->cache_port = (int)n;
        return is_fine;
    case 'r':
        is_fine = number_option(text, 1, 1e9, &n);
        app->rows = (uint64_t)n;
        return is_fine;
    case 'c':
        is_fine = number_option(text, 1, CLIENTS_MAX, &n);
        run->clients = (uint64_t)n;
        return is_fine;
    case 's':
        is_fine = number_option(text, 1, SECONDS_MAX, &n);
        run->seconds = (uint64_t)n;
        return is_fine;
    case 'R':
        is_fine = number_option(text, 1, 1e7, &n);
        run->rate = (uint64_t)n;
        return is_fine;
    case 'w':
        is_fine = number_option(text, 0, 100, &n);
        app->write_share = n / 100;
        return is_fine;
    case 'q':
        is_fine = number_option(text, 0, 100, &n);
        app->report_share = n / 100;
        return is_fine;
    case 't':
        is_fine = number_option(text, 1, 1e6, &n);
        app->item_ttl_s = (uint64_t)n;
        return is_fine;
    case 'T':
        is_fine = number_option(text, 1, 1e6, &n);
        app->report_ttl_s = (uint64_t)n;
        return is_fine;
    case 'S':
        is_fine = number_option(text, 0, 1e15, &n);
        run->seed = (uint64_t)n;
        return is_fine;
    default:
        return false;
    }
}

static void print_times(const char *name, const struct histogram *h)
{
    printf("\"%s\": {\"count\": %llu, \"p50\": %llu, \"p99\": %llu, \"p999\": %llu, "
           "\"max\": %llu}, ",
           name, (unsigned long long)h->count, (unsigned long long)histogram_quantile(h, 0.5),
           (unsigned long long)histogram_quantile(h, 0.99),
           (unsigned long long)histogram_quantile(h, 0.999), (unsigned long long)h->max);
}

static void merge(struct client *all, const struct client *c)
{
    histogram_merge(&all->reads, &c->reads);
    histogram_merge(&all->window, &c->window);
    for (int k = 0; k < STALE_KINDS; k++) {
        histogram_merge(&all->stale[k], &c->stale[k]);
    }
    for (int k = 0; k < ERROR_KINDS; k++) {
        all->errors[k] += c->errors[k];
    }
    all->writes += c->writes;
    all->write_errors += c->write_errors;
    if (c->last_error_us > all->last_error_us) {
        all->last_error_us = c->last_error_us;
    }
}

static void print_result(const struct run *run, struct client *clients)
{
    struct client *all = &clients[0];
    for (uint64_t i = 1; i < run->clients; i++) {
        merge(all, &clients[i]);
    }
    printf("{");
    print_times("reads_us", &all->reads);
    print_times("window_us", run->app.mode == APP_TARN ? &run->feed.window : &all->window);
    print_times("stale_told_us", &all->stale[STALE_TOLD]);
    print_times("stale_untold_us", &all->stale[STALE_UNTOLD]);
    print_times("stale_outage_us", &all->stale[STALE_OUTAGE]);
    printf("\"errors_cached\": %llu, \"errors_uncached\": %llu, \"errors_up\": %llu, "
           "\"last_error_us\": %llu, \"writes\": %llu, \"write_errors\": %llu}\n",
           (unsigned long long)all->errors[ERROR_CACHED],
           (unsigned long long)all->errors[ERROR_UNCACHED],
           (unsigned long long)all->errors[ERROR_UP], (unsigned long long)all->last_error_us,
           (unsigned long long)all->writes, (unsigned long long)all->write_errors);
}

static void take_letter(struct app *app, char letter)
{
    if (letter == 'd') {
        atomic_store(&app->phase, PHASE_DOWN);
    } else if (letter == 'u') {
        atomic_store(&app->back_us, app_now(app));
        atomic_store(&app->phase, PHASE_AFTER);
    }
}

/* Until the run is over: what standard input says. */
static void listen_to_input(const struct run *run, struct app *app)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    const uint64_t end_us = run->seconds * 1000000;
    for (uint64_t now_us; (now_us = app_now(app)) < end_us;) {
        char letter = 0;
        if (poll(&input, 1, (int)((end_us - now_us) / 1000) + 1) > 0) {
            if (read(STDIN_FILENO, &letter, 1) != 1) {
                input.fd = -1;
            }
            take_letter(app, letter);
        }
    }
}

static int run_clients(struct run *run, struct client *clients)
{
    struct app *app = &run->app;
    uint64_t started = 0;
    app->period_us = run->clients * 1000000 / run->rate;
    app->start_us = app_now(app);
    run->feed.app = app;
    const bool has_feed = app->mode == APP_TARN &&
                          pthread_create(&run->feed.thread, NULL, feed_run, &run->feed) == 0;
    for (; started < run->clients; started++) {
        struct client *c = &clients[started];
        c->app = app;
        rng_init_seed(&c->rng, run->seed * CLIENTS_MAX + started);
        if (pthread_create(&c->thread, NULL, client_run, c) != 0) {
            break;
        }
    }
    const bool is_fine = started == run->clients && has_feed == (app->mode == APP_TARN);
    if (is_fine) {
        listen_to_input(run, app);
    }
    atomic_store(&app->is_over, true);
    for (uint64_t i = 0; i < started; i++) {
        pthread_join(clients[i].thread, NULL);
    }
    if (has_feed) {
        pthread_join(run->feed.thread, NULL);
    }
    if (!is_fine) {
        fputs("readthrough: cannot start all clients\n", stderr);
        return EXIT_FAILED;
    }
    print_result(run, clients);
    return EXIT_FINE;
}

int main(int argc, char **argv)
{
    struct run run = {
        .app = {.rows = 1000000,
                .write_share = 0.01,
                .report_share = 0.01,
                .item_ttl_s = 30,
                .report_ttl_s = 5},
        .clients = 32,
        .seconds = 60,
        .seed = 1,
        .rate = 10000,
    };
    int letter;
    while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (!take_option(&run, letter, optarg != NULL ? optarg : "")) {
            return usage();
        }
    }
    if (optind < argc || run.app.database == NULL || run.app.cache_port == 0) {
        return usage();
    }
    zipf_init(&run.app.zipf, run.app.rows, 0.99);
    struct client *clients = calloc(run.clients, sizeof(*clients));
    int code = EXIT_FAILED;
    if (clients != NULL && truth_init(&run.app.truth, run.app.rows + 1)) {
        code = run_clients(&run, clients);
    } else {
        fputs("readthrough: out of memory\n", stderr);
    }
    truth_fini(&run.app.truth);
    free(clients);
    return code;
}
