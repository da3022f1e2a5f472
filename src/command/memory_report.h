/*
 * Where the memory is: the numbers behind INFO memory, MEMORY STATS and MEMORY DOCTOR, taken once.
 * Private to the command layer.
 *
 *     used = dataset + overhead
 *     dataset = live entries + large values
 *     overhead = index + dead and free room in segments + what is being freed + tables
 *                + connections + buffers + sources
 */
#ifndef TARN_COMMAND_MEMORY_REPORT_H
#define TARN_COMMAND_MEMORY_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "tarn/command/command.h"
#include "tarn/store/store.h"

struct memory_report {
    struct store_stats store;
    struct command_memory beside;
    uint64_t commands;  /* table, loads of waiting commands */
    uint64_t log_spare; /* segments without entries that still have their pages, and blocks that
                           only a reply still needs */
    uint64_t used, dataset, overhead;
    uint64_t peak, startup;
    uint64_t rss;   /* as the kernel sees it; 0: unknown */
    uint64_t limit; /* maxmemory, 0: none */
    uint64_t keys;  /* visible, in all databases */
};

/* Notes the peak as well. Reads a file of /proc: tens of microseconds. */
void memory_report(struct command_env *env, struct memory_report *out);

/* The parts of `used`, which they add up to, as MEMORY STATS names them. */
#define MEMORY_PARTS 11
struct memory_part {
    const char *name;
    uint64_t bytes;
};
void memory_parts(const struct memory_report *m, struct memory_part out[MEMORY_PARTS]);

/* Memory of all clients together: their connections and buffers. */
uint64_t memory_clients(const struct memory_report *m);

/* memory_doctor.c: a text for people. */
void memory_doctor(const struct command_env *env, const struct memory_report *m, struct buf *out);

/* 0 for a part of nothing. */
double memory_ratio(uint64_t part, uint64_t whole);

#endif
