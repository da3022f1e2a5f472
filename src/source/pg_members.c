/*
 * Loads go where read-from says, as long as a fit server is there: reached, and with a lag of at
 * most max-lag. Without a fit replica the primary takes them, without a primary the fit replicas.
 * What has to see the newest goes to the primary and nowhere else.
 *
 * Lag: once a second the primary is asked how far it has written its log, and the answers are kept.
 * A replica is asked how far it has replayed it; the newest answer of the primary that it has
 * reached tells how old its data may be. Both positions come from this process's own clock, so a
 * replica that is cut off from its primary cannot look fresh, and one that has everything the
 * primary ever had stays fit when the primary is gone. A server that is no replica any more has no
 * replay position and takes no part.
 */
#include "pg_members.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/base/clock.h"
#include "tarn/base/num.h"

#define TICK_SECONDS     1.0
#define CHECK_TIMEOUT_MS 1000
#define RTT_WEIGHT       4 /* a new round trip counts for a quarter */

static const char primary_sql[] =
    "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() - '0/0' END";
static const char replica_sql[] =
    "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() - '0/0' END";

/* ---- choosing -------------------------------------------------------------------------------- */

static bool is_down(const struct pg_member *s)
{
    return s->server.health == PG_HEALTH_DOWN || s->server.health == PG_HEALTH_AUTH;
}

static bool is_fit(const struct pg_members *m, unsigned i)
{
    const struct pg_member *s = &m->all[i];
    if (i == 0) {
        return !is_down(s);
    }
    return s->server.health == PG_HEALTH_UP && s->lag_ms >= 0 &&
           s->lag_ms <= m->options->max_lag_ms;
}

/* NULL: none is fit. */
static struct pg_member *next_replica(struct pg_members *m)
{
    for (unsigned i = 1; i < m->count; i++) {
        unsigned replica = 1 + m->turn++ % (m->count - 1);
        if (is_fit(m, replica)) {
            return &m->all[replica];
        }
    }
    return NULL;
}

static struct pg_member *nearest(struct pg_members *m)
{
    struct pg_member *best = NULL;
    for (unsigned i = 0; i < m->count; i++) {
        struct pg_member *s = &m->all[i];
        bool is_candidate = is_fit(m, i) && s->rtt_us > 0;
        if (is_candidate && (best == NULL || s->rtt_us < best->rtt_us)) {
            best = s;
        }
    }
    return best;
}

static struct pg_member *choose(struct pg_members *m, bool needs_primary)
{
    struct pg_member *primary = &m->all[0];
    struct pg_member *chosen = NULL;
    if (needs_primary || m->count == 1) {
        return primary;
    }
    switch ((enum driver_read_from)m->options->read_from) {
    case READ_FROM_PRIMARY:
        chosen = is_down(primary) ? next_replica(m) : primary;
        break;
    case READ_FROM_REPLICA:
        chosen = next_replica(m);
        break;
    case READ_FROM_NEAREST:
        chosen = nearest(m);
        break;
    }
    return chosen != NULL ? chosen : primary;
}

void pg_members_submit(struct pg_members *m, struct pg_request *r)
{
    pg_server_submit(&choose(m, r->needs_primary)->server, r);
}

/* ---- checks ---------------------------------------------------------------------------------- */

static void take_sample(struct pg_members *m, int64_t at_us, int64_t lsn)
{
    m->samples[m->samples_count++ % PG_SAMPLES] = (struct pg_sample){.at_us = at_us, .lsn = lsn};
}

/* How old data may be that goes up to this position; negative: not known. */
static int64_t lag_of(const struct pg_members *m, int64_t lsn)
{
    uint64_t kept = m->samples_count < PG_SAMPLES ? m->samples_count : PG_SAMPLES;
    for (uint64_t back = 1; back <= kept; back++) {
        const struct pg_sample *s = &m->samples[(m->samples_count - back) % PG_SAMPLES];
        if (s->lsn <= lsn) {
            return back == 1 ? 0 : (clock_now_us() - s->at_us) / 1000;
        }
    }
    return -1;
}

static bool parse_lsn(const struct pg_request *r, int64_t *out)
{
    if (r->status != DRIVER_OK || r->rows->count == 0) {
        return false;
    }
    return num_parse_i64(rows_bytes(r->rows, rows_cell(r->rows, 0, 0)), out);
}

static void take_check(struct pg_members *m, struct pg_request *r)
{
    struct pg_member *s = r->member;
    int64_t rtt_us = clock_now_us() - s->asked_us;
    int64_t lsn;
    s->is_asked = false;
    if (!parse_lsn(r, &lsn)) {
        s->lag_ms = -1;
    } else if (s == &m->all[0]) {
        take_sample(m, s->asked_us, lsn);
    } else {
        s->lag_ms = lag_of(m, lsn);
    }
    if (r->status == DRIVER_OK) {
        s->rtt_us = s->rtt_us == 0 ? rtt_us + 1 : s->rtt_us + (rtt_us - s->rtt_us) / RTT_WEIGHT;
    }
    rows_abandon(&r->builder);
    free(r->rows);
    free(r);
}

static void ask(struct pg_members *m, struct pg_member *s)
{
    struct pg_request *r = malloc(sizeof(*r));
    if (r == NULL) {
        return;
    }
    s->asked_us = clock_now_us();
    *r = (struct pg_request){.task = DRIVER_PING,
                             .sql = s == &m->all[0] ? primary_sql : replica_sql,
                             .member = s,
                             .deadline_us = s->asked_us + INT64_C(1000) * CHECK_TIMEOUT_MS,
                             .row_bytes_max = SIZE_MAX,
                             .rows_max = 1};
    s->is_asked = true;
    pg_server_submit(&s->server, r);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct pg_members *m = container_of(timer, struct pg_members, tick);
    for (unsigned i = 0; i < m->count; i++) {
        if (!m->all[i].is_asked) {
            ask(m, &m->all[i]);
        }
    }
    m->events.changed(m->events.ctx, &m->all[0].server);
}

