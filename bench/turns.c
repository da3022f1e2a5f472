/*
 * Measures the turns of a server's loop from outside:
 *
 *   LD_PRELOAD=libturns.so TURNS_FILE=FILE server...
 *
 * A turn is what the thread does between two calls of epoll_wait(), those calls excluded. Beside
 * the time on the wall stands the thread's CPU time: on a machine that others use as well, the
 * scheduler takes the processor away in the middle of a turn, and only the CPU time tells work from
 * waiting. The figures lie in FILE, mapped, as `struct turns`; whoever writes zeros there begins
 * anew.
 *
 * In a library of its own because reading the CPU clock is a system call, which a server should not
 * pay for in every turn. This file is loaded into foreign programs, so it has state at file scope.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BUCKETS   512
#define BUCKET_NS 20000 /* the last one holds all that is longer */

struct turns {
    uint64_t count;
    uint64_t cpu_max_ns, cpu_max_wall_ns;  /* the turn with the most CPU time, and its wall time */
    uint64_t wall_max_ns, wall_max_cpu_ns; /* the longest turn, and its CPU time */
    uint64_t buckets[BUCKETS];             /* turns by CPU time */
};

typedef int (*epoll_wait_fn)(int, struct epoll_event *, int, int);

static struct turns *turns; /* NULL: not measured */
static epoll_wait_fn real_epoll_wait;
static pid_t loop_thread; /* the first that waits */
static uint64_t began_cpu_ns, began_wall_ns;

static uint64_t now_ns(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

__attribute__((constructor)) static void begin(void)
{
    void *symbol = dlsym(RTLD_NEXT, "epoll_wait");
    __builtin_memcpy(&real_epoll_wait, &symbol, sizeof(symbol));
    const char *path = getenv("TURNS_FILE");
    int fd = path != NULL ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0 && ftruncate(fd, sizeof(struct turns)) == 0) {
        void *p = mmap(NULL, sizeof(struct turns), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        turns = p != MAP_FAILED ? p : NULL;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

static void turn_ended(void)
{
    uint64_t cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) - began_cpu_ns;
    uint64_t wall_ns = now_ns(CLOCK_MONOTONIC) - began_wall_ns;
    turns->count++;
    turns->buckets[cpu_ns / BUCKET_NS < BUCKETS ? cpu_ns / BUCKET_NS : BUCKETS - 1]++;
    if (cpu_ns > turns->cpu_max_ns) {
        turns->cpu_max_ns = cpu_ns;
        turns->cpu_max_wall_ns = wall_ns;
    }
    if (wall_ns > turns->wall_max_ns) {
        turns->wall_max_ns = wall_ns;
        turns->wall_max_cpu_ns = cpu_ns;
    }
}

__attribute__((visibility("default"))) int epoll_wait(int fd, struct epoll_event *events, int max,
                                                      int timeout_ms)
{
    if (turns == NULL || (loop_thread != 0 && loop_thread != gettid())) {
        return real_epoll_wait(fd, events, max, timeout_ms);
    }
    if (loop_thread != 0) {
        turn_ended();
    }
    loop_thread = gettid();
    int n = real_epoll_wait(fd, events, max, timeout_ms);
    began_wall_ns = now_ns(CLOCK_MONOTONIC);
    began_cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
    return n;
}
