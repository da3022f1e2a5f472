/*
 * Takes the numbers of memory_report.h, and keeps the peak.
 *
 * Everything is counted where it is held, by the layer that holds it: the store by segments, index
 * and tables, net by connections and buffers, sources by flights and drivers. Nothing asks the C
 * library's allocator, whose own view costs a walk over its free lists.
 */
#include "memory_report.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "observers.h"
#include "table.h"
#include "tarn/base/num.h"

size_t command_memory(const struct command_env *env)
{
    return sizeof(*env->table) + env->table->timings_bytes + env->loads_bytes +
           observers_memory(env);
}

static struct command_memory memory_beside(const struct command_env *env)
{
    struct command_memory beside = {0};
    if (env->host.memory != NULL) {
        env->host.memory(env->host.ctx, &beside);
    }
    return beside;
}

static uint64_t used_memory(const struct command_env *env, const struct command_memory *beside)
{
    return store_used_memory(env->store) + command_memory(env) + beside->connections +
           beside->client_buffers + beside->sources;
}

static void note(struct command_env *env, uint64_t used)
{
    if (env->memory_startup == 0) {
        env->memory_startup = used;
    }
    if (used > env->memory_peak) {
        env->memory_peak = used;
    }
}

void command_note_memory(struct command_env *env)
{
    const struct command_memory beside = memory_beside(env);
    note(env, used_memory(env, &beside));
}

/* Resident pages from /proc/self/statm; 0 where there is no such file. */
static uint64_t resident_bytes(void)
{
    unsigned long long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL) {
        return 0;
    }
    if (fscanf(f, "%llu %llu", &total, &resident) != 2) {
        resident = 0;
    }
    fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t limit_of(const struct command_env *env)
{
    uint64_t limit = 0;
    struct buf text;
    buf_init(&text);
    if (env->options != NULL && option_set_get(env->options, strview_str("maxmemory"), &text)) {
        (void)num_parse_u64(buf_view(&text), &limit); /* printed by the option itself */
    }
    buf_fini(&text);
    return limit;
}

void memory_report(struct command_env *env, struct memory_report *out)
{
    *out = (struct memory_report){
        .beside = memory_beside(env),
        .commands = command_memory(env),
        .rss = resident_bytes(),
        .limit = limit_of(env),
    };
    store_stats(env->store, &out->store);
    out->used = used_memory(env, &out->beside);
    note(env, out->used);
    out->peak = env->memory_peak;
    out->startup = env->memory_startup;
    out->dataset = out->store.bytes_live + out->store.bytes_large;
    out->overhead = out->used > out->dataset ? out->used - out->dataset : 0;
    const uint64_t store = store_used_memory(env->store);
    const uint64_t named = out->dataset + out->store.bytes_dead + out->store.bytes_index +
                           out->store.bytes_other + out->store.bytes_dropped;
    out->log_spare = store > named ? store - named : 0;
    for (unsigned db = 0; db < STORE_DATABASES; db++) {
        out->keys += store_count(env->store, db);
    }
}

void memory_parts(const struct memory_report *m, struct memory_part out[MEMORY_PARTS])
{
    const struct memory_part parts[MEMORY_PARTS] = {
        {"log.live", m->store.bytes_live},
        {"log.dead", m->store.bytes_dead},
        {"log.spare", m->log_spare},
        {"large.values", m->store.bytes_large},
        {"being.freed", m->store.bytes_dropped},
        {"index", m->store.bytes_index},
        {"store.tables", m->store.bytes_other},
        {"commands", m->commands},
        {"connections", m->beside.connections},
        {"client.buffers", m->beside.client_buffers},
        {"sources", m->beside.sources},
    };
    memcpy(out, parts, sizeof(parts));
}

uint64_t memory_clients(const struct memory_report *m)
{
    return m->beside.connections + m->beside.client_buffers;
}

double memory_ratio(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0.0;
}
