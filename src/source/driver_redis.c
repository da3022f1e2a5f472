/*
 * The Redis driver: another cache as the database of this one, be it Redis, Valkey or Tarn.
 *
 *     load() ──> struct redis_request ──> waiting ──> redis_link (pipeline) ──> finished ──> done()
 *
 * This file makes requests and reports how they ended; redis_conns.c has the connections. All that
 * happens in one place, on_kick(), which libev calls in the same turn as whatever asked for it: no
 * event of a connection ever runs into the layer above.
 */
#include "tarn/source/driver.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "driver_support.h"
#include "redis_statement.h"
#include "redis_upstream.h"
#include "tarn/base/clock.h"

#define CANCEL_SLACK_US (20 * 1000) /* before its deadline a request counts as cancelled */

/* ---- the end of a request -------------------------------------------------------------------- */

void redis_finish(struct upstream *u, struct redis_request *r)
{
    if (r->status != DRIVER_OK) {
        free(r->rows);
        r->rows = NULL;
    }
    if (r->rows != NULL) {
        r->memory += r->rows->memory;
        u->memory += r->rows->memory;
    }
    if (u->memory > u->config.result_bytes_max) {
        redis_request_fail(r, DRIVER_BUSY, "results take all the memory they may");
    }
    list_push_back(&u->finished, &r->link);
    redis_kick(u);
}

void redis_fail(struct upstream *u, struct redis_request *r, enum driver_status status,
                const char *detail)
{
    redis_request_fail(r, status, detail);
    redis_finish(u, r);
}

static void free_request(struct upstream *u, struct redis_request *r)
{
    u->memory -= r->memory;
    u->requests--;
    redis_request_destroy(r);
}

static void report(struct upstream *u)
{
    if (u->state != u->reported_state) {
        u->reported_state = u->state;
        u->config.events.state(u->config.events.ctx, u->state);
    }
    for (struct list *link; (link = list_pop_front(&u->finished)) != NULL;) {
        struct redis_request *r = container_of(link, struct redis_request, link);
        const struct driver_result result = {
            .id = r->id,
            .status = r->status,
            .rows = r->status == DRIVER_OK ? r->rows : NULL,
            .detail = r->detail,
            .is_lost = r->is_lost,
            .has_life = r->has_life,
            .life_ms = r->life_ms,
        };
        u->config.events.done(u->config.events.ctx, &result);
        free_request(u, r);
    }
}

static void on_kick(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct upstream *u = container_of(watcher, struct upstream, kick);
    (void)loop;
    (void)events;
    redis_conns_send(u);
    if (u->has_failed && !redis_conns_are_up(u)) {
        for (struct list *link; (link = list_pop_front(&u->waiting)) != NULL;) {
            redis_fail(u, container_of(link, struct redis_request, link), DRIVER_DOWN,
                       u->problem.text);
        }
    }
    report(u);
}

/* ---- requests -------------------------------------------------------------------------------- */

static unsigned load(struct upstream *u, const struct driver_request *requests, unsigned count)
{
    unsigned taken = 0;
    for (; taken < count; taken++) {
        const struct driver_request *q = &requests[taken];
        const struct redis_statement *s = NULL;
        if (q->task != DRIVER_PING) {
            s = u->statements.items[q->statement];
        }
        struct redis_request *r = redis_request_create(q, s);
        if (r == NULL) {
            break;
        }
        u->requests++;
        u->memory += r->memory;
        if (s != NULL && s->problem.text[0] != '\0') {
            redis_fail(u, r, DRIVER_ERROR, s->problem.text);
            continue;
        }
        list_push_back(&u->waiting, &r->link);
        redis_conns_watch(u, r->deadline_us);
    }
    redis_kick(u);
    return taken;
}

static struct redis_request *find_request(const struct upstream *u, uint64_t id)
{
    list_for_each (it, &u->waiting) {
        struct redis_request *r = container_of(it, struct redis_request, link);
        if (r->id == id) {
            return r;
        }
    }
    struct redis_request *found = NULL;
    for (unsigned i = 0; i < u->config.connections && found == NULL; i++) {
        found = redis_link_find(&u->links[i], id);
    }
    return found;
}

/* A cancelled request is a late one, for the sweep to find. The layer above cancels at deadlines
 * too: that says something about the connection. */
