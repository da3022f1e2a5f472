/*
 * The command line is a table: each row has a name, the kind of its value, where the value goes,
 * its range, and the help. Defaults are in options_parse().
 */
#include "options.h"

#include "payload.h"

#include "tarn/base/compiler.h"
#include "tarn/base/num.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

enum kind {
    TEXT,
    NUMBER,
    INTEGER,
    REAL,
    PERCENT,
    DURATION_MS,
    FLAG,
    PROTOCOL,
    KEYS,
    SIZES,
    FORMAT
};

struct row {
    const char *name;
    enum kind kind;
    size_t offset;
    double min, max;
    const char *argument, *help;
};

#define AT(member) offsetof(struct options, member)

static const struct row rows[] = {
    {"host", TEXT, AT(host), 0, 0, "HOST", "server to load (127.0.0.1)"},
    {"port", INTEGER, AT(port), 1, 65535, "PORT", "its TCP port (6379)"},
    {"protocol", PROTOCOL, AT(protocol), 0, 0, "resp|memcached", "what it speaks (resp)"},
    {"connections", NUMBER, AT(connections), 1, CONNECTIONS_MAX, "N", "(50)"},
    {"pipeline", NUMBER, AT(pipeline), 1, PIPELINE_MAX, "N",
     "requests sent at once on a connection; with --rate: the most under way (1; 64)"},
    {"requests", NUMBER, AT(requests), 0, DBL_MAX, "N", "stop after this many (no limit)"},
    {"seconds", REAL, AT(seconds), 0, 1e6, "S", "stop after this time (10, without --requests)"},
    {"warmup", REAL, AT(warmup), 0, 1e6, "S", "run before anything is counted (0)"},
    {"rate", REAL, AT(rate), 0, 1e9, "N",
     "open loop: requests per second, latency from the time a request was due (closed loop)"},
    {"keys", NUMBER, AT(keys), 1, (double)KEYS_MAX, "N", "number of keys (1000000)"},
    {"key-order", KEYS, 0, 0, 0, "uniform|zipf[:EXPONENT]|sequential",
     "how keys are chosen (uniform; zipf:0.99); sequential gives each key once per round"},
    {"value", SIZES, 0, 0, 0, "BYTES[-BYTES]", "size of values, evenly between the two (100)"},
    {"reads", PERCENT, AT(read_share), 0, 100, "PERCENT", "GETs among the requests (100)"},
    {"hits", PERCENT, AT(hit_share), 0, 100, "PERCENT",
     "GETs for the keys in use; the rest is for keys that nobody writes (100)"},
    {"ttl", DURATION_MS, AT(ttl_ms), 0, DBL_MAX, "TIME",
     "SETs expire after 500ms, 5s, ... (never)"},
    {"fill", FLAG, AT(fill), 0, 0, "", "first write every key once, uncounted"},
    {"unchecked", FLAG, AT(unchecked), 0, 0, "", "do not check the values that are read"},
    {"core", INTEGER, AT(core), 0, 4095, "N", "run on this core only"},
    {"pid", INTEGER, AT(pid), 1, 1e9, "PID", "process of the server (the server is asked)"},
    {"seed", NUMBER, AT(seed), 0, DBL_MAX, "N", "of the random numbers (1)"},
    {"format", FORMAT, AT(format), 0, 0, "table|csv|json", "output (table)"},
    {"name", TEXT, AT(name), 0, 0, "NAME", "of this run, for the output"},
};

static void help(void)
{
    puts("usage: tarn-load [--option value]...\n\n"
         "Loads a cache server and measures it: throughput, latency, the server's CPU time per "
         "request\n"
         "and its memory. Every value read is checked. Ends with 1 when one was wrong.\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        printf("  --%s %s\n        %s\n", rows[i].name, rows[i].argument, rows[i].help);
    }
}

/* "zipf" and "zipf:1.2". */
static bool parse_keys(struct options *o, const char *text)
{
    if (strcmp(text, "uniform") == 0) {
        o->distribution = KEYS_UNIFORM;
    } else if (strcmp(text, "sequential") == 0) {
        o->distribution = KEYS_SEQUENTIAL;
    } else if (strncmp(text, "zipf", 4) == 0) {
        o->distribution = KEYS_ZIPF;
        text += 4;
        if (*text == ':') {
            return num_parse_double(strview_str(text + 1), &o->zipf_exponent) &&
                   o->zipf_exponent > 0 && o->zipf_exponent < 100;
        }
        return *text == '\0';
    } else {
        return false;
    }
    return true;
}

