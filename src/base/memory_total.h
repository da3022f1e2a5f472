/*
 * The reading of cgroup limits, with the places to read from as arguments.
 */
#ifndef TARN_BASE_MEMORY_TOTAL_H
#define TARN_BASE_MEMORY_TOTAL_H

#include <stdint.h>

/* The smallest memory limit of the cgroups listed in `membership` (a file like /proc/self/cgroup)
 * and of their parents, below `mount` (/sys/fs/cgroup). UINT64_MAX when there is none. */
uint64_t memory_total_of_cgroups(const char *membership, const char *mount);

#endif
