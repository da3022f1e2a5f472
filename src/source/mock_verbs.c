/*
 * What a test can tell the mock database (DEBUG SOURCE <name> <verb> ...):
 *
 *     HOLD             from now on queries wait at the gate
 *     RELEASE [n]      lets the n oldest go; without n all, and opens the gate
 *     FAIL <status>    answers become failures: down, timeout, busy, err, big; off ends that
 *     LOSE [n]         the connections of the n oldest queries (1) break before the answer
 *     ROWS <n> [value] answers have n rows (value: mock:<parameters>:<number of the query>)
 *     TABLE <text>     answers are these rows: cells between commas, rows between bars
 *     NULL             the value is SQL NULL; in a table: backslash and N
 *     BYTES <n>        the value has n bytes
 *     CHANGED <n> [x]  writes touch n rows; with x they return one
 *     QUERIES, HELD    how many queries there were, how many wait at the gate
 *     FEED KEY|MAP|ALL|UP|DOWN [text]   the feed says so; needs `invalidate notify`
 *     NOTICE <text>    the feed gets a notice as triggers write it
 *     RESET            as at the beginning, the count of queries included
 */
#include "mock.h"

#include <errno.h>
#include <string.h>

#include "tarn/base/num.h"

static int64_t count_held(const struct upstream *u)
{
    int64_t count = 0;
    list_for_each (it, &u->queries) {
        count += !container_of(it, struct mock_query, link)->is_free;
    }
    return count;
}

static void release(struct upstream *u, int64_t count)
{
    list_for_each (it, &u->queries) {
        struct mock_query *q = container_of(it, struct mock_query, link);
        if (!q->is_free && count > 0) {
            q->is_free = true;
            count--;
        }
    }
    ev_async_send(u->config.loop, &u->wake);
}

static int set_failure(struct upstream *u, const struct strview *argv, int argc,
                       struct errtext *err)
{
    struct strview word = argc > 1 ? argv[1] : strview_of("", 0);
    static const char *const words[DRIVER_STATUS_COUNT] = {
        [DRIVER_OK] = "off",    [DRIVER_DOWN] = "down", [DRIVER_TIMEOUT] = "timeout",
        [DRIVER_BUSY] = "busy", [DRIVER_ERROR] = "err", [DRIVER_TOO_BIG] = "big",
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strview_eq_nocase(word, words[i])) {
            u->fail_as = (enum driver_status)i;
            return 0;
        }
    }
    errtext_set(err, "FAIL takes off, down, timeout, busy, err or big");
    return -EINVAL;
}

static int set_rows(struct upstream *u, const struct strview *argv, int argc, struct errtext *err)
{
    struct mock_script script = {.kind = MOCK_DEFAULT};
    if (argc < 2 || !num_parse_i64(argv[1], &script.rows) || script.rows < 0 ||
        script.rows > MOCK_ROWS_MAX) {
        errtext_set(err, "ROWS takes a number up to %d", MOCK_ROWS_MAX);
        return -EINVAL;
    }
    if (argc > 2) {
        if (argv[2].len >= sizeof(script.text)) {
            errtext_set(err, "the value is too long");
            return -EINVAL;
        }
        memcpy(script.text, argv[2].data, argv[2].len);
        script.kind = MOCK_TEXT;
    }
    u->script = script;
    return 0;
}

static int set_bytes(struct upstream *u, const struct strview *argv, int argc, struct errtext *err)
{
    struct mock_script script = {.kind = MOCK_BYTES, .rows = 1};
    if (argc < 2 || !num_parse_i64(argv[1], &script.bytes) || script.bytes < 0 ||
        script.bytes > MOCK_VALUE_BYTES_MAX) {
        errtext_set(err, "BYTES takes a number up to %d", MOCK_VALUE_BYTES_MAX);
        return -EINVAL;
    }
    u->script = script;
    return 0;
}

static int open_gate(struct upstream *u, const struct strview *argv, int argc, struct errtext *err)
{
    int64_t count = INT64_MAX;
    if (argc > 1 && (!num_parse_i64(argv[1], &count) || count < 0)) {
        errtext_set(err, "RELEASE takes a number");
        return -EINVAL;
    }
    u->is_holding = u->is_holding && argc > 1;
    release(u, count);
    return 0;
}

