/*
 * Replays traces and reports what was hit:
 *
 *   replay [OPTION...] TRACE...
 *
 * A TRACE is a file of lines `time key size [ttl]` (plain or gzip), or one of the made-up ones
 * zipf, scan, shift. A request is a GET, and a SET when it misses. Runs in process, through the
 * store; with --server through a server that speaks RESP (tarn, redis-server), whose maxmemory and
 * policy are set and whose data is lost.
 */
#include "replay.h"

#include "tarn/base/num.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define LIST_MAX 64

enum option_code {
    OPT_POLICIES = 1,
    OPT_FRACTIONS,
    OPT_MEMORY,
    OPT_EQUAL,
    OPT_SERVER,
    OPT_COPIES,
    OPT_CSV,
    OPT_KEYS,
    OPT_REQUESTS,
    OPT_ALPHA,
    OPT_SIZE,
    OPT_SEED,
    OPT_QUIET,
    OPT_HELP
};

struct settings {
    const char *policies[LIST_MAX];
    unsigned policy_count;
    double fractions[LIST_MAX];
    unsigned fraction_count;
    uint64_t memory[LIST_MAX];
    unsigned memory_count;
    bool equal_bytes, quiet;
    const char *server;
    uint32_t copies;
    FILE *csv; /* owned */
    struct generate generate;
};

static const char usage[] =
    "usage: replay [OPTION...] TRACE...\n"
    "TRACE: a file of lines `time key size [ttl]` (plain or gzip), or zipf, scan, shift\n"
    "  --policies LIST    comma-separated maxmemory-policies\n"
    "  --fractions LIST   memory as parts of the trace's footprint (0.01,0.03,0.1,0.3)\n"
    "  --memory LIST      memory in bytes or units; instead of --fractions\n"
    "  --equal-bytes      in process: the log alone has the fraction, entries have no overhead\n"
    "  --server HOST:PORT replay over RESP; sets maxmemory, empties the server\n"
    "  --copies N         the trace N times side by side, each with keys of its own\n"
    "  --csv FILE         write the results there as well (appends)\n"
    "  --quiet            no table\n"
    "made-up traces:\n"
    "  --keys N --requests N --alpha A --size BYTES --seed N\n";

static char *next_item(char **list)
{
    char *item;
    do {
        item = strsep(list, ",");
    } while (item != NULL && *item == '\0');
    return item;
}

static void parse_policies(struct settings *s, char *list)
{
    s->policy_count = 0;
    for (char *item; (item = next_item(&list)) != NULL && s->policy_count < LIST_MAX;) {
        s->policies[s->policy_count++] = item;
    }
}

static void parse_fractions(struct settings *s, char *list)
{
    s->fraction_count = 0;
    for (char *item; (item = next_item(&list)) != NULL && s->fraction_count < LIST_MAX;) {
        double f;
        if (!num_parse_double(strview_str(item), &f) || f <= 0) {
            die("not a fraction: %s", item);
        }
        s->fractions[s->fraction_count++] = f;
    }
}

static uint64_t parse_bytes(const char *text)
{
    uint64_t n;
    if (!num_parse_bytes(strview_str(text), &n) || n == 0) {
        die("not a number above 0: %s", text);
    }
    return n;
}

static void parse_memory(struct settings *s, char *list)
{
    for (char *item; (item = next_item(&list)) != NULL && s->memory_count < LIST_MAX;) {
        s->memory[s->memory_count++] = parse_bytes(item);
    }
}

static void open_csv(struct settings *s, const char *path)
{
    s->csv = fopen(path, "ae");
    if (s->csv == NULL) {
        die("cannot write %s", path);
    }
    if (ftell(s->csv) == 0) {
        (void)fputs("trace,system,policy,fraction,memory,requests,hits,miss_ratio,bytes,hit_bytes,"
                    "byte_miss_ratio,bytes_copied,bytes_evicted,keys,used_memory,rss,cpu_ns\n",
                    s->csv);
    }
}

static void parse_option(struct settings *s, int code, char *value)
{
    switch ((enum option_code)code) {
    case OPT_POLICIES:
        parse_policies(s, value);
        break;
    case OPT_FRACTIONS:
        parse_fractions(s, value);
        break;
    case OPT_MEMORY:
        parse_memory(s, value);
        break;
    case OPT_EQUAL:
        s->equal_bytes = true;
        break;
    case OPT_SERVER:
        s->server = value;
        break;
    case OPT_COPIES:
        s->copies = (uint32_t)parse_bytes(value);
        break;
    case OPT_CSV:
        open_csv(s, value);
        break;
    case OPT_KEYS:
        s->generate.keys = (uint32_t)parse_bytes(value);
        break;
    case OPT_REQUESTS:
        s->generate.requests = parse_bytes(value);
        break;
    case OPT_ALPHA:
        if (!num_parse_double(strview_str(value), &s->generate.alpha)) {
            die("not a number: %s", value);
        }
        break;
    case OPT_SIZE:
        s->generate.size = (uint32_t)parse_bytes(value);
        break;
    case OPT_SEED:
        s->generate.seed = parse_bytes(value);
        break;
    case OPT_QUIET:
        s->quiet = true;
        break;
    case OPT_HELP:
        (void)fputs(usage, stdout);
        exit(0);
    }
}

