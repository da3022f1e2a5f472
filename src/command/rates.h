/*
 * What happens per second, over the last moments: the instantaneous_* fields of INFO. Private to
 * the command layer.
 */
#ifndef TARN_COMMAND_RATES_H
#define TARN_COMMAND_RATES_H

#include <stdint.h>

#include "tarn/command/command.h"

#define RATES_SAMPLES 17 /* ten a second: the rate over 1.6 seconds */

enum rate { RATE_COMMANDS, RATE_INPUT_BYTES, RATE_OUTPUT_BYTES, RATES_COUNT };

struct rates_sample {
    int64_t at_us;
    uint64_t counters[RATES_COUNT];
};

/* Zeroed: nothing was seen yet. */
struct rates {
    unsigned count, next;
    struct rates_sample samples[RATES_SAMPLES];
};

/* Ten times a second: notes where the counters are. */
void rates_tick(struct command_env *env);

/* The counters begin anew. */
void rates_reset(struct command_env *env);

double rates_per_second(const struct command_env *env, enum rate rate);

#endif
