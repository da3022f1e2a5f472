/*
 * A database of make-believe for tests: it answers at once or holds each query at a gate until it
 * is told to let go, so that every race becomes a sequence of steps.
 *
 *     HOLD             from now on queries wait at the gate
 *     RELEASE [n]      lets the n oldest go; without n all, and opens the gate
 *     FAIL <status>    answers become failures: down, timeout, busy, err, big; `FAIL off` ends that
 *     ROWS <n> [value] answers have n rows (default value: mock:<parameters>:<number of the query>)
 *     NULL             the value is SQL NULL
 *     BYTES <n>        the value has n bytes
 *     QUERIES, HELD    how many queries there were, how many wait at the gate
 *     FEED KEY|MAP|ALL|UP|DOWN [text]   the feed says so; needs `invalidate notify` on the source
 *     NOTICE <text>    the feed gets a notice as triggers write it
 *     RESET            as at the beginning, the count of queries included
 *
 * What a query will see (rows, value) is fixed when it arrives, as with a snapshot; whether it
 * fails when it leaves. One column, `value`.
 */
#include "tarn/source/driver.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "tarn/base/list.h"
#include "tarn/base/num.h"

#define MOCK_VALUE_BYTES_MAX (64 * 1024 * 1024)
#define MOCK_ROWS_MAX        1000

enum mock_value { MOCK_DEFAULT, MOCK_TEXT, MOCK_NULL, MOCK_BYTES };

/* What answers look like. */
struct mock_script {
    enum mock_value kind;
    int64_t rows;
    int64_t bytes;
    char text[64];
};

struct mock_query {
    struct list link;
    uint64_t id;
    enum driver_task task;
    size_t row_bytes_max;
    bool is_free; /* past the gate */
    bool is_cancelled;
    struct mock_script script;
    struct buf value; /* MOCK_DEFAULT's */
};

struct upstream {
    struct upstream_config config;
    struct list queries; /* struct mock_query::link, in order of arrival */
    struct mock_script script;
    enum driver_status fail_as; /* DRIVER_OK: do not */
    enum driver_state state;
    bool is_holding;
    int statements_count;
    uint64_t queries_count;
    size_t memory;
    ev_async wake;
};

static const struct mock_script first_script = {.kind = MOCK_DEFAULT, .rows = 1};

/* ---- answers --------------------------------------------------------------------------------- */

static void add_value(struct rows_builder *b, const struct mock_query *q)
{
    char *filler = NULL;
    switch (q->script.kind) {
    case MOCK_DEFAULT:
        rows_add(b, CELL_TEXT, buf_view(&q->value));
        break;
    case MOCK_TEXT:
        rows_add(b, CELL_TEXT, strview_str(q->script.text));
        break;
    case MOCK_NULL:
        rows_add(b, CELL_NULL, strview_of("", 0));
        break;
    case MOCK_BYTES:
        filler = malloc((size_t)q->script.bytes + 1);
        if (filler == NULL) {
            b->failed = true;
            return;
        }
        memset(filler, 'x', (size_t)q->script.bytes);
        rows_add(b, CELL_TEXT, strview_of(filler, (size_t)q->script.bytes));
        free(filler);
        break;
    }
}

static enum driver_status make_rows(const struct mock_query *q, struct rows **out)
{
    if (q->script.kind == MOCK_BYTES && (size_t)q->script.bytes > q->row_bytes_max) {
        return DRIVER_TOO_BIG;
    }
    struct rows_builder b;
    rows_begin(&b, 1);
    rows_add(&b, CELL_TEXT, strview_str("value"));
    for (int64_t i = 0; i < q->script.rows && q->task == DRIVER_LOAD; i++) {
        add_value(&b, q);
    }
    *out = rows_finish(&b, false);
    return *out != NULL ? DRIVER_OK : DRIVER_BUSY;
}

static void report_state(struct upstream *u, enum driver_status status)
{
    enum driver_state state = status == DRIVER_DOWN ? DRIVER_STATE_DOWN : DRIVER_STATE_UP;
    if (state != u->state) {
        u->state = state;
        u->config.events.state(u->config.events.ctx, state);
    }
}

static void free_query(struct upstream *u, struct mock_query *q)
{
    list_remove(&q->link);
    u->memory -= sizeof(*q);
    buf_fini(&q->value);
    free(q);
}

static void answer(struct upstream *u, struct mock_query *q)
{
    struct rows *rows = NULL;
    enum driver_status status = q->is_cancelled ? DRIVER_TIMEOUT : u->fail_as;
    if (status == DRIVER_OK) {
        status = make_rows(q, &rows);
    }
    report_state(u, status);
    struct driver_result result = {
        .id = q->id, .status = status, .rows = rows, .detail = "the mock was told so"};
    free_query(u, q);
    u->config.events.done(u->config.events.ctx, &result);
    free(rows);
}

static struct mock_query *first_free(struct upstream *u)
{
    list_for_each (it, &u->queries) {
        struct mock_query *q = container_of(it, struct mock_query, link);
        if (q->is_free) {
            return q;
        }
    }
    return NULL;
}

static void answer_free(struct upstream *u)
{
    for (struct mock_query *q; (q = first_free(u)) != NULL;) {
        answer(u, q);
    }
}

static void on_wake(struct ev_loop *loop, ev_async *wake, int events)
{
    (void)loop;
    (void)events;
    answer_free(container_of(wake, struct upstream, wake));
}

/* ---- requests -------------------------------------------------------------------------------- */

