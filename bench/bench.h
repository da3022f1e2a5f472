/* What the larger benches share: time, memory of a process, and giving up. */
#ifndef TARN_BENCH_BENCH_H
#define TARN_BENCH_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"

/* Prints a message and ends the process with status 1. */
_Noreturn void die(const char *format, ...) PRINTF_LIKE(1, 2);

/* CPU time of this process so far. */
uint64_t bench_cpu_ns(void);
uint64_t bench_wall_ns(void);

/* Resident bytes of a process, this one when `pid` is 0; 0 when unknown. */
size_t bench_rss(long pid);

#endif
