/*
 * The life of a flight: created and queued, joined, handed to the driver, ended. Who may start one
 * and what a result becomes is decided elsewhere (load.c, fill.c).
 *
 * Invariants:
 *  - a flight is QUEUED (in its source's queue), SENT (in a slot) or HELD (failed, waiting for
 *    nothing);
 *  - a SENT flight that ends before its answer leaves its slot taken and empty: the connection is
 *    busy until the driver reports, whoever still cares;
 *  - a waiter's `done` may call anything of this layer, so a flight that is answering is not freed
 *    under its own loop.
 */
#include "flight.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "deadline.h"
#include "fence.h"
#include "fill.h"
#include "freshness.h"
#include "load_error.h"
#include "probe.h"

#define NO_SLOT UINT32_MAX

/* A request's id is the slot's index below a running number, so an answer finds its slot at once.
 */
#define SLOT_BITS 16
#define SLOT_MASK ((UINT64_C(1) << SLOT_BITS) - 1)

static struct deadlines *deadlines_of(const struct flight *f)
{
    return f->map != NULL ? &f->map->deadlines : &f->source->deadlines;
}

/* ---- beginning ------------------------------------------------------------------------------- */

static void enter_queue(struct flight *f)
{
    struct source *src = f->source;
    if (f->is_background) {
        list_push_back(&src->background, &f->in_queue);
        src->background_len++;
        return;
    }
    if (f->purpose == FLIGHT_PROBE || f->is_retried) {
        list_push_front(&src->queue, &f->in_queue);
    } else {
        list_push_back(&src->queue, &f->in_queue);
    }
    src->queue_len++;
}

static void leave_queue(struct flight *f)
{
    if (f->state == FLIGHT_QUEUED) {
        list_remove(&f->in_queue);
        f->source->queue_len -= !f->is_background;
        f->source->background_len -= f->is_background;
    }
}

size_t flight_cost(const struct flight_plan *plan)
{
    return sizeof(struct flight) + plan->key.key.len; /* keys of maps are bounded by max-param */
}

struct flight *flight_create(const struct flight_plan *plan)
{
    struct source *src = plan->source;
    struct sources *s = src->owner;
    size_t memory = flight_cost(plan);
    struct flight *f = malloc(memory);
    if (f == NULL) {
        return NULL;
    }
    *f = (struct flight){
        .source = src,
        .map = plan->map,
        .id = s->next_flight_id++,
        .hash = plan->key.hash,
        .db = plan->key.db,
        .slot = NO_SLOT,
        .state = FLIGHT_QUEUED,
        .purpose = plan->purpose,
        .is_background = plan->is_background,
        .is_admitted = plan->is_admitted,
        .epoch = plan->map != NULL ? plan->map->epoch : 0,
        .db_voids = s->db_voids[plan->key.db],
        .started_ms = plan->started_ms,
        .deadline_ms = plan->deadline_ms,
        .memory = memory,
        .key_len = plan->key.key.len,
    };
    if (f->key_len > 0) {
        memcpy(f->key, plan->key.key.data, f->key_len);
    }
    list_init(&f->waiters);
    enter_queue(f);
    src->bytes += memory;
    deadline_add_flight(deadlines_of(f), f);
    deadline_arm(s, f->deadline_ms);
    if (f->purpose == FLIGHT_READ) {
        flight_table_insert(&s->flights, f);
    }
    return f;
}

/* Somebody waits now for what was begun for nobody: in front of all that nobody waits for, and it
 * may take as long as if it had begun now. */
static void promote(struct flight *f, int64_t deadline_ms)
{
    if (f->state == FLIGHT_QUEUED) {
        leave_queue(f);
        f->is_background = false;
        enter_queue(f);
        list_remove(&f->by_deadline);
        f->deadline_ms = deadline_ms;
        deadline_add_flight(deadlines_of(f), f);
    }
    f->is_background = false;
}

void flight_join(struct flight *f, struct load_waiter *w, int64_t deadline_ms, int64_t soft_ms)
{
    assert(f->state != FLIGHT_HELD);
    assert(w->flight == NULL);
    struct sources *s = f->source->owner;
    if (f->is_background) {
        promote(f, deadline_ms);
    }
    w->flight = f;
    w->is_soft = soft_ms < deadline_ms;
    w->last_ms = deadline_ms;
    w->deadline_ms = w->is_soft ? soft_ms : deadline_ms;
    list_push_back(&f->waiters, &w->link);
    list_init(&w->by_deadline);
    if (w->deadline_ms < f->deadline_ms) { /* else the flight's own deadline comes first */
        deadline_add_waiter(deadlines_of(f), w);
        deadline_arm(s, w->deadline_ms);
    }
    f->waiters_count++;
    f->source->waiters++;
}

