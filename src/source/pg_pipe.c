/*
 * Requests over one connection. Always in pipeline mode, with a Sync of its own behind each
 * request: then a request that fails does not take those behind it along.
 *
 * A request is a short list of steps; libpq answers each with results and a NULL, and a Sync with
 * one result. The first request of the list is the one being answered. Rows come one by one, so
 * that a query with a million rows costs the memory of one.
 *
 * Time: the server ends a query by itself (statement_timeout, set when a request needs another
 * value than the last one). A server that does not is given up after a grace period, connection and
 * all: there is no way to cancel that does not block.
 *
 * A prepared statement may turn out of date (ALTER TABLE, a pooler that changed servers). Then it
 * is prepared again under a new name, once, and the caller does not notice. The server infers the
 * types of parameters; a key whose integer is too wide for the type it found is asked for once more
 * as int8, so that the answer is "no such row" and no error.
 *
 * What is sent is in pg_steps.c, a write's part of it in pg_write.c.
 */
#include "pg_pipe.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "pg_rows.h"
#include "pg_steps.h"
#include "pg_write.h"
#include "tarn/base/clock.h"

#define GRACE_MIN_MS    200
#define ROW_BYTES_LARGE (1024 * 1024) /* libpq keeps a buffer of that size ever after */

#define STATE_STATEMENT_GONE "26000"
#define STATE_NOT_SUPPORTED  "0A000"
#define STATE_CANCELED       "57014"
#define STATE_OUT_OF_RANGE   "22003"

static struct pg_request *first_request(const struct pg_pipe *c)
{
    if (list_is_empty(&c->requests)) {
        return NULL;
    }
    return container_of(c->requests.next, struct pg_request, link);
}

/* ---- time ------------------------------------------------------------------------------------ */

static int64_t given_up_us(const struct pg_request *r, const struct pg_pipe *c)
{
    return r->deadline_us + (GRACE_MIN_MS + c->timeout_ms / PG_TIMEOUT_STEPS) * 1000;
}

/* The timer is set for the first request and left alone while it would not come too late. */
static void watch_first(struct pg_pipe *c)
{
    struct pg_request *r = first_request(c);
    if (r == NULL || (ev_is_active(&c->watch) && c->watched_us <= given_up_us(r, c))) {
        return;
    }
    struct ev_loop *loop = c->wire.target->loop;
    int64_t left_us = given_up_us(r, c) - clock_now_us();
    c->watched_us = given_up_us(r, c);
    ev_timer_stop(loop, &c->watch);
    ev_timer_set(&c->watch, left_us > 0 ? (double)left_us / 1e6 : 0.0, 0.0);
    ev_timer_start(loop, &c->watch);
}

static void on_watch(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct pg_pipe *c = container_of(timer, struct pg_pipe, watch);
    struct pg_request *r = first_request(c);
    if (!c->is_broken && (r == NULL || given_up_us(r, c) > clock_now_us())) {
        watch_first(c);
        return;
    }
    pg_link_close(&c->wire);
    c->events.down(c->events.ctx, c, PG_FAILURE_LINK,
                   c->is_broken ? "a request could not be sent" : "no answer in time");
}

/* ---- answers --------------------------------------------------------------------------------- */

static bool has_class(const char *state, const char *class)
{
    return strncmp(state, class, 2) == 0;
}

static enum driver_status status_of(const char *state)
{
    if (strcmp(state, STATE_CANCELED) == 0) {
        return DRIVER_TIMEOUT;
    }
    /* Connection, resources, intervention, system, a conflict that another try may not meet. */
    static const char *const down[] = {"08", "53", "57", "58", "40"};
    for (size_t i = 0; i < ARRAY_LEN(down); i++) {
        if (has_class(state, down[i])) {
            return DRIVER_DOWN;
        }
    }
    return DRIVER_ERROR;
}

static bool is_outdated(const char *state, const PGresult *result)
{
    if (strcmp(state, STATE_STATEMENT_GONE) == 0) {
        return true;
    }
    const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    return strcmp(state, STATE_NOT_SUPPORTED) == 0 && function != NULL &&
           strcmp(function, "RevalidateCachedQuery") == 0;
}

