/*
 * Traces: requests in order, with keys numbered from 0 in order of first appearance. Read from a
 * file (trace.c) or made up (generate.c).
 */
#ifndef TARN_BENCH_TRACE_H
#define TARN_BENCH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_NAME_MAX 64

struct request {
    uint32_t time_s; /* since the first request */
    uint32_t key;    /* < keys of the trace */
    uint32_t size;   /* bytes of key and value, at least 1 */
    uint32_t ttl_s;  /* 0: none */
};

struct trace {
    char name[TRACE_NAME_MAX];
    struct request *requests; /* owned */
    size_t count, room;
    uint32_t keys;
    uint64_t footprint; /* sum of the first sizes of all keys */
};

/* Reads lines `time key size [ttl]`, plain or gzip; keys may be any word. Ends the process with a
 * message when it cannot. */
void trace_read(struct trace *t, const char *path);
void trace_free(struct trace *t);

/* One more request; the caller sees to `keys` and `footprint`. */
void trace_append(struct trace *t, struct request r);

/* Turns every request into `copies` requests for keys of their own: a trace of the same character
 * for larger memory. */
void trace_multiply(struct trace *t, uint32_t copies);

/* ---- made-up traces (generate.c) ------------------------------------------------------------- */

struct generate {
    uint32_t keys;
    size_t requests;
    double alpha;  /* of the Zipf distribution */
    uint32_t size; /* mean bytes; sizes spread from a half of it to twice, fixed per key */
    uint64_t seed;
};

/*
 * "zipf": every request drawn from a Zipf distribution.
 * "scan": the same, but one request in five belongs to scans over keys that are not asked again.
 * "shift": the popular keys change places with others every tenth of the trace.
 * False: no such kind.
 */
bool trace_generate(struct trace *t, const char *kind, const struct generate *g);

#endif
