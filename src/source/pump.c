/*
 * Sending. A slot is a place for one request at the driver; a flight in one is SENT. Most requests
 * are one flight's; flights of a map with a bulk query that wait together go out as one, up to
 * BULK_MAX of them. Nothing waits in order to become a batch: a batch is what queued in the same
 * turn of the loop, or while every connection was busy.
 *
 * A SENT flight that ends before its answer leaves its place in the slot empty: the connection is
 * busy until the driver reports, whoever still cares.
 */
#include "pump.h"

#include <assert.h>
#include <stdlib.h>

#include "bulk.h"
#include "fill.h"
#include "fence.h"
#include "flight.h"
#include "probe.h"
#include "write.h"
#include "tarn/base/log.h"

/* A request's id is the slot's index below a running number, so an answer finds its slot at once.
 */
#define SLOT_BITS 16
#define SLOT_MASK ((UINT64_C(1) << SLOT_BITS) - 1)

/* ---- queues ---------------------------------------------------------------------------------- */

void queue_enter(struct flight *f)
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
    src->queue_weight += map_load_weight(f->map);
}

void queue_leave(struct flight *f)
{
    struct source *src = f->source;
    if (f->state != FLIGHT_QUEUED) {
        return;
    }
    list_remove(&f->in_queue);
    if (f->is_background) {
        src->background_len--;
    } else {
        src->queue_len--;
        src->queue_weight -= map_load_weight(f->map);
    }
}

/* ---- slots ----------------------------------------------------------------------------------- */

static struct flight **slot_flights(struct slot *slot)
{
    return slot->count > 1 ? slot->many : &slot->one;
}

void slot_leave(struct flight *f)
{
    if (f->slot == NO_SLOT) {
        return;
    }
    struct slot *slot = &f->source->slots[f->slot];
    assert(slot_flights(slot)[f->place] == f);
    slot_flights(slot)[f->place] = NULL;
    f->slot = NO_SLOT;
    if (--slot->live == 0) {
        f->source->driver->cancel(f->source->upstream, slot->request);
    }
}

/* Takes a slot for flights that are about to be sent as one request; NULL without memory. */
static struct slot *take_slot(struct source *src, struct flight **flights, unsigned count)
{
    assert(src->free_count > 0 && count > 0);
    const unsigned index = src->free_slots[src->free_count - 1];
    struct slot *slot = &src->slots[index];
    if (count > 1 && slot->many == NULL) {
        slot->many = malloc(BULK_MAX * sizeof(struct flight *));
        if (slot->many == NULL) {
            return NULL;
        }
    }
    src->free_count--;
    slot->request = ++src->next_request << SLOT_BITS | index;
    slot->count = slot->live = count;
    slot->is_background = flights[0]->is_background;
    src->background_busy += slot->is_background;
    for (unsigned i = 0; i < count; i++) {
        slot_flights(slot)[i] = flights[i];
        flights[i]->slot = index;
        flights[i]->place = i;
    }
    return slot;
}

static void give_slot(struct source *src, struct slot *slot)
{
    src->background_busy -= slot->is_background;
    *slot = (struct slot){.many = slot->many};
    src->free_slots[src->free_count++] = (unsigned)(slot - src->slots);
}