static int feed(struct upstream *u, const struct strview *argv, int argc, struct errtext *err)
{
    static const char *const words[] = {
        [FEED_KEY] = "key", [FEED_MAP] = "map",   [FEED_ALL] = "all",
        [FEED_UP] = "up",   [FEED_DOWN] = "down",
    };
    const struct driver_events *events = &u->config.events;
    bool is_notice = strview_eq_nocase(argv[0], "notice");
    if (argc < 2 || events->feed == NULL || u->config.options->feed == DRIVER_FEED_NONE) {
        errtext_set(err, "FEED takes an event, NOTICE a text, and the source needs a feed");
        return -EINVAL;
    }
    for (size_t i = 0; i < ARRAY_LEN(words) && !is_notice; i++) {
        if (strview_eq_nocase(argv[1], words[i])) {
            struct strview text = argc > 2 ? argv[2] : strview_of("", 0);
            events->feed(events->ctx, (enum feed_event)i, text);
            return 0;
        }
    }
    if (!is_notice) {
        errtext_set(err, "FEED takes key, map, all, up or down");
        return -EINVAL;
    }
    driver_feed_notice(events, argv[1]);
    return 0;
}

static int hold(struct upstream *u, const struct strview *argv, int argc, struct errtext *err)
{
    (void)argv;
    (void)argc;
    (void)err;
    u->is_holding = true;
    return 0;
}

static int lose(struct upstream *u, const struct strview *argv, int argc, struct errtext *err)
{
    int64_t count = 1;
    if (argc > 1 && (!num_parse_i64(argv[1], &count) || count < 0)) {
        errtext_set(err, "LOSE takes a number");
        return -EINVAL;
    }
    list_for_each (it, &u->queries) {
        struct mock_query *q = container_of(it, struct mock_query, link);
        q->is_lost = q->is_lost || (!q->is_free && count-- > 0);
        q->is_free = q->is_free || q->is_lost;
    }
    ev_async_send(u->config.loop, &u->wake);
    return 0;
}

static int set_null(struct upstream *u, const struct strview *argv, int argc, struct errtext *err)
{
    (void)argv;
    (void)argc;
    (void)err;
    u->script = (struct mock_script){.kind = MOCK_NULL, .rows = 1};
    return 0;
}

static int set_table(struct upstream *u, const struct strview *argv, int argc, struct errtext *err)
{
    struct mock_script script = {.kind = MOCK_TABLE, .rows = 1};
    if (argc < 2 || argv[1].len >= sizeof(script.text)) {
        errtext_set(err, "TABLE takes a text");
        return -EINVAL;
    }
    memcpy(script.text, argv[1].data, argv[1].len);
    u->script = script;
    return 0;
}

static int set_changed(struct upstream *u, const struct strview *argv, int argc,
                       struct errtext *err)
{
    if (argc < 2 || !num_parse_i64(argv[1], &u->changed)) {
        errtext_set(err, "CHANGED takes a number");
        return -EINVAL;
    }
    u->returns = argc > 2;
    return 0;
}

static int reset(struct upstream *u, const struct strview *argv, int argc, struct errtext *err)
{
    (void)argv;
    (void)argc;
    (void)err;
    u->script = mock_first_script;
    u->fail_as = DRIVER_OK;
    u->queries_count = 0;
    u->is_holding = false;
    release(u, INT64_MAX);
    return 0;
}

static const struct mock_verb {
    const char *name;
    int (*run)(struct upstream *u, const struct strview *argv, int argc, struct errtext *err);
} verbs[] = {
    {"hold", hold},       {"changed", set_changed}, {"release", open_gate}, {"fail", set_failure},
    {"lose", lose},       {"rows", set_rows},       {"table", set_table},   {"null", set_null},
    {"bytes", set_bytes}, {"feed", feed},           {"notice", feed},       {"reset", reset},
};

int mock_debug(struct upstream *u, const struct strview *argv, int argc, struct buf *reply,
               struct errtext *err)
{
    struct strview name = argc > 0 ? argv[0] : strview_of("", 0);
    if (strview_eq_nocase(name, "statements")) {
        buf_append_i64(reply, u->statements_count);
        return 0;
    }
    if (strview_eq_nocase(name, "queries") || strview_eq_nocase(name, "held")) {
        bool wants_queries = strview_eq_nocase(name, "queries");
        buf_append_i64(reply, wants_queries ? (int64_t)u->queries_count : count_held(u));
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strview_eq_nocase(name, verbs[i].name)) {
            int r = verbs[i].run(u, argv, argc, err);
            if (r == 0) {
                buf_append_str(reply, "OK");
            }
            return r;
        }
    }
    errtext_set(err, "the mock does not know '%.*s'", (int)size_min(name.len, 32),
                name.len > 0 ? name.data : "");
    return -EINVAL;
}
