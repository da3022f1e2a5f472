/*
 * bare: single rows by primary key over libpq, as fast as they come, for comparison with loads:
 * what a load costs who does nothing but ask. loads.py runs it.
 *
 *     bare CONNINFO COUNT DEPTH     rows 0..COUNT-1 of `item`, DEPTH of them under way at a time
 *
 * DEPTH 1 asks and waits; more is libpq's pipeline mode with a Sync behind each, as Tarn uses it.
 * Prints seconds, and seconds of CPU of this process.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <libpq-fe.h>
#include <sys/resource.h>
#include <time.h>

#define DEPTH_MAX       64 /* their answers fit into socket buffers while nobody reads them */
#define NUMBER_TEXT_MAX 24
#define STATEMENT       "item"

enum exit_code { EXIT_FINE = 0, EXIT_USAGE = 64, EXIT_FAILED = 69 };

static const char sql[] = "SELECT version || ':' || body FROM item WHERE id = $1::bigint";

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static bool is_one_row(PGresult *r)
{
    bool is_fine = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1;
    PQclear(r);
    return is_fine;
}

static bool ask_and_wait(PGconn *pg, uint64_t count)
{
    bool is_fine = true;
    for (uint64_t i = 0; i < count && is_fine; i++) {
        char number[NUMBER_TEXT_MAX];
        const char *values[] = {number};
        snprintf(number, sizeof(number), "%llu", (unsigned long long)i);
        is_fine = is_one_row(PQexecPrepared(pg, STATEMENT, 1, values, NULL, NULL, 0));
    }
    return is_fine;
}

static bool ask(PGconn *pg, uint64_t key)
{
    char number[NUMBER_TEXT_MAX];
    const char *values[] = {number};
    snprintf(number, sizeof(number), "%llu", (unsigned long long)key);
    return PQsendQueryPrepared(pg, STATEMENT, 1, values, NULL, NULL, 0) == 1 &&
           PQpipelineSync(pg) == 1;
}

/* The row, the NULL behind it, and the Sync. */
static bool take(PGconn *pg)
{
    bool is_fine = is_one_row(PQgetResult(pg));
    PQclear(PQgetResult(pg));
    PGresult *sync = PQgetResult(pg);
    is_fine = is_fine && PQresultStatus(sync) == PGRES_PIPELINE_SYNC;
    PQclear(sync);
    return is_fine;
}

static bool ask_ahead(PGconn *pg, uint64_t count, uint64_t depth)
{
    uint64_t asked = 0;
    bool is_fine = PQenterPipelineMode(pg) == 1;
    for (uint64_t taken = 0; taken < count && is_fine; taken++) {
        while (asked < count && asked < taken + depth && is_fine) {
            is_fine = ask(pg, asked++);
        }
        is_fine = is_fine && take(pg);
    }
    return is_fine;
}

static bool number_argument(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *out >= 1 && *out <= max;
}

int main(int argc, char **argv)
{
    uint64_t count = 0, depth = 0;
    if (argc != 4 || !number_argument(argv[2], INT32_MAX, &count) ||
        !number_argument(argv[3], DEPTH_MAX, &depth)) {
        fputs("usage: bare CONNINFO COUNT DEPTH\n", stderr);
        return EXIT_USAGE;
    }
    PGconn *pg = PQconnectdb(argv[1]);
    PGresult *prepared = PQprepare(pg, STATEMENT, sql, 1, NULL);
    bool is_fine = PQresultStatus(prepared) == PGRES_COMMAND_OK;
    PQclear(prepared);
    const double began = seconds_now(), cpu_began = cpu_seconds();
    is_fine = is_fine && (depth == 1 ? ask_and_wait(pg, count) : ask_ahead(pg, count, depth));
    if (is_fine) {
        printf("%.6f %.6f\n", seconds_now() - began, cpu_seconds() - cpu_began);
    } else {
        fprintf(stderr, "bare: %s\n", PQerrorMessage(pg));
    }
    PQfinish(pg);
    return is_fine ? EXIT_FINE : EXIT_FAILED;
}
