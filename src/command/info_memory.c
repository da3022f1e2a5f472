/*
 * INFO memory: what the process holds, as its layers account for it and as the kernel sees it.
 *
 * Names and meanings are Redis's where there is such a thing. The allocator fields are given as
 * Redis gives them with a C library that tells nothing: allocated is what is accounted for, active
 * and resident are what the kernel sees. Lua, functions, replication and append-only file hold
 * nothing here.
 */
#include "info_memory.h"

#include <sys/sysinfo.h>

#include "memory_report.h"

static void append_bytes(struct buf *out, const char *name, uint64_t bytes)
{
    buf_printf(out, "%s:%llu\r\n", name, (unsigned long long)bytes);
}

/* Can be below zero: what is accounted for but was never touched is not resident. */
static void append_difference(struct buf *out, const char *name, uint64_t a, uint64_t b)
{
    buf_printf(out, "%s:%lld\r\n", name, (long long)((int64_t)a - (int64_t)b));
}

static void append_ratio(struct buf *out, const char *name, uint64_t part, uint64_t whole)
{
    buf_printf(out, "%s:%.2f\r\n", name, memory_ratio(part, whole));
}

/* "1.50M" as Redis writes it. */
static void append_human(struct buf *out, const char *name, uint64_t bytes)
{
    static const char units[] = "KMGTP";
    double value = (double)bytes / 1024;
    size_t unit = 0;
    append_bytes(out, name, bytes);
    if (bytes < 1024) {
        buf_printf(out, "%s_human:%lluB\r\n", name, (unsigned long long)bytes);
        return;
    }
    while (value >= 1024 && unit < sizeof(units) - 2) {
        value /= 1024;
        unit++;
    }
    buf_printf(out, "%s_human:%.2f%c\r\n", name, value, units[unit]);
}

static void append_use(struct buf *out, const struct memory_report *m)
{
    append_human(out, "used_memory", m->used);
    append_human(out, "used_memory_rss", m->rss);
    append_human(out, "used_memory_peak", m->peak);
    buf_printf(out, "used_memory_peak_perc:%.2f%%\r\n", 100 * memory_ratio(m->used, m->peak));
    append_bytes(out, "used_memory_overhead", m->overhead);
    append_bytes(out, "used_memory_startup", m->startup);
    append_bytes(out, "used_memory_dataset", m->dataset);
    const uint64_t net = m->used > m->startup ? m->used - m->startup : 0;
    buf_printf(out, "used_memory_dataset_perc:%.2f%%\r\n", 100 * memory_ratio(m->dataset, net));
}

static void append_allocator(struct buf *out, const struct memory_report *m)
{
    append_bytes(out, "allocator_allocated", m->used);
    append_bytes(out, "allocator_active", m->rss);
    append_bytes(out, "allocator_resident", m->rss);
    append_ratio(out, "allocator_frag_ratio", m->rss, m->used);
    append_difference(out, "allocator_frag_bytes", m->rss, m->used);
    append_ratio(out, "allocator_rss_ratio", m->rss, m->rss);
    append_bytes(out, "allocator_rss_bytes", 0);
    append_ratio(out, "rss_overhead_ratio", m->rss, m->rss);
    append_bytes(out, "rss_overhead_bytes", 0);
    append_ratio(out, "mem_fragmentation_ratio", m->rss, m->used);
    append_difference(out, "mem_fragmentation_bytes", m->rss, m->used);
    buf_append_str(out, "mem_allocator:libc\r\n");
}

static void append_limit(struct command_env *env, struct buf *out, const struct memory_report *m)
{
    struct sysinfo machine = {.totalram = 0};
    struct buf policy;
    (void)sysinfo(&machine); /* leaves zero when it fails */
    append_human(out, "total_system_memory", (uint64_t)machine.totalram * machine.mem_unit);
    append_human(out, "maxmemory", m->limit);
    buf_init(&policy);
    (void)option_set_get(env->options, strview_str("maxmemory-policy"), &policy);
    buf_printf(out, "maxmemory_policy:%.*s\r\n", STRVIEW_ARG(buf_view(&policy)));
    buf_fini(&policy);
}

static void append_parts(struct buf *out, const struct memory_report *m)
{
    struct memory_part parts[MEMORY_PARTS];
    memory_parts(m, parts);
    for (size_t i = 0; i < MEMORY_PARTS; i++) {
        buf_append_str(out, "mem_");
        for (const char *c = parts[i].name; *c != '\0'; c++) {
            buf_append_char(out, *c == '.' ? '_' : *c);
        }
        append_bytes(out, "", parts[i].bytes);
    }
}

void info_memory(struct command_env *env, struct buf *out)
{
    struct memory_report m;
    memory_report(env, &m);
    append_use(out, &m);
    append_limit(env, out, &m);
    append_allocator(out, &m);
    append_bytes(out, "mem_not_counted_for_evict", m.beside.client_buffers);
    append_bytes(out, "mem_clients_normal", memory_clients(&m));
    buf_append_str(out, "mem_clients_slaves:0\r\nmem_replication_backlog:0\r\n"
                        "mem_total_replication_buffers:0\r\nmem_cluster_links:0\r\n"
                        "mem_aof_buffer:0\r\nactive_defrag_running:0\r\n"
                        "lazyfree_pending_objects:0\r\nlazyfreed_objects:0\r\n"
                        "used_memory_lua:0\r\nused_memory_lua_human:0B\r\n"
                        "used_memory_vm_eval:0\r\nused_memory_vm_functions:0\r\n"
                        "used_memory_vm_total:0\r\nused_memory_vm_total_human:0B\r\n"
                        "used_memory_scripts_eval:0\r\nused_memory_functions:0\r\n"
                        "used_memory_scripts:0\r\nused_memory_scripts_human:0B\r\n"
                        "number_of_cached_scripts:0\r\nnumber_of_functions:0\r\n"
                        "number_of_libraries:0\r\n");
    append_parts(out, &m);
    append_bytes(out, "mem_negative", m.store.bytes_negative);
    append_bytes(out, "segment_bytes", m.store.segment_bytes);
    append_bytes(out, "segments_used", m.store.segments_used);
    append_bytes(out, "segments_free", m.store.segments_free);
}
