/*
 * readthrough: an application in front of a cache in front of PostgreSQL, as so many clients, and
 * what they saw: latency of reads, errors, reads that missed a commit, queries they made
 * themselves. bench/readthrough.py starts the servers, breaks them on the way, and compares.
 *
 * Prints one JSON object: the sums, and a list of seconds.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"

#define CLIENTS_MAX 1000

enum exit_code { EXIT_FINE = 0, EXIT_USAGE = 64, EXIT_FAILED = 69 };

struct run {
    struct app app;
    uint64_t clients, seconds, seed;
};

static const struct option long_options[] = {
    {"mode", required_argument, NULL, 'm'},     {"port", required_argument, NULL, 'p'},
    {"database", required_argument, NULL, 'd'}, {"rows", required_argument, NULL, 'r'},
    {"clients", required_argument, NULL, 'c'},  {"seconds", required_argument, NULL, 's'},
    {"writes", required_argument, NULL, 'w'},   {"reports", required_argument, NULL, 'q'},
    {"ttl", required_argument, NULL, 't'},      {"report-ttl", required_argument, NULL, 'T'},
    {"seed", required_argument, NULL, 'S'},     {NULL, 0, NULL, 0},
};

static int usage(void)
{
    fputs("usage: readthrough --mode tarn|aside --port PORT --database CONNINFO [--rows N]\n"
          "         [--clients N] [--seconds N] [--writes PERCENT] [--reports PERCENT]\n"
          "         [--ttl SECONDS] [--report-ttl SECONDS] [--seed N]\n",
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
        is_fine = number_option(text, 1, APP_SECONDS_MAX, &n);
        run->seconds = (uint64_t)n;
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

static void print_result(const struct run *run, struct client *clients)
{
    struct client *all = &clients[0];
    for (uint64_t i = 1; i < run->clients; i++) {
        histogram_merge(&all->reads, &clients[i].reads);
        histogram_merge(&all->stale, &clients[i].stale);
        all->errors += clients[i].errors;
        all->writes += clients[i].writes;
        all->write_errors += clients[i].write_errors;
        all->queries += clients[i].queries;
        all->report_queries += clients[i].report_queries;
    }
    printf("{");
    print_times("reads_us", &all->reads);
    print_times("stale_us", &all->stale);
    printf("\"errors\": %llu, \"writes\": %llu, \"write_errors\": %llu, \"queries\": %llu, "
           "\"report_queries\": %llu,\n\"seconds\": [",
           (unsigned long long)all->errors, (unsigned long long)all->writes,
           (unsigned long long)all->write_errors, (unsigned long long)all->queries,
           (unsigned long long)all->report_queries);
    for (uint64_t i = 0; i < run->seconds; i++) {
        const struct second *s = &run->app.seconds[i];
        printf("%s\n{\"reads\": %llu, \"errors\": %llu, \"stale\": %llu, \"queries\": %llu, "
               "\"slowest_us\": %llu}",
               i == 0 ? "" : ",", (unsigned long long)s->reads, (unsigned long long)s->errors,
               (unsigned long long)s->stale, (unsigned long long)s->queries,
               (unsigned long long)s->slowest_us);
    }
    printf("]}\n");
}

static int run_clients(struct run *run, struct client *clients)
{
    struct app *app = &run->app;
    uint64_t started = 0;
    app->start_us = 0;
    app->start_us = app_now(app);
    for (; started < run->clients; started++) {
        struct client *c = &clients[started];
        c->app = app;
        rng_init_seed(&c->rng, run->seed * CLIENTS_MAX + started);
        if (pthread_create(&c->thread, NULL, client_run, c) != 0) {
            break;
        }
    }
    if (started == run->clients) {
        nanosleep(&(struct timespec){.tv_sec = (time_t)run->seconds}, NULL);
    }
    atomic_store(&app->is_over, true);
    for (uint64_t i = 0; i < started; i++) {
        pthread_join(clients[i].thread, NULL);
    }
    if (started < run->clients) {
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
    run.app.seconds = calloc(APP_SECONDS_MAX, sizeof(*run.app.seconds));
    int code = EXIT_FAILED;
    if (clients != NULL && run.app.seconds != NULL && truth_init(&run.app.truth, run.app.rows)) {
        code = run_clients(&run, clients);
    } else {
        fputs("readthrough: out of memory\n", stderr);
    }
    truth_fini(&run.app.truth);
    free(run.app.seconds);
    free(clients);
    return code;
}
