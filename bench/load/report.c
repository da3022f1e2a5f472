/*
 * A report is a list of named values, computed once; the three formats only differ in how they
 * write it. A figure that could not be had is NAN: empty in CSV, null in JSON.
 */
#include "report.h"

#include "tarn/base/compiler.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FIGURES_MAX 48
#define NS_PER_S    1e9
#define NS_PER_US   1e3

struct figure {
    const char *name;
    const char *unit; /* for people; NULL: not in the table */
    double value;
    int decimals;
};

struct figures {
    struct figure list[FIGURES_MAX];
    size_t count;
};

static void put(struct figures *f, const char *name, const char *unit, double value, int decimals)
{
    f->list[f->count++] = (struct figure){
        .name = name, .unit = unit, .value = value, .decimals = decimals};
}

/* What was asked for. */
static void put_parameters(struct figures *f, const struct options *o)
{
    put(f, "connections", NULL, (double)o->connections, 0);
    put(f, "pipeline", NULL, (double)o->pipeline, 0);
    put(f, "keys", NULL, (double)o->keys, 0);
    put(f, "value_min", NULL, (double)o->value_min, 0);
    put(f, "value_max", NULL, (double)o->value_max, 0);
    put(f, "reads", NULL, o->read_share, 4);
    put(f, "ttl_ms", NULL, (double)o->ttl_ms, 0);
    put(f, "rate", NULL, o->rate, 0);
}

static void put_requests(struct figures *f, const struct tally *t)
{
    double seconds = (double)(t->last_ns - t->first_ns) / NS_PER_S;
    put(f, "seconds", "s", seconds, 3);
    put(f, "requests", "", (double)t->replies, 0);
    put(f, "throughput", "/s", seconds > 0 ? (double)t->replies / seconds : NAN, 0);
    put(f, "gets", "", (double)t->reads, 0);
    put(f, "hits", "", (double)t->hits, 0);
    put(f, "misses", "", (double)t->misses, 0);
    put(f, "errors", "", (double)t->errors, 0);
    put(f, "wrong", "", (double)t->wrong, 0);
}

static void put_latency(struct figures *f, const struct histogram *h)
{
    static const struct {
        const char *name;
        double fraction;
    } points[] = {
        {"p50_us", 0.5},     {"p90_us", 0.9},       {"p99_us", 0.99},
        {"p99.9_us", 0.999}, {"p99.99_us", 0.9999}, {"max_us", 1},
    };
    put(f, "mean_us", "us", histogram_mean(h) / NS_PER_US, 1);
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        double ns = (double)histogram_quantile(h, points[i].fraction);
        put(f, points[i].name, "us", ns / NS_PER_US, 1);
    }
}

static void put_server(struct figures *f, const struct report *r)
{
    double requests = (double)r->tally->replies;
    double wall = (double)(r->tally->last_ns - r->tally->first_ns);
    double user = (double)r->after.user_ns - (double)r->before.user_ns;
    double system = (double)r->after.system_ns - (double)r->before.system_ns;
    bool fine = r->has_server && requests > 0;
    put(f, "cpu_ns", "ns/request", fine ? (user + system) / requests : NAN, 1);
    put(f, "cpu_user_ns", "ns/request", fine ? fmax(user, 0) / requests : NAN, 1);
    put(f, "cpu_system_ns", "ns/request", fine ? fmax(system, 0) / requests : NAN, 1);
    put(f, "cpu_busy", "of one core", fine && wall > 0 ? (user + system) / wall : NAN, 3);
    put(f, "rss_before", "bytes", r->has_server ? (double)r->before.rss_bytes : NAN, 0);
    put(f, "rss", "bytes", r->has_server ? (double)r->after.rss_bytes : NAN, 0);
    put(f, "rss_max", "bytes", r->has_server ? (double)r->after.rss_max_bytes : NAN, 0);
    put(f, "pid", NULL, r->pid, 0);
}

static void print_table(const struct figures *f, const char *name)
{
    if (name[0] != '\0') {
        printf("%s\n", name);
    }
    for (size_t i = 0; i < f->count; i++) {
        const struct figure *x = &f->list[i];
        if (x->unit != NULL && !isnan(x->value)) {
            printf("  %-14s %14.*f %s\n", x->name, x->decimals, x->value, x->unit);
        }
    }
}

/* Names are ours and texts come from the command line or the server: only these need care. */
static void print_quoted(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < 0x20 || c >= 0x7f) {
            printf("\\u%04x", c);
        } else {
            putchar(c);
        }
    }
    putchar('"');
}

static void print_json(const struct figures *f, const struct report *r)
{
    printf("{\"name\": ");
    print_quoted(r->options->name);
    printf(", \"protocol\": \"%s\", \"first_error\": ", r->options->protocol->name);
    print_quoted(r->tally->first_error);
    for (size_t i = 0; i < f->count; i++) {
        const struct figure *x = &f->list[i];
        printf(", \"%s\": ", x->name);
        if (isnan(x->value)) {
            printf("null");
        } else {
            printf("%.*f", x->decimals, x->value);
        }
    }
    printf("}\n");
}

static void print_csv(const struct figures *f, const char *name)
{
    printf("name");
    for (size_t i = 0; i < f->count; i++) {
        printf(",%s", f->list[i].name);
    }
    printf("\n%s", name);
    for (size_t i = 0; i < f->count; i++) {
        const struct figure *x = &f->list[i];
        if (isnan(x->value)) {
            putchar(',');
        } else {
            printf(",%.*f", x->decimals, x->value);
        }
    }
    putchar('\n');
}

void report_print(const struct report *r)
{
    struct figures f = {.count = 0};
    put_parameters(&f, r->options);
    put_requests(&f, r->tally);
    put_latency(&f, &r->tally->latency);
    put_server(&f, r);
    switch (r->options->format) {
    case OUTPUT_TABLE:
        print_table(&f, r->options->name);
        break;
    case OUTPUT_CSV:
        print_csv(&f, r->options->name);
        break;
    case OUTPUT_JSON:
        print_json(&f, r);
        break;
    }
}
