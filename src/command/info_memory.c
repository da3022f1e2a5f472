/*
 * INFO memory: what the process holds, as the store accounts for it and as the kernel sees it.
 */
#include "info_memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "tarn/store/store.h"

/* Resident pages from /proc/self/statm; 0 where there is no such file. */
static uint64_t resident_bytes(void)
{
    unsigned long long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL) {
        return 0;
    }
    if (fscanf(f, "%llu %llu", &total, &resident) != 2) {
        resident = 0;
    }
    fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* "1.50M" as Redis writes it. */
static void append_human(struct buf *out, const char *name, uint64_t bytes)
{
    static const char units[] = "KMGTP";
    double value = (double)bytes / 1024;
    size_t unit = 0;
    if (bytes < 1024) {
        buf_printf(out, "%s:%lluB\r\n", name, (unsigned long long)bytes);
        return;
    }
    while (value >= 1024 && unit < sizeof(units) - 2) {
        value /= 1024;
        unit++;
    }
    buf_printf(out, "%s:%.2f%c\r\n", name, value, units[unit]);
}

static uint64_t option_bytes(const struct command_env *env, const char *name, struct buf *text)
{
    unsigned long long value = 0;
    buf_clear(text);
    if (option_set_get(env->options, strview_str(name), text) && buf_append_char(text, '\0')) {
        (void)sscanf(text->data, "%llu", &value);
    }
    return value;
}

void info_memory(struct command_env *env, struct buf *out)
{
    struct store_stats stats;
    struct buf text;
    struct sysinfo machine = {.totalram = 0};
    uint64_t used = store_used_memory(env->store);
    uint64_t rss = resident_bytes();

    buf_init(&text);
    uint64_t limit = option_bytes(env, "maxmemory", &text);
    store_stats(env->store, &stats);
    (void)sysinfo(&machine); /* leaves zero when it fails */
    uint64_t total = (uint64_t)machine.totalram * machine.mem_unit;
    uint64_t dataset = stats.bytes_live + stats.bytes_large;

    buf_printf(out, "used_memory:%llu\r\n", (unsigned long long)used);
    append_human(out, "used_memory_human", used);
    buf_printf(out, "used_memory_rss:%llu\r\n", (unsigned long long)rss);
    append_human(out, "used_memory_rss_human", rss);
    buf_printf(out, "used_memory_dataset:%llu\r\nused_memory_overhead:%llu\r\n",
               (unsigned long long)dataset,
               (unsigned long long)(used > dataset ? used - dataset : 0));
    buf_printf(out, "total_system_memory:%llu\r\nmaxmemory:%llu\r\n", (unsigned long long)total,
               (unsigned long long)limit);
    append_human(out, "maxmemory_human", limit);
    buf_clear(&text);
    (void)option_set_get(env->options, strview_str("maxmemory-policy"), &text);
    buf_printf(out,
               "maxmemory_policy:%.*s\r\nmem_fragmentation_ratio:%.2f\r\nmem_allocator:libc\r\n",
               STRVIEW_ARG(buf_view(&text)), used > 0 ? (double)rss / (double)used : 0.0);
    buf_printf(
        out,
        "mem_index:%llu\r\nmem_log_live:%llu\r\nmem_log_dead:%llu\r\nmem_large_values:%llu\r\n"
        "mem_negative:%llu\r\nsegment_bytes:%llu\r\nsegments_used:%llu\r\nsegments_free:%llu\r\n",
        (unsigned long long)stats.bytes_index, (unsigned long long)stats.bytes_live,
        (unsigned long long)stats.bytes_dead, (unsigned long long)stats.bytes_large,
        (unsigned long long)stats.bytes_negative, (unsigned long long)stats.segment_bytes,
        (unsigned long long)stats.segments_used, (unsigned long long)stats.segments_free);
    buf_fini(&text);
}
