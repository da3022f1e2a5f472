/* One run of a trace: what is asked for and what came out. */
#ifndef TARN_BENCH_REPLAY_H
#define TARN_BENCH_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace.h"

struct replay_plan {
    const struct trace *trace;
    const char *policy; /* as maxmemory-policy names it */
    uint64_t memory;    /* maxmemory */
    double fraction;    /* equal_bytes: of the footprint that fits */
    bool equal_bytes;   /* in process: the log alone holds the fraction, in 256 segments; entries
                           take their size and nothing more */
    const char *server; /* HOST:PORT; NULL: in process */
};

struct replay_result {
    uint64_t requests, hits;
    uint64_t bytes, hit_bytes;
    uint64_t bytes_copied, bytes_evicted; /* in process and by tarn */
    uint64_t keys;                        /* at the end */
    size_t used_memory, rss;
    uint64_t cpu_ns; /* of the store's or server's process */
};

/* Both end the process with a message when something goes wrong. */
void replay_in_process(const struct replay_plan *plan, struct replay_result *out);
void replay_over_wire(const struct replay_plan *plan, struct replay_result *out);

/* Keys of a trace as clients would write them: "key:" and twelve digits. */
#define REPLAY_KEY_CHARS 16
void replay_key(char out[REPLAY_KEY_CHARS], uint32_t key);
/* Bytes of value for a request of `size` bytes. */
static inline size_t replay_value_len(uint32_t size)
{
    return size > REPLAY_KEY_CHARS ? size - REPLAY_KEY_CHARS : 1;
}

#endif
