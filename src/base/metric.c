/*
 * The registry of counters and gauges: which table describes which struct. Reading walks the
 * tables; writing happens in the structs themselves and does not pass here.
 */
#include "tarn/base/metric.h"

#include <assert.h>

#include "tarn/base/strview.h"

static uint64_t *field_of(const struct metric *metric, void *values)
{
    return (uint64_t *)(void *)((char *)values + metric->offset);
}

void metric_registry_add(struct metric_registry *r, const struct metric_table *table, void *values)
{
    assert(r->count < METRIC_TABLES_MAX);
    r->bound[r->count].table = table;
    r->bound[r->count].values = values;
    r->count++;
}

void metric_registry_walk(const struct metric_registry *r, const char *section, metric_visit_fn fn,
                          void *ctx)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct metric_table *table = r->bound[i].table;
        if (section != NULL && !strview_eq_nocase(strview_str(section), table->section)) {
            continue;
        }
        for (size_t k = 0; k < table->count; k++) {
            const struct metric *metric = &table->rows[k];
            fn(ctx, table, metric, *field_of(metric, r->bound[i].values));
        }
    }
}

void metric_registry_reset(struct metric_registry *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct metric_table *table = r->bound[i].table;
        for (size_t k = 0; k < table->count; k++) {
            if (table->rows[k].kind == METRIC_COUNTER) {
                *field_of(&table->rows[k], r->bound[i].values) = 0;
            }
        }
    }
}