static void cancel(struct upstream *u, uint64_t id)
{
    struct redis_request *r = find_request(u, id);
    const int64_t now_us = clock_now_us();
    if (r != NULL) {
        r->is_cancelled = r->deadline_us - now_us > CANCEL_SLACK_US;
        r->deadline_us = now_us;
        redis_conns_watch(u, now_us);
    }
}

static void free_statement(void *statement)
{
    struct redis_statement *s = statement;
    redis_statement_fini(s);
    free(s);
}

static int add_statement(struct upstream *u, struct strview sql, unsigned params_count)
{
    (void)params_count;
    struct redis_statement *s = malloc(sizeof(*s));
    if (s == NULL || redis_statement_init(s, sql) != 0) {
        free(s);
        return -ENOMEM;
    }
    const int number = statement_list_add(&u->statements, s);
    if (number < 0) {
        free_statement(s);
    }
    return number;
}

static void settle(struct upstream *u, int64_t wait_ms)
{
    driver_settle(u->config.loop, &u->requests, wait_ms);
}

/* ---- looking at it --------------------------------------------------------------------------- */

static size_t memory(const struct upstream *u)
{
    size_t bytes = u->memory;
    for (unsigned i = 0; i < u->config.connections; i++) {
        bytes += u->links[i].reply_bytes; /* of rows on their way */
    }
    return bytes;
}

static void report_upstream(const struct upstream *u, struct driver_report *out)
{
    *out = (struct driver_report){.is_primary_up = u->state == DRIVER_STATE_UP, .lag_ms = -1};
    for (unsigned i = 0; i < u->config.connections; i++) {
        out->connections += u->links[i].state == REDIS_LINK_UP;
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static void drop_requests(struct upstream *u, struct list *requests)
{
    for (struct list *link; (link = list_pop_front(requests)) != NULL;) {
        free_request(u, container_of(link, struct redis_request, link));
    }
}

static bool close_upstream(struct upstream *u, int64_t wait_ms)
{
    if (u == NULL) {
        return true;
    }
    redis_conns_fini(u);
    resolver_destroy(u->resolver, wait_ms);
    ev_clear_pending(u->config.loop, &u->kick);
    drop_requests(u, &u->waiting);
    drop_requests(u, &u->finished);
    statement_list_fini(&u->statements, free_statement);
    redis_dsn_fini(&u->dsn);
    free(u);
    return true;
}

static int open_upstream(struct upstream **out, const struct upstream_config *config,
                         struct errtext *err)
{
    struct upstream *u = malloc(sizeof(*u));
    if (u == NULL) {
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    *u = (struct upstream){.config = *config};
    u->target = (struct redis_target){
        .dsn = &u->dsn, .options = config->options, .loop = config->loop};
    list_init(&u->waiting);
    list_init(&u->finished);
    ev_prepare_init(&u->kick, on_kick);
    int r = redis_dsn_parse(&u->dsn, config->dsn, err);
    if (r == 0) {
        r = resolver_create(&u->resolver, config->loop);
        u->target.resolver = u->resolver;
        r = r == 0 ? redis_conns_init(u) : r;
        if (r != 0) {
            errtext_set(err, "cannot start: %s", strerror(-r));
        }
    }
    if (r != 0) {
        (void)close_upstream(u, 0);
        return r;
    }
    *out = u;
    return 0;
}

static void judge_dsn(const char *text, struct driver_dsn_facts *out)
{
    struct redis_dsn dsn;
    struct errtext err;
    if (redis_dsn_parse(&dsn, text, &err) == 0) {
        out->has_password = dsn.password[0] != '\0';
        out->is_exposed = !driver_host_is_near(dsn.host);
        redis_dsn_fini(&dsn);
    }
}

const struct source_driver driver_redis = {
    .name = "redis",
    .help = "another cache: Redis, Valkey or Tarn",
    .connections_default = 2,
    .abilities = DRIVER_CAN_LOG_IN | DRIVER_CAN_PIPELINE,
    .takes_words = true,
    .open = open_upstream,
    .close = close_upstream,
    .judge_dsn = judge_dsn,
    .add_statement = add_statement,
    .load = load,
    .cancel = cancel,
    .settle = settle,
    .memory = memory,
    .report = report_upstream,
};