static void note_failure(struct pg_request *r, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    state = state != NULL ? state : "";
    if (r->status != DRIVER_OK) {
        return; /* the first one says why */
    }
    r->status = status_of(state);
    r->is_lost = r->status == DRIVER_DOWN && (has_class(state, "40") || has_class(state, "57"));
    r->failed_step = (enum pg_step)r->steps[r->step];
    r->is_outdated = r->task == DRIVER_LOAD && is_outdated(state, result);
    r->is_too_wide = r->task == DRIVER_LOAD && r->wide_params != 0 &&
                     strcmp(state, STATE_OUT_OF_RANGE) == 0;
    if (r->task == DRIVER_WRITE) {
        pg_write_note_failure(r, result);
    }
    (void)snprintf(r->detail, sizeof(r->detail), "%s (%s)",
                   text != NULL ? text : PQresultErrorMessage(result), state);
}

static void begin_rows(struct pg_request *r, const PGresult *result)
{
    if (!r->has_begun) {
        r->has_begun = true;
        pg_rows_begin(&r->builder, result);
    }
}

static void fail_request(struct pg_request *r, enum driver_status status, const char *why)
{
    if (r->status == DRIVER_OK) {
        r->status = status;
        (void)snprintf(r->detail, sizeof(r->detail), "%s", why);
    }
}

/* One row, or the end of the rows. */
static void take_rows(struct pg_pipe *c, struct pg_request *r, const PGresult *result)
{
    begin_rows(r, result);
    for (int i = 0; i < PQntuples(result) && r->status == DRIVER_OK && !r->is_rowless; i++) {
        if (r->rows_count == r->rows_max) {
            r->has_more = true;
            return;
        }
        r->rows_count++;
        enum driver_status status = pg_rows_add(&r->builder, result, i, r->row_bytes_max);
        if (status != DRIVER_OK && r->task == DRIVER_WRITE) {
            r->is_rowless = true; /* it happened all the same */
        } else if (status != DRIVER_OK) {
            fail_request(r, status,
                         status == DRIVER_BUSY ? "out of memory" : "a row above max-row");
        }
        c->is_worn = c->is_worn || status != DRIVER_OK || r->builder.len > ROW_BYTES_LARGE;
    }
}

static void take_failure(struct pg_pipe *c, struct pg_request *r, const PGresult *result)
{
    const enum pg_step step = (enum pg_step)r->steps[r->step];
    if (step == PG_STEP_SETTING) {
        c->timeout_ms = 0;
    } else if (step == PG_STEP_UNDO) {
        c->is_worn = true;
    } else if (step != PG_STEP_DEALLOCATE) {
        note_failure(r, result);
    }
}

static void take_result(struct pg_pipe *c, struct pg_request *r, PGresult *result)
{
    enum pg_step step = (enum pg_step)r->steps[r->step];
    ExecStatusType status = PQresultStatus(result);
    const bool is_write = r->task == DRIVER_WRITE;
    const bool has_rows = status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_OK;
    if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
        take_failure(c, r, result);
    } else if (has_rows) {
        take_rows(c, r, result);
    } else if (!is_write && status == PGRES_COMMAND_OK && step == PG_STEP_DESCRIBE) {
        begin_rows(r, result);
    } else if (status != PGRES_PIPELINE_ABORTED && step == PG_STEP_QUERY &&
               !(is_write && status == PGRES_COMMAND_OK)) {
        fail_request(r, DRIVER_ERROR, "the statement is no query");
        c->is_worn = true; /* there may be no way back from COPY and the like */
    }
    if (is_write && (has_rows || status == PGRES_COMMAND_OK)) {
        pg_write_take(c, r, result);
    }
}

/* ---- sending --------------------------------------------------------------------------------- */

static void send_request(struct pg_pipe *c, struct pg_request *r)
{
    r->steps_count = r->step = 0;
    r->is_one_by_one = false;
    list_push_back(&c->requests, &r->link);
    c->requests_count++;
    if (!pg_steps_send(c, r) || !pg_send_sync(c, r)) {
        /* Broken, or out of memory half-way: the connection is of no use any more. */
        c->is_worn = c->is_broken = true;
        ev_timer_stop(c->wire.target->loop, &c->watch);
        ev_timer_set(&c->watch, 0.0, 0.0);
        ev_timer_start(c->wire.target->loop, &c->watch);
        return;
    }
    watch_first(c);
    pg_link_flush(&c->wire);
}