static void write_value(struct mock_query *q, const struct driver_request *r, uint64_t number)
{
    buf_append_str(&q->value, "mock:");
    for (unsigned i = 0; i < r->params_count; i++) {
        if (r->params[i].type == VALUE_INT) {
            buf_append_i64(&q->value, r->params[i].number);
        } else {
            buf_append_view(&q->value, r->params[i].bytes);
        }
        buf_append_char(&q->value, ':');
    }
    buf_append_u64(&q->value, number);
}

static bool take(struct upstream *u, const struct driver_request *r)
{
    struct mock_query *q = malloc(sizeof(*q));
    if (q == NULL) {
        return false;
    }
    *q = (struct mock_query){.id = r->id,
                             .task = r->task,
                             .row_bytes_max = r->row_bytes_max,
                             .is_free = !u->is_holding || r->task == DRIVER_CHECK,
                             .script = u->script};
    if (r->task == DRIVER_LOAD) {
        write_value(q, r, ++u->queries_count);
        if (q->value.failed) {
            buf_fini(&q->value);
            free(q);
            return false;
        }
    }
    u->memory += sizeof(*q);
    list_push_back(&u->queries, &q->link);
    return true;
}

static unsigned load(struct upstream *u, const struct driver_request *requests, unsigned count)
{
    unsigned taken = 0;
    while (taken < count && take(u, &requests[taken])) {
        taken++;
    }
    ev_async_send(u->config.loop, &u->wake);
    return taken;
}

static void cancel(struct upstream *u, uint64_t id)
{
    list_for_each (it, &u->queries) {
        struct mock_query *q = container_of(it, struct mock_query, link);
        if (q->id == id) {
            q->is_cancelled = true;
            q->is_free = true;
            ev_async_send(u->config.loop, &u->wake);
        }
    }
}

static void settle(struct upstream *u, int64_t wait_ms)
{
    (void)wait_ms;
    answer_free(u);
}

static size_t memory(const struct upstream *u)
{
    return u->memory;
}

static int add_statement(struct upstream *u, struct strview sql, unsigned params_count)
{
    (void)sql;
    (void)params_count;
    return u->statements_count++;
}

/* ---- gates ----------------------------------------------------------------------------------- */

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

static int set_failure(struct upstream *u, struct strview word, struct errtext *err)
{
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

static int debug(struct upstream *u, const struct strview *argv, int argc, struct buf *reply,
                 struct errtext *err)
{
    int r = 0;
    if (argc < 1) {
        errtext_set(err,
                    "HOLD, RELEASE, FAIL, ROWS, NULL, BYTES, QUERIES, HELD, FEED, NOTICE or RESET");
        return -EINVAL;
    }
    if (strview_eq_nocase(argv[0], "queries") || strview_eq_nocase(argv[0], "held")) {
        bool wants_queries = strview_eq_nocase(argv[0], "queries");
        buf_append_i64(reply, wants_queries ? (int64_t)u->queries_count : count_held(u));
        return 0;
    }
    if (strview_eq_nocase(argv[0], "hold")) {
        u->is_holding = true;
    } else if (strview_eq_nocase(argv[0], "release")) {
        r = open_gate(u, argv, argc, err);
    } else if (strview_eq_nocase(argv[0], "fail")) {
        r = set_failure(u, argc > 1 ? argv[1] : strview_of("", 0), err);
    } else if (strview_eq_nocase(argv[0], "rows")) {
        r = set_rows(u, argv, argc, err);
    } else if (strview_eq_nocase(argv[0], "bytes")) {
        r = set_bytes(u, argv, argc, err);
    } else if (strview_eq_nocase(argv[0], "feed") || strview_eq_nocase(argv[0], "notice")) {
        r = feed(u, argv, argc, err);
    } else if (strview_eq_nocase(argv[0], "null")) {
        u->script = (struct mock_script){.kind = MOCK_NULL, .rows = 1};
    } else if (strview_eq_nocase(argv[0], "reset")) {
        u->script = first_script;
        u->fail_as = DRIVER_OK;
        u->queries_count = 0;
        u->is_holding = false;
        release(u, INT64_MAX);
    } else {
        errtext_set(err, "the mock does not know '%.*s'", (int)size_min(argv[0].len, 32),
                    argv[0].data);
        r = -EINVAL;
    }
    if (r == 0) {
        buf_append_str(reply, "OK");
    }
    return r;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int open_upstream(struct upstream **out, const struct upstream_config *config,
                         struct errtext *err)
{
    struct upstream *u = malloc(sizeof(*u));
    if (u == NULL) {
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    *u = (struct upstream){.config = *config, .script = first_script};
    list_init(&u->queries);
    ev_async_init(&u->wake, on_wake);
    ev_async_start(config->loop, &u->wake);
    *out = u;
    return 0;
}

static void close_upstream(struct upstream *u, int64_t wait_ms)
{
    (void)wait_ms;
    if (u == NULL) {
        return;
    }
    ev_async_stop(u->config.loop, &u->wake);
    while (!list_is_empty(&u->queries)) {
        free_query(u, container_of(u->queries.next, struct mock_query, link));
    }
    free(u);
}

const struct source_driver driver_mock = {
    .name = "mock",
    .help = "answers made up, with gates; for tests",
    .connections_default = 8,
    .abilities = DRIVER_CAN_NOTIFY,
    .placeholder = '?',
    .bracket_quotes = true,
    .is_for_tests = true,
    .open = open_upstream,
    .close = close_upstream,
    .add_statement = add_statement,
    .load = load,
    .cancel = cancel,
    .settle = settle,
    .memory = memory,
    .debug = debug,
};