/* ---- parting --------------------------------------------------------------------------------- */

void flight_leave(struct load_waiter *w)
{
    struct flight *f = w->flight;
    list_remove(&w->link);
    list_remove(&w->by_deadline);
    w->flight = NULL;
    f->waiters_count--;
    f->source->waiters--;
}

/* The driver is told to give up; its slot stays taken until it has. */
static void leave_slot(struct flight *f)
{
    if (f->slot == NO_SLOT) {
        return;
    }
    struct slot *slot = &f->source->slots[f->slot];
    assert(slot->flight == f);
    slot->flight = NULL;
    f->slot = NO_SLOT;
    f->source->driver->cancel(f->source->upstream, slot->request);
}

static void unlist(struct flight *f)
{
    if (f->is_listed) {
        flight_table_remove(&f->source->owner->flights, f);
    }
}

/* Frees now, or as soon as the flight has answered. */
static void release(struct flight *f)
{
    if (f->is_answering) {
        f->is_released = true;
        return;
    }
    assert(list_is_empty(&f->waiters));
    unlist(f);
    leave_queue(f);
    leave_slot(f);
    list_remove(&f->by_deadline);
    if (f->state == FLIGHT_HELD) {
        f->source->owner->flights_held--;
    }
    f->source->bytes -= f->memory;
    free(f->error);
    free(f);
}

/* `old`: for those who take an old value instead of a failure; NULL: there is none. */
static void answer(struct flight *f, const struct load_result *result,
                   const struct load_result *old)
{
    f->is_answering = true;
    while (!list_is_empty(&f->waiters)) {
        struct load_waiter *w = container_of(f->waiters.next, struct load_waiter, link);
        const bool takes_old = old != NULL && !w->wants_new;
        flight_leave(w);
        if (takes_old) {
            f->map->stats.stale_error++;
        }
        w->done(w, takes_old ? old : result);
    }
    f->is_answering = false;
    if (f->is_released) {
        release(f);
    }
}

void load_waiter_cancel(struct load_waiter *w)
{
    struct flight *f = w->flight;
    if (f == NULL) {
        return;
    }
    flight_leave(w);
    if (f->waiters_count == 0 && f->state == FLIGHT_QUEUED && !f->is_answering) {
        release(f);
    }
}

/* ---- voiding --------------------------------------------------------------------------------- */

bool flight_is_stale(const struct flight *f)
{
    if (f->state == FLIGHT_QUEUED) {
        return false;
    }
    return f->is_void || (f->map != NULL && f->epoch != f->map->epoch) ||
           f->db_voids != f->source->owner->db_voids[f->db];
}