static void parse_options(struct settings *s, int argc, char **argv)
{
    static const struct option options[] = {
        {"policies", required_argument, NULL, OPT_POLICIES},
        {"fractions", required_argument, NULL, OPT_FRACTIONS},
        {"memory", required_argument, NULL, OPT_MEMORY},
        {"equal-bytes", no_argument, NULL, OPT_EQUAL},
        {"server", required_argument, NULL, OPT_SERVER},
        {"copies", required_argument, NULL, OPT_COPIES},
        {"csv", required_argument, NULL, OPT_CSV},
        {"keys", required_argument, NULL, OPT_KEYS},
        {"requests", required_argument, NULL, OPT_REQUESTS},
        {"alpha", required_argument, NULL, OPT_ALPHA},
        {"size", required_argument, NULL, OPT_SIZE},
        {"seed", required_argument, NULL, OPT_SEED},
        {"quiet", no_argument, NULL, OPT_QUIET},
        {"help", no_argument, NULL, OPT_HELP},
        {0},
    };
    int code;
    while ((code = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (code == '?') {
            (void)fputs(usage, stderr);
            exit(64);
        }
        parse_option(s, code, optarg);
    }
}

static double ratio(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

#define MIB (1024.0 * 1024)

static void print_head(const struct settings *s)
{
    if (!s->quiet) {
        printf("%-16s %-18s %9s %9s %8s %8s %8s %8s %9s %9s %7s\n", "trace", "policy", "fraction",
               "MiB", "requests", "hits %", "bytes %", "copied", "used MiB", "RSS MiB", "ns CPU");
    }
}

static void report(const struct settings *s, const struct replay_plan *p,
                   const struct replay_result *r)
{
    double miss = 1 - ratio(r->hits, r->requests), byte_miss = 1 - ratio(r->hit_bytes, r->bytes);
    if (!s->quiet) {
        printf("%-16s %-18s %9.4g %9.2f %8lu %8.2f %8.2f %8.2f %9.2f %9.2f %7.0f\n", p->trace->name,
               p->policy, p->fraction, (double)p->memory / MIB, (unsigned long)r->requests,
               (1 - miss) * 100, (1 - byte_miss) * 100, ratio(r->bytes_copied, r->bytes_evicted),
               (double)r->used_memory / MIB, (double)r->rss / MIB, ratio(r->cpu_ns, r->requests));
        (void)fflush(stdout);
    }
    if (s->csv != NULL) {
        (void)fprintf(s->csv, "%s,%s,%s,%g,%lu,%lu,%lu,%.6f,%lu,%lu,%.6f,%lu,%lu,%lu,%zu,%zu,%lu\n",
                      p->trace->name, p->server != NULL ? p->server : "store", p->policy,
                      p->fraction, (unsigned long)p->memory, (unsigned long)r->requests,
                      (unsigned long)r->hits, miss, (unsigned long)r->bytes,
                      (unsigned long)r->hit_bytes, byte_miss, (unsigned long)r->bytes_copied,
                      (unsigned long)r->bytes_evicted, (unsigned long)r->keys, r->used_memory,
                      r->rss, (unsigned long)r->cpu_ns);
        (void)fflush(s->csv);
    }
}

static void replay_size(const struct settings *s, const struct trace *t, double fraction,
                        uint64_t memory)
{
    for (unsigned i = 0; i < s->policy_count; i++) {
        struct replay_plan plan = {
            .trace = t,
            .policy = s->policies[i],
            .memory = memory,
            .fraction = fraction,
            .equal_bytes = s->equal_bytes,
            .server = s->server,
        };
        struct replay_result result;
        if (s->server != NULL) {
            replay_over_wire(&plan, &result);
        } else {
            replay_in_process(&plan, &result);
        }
        report(s, &plan, &result);
    }
}

static void replay_trace(const struct settings *s, const char *name)
{
    struct trace t;
    if (!trace_generate(&t, name, &s->generate)) {
        trace_read(&t, name);
    }
    trace_multiply(&t, s->copies);
    for (unsigned i = 0; i < s->memory_count; i++) {
        replay_size(s, &t, (double)s->memory[i] / (double)t.footprint, s->memory[i]);
    }
    for (unsigned i = 0; i < s->fraction_count && s->memory_count == 0; i++) {
        replay_size(s, &t, s->fractions[i], (uint64_t)(s->fractions[i] * (double)t.footprint));
    }
    trace_free(&t);
}

int main(int argc, char **argv)
{
    struct settings s = {
        .policies = {"allkeys-fifo", "allkeys-lru", "allkeys-lfu", "allkeys-random",
                     "allkeys-adaptive"},
        .policy_count = 5,
        .fractions = {0.01, 0.03, 0.1, 0.3},
        .fraction_count = 4,
        .copies = 1,
        .generate = {.keys = 200000, .requests = 1000000, .alpha = 0.9, .size = 300, .seed = 1},
    };
    parse_options(&s, argc, argv);
    if (optind >= argc || (s.equal_bytes && (s.server != NULL || s.memory_count > 0))) {
        (void)fputs(usage, stderr);
        return 64;
    }
    print_head(&s);
    for (int i = optind; i < argc; i++) {
        replay_trace(&s, argv[i]);
    }
    if (s.csv != NULL && fclose(s.csv) != 0) {
        die("cannot write the CSV file");
    }
    return 0;
}
