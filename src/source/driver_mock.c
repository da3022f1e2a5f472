/*
 * A database of make-believe for tests: it answers at once or holds each query at a gate until it
 * is told to let go, so that every race becomes a sequence of steps. What a test can say is in
 * mock_verbs.c.
 *
 * What a query will see (rows, values) is fixed when it arrives, as with a snapshot; whether it
 * fails when it leaves. There is one column, `value`; a dsn with commas names the columns, of which
 * `id` has the first parameter, `value` the value and others their name and the number of the
 * query. A query for a list of keys gives a row for each, with an `id`.
 */
#include "mock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- answers --------------------------------------------------------------------------------- */

static void add_filler(struct rows_builder *b, size_t bytes)
{
    char *filler = malloc(bytes + 1);
    if (filler == NULL) {
        b->failed = true;
        return;
    }
    memset(filler, 'x', bytes);
    rows_add(b, CELL_TEXT, strview_of(filler, bytes));
    free(filler);
}

static void add_default(struct rows_builder *b, const struct mock_query *q, struct strview params)
{
    struct buf value;
    buf_init(&value);
    buf_printf(&value, "mock:%.*s%llu", STRVIEW_ARG(params), (unsigned long long)q->number);
    rows_add(b, CELL_TEXT, buf_view(&value));
    b->failed = b->failed || value.failed;
    buf_fini(&value);
}

static void add_value(struct rows_builder *b, const struct mock_query *q, struct strview params)
{
    switch (q->script.kind) {
    case MOCK_DEFAULT:
    case MOCK_TABLE:
        add_default(b, q, params);
        break;
    case MOCK_TEXT:
        rows_add(b, CELL_TEXT, strview_str(q->script.text));
        break;
    case MOCK_NULL:
        rows_add(b, CELL_NULL, strview_of("", 0));
        break;
    case MOCK_BYTES:
        add_filler(b, (size_t)q->script.bytes);
        break;
    }
}

/* The part of `text` before the next `end`, which is cut off with it. */
static struct strview cut(struct strview *text, char end)
{
    const char *at = text->len > 0 ? memchr(text->data, end, text->len) : NULL;
    const struct strview part = at != NULL ? strview_of(text->data, (size_t)(at - text->data))
                                           : *text;
    const size_t used = part.len + (at != NULL);
    *text = strview_of(text->data + used, text->len - used);
    return part;
}

static struct strview columns_of(const struct upstream *u, const struct mock_query *q)
{
    const struct strview dsn = strview_str(u->config.dsn);
    if (memchr(dsn.data, ',', dsn.len) != NULL) {
        return dsn;
    }
    return strview_str(q->takes_list ? "id,value" : "value");
}

static void add_row(struct rows_builder *b, const struct upstream *u, const struct mock_query *q,
                    struct strview params)
{
    struct strview names = columns_of(u, q);
    struct strview id = params;
    id = cut(&id, ':');
    while (names.len > 0) {
        const struct strview name = cut(&names, ',');
        if (strview_eq(name, strview_str("id"))) {
            rows_add(b, CELL_TEXT, id);
        } else if (strview_eq(name, strview_str("value"))) {
            add_value(b, q, params);
        } else {
            char text[MOCK_TEXT_MAX];
            (void)snprintf(text, sizeof(text), "%.*s:%llu", STRVIEW_ARG(name),
                           (unsigned long long)q->number);
            rows_add(b, CELL_TEXT, strview_str(text));
        }
    }
}

static void add_table(struct rows_builder *b, const struct mock_query *q)
{
    struct strview rows = strview_str(q->script.text);
    while (rows.len > 0) {
        struct strview row = cut(&rows, '|');
        for (unsigned i = 0; i < b->columns; i++) {
            const struct strview cell = cut(&row, ',');
            const bool is_null = strview_eq(cell, strview_str("\\N"));
            rows_add(b, is_null ? CELL_NULL : CELL_TEXT, is_null ? strview_of("", 0) : cell);
        }
    }
}

