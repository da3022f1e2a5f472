/*
 * Replays a trace through a server.
 *
 * Requests go out in windows of different keys: the GETs of one window, and in front of them the
 * SETs for what missed in the window before. So every key sees its requests in the order of the
 * trace; only a SET comes up to a window late, which is the same for all servers. Expiries are left
 * out: time here is the real one.
 */
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "wire.h"

#define WINDOW 64

struct session {
    const struct trace *trace;
    struct wire wire;
    uint32_t *seen; /* owned; per key: number of the latest window it was in */
    uint32_t window;
    char *value; /* owned */
    unsigned sets_pending;
};

static void configure(struct session *s, const struct replay_plan *plan)
{
    char words[128];
    struct wire_reply reply;
    (void)snprintf(words, sizeof(words), "CONFIG SET maxmemory %lu", (unsigned long)plan->memory);
    wire_ask(&s->wire, words, &reply);
    if (reply.kind == '-') {
        die("%.*s", STRVIEW_ARG(reply.text));
    }
    (void)snprintf(words, sizeof(words), "CONFIG SET maxmemory-policy %s", plan->policy);
    wire_ask(&s->wire, words, &reply);
    if (reply.kind == '-') {
        die("%.*s", STRVIEW_ARG(reply.text));
    }
    wire_ask(&s->wire, "FLUSHALL", &reply);
}

static void fill_value(struct session *s)
{
    uint32_t len = 1;
    for (size_t i = 0; i < s->trace->count; i++) {
        uint32_t size = s->trace->requests[i].size;
        len = size > len ? size : len;
    }
    s->value = malloc(len);
    s->seen = calloc(s->trace->keys, sizeof(*s->seen));
    if (s->value == NULL || s->seen == NULL) {
        die("no memory for a value");
    }
    for (uint32_t i = 0; i < len; i++) {
        s->value[i] = (char)('a' + i * 7 % 26);
    }
}

static void add_get(struct session *s, const struct request *q)
{
    char key[REPLAY_KEY_CHARS];
    replay_key(key, q->key);
    struct strview argv[] = {strview_str("GET"), strview_of(key, sizeof(key))};
    wire_request(&s->wire, 2, argv);
}

static void add_set(struct session *s, const struct request *q)
{
    char key[REPLAY_KEY_CHARS];
    replay_key(key, q->key);
    struct strview argv[] = {strview_str("SET"), strview_of(key, sizeof(key)),
                             strview_of(s->value, replay_value_len(q->size))};
    wire_request(&s->wire, 3, argv);
    s->sets_pending++;
}

/* A SET that is refused leaves its key uncached; nothing more. */
static void read_sets(struct session *s)
{
    struct wire_reply reply;
    for (; s->sets_pending > 0; s->sets_pending--) {
        wire_read(&s->wire, &reply);
    }
}

/* The window that begins at request `from`; returns its end. */
static size_t run_window(struct session *s, size_t from, struct replay_result *out)
{
    const struct request *q = s->trace->requests;
    size_t to = from;
    s->window++;
    while (to < s->trace->count && to - from < WINDOW && s->seen[q[to].key] != s->window) {
        s->seen[q[to].key] = s->window;
        add_get(s, &q[to++]);
    }
    wire_flush(&s->wire);
    read_sets(s);
    for (size_t i = from; i < to; i++) {
        struct wire_reply reply;
        wire_read(&s->wire, &reply);
        if (reply.kind == '-') {
            die("%.*s", STRVIEW_ARG(reply.text));
        }
        out->requests++;
        out->bytes += q[i].size;
        if (reply.kind == '$') {
            out->hits++;
            out->hit_bytes += q[i].size;
        } else {
            add_set(s, &q[i]);
        }
    }
    return to;
}

/* User and system time of a process on this machine, in ns; 0 when it cannot be seen. */
static uint64_t process_cpu_ns(long pid)
{
    char path[64], line[1024];
    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    FILE *in = fopen(path, "re");
    if (in == NULL) {
        return 0;
    }
    bool is_read = fgets(line, sizeof(line), in) != NULL;
    (void)fclose(in);
    const char *rest = is_read ? strrchr(line, ')') : NULL;
    unsigned long user = 0, system = 0;
    if (rest == NULL || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                               &user, &system) != 2) {
        return 0;
    }
    return (user + system) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

static void read_info(struct session *s, struct replay_result *out)
{
    struct wire_reply info, count;
    wire_ask(&s->wire, "INFO", &info);
    long pid = (long)wire_field(info.text, "process_id");
    out->used_memory = wire_field(info.text, "used_memory");
    out->bytes_copied = wire_field(info.text, "store_bytes_copied");
    out->bytes_evicted = wire_field(info.text, "store_bytes_evicted");
    out->rss = bench_rss(pid);
    out->cpu_ns = process_cpu_ns(pid) - out->cpu_ns;
    wire_ask(&s->wire, "DBSIZE", &count);
    out->keys = strtoull(count.text.data, NULL, 10);
}

void replay_over_wire(const struct replay_plan *plan, struct replay_result *out)
{
    struct session s = {.trace = plan->trace};
    struct wire_reply info;
    *out = (struct replay_result){0};
    wire_open(&s.wire, plan->server);
    configure(&s, plan);
    fill_value(&s);
    wire_ask(&s.wire, "INFO", &info);
    out->cpu_ns = process_cpu_ns((long)wire_field(info.text, "process_id"));
    for (size_t at = 0; at < s.trace->count;) {
        at = run_window(&s, at, out);
    }
    wire_flush(&s.wire);
    read_sets(&s);
    read_info(&s, out);
    wire_close(&s.wire);
    free(s.value);
    free(s.seen);
}
