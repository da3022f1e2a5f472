#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hiredis/hiredis.h>
#include <libpq-fe.h>

#define CACHE_TIMEOUT_S  5
#define CACHE_RETRY_US   1000000 /* a cache that restarts is tried again for so long */
#define RETRY_PAUSE_US   5000
#define KEY_TEXT_MAX     40
#define NUMBER_TEXT_MAX  24
#define REPORT_KEY       "report:top"
#define STATEMENT_ITEM   "item"
#define STATEMENT_REPORT "report"
#define STATEMENT_WRITE  "write"

static const struct {
    const char *name, *sql;
    int params;
} statements[] = {
    {STATEMENT_ITEM, "SELECT version || ':' || body FROM item WHERE id = $1::bigint", 1},
    {STATEMENT_REPORT, "SELECT '0:' || sum(length(body)) FROM item WHERE id < 100000", 0},
    {STATEMENT_WRITE,
     "UPDATE item SET version = version + 1 WHERE id = $1::bigint "
     "RETURNING version",
     1},
};

static uint64_t monotonic_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t app_now(const struct app *app)
{
    return monotonic_us() - app->start_us;
}

static void pause_us(uint64_t us)
{
    nanosleep(&(struct timespec){.tv_sec = (time_t)(us / 1000000),
                                 .tv_nsec = (long)(us % 1000000) * 1000},
              NULL);
}

/* ---- the cache ------------------------------------------------------------------------------- */

static void cache_close(struct client *c)
{
    redisFree(c->cache);
    c->cache = NULL;
}

static void cache_lose(struct client *c)
{
    cache_close(c);
    truth_raise(&c->app->cache_lost_us, app_now(c->app));
}

/* NULL when the cache does not answer for CACHE_RETRY_US. */
static redisReply *cache_command(struct client *c, int argc, const char **argv)
{
    uint64_t until = app_now(c->app) + CACHE_RETRY_US;
    do {
        if (c->cache == NULL) {
            struct timeval timeout = {.tv_sec = CACHE_TIMEOUT_S};
            redisContext *fresh = redisConnectWithTimeout("127.0.0.1", c->app->cache_port, timeout);
            c->cache = fresh;
            if (fresh != NULL && fresh->err == 0) {
                redisSetTimeout(fresh, timeout);
            }
        }
        redisContext *cache = c->cache;
        if (cache != NULL && cache->err == 0) {
            redisReply *reply = redisCommandArgv(cache, argc, argv, NULL);
            if (reply != NULL) {
                return reply;
            }
        }
        cache_lose(c);
        pause_us(RETRY_PAUSE_US);
    } while (app_now(c->app) < until);
    return NULL;
}

/* ---- the database ---------------------------------------------------------------------------- */

static void database_close(struct client *c)
{
    PQfinish(c->database);
    c->database = NULL;
}

static bool database_open(struct client *c)
{
    if (c->database != NULL) {
        return true;
    }
    PGconn *fresh = PQconnectdb(c->app->database);
    bool is_fine = PQstatus(fresh) == CONNECTION_OK;
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]) && is_fine; i++) {
        PGresult *r = PQprepare(fresh, statements[i].name, statements[i].sql, statements[i].params,
                                NULL);
        is_fine = PQresultStatus(r) == PGRES_COMMAND_OK;
        PQclear(r);
    }
    c->database = fresh;
    if (!is_fine) {
        database_close(c);
    }
    return is_fine;
}

/* One row of one column, or NULL. */
static PGresult *database_query(struct client *c, const char *statement, uint64_t key, int params)
{
    if (!database_open(c)) {
        return NULL;
    }
    char number[NUMBER_TEXT_MAX];
    snprintf(number, sizeof(number), "%llu", (unsigned long long)key);
    const char *values[] = {number};
    PGresult *r = PQexecPrepared(c->database, statement, params, values, NULL, NULL, 0);
    if (PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1) {
        return r;
    }
    PQclear(r);
    database_close(c);
    return NULL;
}

/* ---- the application ------------------------------------------------------------------------- */

struct request {
    char key[KEY_TEXT_MAX];
    uint64_t row;
    bool is_report;
};

/* The version a value carries in front. */
static uint64_t version_of(const char *value)
{
    return strtoull(value, NULL, 10);
}

/* Cache-aside: asks the database and tells the cache. False: the database did not answer. */
static bool load_aside(struct client *c, const struct request *q, uint64_t *version)
{
    PGresult *r = database_query(c, q->is_report ? STATEMENT_REPORT : STATEMENT_ITEM, q->row,
                                 q->is_report ? 0 : 1);
    if (r == NULL) {
        return false;
    }
    *version = version_of(PQgetvalue(r, 0, 0));
    char ttl[NUMBER_TEXT_MAX];
    snprintf(ttl, sizeof(ttl), "%llu",
             (unsigned long long)(q->is_report ? c->app->report_ttl_s : c->app->item_ttl_s));
    const char *set[] = {"SET", q->key, PQgetvalue(r, 0, 0), "EX", ttl};
    redisReply *reply = cache_command(c, 5, set);
    freeReplyObject(reply);
    PQclear(r);
    return true;
}

