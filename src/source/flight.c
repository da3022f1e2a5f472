/*
 * The life of a flight: created and queued, joined, ended. Who may start one, when it is sent, and
 * what a result becomes is decided elsewhere (load.c, pump.c, fill.c).
 *
 * Invariants:
 *  - a flight is QUEUED (in one of its source's queues), SENT (in a slot) or HELD (failed, waiting
 *    for nothing);
 *  - a waiter's `done` may call anything of this layer, so a flight that is answering is not freed
 *    under its own loop.
 */
#include "flight.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "deadline.h"
#include "freshness.h"
#include "load_error.h"
#include "probe.h"
#include "pump.h"
#include "write.h"

static struct deadlines *deadlines_of(const struct flight *f)
{
    return f->map != NULL ? &f->map->deadlines : &f->source->deadlines;
}

/* ---- beginning ------------------------------------------------------------------------------- */

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
        .is_warm = plan->is_warm,
        .statement_id = plan->statement_id,
        .write = plan->write,
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
    list_init(&f->in_writes);
    queue_enter(f);
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
        queue_leave(f);
        f->is_background = false;
        queue_enter(f);
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
    queue_leave(f);
    slot_leave(f);
    list_remove(&f->by_deadline);
    if (f->state == FLIGHT_HELD) {
        f->source->owner->flights_held--;
    }
    f->source->bytes -= f->memory;
    list_remove(&f->in_writes);
    free(f->write);
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
    queue_leave(f);
    slot_leave(f);
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
    queue_leave(f);
    slot_leave(f);
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
    if (f->purpose == FLIGHT_WRITE) {
        return; /* no load */
    }
    bool was_sent = f->state == FLIGHT_SENT || f->is_resent;
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

/* Those who began it without waiting for it. */
static void tell_failed(const struct flight *f)
{
    struct sources *s = f->source->owner;
    if (s->is_stopped) {
        return;
    }
    if (f->purpose == FLIGHT_PROBE) {
        source_probed(f->source, true);
    } else if (f->purpose == FLIGHT_WARM) {
        warm_take_rows(s, NULL);
    } else if (f->is_warm) {
        warm_note(s, LOAD_FAILED);
    }
}

void flight_fail(struct flight *f, enum load_error code, const char *detail)
{
    assert(f->state != FLIGHT_HELD);
    if (f->purpose == FLIGHT_WRITE) {
        code = write_failed(f, code);
    }
    char text[LOAD_ERROR_TEXT_MAX];
    struct buf bytes;
    struct load_result old;
    buf_init(&bytes);
    int64_t elapsed_ms = f->source->owner->clock->mono_ms - f->started_ms;
    load_error_text(text, code, f->source, f->map, elapsed_ms, f->id);
    load_error_log(f->source, code, f->map, f->id, detail);
    count_failure(f, code);
    tell_failed(f);
    const bool has_old = copy_old_value(f, &bytes, &old);
    struct load_result result = {.status = LOAD_FAILED, .error = strview_str(text)};
    if (hold(f, text)) {
        answer(f, &result, has_old ? &old : NULL);
    } else {
        finish(f, &result, has_old ? &old : NULL);
    }
    buf_fini(&bytes);
}
