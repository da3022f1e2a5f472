/*
 * Fills a server with keys, through RESP or memcached's text protocol:
 *
 *   fill [OPTION...] HOST:PORT
 *
 *   --memcached            the text protocol
 *   --keys N               numbers of keys (1 000 000)
 *   --from N               the first key's number (0)
 *   --value MIN[-MAX]      bytes per value; of a range all magnitudes are equally frequent (100)
 *   --ttl SECONDS          expiry (none)
 *   --expire-at SECONDS    expiry of all at this moment, Unix time (none)
 *   --random               keys in random order, with repetition; else each once, in order
 *   --requests N           with --random: how many (as many as keys)
 *   --seconds N            with --random: goes on for so long instead
 *   --rate BYTES           at most so many per second; a request counts as 512 at least (no limit)
 *   --pipeline N           requests sent together (100)
 *   --gets PERCENT         of the requests that are GETs, with --random (0)
 *   --seed N               of the random order (1)
 *
 * Prints the number of requests, the errors, and the wall time in seconds.
 */
#include "tarn/base/hash.h"
#include "tarn/base/num.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "replay.h"
#include "wire.h"

#define VALUE_MAX     (4u * 1024 * 1024)
#define REQUEST_BYTES 512 /* what a small one counts at least */

struct fill {
    uint64_t keys, from, requests, ttl_s, expire_at_s, pipeline, gets_percent, seed, rate;
    uint64_t value_min, value_max;
    double seconds;
    bool is_memcached, is_random;
    struct wire wire;
    struct rng rng;
    char *value; /* owned */
    uint64_t done, errors;
    uint64_t bytes; /* by the measure of --rate */
};

static size_t value_len(struct fill *f)
{
    if (f->value_min == f->value_max) {
        return f->value_min;
    }
    double u = (double)(rng_next(&f->rng) >> 11) * 0x1p-53;
    double low = log((double)f->value_min), high = log((double)f->value_max + 1);
    return (size_t)size_min((size_t)exp(low + u * (high - low)), f->value_max);
}

static size_t next_len(struct fill *f, bool is_get)
{
    size_t len = is_get ? 0 : value_len(f);
    f->bytes += size_max(len, REQUEST_BYTES);
    return len;
}

static void add_resp(struct fill *f, struct strview key, bool is_get)
{
    char seconds[NUM_I64_CHARS];
    bool is_at = f->expire_at_s > 0;
    size_t seconds_len = num_format_u64(seconds, is_at ? f->expire_at_s : f->ttl_s);
    struct strview argv[] = {strview_str(is_get ? "GET" : "SET"), key,
                             strview_of(f->value, next_len(f, is_get)),
                             strview_str(is_at ? "EXAT" : "EX"), strview_of(seconds, seconds_len)};
    wire_request(&f->wire, is_get ? 2 : f->ttl_s > 0 || is_at ? 5 : 3, argv);
}

static void add_memcached(struct fill *f, struct strview key, bool is_get)
{
    char head[128];
    size_t len = next_len(f, is_get);
    int n = is_get ? snprintf(head, sizeof(head), "get %.*s\r\n", STRVIEW_ARG(key))
                   : snprintf(head, sizeof(head), "set %.*s 0 %lu %zu\r\n", STRVIEW_ARG(key),
                              (unsigned long)f->ttl_s, len);
    wire_append(&f->wire, strview_of(head, (size_t)n));
    if (!is_get) {
        wire_append(&f->wire, strview_of(f->value, len));
        wire_append(&f->wire, strview_of("\r\n", 2));
    }
}

static void read_one(struct fill *f)
{
    if (f->is_memcached) {
        struct strview line = wire_read_line(&f->wire);
        bool is_value = strview_starts_with(line, strview_str("VALUE"));
        f->errors += !is_value && !strview_eq(line, strview_str("STORED")) &&
                     !strview_eq(line, strview_str("END"));
        if (is_value) {
            (void)wire_read_line(&f->wire); /* the value holds no line end */
            (void)wire_read_line(&f->wire);
        }
        return;
    }
    struct wire_reply reply;
    wire_read(&f->wire, &reply);
    f->errors += reply.kind == '-';
}

