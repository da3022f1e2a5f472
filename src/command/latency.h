/*
 * The latency monitor: when something took longer than latency-monitor-threshold, by the kind of
 * event. Private to the command layer.
 */
#ifndef TARN_COMMAND_LATENCY_H
#define TARN_COMMAND_LATENCY_H

#include <stdint.h>

#include "tarn/command/command.h"

#define LATENCY_SAMPLES 160

enum latency_event { LATENCY_COMMAND, LATENCY_FAST_COMMAND, LATENCY_EVENTS };

struct latency_sample {
    int64_t at_s; /* Unix time */
    uint64_t ms;  /* the worst within that second */
};

/* A ring of the latest samples, one per second. */
struct latency_series {
    unsigned count, next;
    uint64_t max_ms; /* since the last reset */
    struct latency_sample samples[LATENCY_SAMPLES];
};

void latency_note(struct command_env *env, enum latency_event event, uint64_t ms);

#endif