/* "100", "4kb", "10-1000". */
static bool parse_sizes(struct options *o, const char *text)
{
    const char *dash = strchr(text, '-');
    size_t first = dash != NULL ? (size_t)(dash - text) : strlen(text);
    if (!num_parse_bytes(strview_of(text, first), &o->value_min)) {
        return false;
    }
    o->value_max = o->value_min;
    if (dash != NULL && !num_parse_bytes(strview_str(dash + 1), &o->value_max)) {
        return false;
    }
    return o->value_min <= o->value_max && o->value_max <= PAYLOAD_BYTES_MAX;
}

static bool parse_format(struct options *o, const char *text)
{
    static const char *const names[] = {"table", "csv", "json"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i], text) == 0) {
            o->format = (enum output_format)i;
            return true;
        }
    }
    return false;
}

static bool parse_number(const struct row *row, void *target, const char *text)
{
    double value;
    if (!num_parse_double(strview_str(text), &value) || !(value >= row->min && value <= row->max)) {
        return false;
    }
    if (row->kind == INTEGER) {
        *(int *)target = (int)value;
        return value == (double)(int)value;
    }
    if (row->kind == PERCENT) {
        value /= 100;
    }
    *(double *)target = value;
    return true;
}

static bool parse_count(const struct row *row, uint64_t *target, const char *text)
{
    return num_parse_u64(strview_str(text), target) && (double)*target >= row->min &&
           (double)*target <= row->max;
}

static bool parse_value(struct options *o, const struct row *row, const char *text)
{
    void *target = (char *)o + row->offset;
    int64_t ms;
    switch (row->kind) {
    case TEXT:
        *(const char **)target = text;
        return true;
    case NUMBER:
        return parse_count(row, target, text);
    case DURATION_MS:
        if (!num_parse_duration_ms(strview_str(text), 1000, &ms)) {
            return false;
        }
        *(uint64_t *)target = (uint64_t)ms;
        return true;
    case FLAG:
        *(bool *)target = true;
        return true;
    case PROTOCOL:
        o->protocol = protocol_find(text);
        return o->protocol != NULL;
    case KEYS:
        return parse_keys(o, text);
    case SIZES:
        return parse_sizes(o, text);
    case FORMAT:
        return parse_format(o, text);
    case INTEGER:
    case REAL:
    case PERCENT:
        break;
    }
    return parse_number(row, target, text);
}

static const struct row *find_row(const char *word)
{
    for (size_t i = 0; strncmp(word, "--", 2) == 0 && i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].name, word + 2) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

/* What depends on other options. */
static void settle(struct options *o)
{
    if (o->pipeline == 0) {
        o->pipeline = o->rate > 0 ? 64 : 1;
    }
    if (o->requests == 0 && o->seconds == 0) {
        o->seconds = 10;
    }
}

enum options_result options_parse(struct options *o, int argc, char **argv)
{
    *o = (struct options){
        .name = "",
        .host = "127.0.0.1",
        .port = 6379,
        .protocol = &protocol_resp,
        .connections = 50,
        .keys = 1000000,
        .zipf_exponent = 0.99,
        .value_min = 100,
        .value_max = 100,
        .read_share = 1,
        .hit_share = 1,
        .core = -1,
        .seed = 1,
    };
    for (int i = 1; i < argc; i++) {
        const struct row *row = find_row(argv[i]);
        if (strcmp(argv[i], "--help") == 0) {
            help();
            return OPTIONS_DONE;
        }
        if (row == NULL) {
            fprintf(stderr, "tarn-load: there is no option %s (see --help)\n", argv[i]);
            return OPTIONS_WRONG;
        }
        const char *value = "";
        if (row->kind != FLAG) {
            value = i + 1 < argc ? argv[++i] : "";
        }
        if (!parse_value(o, row, value)) {
            fprintf(stderr, "tarn-load: --%s takes %s, not '%s'\n", row->name, row->argument,
                    value);
            return OPTIONS_WRONG;
        }
    }
    settle(o);
    return OPTIONS_RUN;
}