static void run_batch(struct fill *f, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        char key[REPLAY_KEY_CHARS];
        bool is_get = f->gets_percent > 0 && rng_below(&f->rng, 100) < f->gets_percent;
        uint64_t n = f->is_random ? rng_below(&f->rng, f->keys) : f->done + i;
        replay_key(key, (uint32_t)(f->from + n));
        struct strview view = strview_of(key, sizeof(key));
        if (f->is_memcached) {
            add_memcached(f, view, is_get);
        } else {
            add_resp(f, view, is_get);
        }
    }
    wire_flush(&f->wire);
    for (uint64_t i = 0; i < count; i++) {
        read_one(f);
    }
    f->done += count;
}

static uint64_t number(const char *text)
{
    uint64_t n;
    if (!num_parse_bytes(strview_str(text), &n)) {
        die("not a number: %s", text);
    }
    return n;
}

static void parse_value(struct fill *f, char *text)
{
    char *max = text;
    char *min = strsep(&max, "-");
    f->value_min = number(min);
    f->value_max = max != NULL ? number(max) : f->value_min;
    if (f->value_max < f->value_min || f->value_max > VALUE_MAX ||
        (f->value_min == 0 && f->value_max > 0)) {
        die("not a range of value sizes");
    }
}

static void parse_option(struct fill *f, int code, char *value)
{
    switch (code) {
    case 'c':
        f->is_memcached = true;
        break;
    case 'k':
        f->keys = number(value);
        break;
    case 'f':
        f->from = number(value);
        break;
    case 'v':
        parse_value(f, value);
        break;
    case 't':
        f->ttl_s = number(value);
        break;
    case 'a':
        f->expire_at_s = number(value);
        break;
    case 'r':
        f->is_random = true;
        break;
    case 'n':
        f->requests = number(value);
        break;
    case 's':
        f->seconds = (double)number(value);
        break;
    case 'p':
        f->pipeline = number(value);
        break;
    case 'g':
        f->gets_percent = number(value);
        break;
    case 'R':
        f->rate = number(value);
        break;
    case 'd':
        f->seed = number(value);
        break;
    default:
        die("usage: fill [OPTION...] HOST:PORT (see the head of bench/fill.c)");
    }
}

static void parse(struct fill *f, int argc, char **argv)
{
    static const struct option options[] = {
        {"memcached", no_argument, NULL, 'c'},     {"keys", required_argument, NULL, 'k'},
        {"from", required_argument, NULL, 'f'},    {"value", required_argument, NULL, 'v'},
        {"ttl", required_argument, NULL, 't'},     {"expire-at", required_argument, NULL, 'a'},
        {"random", no_argument, NULL, 'r'},        {"requests", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 's'}, {"pipeline", required_argument, NULL, 'p'},
        {"gets", required_argument, NULL, 'g'},    {"seed", required_argument, NULL, 'd'},
        {"rate", required_argument, NULL, 'R'},    {0}};
    int code;
    while ((code = getopt_long(argc, argv, "", options, NULL)) != -1) {
        parse_option(f, code, optarg);
    }
    if (optind + 1 != argc || f->keys == 0 || f->pipeline == 0) {
        parse_option(f, '?', NULL);
    }
}

int main(int argc, char **argv)
{
    struct fill f = {
        .keys = 1000000, .pipeline = 100, .value_min = 100, .value_max = 100, .seed = 1};
    parse(&f, argc, argv);
    rng_init_seed(&f.rng, f.seed);
    f.value = malloc(f.value_max + 1);
    if (f.value == NULL) {
        die("no memory for a value");
    }
    memset(f.value, 'v', f.value_max + 1);
    wire_open(&f.wire, argv[optind]);
    uint64_t started_ns = bench_wall_ns();
    uint64_t total = f.is_random && f.requests > 0 ? f.requests : f.keys;
    double elapsed_s = 0;
    while (f.seconds > 0 ? elapsed_s < f.seconds : f.done < total) {
        uint64_t left = f.seconds > 0 ? f.pipeline : total - f.done;
        run_batch(&f, left < f.pipeline ? left : f.pipeline);
        elapsed_s = (double)(bench_wall_ns() - started_ns) / 1e9;
        if (f.rate > 0 && (double)f.bytes / (double)f.rate > elapsed_s) {
            (void)usleep((useconds_t)(((double)f.bytes / (double)f.rate - elapsed_s) * 1e6));
        }
    }
    printf("%lu requests, %lu errors, %.2f s\n", (unsigned long)f.done, (unsigned long)f.errors,
           elapsed_s);
    wire_close(&f.wire);
    free(f.value);
    return 0;
}