static void add_rows(struct rows_builder *b, const struct upstream *u, const struct mock_query *q)
{
    if (q->script.kind == MOCK_TABLE) {
        add_table(b, q);
        return;
    }
    struct strview list = buf_view(&q->list);
    for (int64_t i = 0; i < q->script.rows && buf_len(&q->list) == 0; i++) {
        add_row(b, u, q, buf_view(&q->params));
    }
    while (list.len > 0 && q->script.rows > 0) {
        struct strview element = cut(&list, '\0');
        char params[MOCK_TEXT_MAX];
        (void)snprintf(params, sizeof(params), "%.*s:", STRVIEW_ARG(element));
        add_row(b, u, q, strview_str(params));
    }
}

static enum driver_status make_rows(const struct upstream *u, const struct mock_query *q,
                                    struct rows **out)
{
    if (q->script.kind == MOCK_BYTES && (size_t)q->script.bytes > q->row_bytes_max) {
        return DRIVER_TOO_BIG;
    }
    struct strview names = columns_of(u, q);
    unsigned columns = 1;
    for (size_t i = 0; i < names.len; i++) {
        columns += names.data[i] == ',';
    }
    struct rows_builder b;
    rows_begin(&b, columns);
    while (names.len > 0) {
        rows_add(&b, CELL_TEXT, cut(&names, ','));
    }
    if (q->task == DRIVER_LOAD || (q->task == DRIVER_WRITE && u->returns)) {
        add_rows(&b, u, q);
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
    buf_fini(&q->params);
    buf_fini(&q->list);
    free(q);
}

static void answer(struct upstream *u, struct mock_query *q)
{
    struct rows *rows = NULL;
    enum driver_status status = q->is_cancelled ? DRIVER_TIMEOUT : u->fail_as;
    status = q->is_lost ? DRIVER_DOWN : status;
    if (status == DRIVER_OK) {
        status = make_rows(u, q, &rows);
    }
    report_state(u, status);
    struct driver_result result = {.id = q->id,
                                   .status = status,
                                   .rows = rows,
                                   .detail = "the mock was told so",
                                   .changed = u->changed,
                                   .is_unknown = q->is_lost || q->is_cancelled,
                                   .is_lost = q->is_lost};
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

static void write_param(struct buf *out, const struct driver_value *v)
{
    if (v->type == VALUE_NULL) {
        buf_append_str(out, "NULL");
    } else if (v->type == VALUE_INT) {
        buf_append_i64(out, v->number);
    } else {
        buf_append_view(out, v->bytes);
    }
}

static void write_params(struct mock_query *q, const struct driver_request *r)
{
    struct buf *out = r->takes_list ? &q->list : &q->params;
    for (unsigned i = 0; i < r->params_count; i++) {
        write_param(out, &r->params[i]);
        buf_append_char(out, r->takes_list ? '\0' : ':');
    }
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
                             .takes_list = r->takes_list,
                             .is_free = !u->is_holding || r->task == DRIVER_CHECK,
                             .script = u->script};
    if (r->task == DRIVER_LOAD || r->task == DRIVER_WRITE) {
        write_params(q, r);
        q->number = ++u->queries_count;
        if (q->params.failed || q->list.failed) {
            buf_fini(&q->params);
            buf_fini(&q->list);
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

/* ---- life ------------------------------------------------------------------------------------ */

static int open_upstream(struct upstream **out, const struct upstream_config *config,
                         struct errtext *err)
{
    struct upstream *u = malloc(sizeof(*u));
    if (u == NULL) {
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    *u = (struct upstream){.config = *config, .changed = 1, .script = mock_first_script};
    list_init(&u->queries);
    ev_async_init(&u->wake, on_wake);
    ev_async_start(config->loop, &u->wake);
    *out = u;
    return 0;
}

static bool close_upstream(struct upstream *u, int64_t wait_ms)
{
    (void)wait_ms;
    if (u == NULL) {
        return true;
    }
    ev_async_stop(u->config.loop, &u->wake);
    while (!list_is_empty(&u->queries)) {
        free_query(u, container_of(u->queries.next, struct mock_query, link));
    }
    free(u);
    return true;
}

const struct source_driver driver_mock = {
    .name = "mock",
    .help = "answers made up, with gates; for tests",
    .connections_default = 8,
    .abilities = DRIVER_CAN_NOTIFY | DRIVER_CAN_CHANGELOG | DRIVER_FEED_IS_LOOSE | DRIVER_CAN_BULK |
                 DRIVER_CAN_WRITE,
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
    .debug = mock_debug,
};
