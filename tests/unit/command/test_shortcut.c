/* Commands with a short cut do the same without it: replies, statistics and traces in the store. */
#include "../../support/command_fixture.h"

#include <string.h>

#include "src/command/observers.h"
#include "src/command/table.h"
#include "tarn/base/hash.h"

#define STEPS   20000
#define LONG_ME "LONG"

#define TIMED_AT_FIRST 100 /* runs of a command, at least: those go the long way */

/* A client that goes the short way, and one whose commands are all looked at twice. */
struct ways {
    struct fixture *short_one, *long_one;
};

/* Under this one OBJECT FREQ tells how often a key was used. */
static int use_lfu(struct fixture *f)
{
    struct errtext err;
    f->store_options.maxmemory_policy = 0;
    while (strcmp(store_policy_names[f->store_options.maxmemory_policy], "allkeys-lfu") != 0) {
        f->store_options.maxmemory_policy++;
    }
    return store_apply_options(f->store, &err);
}

static int setup_ways(void **state)
{
    static struct ways ways;
    void *short_one = NULL, *long_one = NULL;
    if (fixture_setup(&short_one) != 0 || fixture_setup(&long_one) != 0) {
        return -1;
    }
    ways = (struct ways){.short_one = short_one, .long_one = long_one};
    ways.long_one->env.attention |= ATTENTION_TIMES;
    *state = &ways;
    return use_lfu(ways.short_one) + use_lfu(ways.long_one);
}

static int teardown_ways(void **state)
{
    struct ways *w = *state;
    void *short_one = w->short_one, *long_one = w->long_one;
    return fixture_teardown(&short_one) + fixture_teardown(&long_one);
}

static const char *const lines[] = {
    "GET a",
    "GET b",
    "GET c",
    "GET nothing",
    "SET a 1",
    "SET a 12345678",
    "SET b longer",
    "SET b ''",
    "SET b v EX 100",
    "SET c v PX 2",
    "SET c v",
    "SET c x NX",
    "SET c x KEEPTTL",
    "SET a x XX GET",
    "HSET b f v",
    "DEL a b",
    "DEL c",
    "APPEND a 0123456789012345678901234567890123456789",
    "INCR a",
    "TTL b",
    "SELECT 1",
    "SELECT 0",
    "MULTI",
    "EXEC",
    "CLIENT REPLY ON",
    "CLIENT REPLY OFF",
    "CLIENT REPLY SKIP",
    "GET",
    "SET a",
    "SET a b c d",
    "GET a b",
    "CLIENT NO-TOUCH ON",
    "OBJECT FREQ a",
    "OBJECT FREQ b",
    "CLIENT NO-TOUCH OFF",
    "CLIENT TRACKING ON",
    "CLIENT TRACKING OFF",
    "SET a " LONG_ME,
    "RESET",
};

/* The line's reply; a value of several kilobytes where it says so. */
static struct strview run(struct fixture *f, const char *line)
{
    static char bytes[10000];
    if (strstr(line, LONG_ME) == NULL) {
        return client_run(f, &f->client, line);
    }
    const struct strview argv[] = {strview_str("SET"), strview_str("a"),
                                   strview_of(bytes, sizeof(bytes))};
    return client_run_argv(f, &f->client, argv, 3);
}

static void assert_same_stats(const struct fixture *a, const struct fixture *b, const char *name)
{
    const struct command *c = command_table_find(a->env.table, strview_str(name));
    const struct command_stat *of_a = &a->env.table->stats[c->id];
    const struct command_stat *of_b = &b->env.table->stats[c->id];
    assert_int_equal(of_a->calls, of_b->calls);
    assert_int_equal(of_a->failed, of_b->failed);
    assert_int_equal(of_a->rejected, of_b->rejected);
}

static void shortcut__is_not_to_be_seen(void **state)
{
    struct ways *w = *state;
    struct fixture *a = w->short_one, *b = w->long_one;
    struct rng rng;
    rng_init_seed(&rng, 1);
    for (int i = 0; i < STEPS; i++) {
        const char *line = lines[rng_below(&rng, sizeof(lines) / sizeof(lines[0]))];
        const struct strview of_a = run(a, line);
        const struct strview of_b = run(b, line);
        assert_true(strview_eq(of_a, of_b));
        assert_true(a->client.session.last_command == b->client.session.last_command);
        if (rng_below(&rng, 4) == 0) {
            fixture_advance(a, 1);
            fixture_advance(b, 1);
        }
    }
    assert_same_stats(a, b, "get");
    assert_same_stats(a, b, "set");
    assert_int_equal(a->client.session.commands, b->client.session.commands);
    assert_memory_equal(&a->env.stats, &b->env.stats, sizeof(a->env.stats));
    assert_true(a->env.stats.keyspace_hits > 0);
    assert_true(a->env.stats.keyspace_misses > 0);
}

static void shortcut__tells_who_asked_to_be_told(void **state)
{
    struct fixture *f = *state;
    struct client other;
    client_open(f, &other);
    for (int i = 0; i < TIMED_AT_FIRST; i++) {
        assert_reply(f, "SET k 1", OK);
    }
    assert_reply(f, "WATCH k", OK);
    assert_reply(f, "MULTI", OK);
    assert_reply(f, "GET k", "+QUEUED\r\n");
    client_assert_reply(f, &other, "SET k 2", OK, __FILE__, __LINE__);
    assert_reply(f, "EXEC", "*-1\r\n");
    client_close(f, &other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shortcut__is_not_to_be_seen, setup_ways, teardown_ways),
        cmocka_unit_test_setup_teardown(shortcut__tells_who_asked_to_be_told, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
