/*
 * Counters and gauges as tables, like options: a row names a field of the module's own struct, and
 * INFO, documentation and later exporters walk the registry. An increment is an increment of the
 * field. All fields are uint64_t.
 */
#ifndef TARN_BASE_METRIC_H
#define TARN_BASE_METRIC_H

#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"

enum metric_kind {
    METRIC_COUNTER, /* only grows; CONFIG RESETSTAT sets it to 0 */
    METRIC_GAUGE,   /* goes both ways; never reset */
};

struct metric {
    const char *name; /* as in INFO */
    const char *help; /* one line */
    size_t offset;
    enum metric_kind kind;
};

struct metric_table {
    const char *section; /* INFO section: "Stats", "Clients", ... */
    const struct metric *rows;
    size_t count;
};

#define METRIC_TABLES_MAX 32

struct metric_registry {
    struct {
        const struct metric_table *table;
        void *values; /* borrowed */
    } bound[METRIC_TABLES_MAX];
    size_t count;
};

/* At wiring time; more than METRIC_TABLES_MAX tables is a programmer error. */
void metric_registry_add(struct metric_registry *r, const struct metric_table *table, void *values);

typedef void (*metric_visit_fn)(void *ctx, const struct metric_table *table,
                                const struct metric *metric, uint64_t value);
/* `section` NULL: all. Case is ignored. */
void metric_registry_walk(const struct metric_registry *r, const char *section, metric_visit_fn fn,
                          void *ctx);
void metric_registry_reset(struct metric_registry *r);

#endif
