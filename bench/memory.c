/*
 * Bytes per key beyond key and value, in process, at every number of keys in small steps:
 *
 *   memory [--max KEYS] [--value BYTES] [--ttl SECONDS] [--rows]
 *
 * Keys are inserted one by one from none to the maximum; from a million on, after every 1 %, what
 * the store holds and what the process holds are divided by the keys. Prints one markdown row: the
 * worst and the mean over all steps, and the number of keys at the worst; with --rows every step.
 */
#include "tarn/base/num.h"
#include "tarn/store/store.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "replay.h"

#define KEYS_MAX_DEFAULT 20000000
#define KEYS_FIRST       1000000
#define STEP_PART        100
#define VALUE_MAX        (1024 * 1024)
#define TICK_KEYS        256
#define TICK_US          1000

struct memory {
    struct store *store;
    struct clock clock;
    size_t used_empty, rss_empty;
    size_t value_len;
    int64_t ttl_s;
    bool prints_rows;
    double worst_used, worst_rss, sum_used, sum_rss;
    size_t worst_keys, steps;
    char value[VALUE_MAX];
};

static void insert(struct memory *m, uint32_t number)
{
    char key[REPLAY_KEY_CHARS];
    replay_key(key, number);
    struct store_key k = store_key_init(m->store, 0, strview_of(key, sizeof(key)));
    struct store_write w = {.expires_at_ms = m->ttl_s > 0 ? m->clock.mono_ms + m->ttl_s * 1000 : 0};
    if (store_set(m->store, &k, strview_of(m->value, m->value_len), &w) != STORE_OK) {
        die("the store is full at %u keys", number);
    }
}

static void measure(struct memory *m, size_t keys)
{
    double pure = (double)(REPLAY_KEY_CHARS + m->value_len);
    double used = (double)(store_used_memory(m->store) - m->used_empty) / (double)keys - pure;
    double rss = (double)(bench_rss(0) - m->rss_empty) / (double)keys - pure;
    if (m->prints_rows) {
        printf("| %zu | %.2f | %.2f |\n", keys, used, rss);
    }
    if (used > m->worst_used) {
        m->worst_used = used;
        m->worst_keys = keys;
    }
    m->worst_rss = rss > m->worst_rss ? rss : m->worst_rss;
    m->sum_used += used;
    m->sum_rss += rss;
    m->steps++;
}

static void run(struct memory *m, size_t keys_max)
{
    size_t next = KEYS_FIRST < keys_max ? KEYS_FIRST : keys_max;
    for (size_t n = 0; n < keys_max; n++) {
        insert(m, (uint32_t)n);
        if (n % TICK_KEYS == 0) {
            (void)store_tick(m->store, TICK_US);
        }
        if (n + 1 == next) {
            measure(m, next);
            next += next / STEP_PART;
            next = next > keys_max && n + 1 < keys_max ? keys_max : next;
        }
    }
}

static size_t number(const char *text, size_t max)
{
    uint64_t n;
    if (!num_parse_bytes(strview_str(text), &n) || n > max) {
        die("not a number up to %zu: %s", max, text);
    }
    return n;
}

static size_t parse(struct memory *m, int argc, char **argv)
{
    size_t keys_max = KEYS_MAX_DEFAULT;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--rows") == 0) {
            m->prints_rows = true;
            continue;
        }
        if (strcmp(argv[i], "--max") == 0) {
            keys_max = number(value, UINT32_MAX);
        } else if (strcmp(argv[i], "--value") == 0) {
            m->value_len = number(value, VALUE_MAX);
        } else if (strcmp(argv[i], "--ttl") == 0) {
            m->ttl_s = (int64_t)number(value, UINT32_MAX);
        } else {
            die("usage: memory [--max KEYS] [--value BYTES] [--ttl SECONDS] [--rows]");
        }
        i++;
    }
    return keys_max;
}

int main(int argc, char **argv)
{
    struct memory *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        die("no memory");
    }
    m->value_len = 100;
    size_t keys_max = parse(m, argc, argv);
    struct errtext err;
    struct store_options options = {.maxmemory = 0};
    clock_update(&m->clock);
    memset(m->value, 'v', sizeof(m->value));
    if (store_create(&m->store, &options, &m->clock, &err) != 0) {
        die("%s", err.text);
    }
    m->used_empty = store_used_memory(m->store);
    m->rss_empty = bench_rss(0);
    run(m, keys_max);
    double steps = (double)m->steps;
    printf("| %zu | %s | %.2f | %.2f | %zu | %.2f | %.2f |\n", m->value_len,
           m->ttl_s > 0 ? "yes" : "no", m->worst_used, m->sum_used / steps, m->worst_keys,
           m->worst_rss, m->sum_rss / steps);
    store_destroy(m->store);
    free(m);
    return 0;
}
