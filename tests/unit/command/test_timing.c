/* How long commands take: the histogram, and which runs are timed at all. */
#include "../../support/command_fixture.h"

#include "src/command/table.h"
#include "src/command/timing.h"

static struct timing histogram;

static int clear(void **state)
{
    histogram = (struct timing){.count = 0};
    return 0;
}

static void timing__a_value_is_known_to_an_eighth(void **state)
{
    for (uint64_t ns = 1; ns < UINT64_C(1) << 41; ns = ns * 3 / 2 + 1) {
        clear(state);
        timing_add(&histogram, ns, 1);
        const uint64_t found = timing_quantile(&histogram, 1.0);
        assert_true(found >= ns);
        assert_true(found <= ns + ns / 8);
    }
}

static void timing__what_is_longer_than_the_last_bucket_is_in_it(void **state)
{
    timing_add(&histogram, UINT64_MAX, 1);
    assert_int_equal(timing_quantile(&histogram, 0.5), (UINT64_C(1) << TIMING_OCTAVES) - 1);
}

static void timing__quantiles(void **state)
{
    assert_int_equal(timing_quantile(&histogram, 0.5), 0);
    timing_add(&histogram, 3, 90);
    timing_add(&histogram, 5, 9);
    timing_add(&histogram, 7, 1);
    assert_int_equal(histogram.count, 100);
    assert_int_equal(timing_quantile(&histogram, 0), 3);
    assert_int_equal(timing_quantile(&histogram, 0.5), 3);
    assert_int_equal(timing_quantile(&histogram, 0.9), 3);
    assert_int_equal(timing_quantile(&histogram, 0.91), 5);
    assert_int_equal(timing_quantile(&histogram, 0.99), 5);
    assert_int_equal(timing_quantile(&histogram, 1), 7);
}

static void timing__counts_are_exact_below_powers_of_two(void **state)
{
    timing_add(&histogram, 1023, 2);
    timing_add(&histogram, 1024, 3);
    timing_add(&histogram, 4095, 4);
    assert_int_equal(timing_count_up_to(&histogram, 511), 0);
    assert_int_equal(timing_count_up_to(&histogram, 1023), 2);
    assert_int_equal(timing_count_up_to(&histogram, 2047), 5);
    assert_int_equal(timing_count_up_to(&histogram, 4095), 9);
}

static const struct command_stat *stat_of(struct fixture *f, const char *name)
{
    return command_stat_of(&f->env, command_table_find(f->env.table, strview_str(name)));
}

static void run_many(struct fixture *f, const char *line, int count)
{
    for (int i = 0; i < count; i++) {
        (void)client_run(f, &f->client, line);
    }
}

/* As CONFIG SET would. */
static void set_slower_than(struct fixture *f, int64_t us)
{
    struct errtext err;
    f->options.slowlog_log_slower_than = us;
    assert_int_equal(
        command_apply_option(&f->env, &(struct option){.name = "slowlog-log-slower-than"}, &err),
        0);
}

static void timing__short_commands_are_timed_now_and_then(void **state)
{
    struct fixture *f = *state;
    f->options.latency_tracking = true;
    run_many(f, "GET k", 50);
    assert_int_equal(stat_of(f, "get")->timing->count, 50);
    run_many(f, "GET k", 1000);
    const struct command_stat *stat = stat_of(f, "get");
    assert_int_equal(stat->calls, 1050);
    assert_int_equal(stat->timing->count + stat->untimed, 1050);
    assert_true(stat->untimed_max > 1);
    assert_true(stat->nsec > 0);
}

static void timing__long_commands_are_timed_always(void **state)
{
    struct fixture *f = *state;
    f->options.latency_tracking = true;
    run_many(f, "KEYS *", 200);
    assert_int_equal(stat_of(f, "keys")->timing->count, 200);
    run_many(f, "DEL a", 200);
    assert_true(stat_of(f, "del")->untimed_max > 0);
    const uint64_t before = stat_of(f, "del")->timing->count;
    run_many(f, "DEL a b c d e f g h i j k l m n o p", 200);
    assert_true(stat_of(f, "del")->timing->count - before >= 200);
}

static void timing__large_values_are_timed_always(void **state)
{
    struct fixture *f = *state;
    static char value[TIMING_LARGE_BYTES + 1];
    const struct strview argv[] = {strview_str("SET"), strview_str("k"),
                                   strview_of(value, sizeof(value)), strview_str("EX"),
                                   strview_str("100")};
    f->options.latency_tracking = true;
    run_many(f, "SET k v", 100);
    assert_true(stat_of(f, "set")->untimed_max > 0);
    const uint64_t before = stat_of(f, "set")->timing->count;
    for (int i = 0; i < 100; i++) {
        (void)client_run_argv(f, &f->client, argv, i % 2 == 0 ? 3 : 5);
    }
    assert_true(stat_of(f, "set")->timing->count - before >= 100);
}

static void timing__a_low_threshold_times_everything(void **state)
{
    struct fixture *f = *state;
    run_many(f, "GET k", 200);
    assert_true(stat_of(f, "get")->untimed_max > 0);
    set_slower_than(f, 0);
    run_many(f, "GET k", 3);
    assert_int_equal(stat_of(f, "get")->untimed_max, 0);
    set_slower_than(f, -1);
    run_many(f, "GET k", 3);
    assert_true(stat_of(f, "get")->untimed_max > 0);
}

static void timing__histograms_are_memory_in_use(void **state)
{
    struct fixture *f = *state;
    const size_t before = command_memory(&f->env);
    f->options.latency_tracking = true;
    run_many(f, "GET k", 3);
    assert_int_equal(command_memory(&f->env), before + sizeof(struct timing));
    command_table_reset_stats(f->env.table);
    assert_int_equal(command_memory(&f->env), before);
}

static void timing__without_tracking_there_is_no_histogram(void **state)
{
    struct fixture *f = *state;
    run_many(f, "GET k", 10);
    assert_null(stat_of(f, "get")->timing);
    assert_true(stat_of(f, "get")->nsec > 0);
}

#define PURE(name) cmocka_unit_test_setup(name, clear)
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PURE(timing__a_value_is_known_to_an_eighth),
        PURE(timing__what_is_longer_than_the_last_bucket_is_in_it),
        PURE(timing__quantiles),
        PURE(timing__counts_are_exact_below_powers_of_two),
        CASE(timing__short_commands_are_timed_now_and_then),
        CASE(timing__long_commands_are_timed_always),
        CASE(timing__large_values_are_timed_always),
        CASE(timing__a_low_threshold_times_everything),
        CASE(timing__histograms_are_memory_in_use),
        CASE(timing__without_tracking_there_is_no_histogram),
    };
    return cmocka_run_group_tests_name("command/timing", tests, NULL, NULL);
}
