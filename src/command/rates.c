/*
 * The counters belong to layers above and below; they are read from the registry by their names, as
 * INFO does.
 */
#include "rates.h"

#include <string.h>

#include "observers.h"
#include "tarn/base/metric.h"

static const char *const counter_names[RATES_COUNT] = {
    [RATE_COMMANDS] = "total_commands_processed",
    [RATE_INPUT_BYTES] = "total_net_input_bytes",
    [RATE_OUTPUT_BYTES] = "total_net_output_bytes",
};

static void take_counter(void *ctx, const struct metric_table *table, const struct metric *metric,
                         uint64_t value)
{
    struct rates_sample *sample = ctx;
    for (int i = 0; i < RATES_COUNT; i++) {
        if (strcmp(metric->name, counter_names[i]) == 0) {
            sample->counters[i] = value;
        }
    }
}

void rates_tick(struct command_env *env)
{
    struct rates *r = &env->observers->rates;
    struct rates_sample *sample = &r->samples[r->next];
    if (env->metrics == NULL) {
        return;
    }
    *sample = (struct rates_sample){.at_us = env->clock->mono_us};
    metric_registry_walk(env->metrics, "Stats", take_counter, sample);
    r->next = (r->next + 1) % RATES_SAMPLES;
    r->count += r->count < RATES_SAMPLES;
}

void rates_reset(struct command_env *env)
{
    env->observers->rates = (struct rates){.count = 0};
}

double rates_per_second(const struct command_env *env, enum rate rate)
{
    const struct rates *r = &env->observers->rates;
    if (r->count < 2) {
        return 0;
    }
    const struct rates_sample *last = &r->samples[(r->next + RATES_SAMPLES - 1) % RATES_SAMPLES];
    const struct rates_sample *first =
        &r->samples[(r->next + RATES_SAMPLES - r->count) % RATES_SAMPLES];
    const int64_t passed_us = last->at_us - first->at_us;
    const uint64_t counted = last->counters[rate] - first->counters[rate];
    return passed_us > 0 ? (double)counted * 1000000 / (double)passed_us : 0;
}