/* False: no answer. */
static bool read_value(struct client *c, const struct request *q, uint64_t *version)
{
    const char *get[] = {"GET", q->key};
    redisReply *reply = cache_command(c, 2, get);
    bool is_string = reply != NULL && reply->type == REDIS_REPLY_STRING;
    bool is_nil = reply != NULL && reply->type == REDIS_REPLY_NIL;
    if (is_string) {
        *version = version_of(reply->str);
    }
    freeReplyObject(reply);
    return is_string || (is_nil && c->app->mode == APP_ASIDE && load_aside(c, q, version));
}

static void note_error(struct client *c, const struct request *q)
{
    struct app *app = c->app;
    const int phase = atomic_load(&app->phase);
    if (truth_is_cached(&app->truth, q->row, atomic_load(&app->cache_lost_us))) {
        c->errors[ERROR_CACHED]++;
    } else if (phase == PHASE_DOWN) {
        c->errors[ERROR_UNCACHED]++;
    } else {
        c->errors[ERROR_UP]++;
    }
    if (phase == PHASE_AFTER) {
        c->last_error_us = app_now(app) - atomic_load(&app->back_us);
    }
}

/* What is known of a key when its read begins. */
struct before {
    struct committed known;
    uint64_t told; /* the cache has heard of this version */
    bool is_told;  /* and of all that was written, whatever came of it */
};

static struct before look(const struct app *app, uint64_t row, uint64_t now_us)
{
    const struct fact *f = &app->truth.facts[row];
    const uint64_t told_us = app->mode == APP_TARN ? atomic_load(&app->told_us) : now_us;
    const bool is_told = atomic_load(&f->touched_us) <= told_us;
    struct before b = {.known = truth_read(&app->truth, row), .is_told = is_told};
    if (app->mode == APP_ASIDE) {
        b.told = atomic_load(&f->told);
    } else {
        b.told = b.known.at_us <= told_us ? b.known.version : 0;
    }
    return b;
}

static void do_read(struct client *c, const struct request *q)
{
    struct app *app = c->app;
    uint64_t began = app_now(app), version = 0;
    const struct before before = look(app, q->row, began);
    if (!read_value(c, q, &version)) {
        note_error(c, q);
        return;
    }
    histogram_add(&c->reads, app_now(app) - began);
    if (before.is_told) {
        truth_raise(&app->truth.facts[q->row].loaded_us, began);
    }
    if (version < before.known.version) {
        const bool is_down = atomic_load(&app->phase) == PHASE_DOWN;
        const enum stale_kind kind = version < before.told ? STALE_TOLD
                                     : is_down             ? STALE_OUTAGE
                                                           : STALE_UNTOLD;
        histogram_add(&c->stale[kind], began - before.known.at_us);
    }
}

static void tell_cache(struct client *c, const struct request *q, uint64_t version)
{
    const uint64_t began = app_now(c->app);
    const char *del[] = {"DEL", q->key};
    redisReply *reply = cache_command(c, 2, del);
    if (reply != NULL) {
        histogram_add(&c->window, app_now(c->app) - began);
        truth_raise(&c->app->truth.facts[q->row].told, version);
    }
    freeReplyObject(reply);
}

static void do_write(struct client *c, const struct request *q)
{
    struct app *app = c->app;
    _Atomic uint64_t *touched_us = &app->truth.facts[q->row].touched_us;
    truth_raise(touched_us, app_now(app));
    PGresult *r = database_query(c, STATEMENT_WRITE, q->row, 1);
    if (r != NULL) {
        const uint64_t version = version_of(PQgetvalue(r, 0, 0));
        c->writes++;
        truth_commit(&app->truth, q->row, version, app_now(app));
        if (app->mode == APP_ASIDE) {
            tell_cache(c, q, version);
        }
    } else {
        c->write_errors++;
    }
    PQclear(r);
    truth_raise(touched_us, app_now(app));
}

static void operate(struct client *c)
{
    struct app *app = c->app;
    const double dice = rng_fraction(&c->rng);
    struct request q = {.is_report = dice < app->report_share, .row = app->rows};
    if (q.is_report) {
        snprintf(q.key, sizeof(q.key), REPORT_KEY);
    } else {
        q.row = key_of_rank(zipf_draw(&app->zipf, &c->rng), app->rows);
        snprintf(q.key, sizeof(q.key), "item:%llu", (unsigned long long)q.row);
    }
    if (!q.is_report && dice < app->report_share + app->write_share) {
        do_write(c, &q);
    } else {
        do_read(c, &q);
    }
}

void *client_run(void *argument)
{
    struct client *c = argument;
    struct app *app = c->app;
    uint64_t due_us = (uint64_t)(rng_fraction(&c->rng) * (double)app->period_us);
    while (!atomic_load(&app->is_over)) {
        const uint64_t now_us = app_now(app);
        if (now_us < due_us) {
            pause_us(due_us - now_us);
        }
        operate(c);
        due_us += app->period_us; /* who was held up makes up for it */
    }
    cache_close(c);
    database_close(c);
    return NULL;
}
