/* The registry of counters and gauges. */
#include "tarn/base/metric.h"

#include <stdio.h>
#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

struct traffic {
    uint64_t requests, open;
};

struct work {
    uint64_t done;
};

static const struct metric traffic_rows[] = {
    {.name = "requests",
     .help = "requests",
     .offset = offsetof(struct traffic, requests),
     .kind = METRIC_COUNTER},
    {.name = "open",
     .help = "open",
     .offset = offsetof(struct traffic, open),
     .kind = METRIC_GAUGE},
};
static const struct metric work_rows[] = {
    {.name = "done", .help = "done", .offset = offsetof(struct work, done), .kind = METRIC_COUNTER},
};
static const struct metric_table traffic_table = {
    .section = "Clients", .rows = traffic_rows, .count = 2};
static const struct metric_table work_table = {.section = "Stats", .rows = work_rows, .count = 1};

struct seen {
    char text[256];
};

static void visit(void *ctx, const struct metric_table *table, const struct metric *metric,
                  uint64_t value)
{
    struct seen *seen = ctx;
    size_t len = strlen(seen->text);
    snprintf(seen->text + len, sizeof(seen->text) - len, "%s.%s=%llu;", table->section,
             metric->name, (unsigned long long)value);
}

struct fixture {
    struct metric_registry registry;
    struct traffic traffic;
    struct work work;
    struct seen seen;
};

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){.traffic = {.requests = 3, .open = 2}, .work = {.done = UINT64_MAX}};
    metric_registry_add(&f.registry, &traffic_table, &f.traffic);
    metric_registry_add(&f.registry, &work_table, &f.work);
    *state = &f;
    return 0;
}

static void metric__walks_tables_in_order(void **state)
{
    struct fixture *f = *state;
    metric_registry_walk(&f->registry, NULL, visit, &f->seen);
    assert_string_equal(f->seen.text,
                        "Clients.requests=3;Clients.open=2;Stats.done=18446744073709551615;");
}

static void metric__walks_one_section_whatever_its_case(void **state)
{
    struct fixture *f = *state;
    metric_registry_walk(&f->registry, "sTATS", visit, &f->seen);
    metric_registry_walk(&f->registry, "nosuch", visit, &f->seen);
    metric_registry_walk(&f->registry, "", visit, &f->seen);
    assert_string_equal(f->seen.text, "Stats.done=18446744073709551615;");
}

static void metric__reset_spares_gauges(void **state)
{
    struct fixture *f = *state;
    metric_registry_reset(&f->registry);
    assert_int_equal(f->traffic.requests, 0);
    assert_int_equal(f->traffic.open, 2);
    assert_int_equal(f->work.done, 0);
}

static void metric__takes_as_many_tables_as_it_says(void **state)
{
    struct fixture *f = *state;
    while (f->registry.count < METRIC_TABLES_MAX) {
        metric_registry_add(&f->registry, &work_table, &f->work);
    }
    assert_ptr_equal(f->registry.bound[METRIC_TABLES_MAX - 1].table, &work_table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(metric__walks_tables_in_order, setup),
        cmocka_unit_test_setup(metric__walks_one_section_whatever_its_case, setup),
        cmocka_unit_test_setup(metric__reset_spares_gauges, setup),
        cmocka_unit_test_setup(metric__takes_as_many_tables_as_it_says, setup),
    };
    return cmocka_run_group_tests_name("base/metric", tests, NULL, NULL);
}