/* The driver has not taken it: all stay queued. */
static void give_back(struct source *src, struct slot *slot)
{
    for (unsigned i = 0; i < slot->count; i++) {
        slot_flights(slot)[i]->slot = NO_SLOT;
    }
    give_slot(src, slot);
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

/* ---- sending --------------------------------------------------------------------------------- */

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

static int64_t time_left(const struct flight *f)
{
    const int64_t left_ms = f->deadline_ms - f->source->owner->clock->mono_ms;
    return left_ms > 0 ? left_ms : 0;
}

static struct driver_request make_request(const struct flight *f, uint64_t id,
                                          struct driver_value *params)
{
    struct driver_request r = {
        .id = id, .task = DRIVER_PING, .timeout_ms = time_left(f), .params = params};
    if (f->purpose == FLIGHT_WRITE) {
        write_fill_request(f, &r);
    } else if (f->purpose == FLIGHT_WARM) {
        r.task = DRIVER_LOAD;
        r.statement = (unsigned)f->statement_id;
        r.row_bytes_max = (size_t)f->map->options.max_row;
        r.rows_max = WARM_ROWS_MAX;
    } else if (f->purpose == FLIGHT_CHECK) {
        r.task = DRIVER_CHECK;
        r.statement = (unsigned)f->statement_id;
        r.takes_list = f->statement_id == f->map->bulk_statement_id;
        r.params_count = f->map->pattern.params_count;
        r.row_bytes_max = (size_t)f->map->options.max_row;
    } else if (f->map != NULL) {
        const struct map_options *o = &f->map->options;
        r.task = DRIVER_LOAD;
        r.needs_primary = fence_holds(f);
        r.statement = (unsigned)f->map->statement_id;
        r.params_count = bind_params(f, params);
        r.row_bytes_max = (size_t)o->max_row;
        r.rows_max = o->as == SHAPE_JSONROWS ? (unsigned)o->max_rows : 1;
        r.wants_more = o->rows == SHAPE_ROWS_ONE;
    }
    return r;
}

static void mark_sent(struct flight *f)
{
    struct sources *s = f->source->owner;
    queue_leave(f);
    f->state = FLIGHT_SENT;
    f->sent_ms = s->clock->mono_ms;
    f->sent_us = s->clock->mono_us;
    f->db_voids = s->db_voids[f->db];
    f->tag_seq = s->tags.seq;
    const bool is_counted = !f->is_resent && f->purpose != FLIGHT_WRITE;
    f->source->stats.loads += is_counted;
    if (f->map != NULL) {
        f->epoch = f->map->epoch;
        f->map->stats.loads += is_counted;
    }
}

/* Sends these flights as one query. False: no memory for it now. */
static bool send_bulk(struct source *src, struct flight **flights, unsigned count)
{
    struct driver_value list[BULK_MAX];
    const struct source_map *m = flights[0]->map;
    int64_t left_ms = 0;
    bool needs_primary = false;
    for (unsigned i = 0; i < count; i++) {
        const unsigned params = bind_params(flights[i], &list[i]);
        assert(params == 1);
        (void)params; /* without assertions */
        needs_primary = needs_primary || fence_holds(flights[i]);
        left_ms = time_left(flights[i]) > left_ms ? time_left(flights[i]) : left_ms;
    }
    struct slot *slot = take_slot(src, flights, count);
    if (slot == NULL) {
        return false;
    }
    const struct driver_request request = {.id = slot->request,
                                           .task = DRIVER_LOAD,
                                           .statement = (unsigned)m->bulk_statement_id,
                                           .takes_list = true,
                                           .needs_primary = needs_primary,
                                           .params_count = count,
                                           .params = list,
                                           .timeout_ms = left_ms,
                                           .row_bytes_max = (size_t)m->options.max_row,
                                           .rows_max = 2 * count,
                                           .wants_more = true};
    if (src->driver->load(src->upstream, &request, 1) == 0) {
        give_back(src, slot);
        return false;
    }
    flights[0]->map->stats.batches++;
    for (unsigned i = 0; i < count; i++) {
        mark_sent(flights[i]);
    }
    return true;
}

/* Requests that are handed to the driver in one call. */
struct sending {
    struct source *src;
    unsigned count;
    struct slot *slots[FLIGHT_BATCH_MAX];
    struct driver_request requests[FLIGHT_BATCH_MAX];
    struct driver_value params[FLIGHT_BATCH_MAX][DRIVER_PARAMS_MAX];
};

/* False: the driver is short of memory. */
static bool send_all(struct sending *s)
{
    const unsigned taken = s->count > 0
                               ? s->src->driver->load(s->src->upstream, s->requests, s->count)
                               : 0;
    for (unsigned i = 0; i < s->count; i++) {
        if (i < taken) {
            mark_sent(s->slots[i]->one);
        } else {
            give_back(s->src, s->slots[i]);
        }
    }
    return taken == s->count;
}

/* Sends one round from the front of a queue. False: nothing more can be sent now. */
static bool send_round(struct source *src, const struct list *queue)
{
    struct sending sending; /* large: only what is used is written */
    struct flight *batch[BULK_MAX];
    bool is_full = false;
    sending.src = src;
    sending.count = 0;
    list_for_each (it, queue) {
        struct flight *f = container_of(it, struct flight, in_queue);
        if (sending.count == FLIGHT_BATCH_MAX || src->free_count == 0) {
            is_full = src->free_count > 0;
            break;
        }
        if (f->slot != NO_SLOT || !may_send(f)) {
            continue;
        }
        const unsigned count = bulk_gather(queue, f, batch);
        if (count > 1 && sending.count > 0) {
            is_full = true;
            break;
        }
        if (count > 1) {
            return send_bulk(src, batch, count);
        }
        struct slot *slot = take_slot(src, &f, 1); /* one needs no memory */
        sending.slots[sending.count] = slot;
        sending.requests[sending.count] = make_request(f, slot->request,
                                                       sending.params[sending.count]);
        sending.count++;
    }
    return send_all(&sending) && is_full;
}

void source_pump(struct source *src)
{
    if (src->upstream == NULL) {
        return;
    }
    while (!list_is_empty(&src->queue) && src->free_count > 0 && send_round(src, &src->queue)) {
    }
    while (!list_is_empty(&src->background) && src->free_count > 0 &&
           send_round(src, &src->background)) {
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

static void send_again(struct flight *f)
{
    f->state = FLIGHT_QUEUED;
    f->is_resent = true;
    queue_enter(f);
}

/* Its connection broke before the statement was answered: once more, on another one. */
static bool retry_lost(struct flight *f, const struct driver_result *r)
{
    if (!r->is_lost || f->is_retried || f->purpose != FLIGHT_READ || f->source->owner->is_stopped ||
        f->source->breaker.state != BREAKER_CLOSED) {
        return false;
    }
    f->is_retried = true;
    send_again(f);
    return true;
}

/* A statement for many that failed because of what one of them met: each for itself. */
static bool retry_alone(struct flight *f, const struct driver_result *r)
{
    if (r->status != DRIVER_ERROR && r->status != DRIVER_TOO_BIG) {
        return false;
    }
    f->is_alone = true;
    send_again(f);
    return true;
}

static void answer_flights(struct flight **flights, unsigned count, const struct driver_result *r)
{
    struct bulk_rows rows;
    const bool is_bulk = count > 1;
    if (is_bulk && r->status == DRIVER_OK) {
        bulk_match(&rows, flights, count, r->rows);
    }
    for (unsigned i = 0; i < count; i++) {
        struct flight *f = flights[i];
        if (f == NULL || retry_lost(f, r) || (is_bulk && retry_alone(f, r))) {
            continue;
        }
        if (is_bulk && r->status == DRIVER_OK) {
            fill_from_bulk(f, r->rows, rows.row[i], rows.count[i]);
        } else {
            fill_from_result(f, r);
        }
    }
}

static void note_latency(const struct flight *f)
{
    struct source *src = f->source;
    struct sources *s = src->owner;
    const int64_t took_us = s->clock->mono_us - f->sent_us;
    latency_add(&src->latency, took_us);
    if (f->map != NULL && took_us >= src->options.slow_load_ms * 1000) {
        slow_log_add(&s->slow, f->map->name, flight_key(f), took_us, s->clock->wall_ms);
    }
}

void source_on_done(void *ctx, const struct driver_result *r)
{
    struct source *src = ctx;
    if (fill_check(src, r)) {
        return;
    }
    struct slot *slot = &src->slots[(unsigned)(r->id & SLOT_MASK)];
    assert(slot->request == r->id);
    struct flight *flights[BULK_MAX];
    const unsigned count = slot->count;
    const unsigned live = slot->live;
    for (unsigned i = 0; i < count; i++) {
        flights[i] = slot_flights(slot)[i];
        if (flights[i] != NULL) {
            flights[i]->slot = NO_SLOT;
            if (i == 0) {
                note_latency(flights[i]);
            }
        }
    }
    give_slot(src, slot);
    const bool is_failure = r->status == DRIVER_DOWN || r->status == DRIVER_TIMEOUT;
    if (!is_failure) {
        src->answered_ms = src->owner->clock->mono_ms;
    }
    answer_flights(flights, count, r);
    if (live > 0 && r->status != DRIVER_BUSY && !r->is_lost) {
        source_note_load(src, is_failure);
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
        source_probe_soon(src);
    }
    src->state = state;
}
