/*
 * Opening fails what waits in the queues (who is in the air may still arrive), then only probes go
 * out: a ping, one at a time, started by the timer whether or not anybody asks for anything. The
 * first that is answered closes the breaker.
 */
#include "probe.h"

#include "deadline.h"
#include "flight.h"
#include "tarn/base/log.h"

static void fail_queue(struct list *queue)
{
    while (!list_is_empty(queue)) {
        struct flight *f = container_of(queue->next, struct flight, in_queue);
        flight_fail(f, LOAD_ERROR_DOWN, "the breaker has opened");
    }
}

static void on_open(struct source *src)
{
    deadline_arm(src->owner, src->breaker.until_ms);
}

void source_note_load(struct source *src, bool is_failure)
{
    struct sources *s = src->owner;
    if (breaker_note(&src->breaker, &src->options.breaker, is_failure, s->clock->mono_ms,
                     &s->rng)) {
        log_warning("source '%s' fails: its breaker opens", src->name);
        on_open(src);
        fail_queue(&src->queue);
        fail_queue(&src->background);
    }
}

void source_probe_if_due(struct source *src)
{
    struct sources *s = src->owner;
    const int64_t now_ms = s->clock->mono_ms;
    if (src->upstream == NULL || src->is_paused || !breaker_wants_probe(&src->breaker, now_ms)) {
        return;
    }
    const struct flight_plan plan = {.source = src,
                                     .started_ms = now_ms,
                                     .deadline_ms = now_ms + src->options.driver.connect_timeout_ms,
                                     .purpose = FLIGHT_PROBE};
    if (flight_create(&plan) == NULL) {
        source_probed(src, true); /* no memory: as if it had failed */
    }
}

void source_probe_soon(struct source *src)
{
    if (src->breaker.state == BREAKER_OPEN) {
        breaker_hurry(&src->breaker, src->owner->clock->mono_ms);
        deadline_arm(src->owner, src->breaker.until_ms);
    }
}

void source_probed(struct source *src, bool is_failure)
{
    struct sources *s = src->owner;
    breaker_probed(&src->breaker, &src->options.breaker, is_failure, s->clock->mono_ms, &s->rng);
    if (is_failure) {
        on_open(src);
    } else {
        log_notice("source '%s' answers again: its breaker closes", src->name);
    }
}

int64_t source_probe_at(const struct source *src)
{
    const bool is_waiting = src->breaker.state == BREAKER_OPEN && !src->is_paused &&
                            src->upstream != NULL;
    return is_waiting ? src->breaker.until_ms : INT64_MAX;
}

const char *source_breaker_name(const struct source *src)
{
    static const char *const names[] = {
        [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_PROBING] = "probing"};
    return names[src->breaker.state];
}
