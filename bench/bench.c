/* See bench.h. */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    exit(1);
}

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t bench_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t bench_wall_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

size_t bench_rss(long pid)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%ld/statm", pid > 0 ? pid : (long)getpid());
    FILE *in = fopen(path, "re");
    if (in == NULL) {
        return 0;
    }
    unsigned long pages = 0;
    if (fscanf(in, "%*u %lu", &pages) != 1) {
        pages = 0;
    }
    (void)fclose(in);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}
