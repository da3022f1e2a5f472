/*
 * MEMORY DOCTOR: what a person should know about this server's memory, in sentences with the
 * numbers in them. Each finding is a row: a test, and what it says. Findings are about things that
 * somebody can change; when there is none, the state is described in one line.
 */
#include "memory_report.h"

#include "tarn/base/buf.h"

#define SMALL_BYTES   (5u * 1024 * 1024)  /* below, ratios say nothing */
#define NEAR_FULL     0.98                /* of maxmemory */
#define DEAD_PART     0.25                /* of the log, that compaction should have taken */
#define RSS_PART      1.10                /* of what is accounted for */
#define RSS_ALWAYS    (16u * 1024 * 1024) /* program, libraries, stacks */
#define BUFFERS_PART  0.10                /* of used memory */
#define NEGATIVE_PART 0.10                /* of the entries */
#define OVERHEAD_PART 0.50                /* of used memory, with keys enough to judge */
#define MACHINE_PART  0.90
#define KEYS_TO_JUDGE 10000
#define PEAK_PART     1.5

struct case_file {
    const struct memory_report *m;
    uint64_t machine; /* memory there is for this process */
    uint64_t evicted;
    bool never_evicts;
};

static double mib(uint64_t bytes)
{
    return (double)bytes / (1024 * 1024);
}

static bool has_no_limit(const struct case_file *c, struct buf *out)
{
    const struct memory_report *m = c->m;
    if (m->limit != 0 || (double)m->used < (double)c->machine / 2) {
        return false;
    }
    buf_printf(out,
               "There is no maxmemory, and %.1f of the %.1f MiB that this machine or its cgroup "
               "has are in use. A cache without a limit ends when the kernel ends it: set "
               "maxmemory, for example to 70%%.",
               mib(m->used), mib(c->machine));
    return true;
}

static bool has_too_high_limit(const struct case_file *c, struct buf *out)
{
    const struct memory_report *m = c->m;
    if ((double)m->limit <= (double)c->machine * MACHINE_PART) {
        return false;
    }
    buf_printf(out,
               "maxmemory is %.1f MiB, but this machine or its cgroup has %.1f MiB, part of which "
               "the kernel needs for sockets. The process may be killed before it is full: set "
               "maxmemory to 70%% or less.",
               mib(m->limit), mib(c->machine));
    return true;
}

static bool is_full(const struct case_file *c, struct buf *out)
{
    const struct memory_report *m = c->m;
    const uint64_t counted = m->used - m->beside.client_buffers;
    if (m->limit == 0 || (double)counted < (double)m->limit * NEAR_FULL) {
        return false;
    }
    if (c->never_evicts) {
        buf_printf(out,
                   "%.1f of %.1f MiB are in use and maxmemory-policy is noeviction: writes are, or "
                   "will soon be, refused with -OOM. Choose a policy that evicts, or raise "
                   "maxmemory.",
                   mib(counted), mib(m->limit));
        return true;
    }
    if (c->evicted == 0) {
        return false;
    }
    buf_printf(out,
               "The cache is full and evicts (%llu keys so far), which is how it should work. "
               "Whether more memory would pay shows in keyspace_hits and keyspace_misses, and "
               "bench/replay tells for a recorded trace.",
               (unsigned long long)c->evicted);
    return true;
}

static bool has_dead_room(const struct case_file *c, struct buf *out)
{
    const struct memory_report *m = c->m;
    const uint64_t log = m->store.bytes_live + m->store.bytes_dead;
    if (log < SMALL_BYTES || memory_ratio(m->store.bytes_dead, log) < DEAD_PART) {
        return false;
    }
    buf_printf(out,
               "%.1f of the %.1f MiB in segments are dead: overwritten, removed or expired and not "
               "yet compacted. That is normal for a moment after many deletes; when it lasts, the "
               "server has no time left for upkeep (see turn_us_p99 in INFO stats). MEMORY PURGE "
               "begins with it at once.",
               mib(m->store.bytes_dead), mib(log));
    return true;
}

