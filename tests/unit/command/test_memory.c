/* MEMORY, what it is made of, and what the doctor says about made-up cases. */
#include "../../support/command_fixture.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "src/command/memory_report.h"

#define MIB ((uint64_t)1 << 20)

static void lend(void *ctx, struct command_memory *out)
{
    *out = *(const struct command_memory *)ctx;
}

static void memory__report_adds_up(void **state)
{
    struct fixture *f = *state;
    struct command_memory beside = {
        .connections = 1000, .client_buffers = 20000, .sources = 300000};
    struct memory_report m;
    char line[300];
    f->env.host.memory = lend;
    f->env.host.ctx = &beside;
    for (int i = 0; i < 5000; i++) {
        snprintf(line, sizeof(line), "SET k%d %0*d", i, 1 + i % 200, 1);
        assert_reply(f, line, "+OK\r\n");
    }
    memory_report(&f->env, &m);
    assert_int_equal(m.keys, 5000);
    assert_int_equal(m.used, m.dataset + m.overhead);
    assert_int_equal(m.used, store_used_memory(f->store) + command_memory(&f->env) + 321000);
    assert_int_equal(m.used, m.store.bytes_live + m.store.bytes_dead + m.log_spare +
                                 m.store.bytes_large + m.store.bytes_dropped + m.store.bytes_index +
                                 m.store.bytes_other + m.commands + 321000);
    assert_int_equal(m.limit, 0); /* the fixture has no option set */
}

static void memory__peak_stays_and_startup_is_the_first(void **state)
{
    struct fixture *f = *state;
    struct command_memory beside = {.sources = 1000};
    f->env.host.memory = lend;
    f->env.host.ctx = &beside;
    command_note_memory(&f->env);
    size_t first = f->env.memory_startup;
    assert_int_equal(f->env.memory_peak, first);
    beside.sources = 500000;
    command_note_memory(&f->env);
    beside.sources = 10;
    command_note_memory(&f->env);
    assert_int_equal(f->env.memory_startup, first);
    assert_int_equal(f->env.memory_peak, first + 499000);
}

static void memory__usage_is_that_of_the_entry(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "MEMORY USAGE k", "$-1\r\n");
    assert_reply(f, "SET k v", "+OK\r\n");
    char expected[32];
    struct store_key key = store_key_init(f->store, 0, strview_str("k"));
    snprintf(expected, sizeof(expected), ":%zu\r\n", store_entry_memory(f->store, &key));
    assert_reply(f, "MEMORY USAGE k", expected);
    assert_reply(f, "MEMORY USAGE k SAMPLES 0", expected);
    assert_reply(f, "memory usage k samples 5", expected);
    assert_reply(f, "MEMORY USAGE k SAMPLES 5 SAMPLES 7", expected);
    assert_reply(f, "MEMORY USAGE k SAMPLES", "-ERR syntax error\r\n");
    assert_reply(f, "MEMORY USAGE k SAMPLES -1", "-ERR syntax error\r\n");
    assert_reply(f, "MEMORY USAGE k SAMPLES x", "-ERR value is not an integer or out of range\r\n");
    assert_reply(f, "MEMORY USAGE k MEASURES 1", "-ERR syntax error\r\n");
    assert_reply(f, "MEMORY PURGE", "+OK\r\n");
}

/* The loads of a waiting command are counted while they wait, to the last byte. */
static void memory__counts_waiting_commands(void **state)
{
    struct fixture *f = *state;
    size_t before = command_memory(&f->env);
    fixture_mock(f, "HOLD");
    client_run(f, &f->client, "MGET user:1 user:2 user:3");
    assert_int_equal(f->client.result, COMMAND_SUSPENDED);
    assert_true(command_memory(&f->env) > before + 3 * strlen("user:1"));
    fixture_mock(f, "RELEASE");
    fixture_turn(f);
    client_run_again(f, &f->client);
    assert_int_equal(f->client.result, COMMAND_DONE);
    assert_int_equal(command_memory(&f->env), before);
}

/* ---- the doctor ---- */

/* What is unremarkable: half full, nothing lost. */
static struct memory_report healthy(void)
{
    return (struct memory_report){
        .store = {.bytes_live = 40 * MIB, .bytes_dead = 2 * MIB, .bytes_index = 5 * MIB},
        .beside = {.connections = 300000},
        .used = 48 * MIB,
        .dataset = 40 * MIB,
        .overhead = 8 * MIB,
        .peak = 48 * MIB,
        .startup = 300000,
        .rss = 50 * MIB,
        .limit = 100 * MIB,
        .keys = 400000,
    };
}

