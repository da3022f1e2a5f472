/*
 * LISTEN and what comes of it. PostgreSQL delivers a notice after the commit that sent it is
 * visible to everybody, so a key that is removed now and loaded again finds the new row.
 *
 * The connection is not one of the pool, and its watcher comes before all others of a turn: a full
 * queue of notices would in the end hold up the commits of the database. It is asked for a sign of
 * life now and then, because a link that went silent looks like a database in which nothing
 * happens.
 *
 * FEED_UP is said when the server has confirmed the LISTEN. Whatever was sent before is lost; the
 * layer above knows that each FEED_UP ends a gap.
 */
#include "pg_feed.h"

#include <libpq-fe.h>
#include <string.h>

#include "tarn/base/buf.h"
#include "tarn/base/log.h"

#define BEAT_SECONDS  2.0 /* between signs of life; one that takes longer ends the connection */
#define FEED_PRIORITY 1

static void say(struct pg_feed *f, enum feed_event event)
{
    f->events.feed(f->events.ctx, event, strview_of("", 0));
}

/* ---- again and again ------------------------------------------------------------------------- */

static void wait_before_retry(struct pg_feed *f)
{
    int64_t wait_ms = backoff_next(&f->backoff, false, &f->rng);
    ev_timer_stop(f->target.loop, &f->retry);
    ev_timer_set(&f->retry, (double)wait_ms / 1000, 0.0);
    ev_timer_start(f->target.loop, &f->retry);
}

static void on_down(void *ctx, enum pg_failure failure, const char *text)
{
    (void)failure;
    struct pg_feed *f = ctx;
    ev_timer_stop(f->target.loop, &f->beat);
    if (!f->was_logged) {
        log_warning("no feed from channel '%s': %s", f->target.options->feed_name, text);
        f->was_logged = true;
    }
    if (f->is_listening) {
        f->is_listening = false;
        say(f, FEED_DOWN);
    }
    f->target.first++;
    wait_before_retry(f);
}

static void drop(struct pg_feed *f, const char *why)
{
    struct errtext text;
    errtext_set(&text, "%s", why); /* it may be the connection's */
    text.text[strcspn(text.text, "\n")] = '\0';
    pg_link_close(&f->wire);
    on_down(f, PG_FAILURE_LINK, text.text);
}

void pg_feed_start(struct pg_feed *f)
{
    if (pg_link_open(&f->wire) != 0) {
        wait_before_retry(f);
    }
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    pg_feed_start(container_of(timer, struct pg_feed, retry));
}

void pg_feed_hurry(struct pg_feed *f)
{
    if (ev_is_active(&f->retry)) {
        ev_timer_stop(f->target.loop, &f->retry);
        pg_feed_start(f);
    }
}

/* ---- talking --------------------------------------------------------------------------------- */

static bool ask(struct pg_feed *f, const char *sql)
{
    f->is_asking = PQsendQuery(f->wire.pg, sql) == 1;
    if (f->is_asking) {
        pg_link_flush(&f->wire);
    }
    return f->is_asking;
}

static void on_beat(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct pg_feed *f = container_of(timer, struct pg_feed, beat);
    if (f->is_asking) {
        drop(f, "no sign of life");
    } else if (!ask(f, "SELECT 1")) {
        drop(f, "a statement could not be sent");
    }
}

static void on_up(void *ctx)
{
    struct pg_feed *f = ctx;
    struct buf sql;
    buf_init(&sql);
    const char *channel = f->target.options->feed_name;
    char *name = PQescapeIdentifier(f->wire.pg, channel, strlen(channel));
    bool is_sent = name != NULL && buf_printf(&sql, "LISTEN %s", name) &&
                   buf_append_char(&sql, '\0') && ask(f, buf_view(&sql).data);
    PQfreemem(name);
    buf_fini(&sql);
    if (!is_sent) {
        drop(f, "LISTEN could not be sent");
        return;
    }
    ev_timer_again(f->target.loop, &f->beat);
}

/* False: the server refused. */
static bool take_results(struct pg_feed *f)
{
    bool is_fine = true;
    while (f->is_asking && !PQisBusy(f->wire.pg)) {
        PGresult *result = PQgetResult(f->wire.pg);
        f->is_asking = result != NULL;
        is_fine = is_fine && (result == NULL || PQresultStatus(result) == PGRES_COMMAND_OK ||
                              PQresultStatus(result) == PGRES_TUPLES_OK);
        PQclear(result);
    }
    return is_fine;
}

static void take_notices(struct pg_feed *f)
{
    (void)PQisBusy(f->wire.pg); /* parses what has arrived */
    for (PGnotify *n; f->is_listening && (n = PQnotifies(f->wire.pg)) != NULL;) {
        driver_feed_notice(&f->events, strview_str(n->extra));
        PQfreemem(n);
    }
}

static void on_readable(void *ctx)
{
    struct pg_feed *f = ctx;
    take_notices(f); /* first: the result may be the server's last words */
    if (!take_results(f)) {
        drop(f, PQerrorMessage(f->wire.pg));
        return;
    }
    if (!f->is_asking && !f->is_listening && PQstatus(f->wire.pg) == CONNECTION_OK) {
        f->is_listening = true;
        f->was_logged = false;
        f->backoff = (struct backoff){0};
        say(f, FEED_UP);
    }
    take_notices(f);
}

/* ---- life ------------------------------------------------------------------------------------ */

void pg_feed_init(struct pg_feed *f, const struct pg_target *target,
                  const struct driver_events *events)
{
    *f = (struct pg_feed){.target = *target, .events = *events};
    struct pg_link_events link_events = {
        .ctx = f, .up = on_up, .readable = on_readable, .down = on_down};
    pg_link_init(&f->wire, &f->target, &link_events);
    ev_set_priority(&f->wire.io, FEED_PRIORITY);
    rng_init_random(&f->rng);
    ev_init(&f->retry, on_retry);
    ev_timer_init(&f->beat, on_beat, 0.0, BEAT_SECONDS);
}

void pg_feed_stop(struct pg_feed *f)
{
    ev_timer_stop(f->target.loop, &f->retry);
    ev_timer_stop(f->target.loop, &f->beat);
    pg_link_close(&f->wire);
}