/* ---- what servers report --------------------------------------------------------------------- */

static void on_finished(void *ctx, struct pg_request *r)
{
    struct pg_members *m = ctx;
    if (r->member != NULL) {
        take_check(m, r);
    } else {
        m->events.finished(m->events.ctx, r);
    }
}

/* A server that is out of reach passes its requests on, if another one is there. */
static void on_refused(void *ctx, struct pg_server *s, struct pg_request *r)
{
    struct pg_members *m = ctx;
    if (r->member != NULL) {
        r->status = DRIVER_DOWN;
        take_check(m, r);
        return;
    }
    struct pg_member *other = choose(m, r->needs_primary);
    bool is_due = !r->is_cancelled && clock_now_us() < r->deadline_us;
    if (is_due && !r->is_lost && &other->server != s && !is_down(other) && !r->was_passed_on) {
        r->was_passed_on = true;
        pg_server_submit(&other->server, r);
        m->events.changed(m->events.ctx, s);
        return;
    }
    m->events.refused(m->events.ctx, s, r);
}

static void on_changed(void *ctx, struct pg_server *s)
{
    struct pg_members *m = ctx;
    m->events.changed(m->events.ctx, s);
}

/* ---- all of them ----------------------------------------------------------------------------- */

void pg_members_pump(struct pg_members *m)
{
    for (unsigned i = 0; i < m->count; i++) {
        pg_server_pump(&m->all[i].server);
    }
}

bool pg_members_cancel(struct pg_members *m, uint64_t id)
{
    bool is_found = false;
    for (unsigned i = 0; i < m->count && !is_found; i++) {
        is_found = pg_server_cancel(&m->all[i].server, id);
    }
    return is_found;
}

enum driver_state pg_members_state(const struct pg_members *m)
{
    static const enum driver_state states[] = {
        [PG_HEALTH_UNKNOWN] = DRIVER_STATE_UNKNOWN,
        [PG_HEALTH_UP] = DRIVER_STATE_UP,
        [PG_HEALTH_DOWN] = DRIVER_STATE_DOWN,
        [PG_HEALTH_AUTH] = DRIVER_STATE_AUTH,
    };
    if (is_down(&m->all[0])) {
        for (unsigned i = 1; i < m->count; i++) {
            if (is_fit(m, i)) {
                return DRIVER_STATE_DEGRADED;
            }
        }
    }
    return states[m->all[0].server.health];
}

void pg_members_report(const struct pg_members *m, struct driver_report *out)
{
    *out = (struct driver_report){.replicas = m->count - 1,
                                  .is_primary_up = m->all[0].server.health == PG_HEALTH_UP,
                                  .lag_ms = -1};
    for (unsigned i = 0; i < m->count; i++) {
        const struct pg_member *s = &m->all[i];
        out->connections += s->server.conns_count - s->server.connecting;
        if (i > 0 && is_fit(m, i)) {
            out->replicas_fit++;
            out->lag_ms = s->lag_ms > out->lag_ms ? s->lag_ms : out->lag_ms;
        }
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static int check_replicas(const struct driver_options *options, struct errtext *err)
{
    unsigned count = 0;
    for (const char *dsn = options->replicas; *dsn != '\0'; dsn += strlen(dsn) + 1) {
        int r = pg_dsn_check(dsn, err);
        if (r != 0) {
            errtext_prefix(err, "replica");
            return r;
        }
        if (++count > PG_REPLICAS_MAX) {
            errtext_set(err, "there are more than %d replicas", PG_REPLICAS_MAX);
            return -EINVAL;
        }
    }
    return 0;
}

int pg_members_init(struct pg_members *m, const struct pg_target *target,
                    const struct pg_server_events *events, unsigned conns_max, struct errtext *err)
{
    int r = check_replicas(target->options, err);
    if (r != 0) {
        return r;
    }
    *m = (struct pg_members){.options = target->options, .events = *events};
    struct pg_server_events own = {
        .ctx = m, .finished = on_finished, .refused = on_refused, .changed = on_changed};
    struct pg_target each = *target;
    const char *next = target->options->replicas;
    for (;;) {
        struct pg_member *s = &m->all[m->count++];
        *s = (struct pg_member){.lag_ms = -1};
        pg_server_init(&s->server, &each, &own, conns_max, (unsigned)target->options->pipeline);
        if (*next == '\0') {
            break;
        }
        each.dsn = next;
        each.is_primary = false;
        next += strlen(next) + 1;
    }
    ev_timer_init(&m->tick, on_tick, 0.0, TICK_SECONDS);
    if (m->count > 1) {
        ev_timer_start(target->loop, &m->tick);
    }
    return 0;
}

struct drop {
    pg_finished_fn fn;
    void *ctx;
};

static void drop_request(void *ctx, struct pg_request *r)
{
    struct drop *drop = ctx;
    if (r->member != NULL) {
        rows_abandon(&r->builder);
        free(r->rows);
        free(r);
    } else {
        drop->fn(drop->ctx, r);
    }
}

void pg_members_fini(struct pg_members *m, pg_finished_fn fn, void *ctx)
{
    struct drop drop = {fn, ctx};
    ev_timer_stop(m->all[0].server.target.loop, &m->tick);
    for (unsigned i = 0; i < m->count; i++) {
        pg_server_fini(&m->all[i].server, drop_request, &drop);
    }
}