static const char *diagnosis(struct fixture *f, const struct memory_report *m)
{
    static char text[4096];
    struct buf out = {0};
    memory_doctor(&f->env, m, &out);
    assert_true(buf_len(&out) < sizeof(text));
    memcpy(text, out.data, buf_len(&out));
    text[buf_len(&out)] = '\0';
    buf_fini(&out);
    return text;
}

#define assert_says(f, m, words) assert_non_null(strstr(diagnosis((f), (m)), (words)))

static void memory__doctor_finds_nothing_in_health(void **state)
{
    struct fixture *f = *state;
    struct memory_report m = healthy();
    assert_string_equal(diagnosis(f, &m),
                        "Nothing to complain about. 48.0 MiB are used for 400000 keys: 40.0 MiB of "
                        "keys and values, 5.0 MiB of index, 3.0 MiB of all else. maxmemory is "
                        "100.0 MiB.\n");
}

static void memory__doctor_sees_a_full_cache_that_works(void **state)
{
    struct fixture *f = *state;
    struct memory_report m = healthy();
    m.limit = m.used;
    m.store.evicted = 77;
    assert_says(f, &m, "The cache is full and evicts (77 keys so far)");
    assert_says(f, &m, "In all, 48.0 MiB");
}

static void memory__doctor_sees_room_that_is_not_compacted(void **state)
{
    struct fixture *f = *state;
    struct memory_report m = healthy();
    m.store.bytes_dead = 30 * MIB;
    assert_says(f, &m, "30.0 of the 70.0 MiB in segments are dead");
}

static void memory__doctor_sees_memory_nobody_accounts_for(void **state)
{
    struct fixture *f = *state;
    struct memory_report m = healthy();
    m.rss = 90 * MIB;
    assert_says(f, &m, "The kernel counts 90.0 MiB as resident, of which 48.0 MiB");
}

static void memory__doctor_sees_buffers_absent_rows_and_a_past_peak(void **state)
{
    struct fixture *f = *state;
    struct memory_report m = healthy();
    m.beside.client_buffers = 20 * MIB;
    m.store.bytes_negative = 6 * MIB;
    m.peak = 90 * MIB;
    assert_says(f, &m, "Clients hold 20.0 MiB in buffers");
    assert_says(f, &m, "6.0 MiB are records of rows that do not exist");
    assert_says(f, &m, "At its peak the server used 90.0 MiB");
}

static void memory__doctor_sees_limits_that_do_not_fit_the_machine(void **state)
{
    struct fixture *f = *state;
    struct memory_report m = healthy();
    m.limit = option_memory_total();
    assert_says(f, &m, "The process may be killed before it is full");
    m = healthy();
    m.limit = 0;
    m.used = m.peak = m.rss = option_memory_total() / 4 * 3;
    assert_says(f, &m, "There is no maxmemory");
    assert_says(f, &m, "(no limit)");
}

static void memory__doctor_sees_more_index_than_values(void **state)
{
    struct fixture *f = *state;
    struct memory_report m = healthy();
    m.store.bytes_index = 30 * MIB;
    m.overhead = 38 * MIB;
    m.dataset = 10 * MIB;
    assert_says(f, &m, "More than half of the memory (30.0 MiB) is index");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(memory__report_adds_up),
        CASE(memory__peak_stays_and_startup_is_the_first),
        CASE(memory__usage_is_that_of_the_entry),
        cmocka_unit_test_setup_teardown(memory__counts_waiting_commands, fixture_setup_maps,
                                        fixture_teardown),
        CASE(memory__doctor_finds_nothing_in_health),
        CASE(memory__doctor_sees_a_full_cache_that_works),
        CASE(memory__doctor_sees_room_that_is_not_compacted),
        CASE(memory__doctor_sees_memory_nobody_accounts_for),
        CASE(memory__doctor_sees_buffers_absent_rows_and_a_past_peak),
        CASE(memory__doctor_sees_limits_that_do_not_fit_the_machine),
        CASE(memory__doctor_sees_more_index_than_values),
    };
    return cmocka_run_group_tests_name("command/memory", tests, NULL, NULL);
}
