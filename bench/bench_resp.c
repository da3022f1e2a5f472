/*
 * Measures parsing and writing by themselves:
 *
 *   bench_resp [iterations [row]]
 *
 * Each row parses a pipeline of 64 requests `iterations` times, as net does it, and prints the time
 * per request. The last rows write replies. Under callgrind, some hundred iterations are enough.
 */
#include "tarn/base/buf.h"
#include "tarn/proto/resp_parse.h"
#include "tarn/proto/resp_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PIPELINE      64
#define VALUE_MAX     4096
#define ARGS_MAX      64
#define ITERATIONS    1000
#define ROUNDS        100
#define SMALL_RECEIVE 1460 /* a TCP segment */

static void die(const char *why)
{
    fprintf(stderr, "bench_resp: %s\n", why);
    exit(1);
}

static double now_ns(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0) {
        die("no clock");
    }
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- pipelines ---- */

static void put_command(struct buf *b, int argc, const char *const *argv)
{
    struct resp_writer w = {.out = b, .version = 2};
    resp_write_array(&w, (size_t)argc);
    for (int i = 0; i < argc; i++) {
        resp_write_bulk_str(&w, argv[i]);
    }
}

static void fill_get(struct buf *b, int i)
{
    char key[32];
    snprintf(key, sizeof(key), "key:%08d", i);
    put_command(b, 2, (const char *[]){"GET", key});
}

static void fill_set(struct buf *b, int i)
{
    char key[32];
    snprintf(key, sizeof(key), "key:%04d", i);
    put_command(b, 3, (const char *[]){"SET", key, "value"});
}

/* Lengths of one to four digits in no order that a branch predictor could learn quickly. */
static void fill_mixed(struct buf *b, int i)
{
    static const size_t lens[] = {5, 100, 12, 1000, 64, 3, 250, 9, 4000, 31, 700};
    char value[VALUE_MAX];
    char key[64];
    size_t len = lens[(unsigned)(i * i + i / 3) % ARRAY_LEN(lens)];
    memset(value, 'v', len);
    value[len] = '\0';
    if (i % 3 == 0) {
        snprintf(key, sizeof(key), "user:%d:profile", i);
        put_command(b, 2, (const char *[]){"GET", key});
    } else {
        snprintf(key, sizeof(key), "k:%d", i);
        put_command(b, 5, (const char *[]){"SET", key, value, "EX", "3600"});
    }
}

static void fill_mget(struct buf *b, int i)
{
    char keys[32][16];
    const char *argv[33] = {"MGET"};
    for (int k = 0; k < 32; k++) {
        snprintf(keys[k], sizeof(keys[k]), "key:%06d", i * 32 + k);
        argv[k + 1] = keys[k];
    }
    put_command(b, 33, argv);
}

static void fill_inline(struct buf *b, int i)
{
    (void)buf_printf(b, "GET key:%08d\r\n", i);
}

typedef void (*fill_fn)(struct buf *b, int i);

/* ---- rows ---- */

struct bench {
    struct resp_parser parser;
    struct resp_request request;
    size_t sum; /* keeps the compiler from leaving anything out */
};

static const struct resp_limits limits = {
    .bulk_max = RESP_BULK_MAX,
    .args_max = RESP_ARGS_MAX,
    .is_authenticated = true,
};

/* Parses what is in `in` and returns how much of it was used. */
static size_t parse_some(struct bench *b, struct strview in)
{
    size_t at = 0;
    while (at < in.len) {
        struct strview rest = strview_of(in.data + at, in.len - at);
        struct strview argv[ARGS_MAX];
        int argc;
        const char *error;
        size_t used = b->parser.state == RESP_AT_START
                          ? resp_parse_whole(&limits, rest, argv, ARGS_MAX, &argc)
                          : 0;
        if (used > 0) {
            b->sum += (size_t)argc + argv[argc - 1].len;
            at += used;
            continue;
        }
        enum resp_status status = resp_parse(&b->parser, &limits, rest, &b->request, &used, &error);
        if (status == RESP_MORE) {
            break;
        }
        if (status != RESP_REQUEST) {
            die("the pipeline is not well-formed");
        }
        b->sum += (size_t)b->request.argc + b->request.argv[b->request.argc - 1].len;
        at += used;
    }
    return at;
}