void flight_void(struct flight *f)
{
    assert(f->state != FLIGHT_QUEUED);
    f->is_void = true;
    unlist(f);
    if (f->state == FLIGHT_HELD) {
        release(f);
    }
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void finish(struct flight *f, const struct load_result *result,
                   const struct load_result *old)
{
    unlist(f);
    leave_queue(f);
    leave_slot(f);
    list_remove(&f->by_deadline);
    f->state = FLIGHT_SENT; /* in no queue any more */
    f->is_released = true;
    answer(f, result, old);
}

void flight_finish(struct flight *f, const struct load_result *result)
{
    finish(f, result, NULL);
}

/* Keeps the failed flight in the table, so that the key fails at once for a while. */
static bool hold(struct flight *f, const char *text)
{
    struct sources *s = f->source->owner;
    int64_t hold_ms = f->map != NULL ? f->map->options.error_hold_ms : 0;
    /* What is held must leave room for loads. */
    bool has_room = s->flights_held < FLIGHTS_HELD_MAX &&
                    f->source->bytes < (size_t)f->source->options.inflight_memory / 4;
    if (hold_ms == 0 || !f->is_listed || s->is_stopped || !has_room || flight_is_stale(f)) {
        return false;
    }
    f->error = strdup(text);
    if (f->error == NULL) {
        return false;
    }
    leave_queue(f);
    leave_slot(f);
    list_remove(&f->by_deadline);
    f->state = FLIGHT_HELD;
    f->deadline_ms = s->clock->mono_ms + hold_ms;
    deadline_add_held(deadlines_of(f), f);
    deadline_arm(s, f->deadline_ms);
    s->flights_held++;
    return true;
}

static void count_failure(struct flight *f, enum load_error code)
{
    bool is_timeout = code == LOAD_ERROR_TIMEOUT;
    bool was_sent = f->state == FLIGHT_SENT || f->is_retried;
    struct source_stats *stats = &f->source->stats;
    stats->loads += !was_sent; /* else counted when it was sent */
    stats->timeouts += is_timeout;
    stats->errors += !is_timeout;
    if (f->map != NULL) {
        f->map->stats.loads += !was_sent;
        f->map->stats.timeouts += is_timeout;
        f->map->stats.errors += !is_timeout;
    }
}

/* A copy of the old value, because those who are answered may do what they like. */
static bool copy_old_value(const struct flight *f, struct buf *bytes, struct load_result *out)
{
    const struct store_key k = {.key = flight_key(f), .hash = f->hash, .db = f->db};
    if (f->purpose != FLIGHT_READ || f->waiters_count == 0 ||
        !old_value_find(f->source->owner, f->map, &k, out) || !buf_append_view(bytes, out->value)) {
        return false;
    }
    out->value = buf_view(bytes);
    return true;
}

void flight_fail(struct flight *f, enum load_error code, const char *detail)
{
    assert(f->state != FLIGHT_HELD);
    char text[LOAD_ERROR_TEXT_MAX];
    struct buf bytes;
    struct load_result old;
    buf_init(&bytes);
    int64_t elapsed_ms = f->source->owner->clock->mono_ms - f->started_ms;
    load_error_text(text, code, f->source, f->map, elapsed_ms, f->id);
    load_error_log(f->source, code, f->map, f->id, detail);
    count_failure(f, code);
    if (f->purpose == FLIGHT_PROBE && !f->source->owner->is_stopped) {
        source_probed(f->source, true);
    }
    const bool has_old = copy_old_value(f, &bytes, &old);
    struct load_result result = {.status = LOAD_FAILED, .error = strview_str(text)};
    if (hold(f, text)) {
        answer(f, &result, has_old ? &old : NULL);
    } else {
        finish(f, &result, has_old ? &old : NULL);
    }
    buf_fini(&bytes);
}

/* ---- the driver's side ----------------------------------------------------------------------- */

static unsigned bind_params(const struct flight *f, struct driver_value *params)
{
    struct strview values[PATTERN_PARAMS_MAX];
    const struct pattern *pattern = &f->map->pattern;
    bool matches = pattern_match(pattern, flight_key(f), SIZE_MAX, values);
    assert(matches); /* the key was matched when the flight began */
    (void)matches;   /* without assertions */
    for (unsigned i = 0; i < pattern->params_count; i++) {
        params[i] = param_value(&pattern->params[i], values[i]);
    }
    return pattern->params_count;
}

static struct driver_request make_request(struct flight *f, uint64_t id,
                                          struct driver_value *params)
{
    int64_t left_ms = f->deadline_ms - f->source->owner->clock->mono_ms;
    struct driver_request r = {
        .id = id, .task = DRIVER_PING, .timeout_ms = left_ms > 0 ? left_ms : 0, .params = params};
    if (f->map != NULL) {
        r.task = DRIVER_LOAD;
        r.needs_primary = fence_holds(f);
        r.statement = (unsigned)f->map->statement_id;
        r.params_count = bind_params(f, params);
        r.row_bytes_max = (size_t)f->map->options.max_row;
        r.wants_more = f->map->options.rows == SHAPE_ROWS_ONE;
    }
    return r;
}

static void take_slot(struct source *src, struct flight *f)
{
    assert(src->free_count > 0);
    unsigned slot = src->free_slots[--src->free_count];
    uint64_t request = ++src->next_request << SLOT_BITS | slot;
    src->slots[slot] = (struct slot){
        .request = request, .flight = f, .is_background = f->is_background};
    src->background_busy += f->is_background;
    f->slot = slot;
}

static void give_slot(struct source *src, unsigned slot)
{
    src->background_busy -= src->slots[slot].is_background;
    src->slots[slot] = (struct slot){0};
    src->free_slots[src->free_count++] = slot;
}

/* Loads that nobody waits for leave room for those that somebody does. */
static bool may_send(const struct flight *f)
{
    const struct source *src = f->source;
    if (!f->is_background) {
        return true;
    }
    const unsigned awaited = src->capacity - src->free_count - src->background_busy;
    if (f->map->options.priority == PRIORITY_LOW && (awaited > 0 || src->queue_len > 0)) {
        return false;
    }
    const int64_t share = src->options.background_share * (int64_t)src->capacity;
    return src->background_busy == 0 ||
           (int64_t)(src->background_busy + 1) * SETTING_PERCENT_UNITS <= share;
}

static void mark_sent(struct flight *f)
{
    struct sources *s = f->source->owner;
    leave_queue(f);
    f->state = FLIGHT_SENT;
    f->sent_ms = s->clock->mono_ms;
    f->sent_us = s->clock->mono_us;
    f->db_voids = s->db_voids[f->db];
    f->source->stats.loads += !f->is_retried;
    if (f->map != NULL) {
        f->epoch = f->map->epoch;
        f->map->stats.loads += !f->is_retried;
    }
}

/* Sends one batch from the front of a queue. False: nothing more can be sent now. */
static bool send_batch(struct source *src, const struct list *queue)
{
    struct flight *batch[FLIGHT_BATCH_MAX];
    struct driver_request requests[FLIGHT_BATCH_MAX];
    struct driver_value params[FLIGHT_BATCH_MAX][DRIVER_PARAMS_MAX];
    unsigned count = 0;
    list_for_each (it, queue) {
        struct flight *f = container_of(it, struct flight, in_queue);
        if (count == FLIGHT_BATCH_MAX || src->free_count == 0) {
            break;
        }
        if (!may_send(f)) {
            continue;
        }
        take_slot(src, f);
        requests[count] = make_request(f, src->slots[f->slot].request, params[count]);
        batch[count++] = f;
    }
    unsigned taken = count > 0 ? src->driver->load(src->upstream, requests, count) : 0;
    for (unsigned i = 0; i < count; i++) {
        if (i < taken) {
            mark_sent(batch[i]);
        } else { /* the driver is short of memory: stays queued */
            unsigned slot = batch[i]->slot;
            batch[i]->slot = NO_SLOT;
            give_slot(src, slot);
        }
    }
    return taken == FLIGHT_BATCH_MAX;
}

void source_pump(struct source *src)
{
    if (src->upstream == NULL) {
        return;
    }
    while (!list_is_empty(&src->queue) && send_batch(src, &src->queue)) {
    }
    while (!list_is_empty(&src->background) && send_batch(src, &src->background)) {
    }
}

/* Its connection broke before the statement was answered: once more, on another one. */
static bool retry(struct flight *f, const struct driver_result *r)
{
    if (!r->is_lost || f->is_retried || f->purpose != FLIGHT_READ || f->source->owner->is_stopped ||
        f->source->breaker.state != BREAKER_CLOSED) {
        return false;
    }
    f->state = FLIGHT_QUEUED;
    f->is_retried = true;
    enter_queue(f);
    return true;
}

void source_on_done(void *ctx, const struct driver_result *r)
{
    struct source *src = ctx;
    if (fill_check(src, r)) {
        return;
    }
    unsigned slot = (unsigned)(r->id & SLOT_MASK);
    assert(slot < src->capacity);
    assert(src->slots[slot].request == r->id);
    struct flight *f = src->slots[slot].flight;
    give_slot(src, slot);
    if (r->status != DRIVER_DOWN && r->status != DRIVER_TIMEOUT) {
        src->answered_ms = src->owner->clock->mono_ms;
    }
    if (f != NULL) {
        f->slot = NO_SLOT;
        latency_add(&src->latency, src->owner->clock->mono_us - f->sent_us);
        if (!retry(f, r)) {
            const bool is_failure = r->status == DRIVER_DOWN || r->status == DRIVER_TIMEOUT;
            fill_from_result(f, r);
            if (r->status != DRIVER_BUSY) {
                source_note_load(src, is_failure);
            }
        }
    }
    source_pump(src);
}

void source_on_state(void *ctx, enum driver_state state)
{
    struct source *src = ctx;
    bool was_down = src->state == DRIVER_STATE_DOWN || src->state == DRIVER_STATE_AUTH;
    if (was_down && (state == DRIVER_STATE_UP || state == DRIVER_STATE_DEGRADED)) {
        src->stats.reconnects++;
        log_notice("source '%s' is up again", src->name);
    }
    src->state = state;
}
