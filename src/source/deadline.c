/*
 * Keeps the lists of struct deadlines in order and runs what is due.
 *
 * A newcomer is put in from the back. All of a map have the same timeout, so it stays there; only a
 * command that has waited before (a second round of loads) or a changed option makes it move
 * forward a few places.
 *
 * The timer runs on the loop's time, deadlines on the server's clock. When the timer comes early it
 * finds nothing due and is set again.
 */
#include "deadline.h"

#include "flight.h"
#include "freshness.h"
#include "load_error.h"
#include "probe.h"
#include "pump.h"

#define TIMER_MIN_MS 1

static int64_t flight_time(struct list *link)
{
    return container_of(link, struct flight, by_deadline)->deadline_ms;
}

static int64_t waiter_time(struct list *link)
{
    return container_of(link, struct load_waiter, by_deadline)->deadline_ms;
}

static void insert(struct list *l, struct list *link, int64_t (*time_of)(struct list *))
{
    struct list *at = l->prev;
    while (at != l && time_of(at) > time_of(link)) {
        at = at->prev;
    }
    list_insert_after(at, link);
}

void deadline_add_flight(struct deadlines *d, struct flight *f)
{
    insert(&d->flights, &f->by_deadline, flight_time);
}

void deadline_add_held(struct deadlines *d, struct flight *f)
{
    insert(&d->held, &f->by_deadline, flight_time);
}

void deadline_add_waiter(struct deadlines *d, struct load_waiter *w)
{
    insert(w->is_soft ? &d->soft : &d->waiters, &w->by_deadline, waiter_time);
}

void deadline_arm(struct sources *s, int64_t at_ms)
{
    if (at_ms >= s->timer_at_ms) {
        return;
    }
    int64_t delay_ms = at_ms - s->clock->mono_ms;
    delay_ms = delay_ms < TIMER_MIN_MS ? TIMER_MIN_MS : delay_ms;
    s->timer_at_ms = at_ms;
    ev_timer_stop(s->loop, &s->timer);
    ev_timer_set(&s->timer, (double)delay_ms / 1000, 0.0);
    ev_timer_start(s->loop, &s->timer);
}

/* ---- what is due ----------------------------------------------------------------------------- */

static bool is_due(const struct list *l, int64_t (*time_of)(struct list *), int64_t now_ms)
{
    return !list_is_empty(l) && time_of(l->next) <= now_ms;
}

static bool find_old_value(const struct load_waiter *w, struct load_result *out)
{
    const struct flight *f = w->flight;
    const struct store_key k = {.key = flight_key(f), .hash = f->hash, .db = f->db};
    return f->purpose == FLIGHT_READ && !w->wants_new &&
           old_value_find(f->source->owner, f->map, &k, out);
}

/* A waiter whose own time is up while the flight goes on for others. */
static void time_out_waiter(struct load_waiter *w, int64_t now_ms)
{
    struct flight *f = w->flight;
    if (f->waiters_count == 1 && f->state == FLIGHT_QUEUED) {
        flight_fail(f, LOAD_ERROR_TIMEOUT, "nobody can wait any longer for a connection");
        return;
    }
    char text[LOAD_ERROR_TEXT_MAX];
    load_error_text(text, LOAD_ERROR_TIMEOUT, f->source, f->map, now_ms - f->started_ms, f->id);
    struct load_result result = {.status = LOAD_FAILED, .error = strview_str(text)};
    struct load_result old;
    if (find_old_value(w, &old)) {
        f->map->stats.stale_error++;
        result = old;
    }
    load_waiter_cancel(w);
    w->done(w, &result);
}

/* A waiter has waited long enough for the new value, if the old one is still there. The load goes
 * on, for the next reader. */
static void end_patience(struct load_waiter *w)
{
    struct flight *f = w->flight;
    struct load_result old;
    if (find_old_value(w, &old)) {
        f->map->stats.soft_timeouts++;
        flight_leave(w);
        w->done(w, &old);
        return;
    }
    list_remove(&w->by_deadline);
    w->is_soft = false;
    w->deadline_ms = w->last_ms;
    if (w->deadline_ms < f->deadline_ms) {
        deadline_add_waiter(&f->map->deadlines, w);
    }
}

