/* Topics and who is in them. */
#include "../../support/command_fixture.h"

#include <stdio.h>

#include "fault_alloc.h"
#include "src/command/observers.h"

#define SESSIONS 3
#define NAMES    100

struct world {
    struct fixture *f;
    struct topics topics;
    struct client clients[SESSIONS];
    struct joined joined[SESSIONS];
};

static void world_open(struct world *w, void **state)
{
    w->f = *state;
    topics_init(&w->topics);
    for (int i = 0; i < SESSIONS; i++) {
        client_open(w->f, &w->clients[i]);
        joined_init(&w->joined[i]);
    }
}

static void world_close(struct world *w)
{
    for (int i = 0; i < SESSIONS; i++) {
        topics_leave_all(&w->topics, &w->joined[i]);
        client_close(w->f, &w->clients[i]);
    }
    assert_int_equal(topics_memory(&w->topics), 0);
    topics_fini(&w->topics);
}

static struct store_key name_of(struct world *w, unsigned db, const char *name)
{
    return store_key_init(w->f->store, db, strview_str(name));
}

static enum topic_join join(struct world *w, int i, unsigned db, const char *name)
{
    const struct store_key k = name_of(w, db, name);
    struct membership *m;
    return topics_join(&w->topics, &k, &w->clients[i].session, &w->joined[i], &m);
}

static size_t members(struct world *w, unsigned db, const char *name)
{
    const struct store_key k = name_of(w, db, name);
    const struct topic *topic = topics_find(&w->topics, &k);
    return topic == NULL ? 0 : topic->members_count;
}

static void topic__members_come_and_go(void **state)
{
    struct world w;
    world_open(&w, state);
    assert_int_equal(join(&w, 0, 0, "a"), TOPIC_JOINED);
    assert_int_equal(join(&w, 0, 0, "a"), TOPIC_ALREADY_IN);
    assert_int_equal(join(&w, 1, 0, "a"), TOPIC_JOINED);
    assert_int_equal(join(&w, 1, 0, ""), TOPIC_JOINED);
    assert_int_equal(members(&w, 0, "a"), 2);
    assert_int_equal(members(&w, 0, ""), 1);
    assert_int_equal(w.joined[1].count, 2);
    topics_leave_all(&w.topics, &w.joined[0]);
    assert_int_equal(members(&w, 0, "a"), 1);
    const struct store_key k = name_of(&w, 0, "a");
    struct topic *topic = topics_find(&w.topics, &k);
    assert_null(topics_find_member(&w.topics, topic, &w.clients[0].session));
    topics_leave(&w.topics, &w.joined[1],
                 topics_find_member(&w.topics, topic, &w.clients[1].session));
    assert_null(topics_find(&w.topics, &k));
    assert_int_equal(w.joined[1].count, 1);
    world_close(&w);
}

static void topic__databases_are_told_apart(void **state)
{
    struct world w;
    world_open(&w, state);
    assert_int_equal(join(&w, 0, 3, "a"), TOPIC_JOINED);
    assert_int_equal(members(&w, 0, "a"), 0);
    assert_int_equal(members(&w, 3, "a"), 1);
    world_close(&w);
}

static void topic__many(void **state)
{
    struct world w;
    char name[16];
    world_open(&w, state);
    for (int i = 0; i < NAMES * SESSIONS; i++) {
        snprintf(name, sizeof(name), "name %d", i % NAMES);
        assert_int_equal(join(&w, i / NAMES, 0, name), TOPIC_JOINED);
    }
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof(name), "name %d", i);
        assert_int_equal(members(&w, 0, name), SESSIONS);
    }
    world_close(&w);
}

/* Whatever allocation fails, nothing is left half done. */
static void topic__survives_failing_allocations(void **state)
{
    struct world w;
    world_open(&w, state);
    bool has_failed = true;
    for (size_t good = 0; has_failed; good++) {
        fault_alloc_arm(good, 1);
        const enum topic_join result = join(&w, 0, 0, "a");
        has_failed = fault_alloc_disarm();
        assert_int_equal(result, has_failed ? TOPIC_REFUSED : TOPIC_JOINED);
        assert_int_equal(members(&w, 0, "a"), has_failed ? 0 : 1);
        assert_int_equal(w.joined[0].count, has_failed ? 0 : 1);
    }
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(topic__members_come_and_go, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(topic__databases_are_told_apart, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(topic__many, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(topic__survives_failing_allocations, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
