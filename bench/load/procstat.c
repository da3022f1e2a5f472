/*
 * The sum of user and system time comes from the process's CPU clock, which counts nanoseconds over
 * all threads, living and ended. /proc/PID/stat has the two apart, but in ticks of 10 ms; it only
 * decides how the sum is divided.
 */
#include "procstat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STAT_BYTES   1024
#define STATUS_BYTES 4096
#define NS_PER_S     UINT64_C(1000000000)

static bool read_file(int pid, const char *name, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return false;
    }
    size_t len = fread(out, 1, size - 1, f);
    fclose(f);
    out[len] = '\0';
    return len > 0;
}

static bool read_ticks(int pid, uint64_t *user, uint64_t *system)
{
    char text[STAT_BYTES];
    if (!read_file(pid, "stat", text, sizeof(text))) {
        return false;
    }
    /* The name of the program may hold anything, also brackets: fields count from the last one. */
    const char *rest = strrchr(text, ')');
    return rest != NULL &&
           sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
                  user, system) == 2;
}

static uint64_t field_kib(const char *status, const char *name)
{
    uint64_t kib = 0;
    const char *at = strstr(status, name);
    return at != NULL && sscanf(at + strlen(name), " %" SCNu64, &kib) == 1 ? kib : 0;
}

bool procstat_read(int pid, struct procstat *out)
{
    char status[STATUS_BYTES];
    uint64_t user;
    uint64_t system;
    clockid_t clock;
    struct timespec cpu;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &cpu) != 0 ||
        !read_ticks(pid, &user, &system) || !read_file(pid, "status", status, sizeof(status))) {
        return false;
    }
    double total = (double)cpu.tv_sec * (double)NS_PER_S + (double)cpu.tv_nsec;
    double user_share = user + system == 0 ? 1 : (double)user / (double)(user + system);
    *out = (struct procstat){
        .user_ns = (uint64_t)(total * user_share),
        .system_ns = (uint64_t)(total * (1 - user_share)),
        .rss_bytes = field_kib(status, "VmRSS:") * 1024,
        .rss_max_bytes = field_kib(status, "VmHWM:") * 1024,
    };
    return true;
}
