/*
 * What one connection may have of a turn beside others, and large replies, which are sent before the
 * turn ends.
 */
#include "conn_world.h"

static void conn__large_values_leave_without_a_copy_or_with_one(void **state)
{
    struct world *w = *state;
    int fd = open_client(w);
    static const size_t lens[] = {40000, 900000, 1100000, 70000}; /* the third is too large */
    struct buf requests = {0};
    size_t all = 0;
    for (unsigned i = 0; i < 40; i++) {
        const size_t len = lens[i % ARRAY_LEN(lens)];
        char head[32];
        all += (size_t)snprintf(head, sizeof(head), "$%zu\r\n\r\n", len) + len;
        assert_true(buf_printf(&requests, "*2\r\n$6\r\nDIRECT\r\n$%d\r\n%zu\r\n",
                               len > 999999  ? 7
                               : len > 99999 ? 6
                                             : 5,
                               len));
    }
    push(fd, &requests);
    turns(w, 20); /* the socket is full in the middle of a value */
    static char reply[1 << 16];
    size_t seen = 0, d = 0;
    for (int i = 0; i < TURNS_MAX && seen < all; i++) {
        turns(w, 1);
        ssize_t n = recv(fd, reply, sizeof(reply), 0);
        for (ssize_t k = 0; k < n; k++) {
            assert_true(reply[k] != '\0');
            d += reply[k] == 'd';
        }
        seen += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(seen, all);
    assert_int_equal(d, 10 * (40000 + 900000 + 1100000 + 70000));
    buf_fini(&requests);
    close(fd);
}

/* Appends what is to be sent and what is to come back. */
static void expect_lent(struct buf *requests, struct buf *replies, size_t n)
{
    char number[16];
    const int digits = snprintf(number, sizeof(number), "%zu", n);
    assert_true(buf_printf(requests, "*2\r\n$4\r\nLEND\r\n$%d\r\n%s\r\n", digits, number));
    assert_true(buf_printf(replies, "$%s\r\n", number));
    for (size_t i = 0; i < n; i++) {
        assert_true(buf_append_char(replies, 'd'));
    }
    assert_true(buf_append_str(replies, "\r\n"));
}

static void expect_pong(struct buf *requests, struct buf *replies)
{
    assert_true(buf_append_str(requests, "*1\r\n$4\r\nPING\r\n"));
    assert_true(buf_append_str(replies, "+PONG\r\n"));
}

/* Sends the requests and turns until all of the replies are there. */
static void check_replies(struct world *w, int fd, const struct buf *requests,
                          const struct buf *replies)
{
    struct buf rest = {0};
    assert_true(buf_append_view(&rest, buf_view(requests)));
    size_t seen = 0;
    for (int t = 0; t < TURNS_MAX && seen < buf_len(replies); t++) {
        static char got[1 << 17];
        push(fd, &rest);
        turns(w, 1);
        const ssize_t n = recv(fd, got, sizeof(got), 0);
        if (n > 0) {
            assert_true((size_t)n <= buf_len(replies) - seen);
            assert_memory_equal(got, replies->data + replies->head + seen, (size_t)n);
            seen += (size_t)n;
        }
    }
    assert_int_equal(seen, buf_len(replies));
    buf_fini(&rest);
}

/* The fake wipes what it lent when another command runs. */
static void conn__lent_values_are_sent_before_anything_else_runs(void **state)
{
    struct world *w = *state;
    int fd = open_client(w);
    for (size_t lent = 0; lent <= 2 * LOANS_MAX + 1; lent++) {
        struct buf requests = {0}, replies = {0};
        expect_pong(&requests, &replies);
        for (size_t i = 0; i < lent; i++) {
            expect_lent(&requests, &replies, FAKE_LENT_MIN - 3 + i);
        }
        if (lent % 3 != 0) {
            expect_pong(&requests, &replies);
            expect_lent(&requests, &replies, 70000);
            expect_lent(&requests, &replies, 1);
        }
        check_replies(w, fd, &requests, &replies);
        buf_fini(&requests);
        buf_fini(&replies);
    }
    close(fd);
}

static void conn__lent_values_of_one_client_are_sent_before_another_runs(void **state)
{
    struct world *w = *state;
    struct buf requests = {0}, replies = {0};
    int other = open_client(w);
    int fd = open_client(w);
    expect_lent(&requests, &replies, 5000);
    say(other, "*1\r\n$4\r\nPING\r\n");
    check_replies(w, fd, &requests, &replies);
    say(other, "*1\r\n$4\r\nPING\r\n");
    check_replies(w, fd, &requests, &replies);
    buf_fini(&requests);
    buf_fini(&replies);
    close(fd);
    close(other);
}

/* More copied replies behind a lent one than wait for the end of the batch. */
static void conn__lent_values_go_with_replies_that_are_sent_early(void **state)
{
    struct world *w = *state;
    struct buf requests = {0}, replies = {0};
    int fd = open_client(w);
    expect_lent(&requests, &replies, FAKE_LENT_MIN);
    for (unsigned i = 0; i < 2 * NET_OUT_EARLY_BYTES / (FAKE_LENT_MIN - 1); i++) {
        expect_lent(&requests, &replies, FAKE_LENT_MIN - 1);
    }
    check_replies(w, fd, &requests, &replies);
    buf_fini(&requests);
    buf_fini(&replies);
    close(fd);
}

/* ---- fairness ---- */

/* Requests as many as the socket takes. */
static size_t flood(int fd, const char *request)
{
    struct buf requests = {0};
    for (unsigned i = 0; i < 20000; i++) {
        assert_true(buf_append_str(&requests, request));
    }
    const size_t all = buf_len(&requests);
    push(fd, &requests);
    const size_t sent = all - buf_len(&requests);
    buf_fini(&requests);
    return sent / strlen(request);
}

/* One client with more to do than fits into a turn, another with a single request: who was first
 * does not matter, the other is answered in that very turn. */
static void check_fairness(struct world *w, const char *request, size_t run_max)
{
    int greedy = open_client(w);
    int modest = open_client(w);
    turns(w, 2);
    const uint64_t before = w->env.stats.commands_processed;
    const size_t flooded = flood(greedy, request);
    say(modest, "*1\r\n$4\r\nPING\r\n");
    turns(w, 2); /* read in the first, answered when the second begins, which reads more */
    char pong[16];
    assert_int_equal(recv(modest, pong, sizeof(pong), 0), 7);
    assert_true(flooded > 2 * run_max);
    assert_in_range(w->env.stats.commands_processed - before, 2, 2 * run_max + 1);
    close(greedy);
    close(modest);
}

static void conn__a_greedy_pipeline_gets_a_share_of_each_turn(void **state)
{
    check_fairness(*state, "*1\r\n$4\r\nPING\r\n", NET_READ_BYTES / 14 + 1);
}

static void conn__slow_requests_get_a_share_of_the_time(void **state)
{
    /* A batch takes three times what a turn may have: not more than one, and no second. */
    check_fairness(*state, "*2\r\n$4\r\nSPIN\r\n$2\r\n50\r\n", BATCH_CALLS);
}

static void conn__early_replies_are_a_share_of_each_turn(void **state)
{
    struct world *w = *state;
    int size = 64 << 20;
    int fd = open_client(w);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
    (void)flood(fd, "*2\r\n$3\r\nBIG\r\n$5\r\n70000\r\n");
    turns(w, 1); /* what is not a full batch runs when the next begins */
    assert_in_range(w->env.stats.commands_processed, 1, NET_OUT_SOFT_BYTES / 70000 + 1);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(conn__large_values_leave_without_a_copy_or_with_one),
        CASE(conn__lent_values_are_sent_before_anything_else_runs),
        CASE(conn__lent_values_of_one_client_are_sent_before_another_runs),
        CASE(conn__lent_values_go_with_replies_that_are_sent_early),
        CASE(conn__a_greedy_pipeline_gets_a_share_of_each_turn),
        CASE(conn__slow_requests_get_a_share_of_the_time),
        CASE(conn__early_replies_are_a_share_of_each_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
