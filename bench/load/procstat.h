/* What the kernel says about the server's process: processor time of all its threads, and memory.
 */
#ifndef BENCH_LOAD_PROCSTAT_H
#define BENCH_LOAD_PROCSTAT_H

#include <stdbool.h>
#include <stdint.h>

struct procstat {
    uint64_t user_ns, system_ns;
    uint64_t rss_bytes, rss_max_bytes;
};

/* False when there is no such process, or none that this user may look at. */
bool procstat_read(int pid, struct procstat *out);

#endif
