/* The result of a run, as a table for people, a CSV line or a JSON object. */
#ifndef BENCH_LOAD_REPORT_H
#define BENCH_LOAD_REPORT_H

#include "engine.h"
#include "options.h"
#include "procstat.h"

struct report {
    const struct options *options;
    const struct tally *tally;
    bool has_server; /* `before` and `after` hold something */
    int pid;
    struct procstat before, after;
};

/* To standard output, in the format the options ask for. */
void report_print(const struct report *r);

#endif