void pg_pipe_send(struct pg_pipe *c, struct pg_request *r)
{
    assert(pg_pipe_is_up(c));
    assert(!c->is_worn && !c->is_writing);
    rows_abandon(&r->builder);
    r->status = DRIVER_OK;
    r->rows_count = 0;
    r->has_more = r->has_begun = false;
    c->is_writing = r->task == DRIVER_WRITE;
    send_request(c, r);
    r->is_outdated = r->is_too_wide = false;
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* Outdated and too wide are each met once. */
static bool is_to_repeat(const struct pg_pipe *c, struct pg_request *r)
{
    const bool may_repeat = !c->is_worn && !r->is_cancelled &&
                            ((r->is_outdated && !r->was_prepared_again) ||
                             (r->is_too_wide && !r->was_widened));
    if (may_repeat && c->is_writing) { /* not behind the write: the engine sends it elsewhere */
        r->status = DRIVER_DOWN;
        r->is_lost = true;
        return false;
    }
    r->was_prepared_again = r->was_prepared_again || (may_repeat && r->is_outdated);
    r->was_widened = r->was_widened || (may_repeat && r->is_too_wide);
    return may_repeat;
}

static void make_rows(struct pg_request *r)
{
    const bool is_write = r->task == DRIVER_WRITE;
    if (!r->has_begun && !is_write) {
        fail_request(r, DRIVER_ERROR, "no result");
    }
    if (r->status == DRIVER_OK && r->has_begun && !r->is_rowless) {
        r->rows = rows_finish(&r->builder, r->has_more);
        r->status = r->rows != NULL || is_write ? DRIVER_OK : DRIVER_BUSY;
    }
    rows_abandon(&r->builder);
}

static void finish(struct pg_pipe *c, struct pg_request *r)
{
    list_remove(&r->link);
    c->requests_count--;
    c->idle_us = c->requests_count == 0 ? clock_now_us() : c->idle_us;
    pg_steps_note_end(c, r);
    if (is_to_repeat(c, r)) {
        pg_pipe_send(c, r);
        return;
    }
    if (r->task == DRIVER_WRITE && pg_write_goes_on(c, r)) {
        send_request(c, r);
        return;
    }
    c->is_writing = c->is_writing && r->task != DRIVER_WRITE;
    make_rows(r);
    c->events.finished(c->events.ctx, c, r);
}

/* One result, or the NULL between two. */
static void take(struct pg_pipe *c, struct pg_request *r, PGresult *result)
{
    bool is_sync = result != NULL && PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    if (result != NULL && !is_sync) {
        take_result(c, r, result);
    } else {
        r->step++;
    }
    PQclear(result);
    if (r->step == r->steps_count) {
        finish(c, r);
        watch_first(c);
    }
}

static void on_readable(void *ctx)
{
    struct pg_pipe *c = ctx;
    PGconn *pg = c->wire.pg;
    for (struct pg_request *r; !c->is_broken && (r = first_request(c)) != NULL;) {
        if (r->steps[r->step] == PG_STEP_QUERY && !r->is_one_by_one) {
            r->is_one_by_one = PQsetSingleRowMode(pg) == 1;
        }
        if (PQisBusy(pg)) {
            break;
        }
        PGresult *result = PQgetResult(pg);
        if (result == NULL && PQstatus(pg) == CONNECTION_BAD) {
            break; /* down() follows */
        }
        take(c, r, result);
    }
    PGnotify *notice = PQnotifies(pg); /* nobody listens on this connection */
    PQfreemem(notice);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_up(void *ctx)
{
    struct pg_pipe *c = ctx;
    if (PQenterPipelineMode(c->wire.pg) != 1) {
        pg_link_close(&c->wire);
        c->events.down(c->events.ctx, c, PG_FAILURE_LINK, "no pipeline mode");
        return;
    }
    c->idle_us = clock_now_us();
    c->events.up(c->events.ctx, c);
}

static void on_down(void *ctx, enum pg_failure failure, const char *text)
{
    struct pg_pipe *c = ctx;
    ev_timer_stop(c->wire.target->loop, &c->watch);
    c->events.down(c->events.ctx, c, failure, text);
}

struct pg_pipe *pg_pipe_create(const struct pg_target *target, const struct pg_pipe_events *events)
{
    struct pg_pipe *c = malloc(sizeof(*c));
    if (c == NULL) {
        return NULL;
    }
    *c = (struct pg_pipe){.events = *events, .ends_us = INT64_MAX};
    list_init(&c->link);
    list_init(&c->requests);
    ev_init(&c->watch, on_watch);
    struct pg_link_events link_events = {
        .ctx = c, .up = on_up, .readable = on_readable, .down = on_down};
    pg_link_init(&c->wire, target, &link_events);
    if (pg_link_open(&c->wire) != 0) {
        free(c);
        return NULL;
    }
    return c;
}

void pg_pipe_destroy(struct pg_pipe *c)
{
    assert(list_is_empty(&c->requests));
    ev_timer_stop(c->wire.target->loop, &c->watch);
    pg_link_close(&c->wire);
    list_remove(&c->link);
    free(c->plans);
    free(c);
}