static void run_due(struct deadlines *d, int64_t now_ms)
{
    while (is_due(&d->soft, waiter_time, now_ms)) {
        end_patience(container_of(d->soft.next, struct load_waiter, by_deadline));
    }
    while (is_due(&d->waiters, waiter_time, now_ms)) {
        time_out_waiter(container_of(d->waiters.next, struct load_waiter, by_deadline), now_ms);
    }
    while (is_due(&d->flights, flight_time, now_ms)) {
        struct flight *f = container_of(d->flights.next, struct flight, by_deadline);
        struct source *src = f->source;
        const bool was_sent = f->state == FLIGHT_SENT;
        const bool was_hung = was_sent || src->answered_ms < f->started_ms;
        flight_fail(f, LOAD_ERROR_TIMEOUT,
                    was_sent ? "the database did not answer in time"
                             : "no connection was free in time");
        if (was_hung) { /* else the pool is merely too small for the load */
            source_note_load(src, true);
        }
    }
    while (is_due(&d->held, flight_time, now_ms)) {
        flight_void(container_of(d->held.next, struct flight, by_deadline));
    }
}

static int64_t earlier(int64_t at_ms, const struct list *l, int64_t (*time_of)(struct list *))
{
    return !list_is_empty(l) && time_of(l->next) < at_ms ? time_of(l->next) : at_ms;
}

static int64_t earliest(const struct deadlines *d)
{
    int64_t at_ms = earlier(INT64_MAX, &d->flights, flight_time);
    at_ms = earlier(at_ms, &d->waiters, waiter_time);
    at_ms = earlier(at_ms, &d->soft, waiter_time);
    return earlier(at_ms, &d->held, flight_time);
}

void sources_tick(struct sources *s)
{
    int64_t now_ms = s->clock->mono_ms;
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < s->maps_count; i++) {
        run_due(&s->maps[i]->deadlines, now_ms);
    }
    for (size_t i = 0; i < s->sources_count; i++) {
        run_due(&s->sources[i]->deadlines, now_ms);
        settle_run(s->sources[i]);
        source_probe_if_due(s->sources[i]);
        source_pump(s->sources[i]);
    }
    warm_tick(s);
    ev_timer_stop(s->loop, &s->timer);
    s->timer_at_ms = INT64_MAX;
    next_ms = warm_next_ms(s);
    for (size_t i = 0; i < s->maps_count; i++) {
        int64_t at_ms = earliest(&s->maps[i]->deadlines);
        next_ms = at_ms < next_ms ? at_ms : next_ms;
    }
    for (size_t i = 0; i < s->sources_count; i++) {
        int64_t at_ms = earliest(&s->sources[i]->deadlines);
        next_ms = at_ms < next_ms ? at_ms : next_ms;
        at_ms = source_probe_at(s->sources[i]);
        next_ms = at_ms < next_ms ? at_ms : next_ms;
        at_ms = settle_next_ms(s->sources[i]);
        next_ms = at_ms < next_ms ? at_ms : next_ms;
    }
    if (next_ms != INT64_MAX) {
        deadline_arm(s, next_ms);
    }
}

void sources_on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct sources *s = container_of(timer, struct sources, timer);
    sources_tick(s);
}

void deadlines_fail(struct deadlines *d, const char *why)
{
    while (!list_is_empty(&d->flights)) {
        struct flight *f = container_of(d->flights.next, struct flight, by_deadline);
        flight_fail(f, LOAD_ERROR_DOWN, why);
    }
    while (!list_is_empty(&d->held)) {
        flight_void(container_of(d->held.next, struct flight, by_deadline));
    }
}

void sources_fail_all(struct sources *s)
{
    static const char why[] = "the server is shutting down";
    for (size_t i = 0; i < s->maps_count; i++) {
        deadlines_fail(&s->maps[i]->deadlines, why);
    }
    for (size_t i = 0; i < s->sources_count; i++) {
        deadlines_fail(&s->sources[i]->deadlines, why);
    }
}
