/*
 * How much memory there is for this process.
 *
 * /proc/self/cgroup names one cgroup per line, `id:controllers:path`. Version 2 has id 0 and no
 * controllers and keeps its limit in memory.max ("max" for none); version 1 has the controller
 * "memory" and keeps its limit in memory.limit_in_bytes (a huge number for none). A limit holds for
 * everything below it, so the parents count too. In a container the path may be that of the host
 * and not exist here; the walk upwards then ends at the mount itself, which is the container's own
 * cgroup.
 */
#include "memory_total.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tarn/base/num.h"
#include "tarn/base/option.h"

#define CGROUP_PATH_MAX  4096
#define CGROUP_LINES_MAX 64

/* Where one version of cgroups keeps its limit. */
struct hierarchy {
    const char *folder; /* below the mount */
    const char *file;
};

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The number in a file; UINT64_MAX when there is no file or no number in it. */
static uint64_t read_limit(const char *path)
{
    char text[64];
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return UINT64_MAX;
    }
    const char *line = fgets(text, sizeof(text), f);
    fclose(f);
    uint64_t limit;
    if (line == NULL || !num_parse_u64(strview_of(text, strcspn(text, "\n")), &limit)) {
        return UINT64_MAX;
    }
    return limit;
}

/* The smallest limit from `path` up to the root of the hierarchy. `path` is cut on the way. */
static uint64_t limit_of_path(const char *mount, const struct hierarchy *h, char *path)
{
    uint64_t limit = UINT64_MAX;
    for (;;) {
        char file[2 * CGROUP_PATH_MAX];
        int n = snprintf(file, sizeof(file), "%s%s%s/%s", mount, h->folder, path, h->file);
        if (n > 0 && (size_t)n < sizeof(file)) {
            limit = min_u64(limit, read_limit(file));
        }
        char *slash = strrchr(path, '/');
        if (slash == NULL) {
            return limit;
        }
        *slash = '\0';
    }
}

/* True when `word` is one of the comma-separated names in `list`. */
static bool list_has(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = list; p != NULL; p = strchr(p, ',')) {
        p += *p == ',';
        if (strncmp(p, word, len) == 0 && (p[len] == ',' || p[len] == '\0')) {
            return true;
        }
    }
    return false;
}

static uint64_t limit_of_line(const char *mount, char *line)
{
    static const struct hierarchy v1 = {.folder = "/memory", .file = "memory.limit_in_bytes"};
    static const struct hierarchy v2 = {.folder = "", .file = "memory.max"};
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (path == NULL) {
        return UINT64_MAX;
    }
    *controllers++ = '\0';
    *path++ = '\0';
    if (strcmp(line, "0") == 0 && controllers[0] == '\0') {
        return limit_of_path(mount, &v2, path);
    }
    return list_has(controllers, "memory") ? limit_of_path(mount, &v1, path) : UINT64_MAX;
}

uint64_t memory_total_of_cgroups(const char *membership, const char *mount)
{
    uint64_t limit = UINT64_MAX;
    FILE *f = fopen(membership, "re");
    if (f == NULL) {
        return limit;
    }
    char line[CGROUP_PATH_MAX];
    for (int i = 0; i < CGROUP_LINES_MAX && fgets(line, sizeof(line), f) != NULL; i++) {
        limit = min_u64(limit, limit_of_line(mount, line));
    }
    fclose(f);
    return limit;
}

uint64_t option_memory_total(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t machine = pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
    uint64_t cgroup = memory_total_of_cgroups("/proc/self/cgroup", "/sys/fs/cgroup");
    return machine > 0 ? min_u64(machine, cgroup) : cgroup;
}