/* Parses the pipeline as it comes, in pieces of `piece` bytes. */
static void parse_all(struct bench *b, struct strview in, size_t piece)
{
    size_t at = 0;
    size_t received = 0;
    while (received < in.len) {
        received = size_min(received + piece, in.len);
        at += parse_some(b, strview_of(in.data + at, received - at));
    }
    if (at != in.len) {
        die("bytes are left over");
    }
}

static void row_parse(const char *name, fill_fn fill, size_t piece, size_t iterations)
{
    struct bench b = {.sum = 0};
    struct buf in;
    buf_init(&in);
    for (int i = 0; i < PIPELINE; i++) {
        fill(&in, i);
    }
    double best = 1e300;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns();
        for (size_t i = 0; i < iterations; i++) {
            parse_all(&b, buf_view(&in), piece);
        }
        double ns = (now_ns() - start) / ((double)iterations * PIPELINE);
        best = ns < best ? ns : best;
    }
    printf("%-24s %8.2f ns per request, %7.1f bytes each (%zu)\n", name, best,
           (double)buf_len(&in) / PIPELINE, b.sum % 10);
    buf_fini(&in);
    resp_parser_fini(&b.parser);
    resp_request_fini(&b.request);
}

typedef void (*write_fn)(struct resp_writer *w, size_t i);

static void write_ok(struct resp_writer *w, size_t i)
{
    (void)i;
    resp_write_ok(w);
}

static void write_small_int(struct resp_writer *w, size_t i)
{
    resp_write_int(w, (int64_t)(i & 1));
}

static void write_int(struct resp_writer *w, size_t i)
{
    resp_write_int(w, (int64_t)i * 1234567);
}

static void write_bulk(struct resp_writer *w, size_t i)
{
    static const char value[100];
    resp_write_bulk(w, strview_of(value, 32 + i % 64));
}

static void row_write(const char *name, write_fn write, size_t iterations)
{
    struct buf out;
    buf_init(&out);
    struct resp_writer w = {.out = &out, .version = 2};
    double best = 1e300;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns();
        for (size_t i = 0; i < iterations; i++) {
            for (size_t k = 0; k < PIPELINE; k++) {
                write(&w, k);
            }
            buf_clear(&out);
        }
        double ns = (now_ns() - start) / ((double)iterations * PIPELINE);
        best = ns < best ? ns : best;
    }
    printf("%-24s %8.2f ns per reply\n", name, best);
    buf_fini(&out);
}

int main(int argc, char **argv)
{
    size_t iterations = argc > 1 ? strtoull(argv[1], NULL, 10) : ITERATIONS;
    if (iterations == 0) {
        die("how many iterations?");
    }
    const char *only = argc > 2 ? argv[2] : NULL;
    static const struct row {
        const char *name;
        fill_fn fill; /* a row that parses */
        write_fn write;
        size_t piece; /* bytes that arrive at once; 0: all */
        size_t share; /* one of so many iterations */
    } rows[] = {
        {"parse GET", fill_get, NULL, 0, 1},
        {"parse SET", fill_set, NULL, 0, 1},
        {"parse mixed", fill_mixed, NULL, 0, 1},
        {"parse MGET of 32", fill_mget, NULL, 0, 10},
        {"parse inline GET", fill_inline, NULL, 0, 1},
        {"parse SET in segments", fill_set, NULL, SMALL_RECEIVE, 1},
        {"parse mixed in segments", fill_mixed, NULL, SMALL_RECEIVE, 1},
        {"write OK", NULL, write_ok, 0, 1},
        {"write 0 or 1", NULL, write_small_int, 0, 1},
        {"write integer", NULL, write_int, 0, 1},
        {"write bulk of 32 to 95", NULL, write_bulk, 0, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        const size_t count = (iterations + r->share - 1) / r->share;
        if (only != NULL && strcmp(only, r->name) != 0) {
            continue;
        }
        if (r->fill != NULL) {
            row_parse(r->name, r->fill, r->piece > 0 ? r->piece : SIZE_MAX / 2, count);
        } else {
            row_write(r->name, r->write, count);
        }
    }
    return 0;
}