static bool is_unaccounted(const struct case_file *c, struct buf *out)
{
    const struct memory_report *m = c->m;
    if ((double)m->rss < (double)m->used * RSS_PART + RSS_ALWAYS) {
        return false;
    }
    buf_printf(out,
               "The kernel counts %.1f MiB as resident, of which %.1f MiB are accounted for. The "
               "rest is program, libraries, and what drivers and the C library hold: look at "
               "SOURCE LIST and at clients that came and went with large requests.",
               mib(m->rss), mib(m->used));
    return true;
}

static bool is_below_peak(const struct case_file *c, struct buf *out)
{
    const struct memory_report *m = c->m;
    if ((double)m->peak < (double)m->used * PEAK_PART || m->peak - m->used < SMALL_BYTES) {
        return false;
    }
    buf_printf(out,
               "At its peak the server used %.1f MiB, now it uses %.1f MiB; pages that are not "
               "used go back to the system by themselves.",
               mib(m->peak), mib(m->used));
    return true;
}

static bool has_big_buffers(const struct case_file *c, struct buf *out)
{
    const struct memory_report *m = c->m;
    if (m->beside.client_buffers < SMALL_BYTES ||
        memory_ratio(m->beside.client_buffers, m->used) < BUFFERS_PART) {
        return false;
    }
    buf_printf(out,
               "Clients hold %.1f MiB in buffers, on top of maxmemory: some send requests they do "
               "not finish or do not read their replies (omem and tot-mem in CLIENT LIST). "
               "maxmemory-clients bounds it.",
               mib(m->beside.client_buffers));
    return true;
}

static bool has_many_absent(const struct case_file *c, struct buf *out)
{
    const struct memory_report *m = c->m;
    if (m->store.bytes_negative < SMALL_BYTES ||
        memory_ratio(m->store.bytes_negative, m->store.bytes_live) < NEGATIVE_PART) {
        return false;
    }
    buf_printf(out,
               "%.1f MiB are records of rows that do not exist. Somebody asks for many absent "
               "keys: check that caller, make the key patterns of the maps stricter, or shorten "
               "negative-ttl.",
               mib(m->store.bytes_negative));
    return true;
}

static bool has_tiny_values(const struct case_file *c, struct buf *out)
{
    const struct memory_report *m = c->m;
    const uint64_t index = m->store.bytes_index + m->store.bytes_other;
    if (m->keys < KEYS_TO_JUDGE || memory_ratio(index, m->used) < OVERHEAD_PART) {
        return false;
    }
    buf_printf(out,
               "More than half of the memory (%.1f MiB) is index: the %llu keys are small beside "
               "what finding them costs.",
               mib(index), (unsigned long long)m->keys);
    return true;
}

static bool (*const findings[])(const struct case_file *c, struct buf *out) = {
    has_no_limit,  has_too_high_limit, is_full,         has_dead_room,   is_unaccounted,
    is_below_peak, has_big_buffers,    has_many_absent, has_tiny_values,
};

static bool policy_is(const struct command_env *env, const char *name)
{
    struct buf text;
    buf_init(&text);
    bool is_it = env->options != NULL &&
                 option_set_get(env->options, strview_str("maxmemory-policy"), &text) &&
                 strview_eq(buf_view(&text), strview_str(name));
    buf_fini(&text);
    return is_it;
}

void memory_doctor(const struct command_env *env, const struct memory_report *m, struct buf *out)
{
    const struct case_file c = {
        .m = m,
        .machine = option_memory_total(),
        .evicted = m->store.evicted,
        .never_evicts = policy_is(env, "noeviction"),
    };
    size_t found = 0;
    for (size_t i = 0; i < ARRAY_LEN(findings); i++) {
        const size_t before = buf_len(out);
        buf_append_str(out, " * ");
        if (findings[i](&c, out)) {
            buf_append_str(out, "\n\n");
            found++;
        } else {
            buf_truncate(out, before);
        }
    }
    buf_printf(out,
               "%s%.1f MiB are used for %llu keys: %.1f MiB of keys and values, %.1f MiB of "
               "index, %.1f MiB of all else. maxmemory is %.1f MiB%s.\n",
               found == 0 ? "Nothing to complain about. " : "In all, ", mib(m->used),
               (unsigned long long)m->keys, mib(m->dataset), mib(m->store.bytes_index),
               mib(m->overhead - m->store.bytes_index), mib(m->limit),
               m->limit == 0 ? " (no limit)" : "");
}
