/* The command line of tarn-load. */
#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys.h"
#include "protocol.h"

#define CONNECTIONS_MAX 20000
#define PIPELINE_MAX    10000

enum output_format { OUTPUT_TABLE, OUTPUT_CSV, OUTPUT_JSON };

struct options {
    const char *name; /* of the run, in the output */
    const char *host;
    int port;
    const struct protocol *protocol;
    uint64_t connections;
    uint64_t pipeline; /* closed loop: requests sent at once; open loop: the most under way */
    uint64_t requests; /* 0: no limit */
    double seconds;    /* 0: no limit */
    double warmup;     /* seconds before anything is counted */
    double rate;       /* requests per second of all connections; 0: closed loop */
    uint64_t keys;
    enum key_distribution distribution;
    double zipf_exponent;
    uint64_t value_min, value_max;
    double read_share, hit_share; /* 0..1 */
    uint64_t ttl_ms;              /* 0: none */
    bool fill;                    /* write every key once before */
    bool unchecked;               /* wrong replies count like others */
    int core;                     /* -1: anywhere */
    int pid;                      /* of the server; 0: ask it */
    uint64_t seed;
    enum output_format format;
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_WRONG };

/* Fills `o`. OPTIONS_DONE after --help; OPTIONS_WRONG after a message on standard error. */
enum options_result options_parse(struct options *o, int argc, char **argv);

#endif
