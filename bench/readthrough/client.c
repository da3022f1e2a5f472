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

static void pause_us(long us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static struct second *second_of(const struct app *app, uint64_t us)
{
    uint64_t second = us / 1000000;
    return &app->seconds[second < APP_SECONDS_MAX ? second : APP_SECONDS_MAX - 1];
}

/* ---- the cache ------------------------------------------------------------------------------- */

static void cache_close(struct client *c)
{
    redisFree(c->cache);
    c->cache = NULL;
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
        cache_close(c);
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
    c->queries++;
    c->report_queries += q->is_report;
    atomic_fetch_add(&second_of(c->app, app_now(c->app))->queries, 1);
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

static void do_read(struct client *c, const struct request *q)
{
    struct app *app = c->app;
    struct committed known = {.version = 0};
    if (!q->is_report) {
        known = truth_read(&app->truth, q->row);
    }
    uint64_t began = app_now(app), version = 0;
    bool is_answered = read_value(c, q, &version);
    uint64_t took = app_now(app) - began;
    struct second *second = second_of(app, began);
    atomic_fetch_add(&second->reads, 1);
    if (!is_answered) {
        c->errors++;
        atomic_fetch_add(&second->errors, 1);
        pause_us(RETRY_PAUSE_US); /* as an application would; else errors crowd out the rest */
        return;
    }
    histogram_add(&c->reads, took);
    uint64_t slowest = atomic_load(&second->slowest_us);
    while (slowest < took && !atomic_compare_exchange_weak(&second->slowest_us, &slowest, took)) {
    }
    if (version < known.version) {
        histogram_add(&c->stale, began - known.at_us);
        atomic_fetch_add(&second->stale, 1);
    }
}

static void do_write(struct client *c, const struct request *q)
{
    PGresult *r = database_query(c, STATEMENT_WRITE, q->row, 1);
    if (r == NULL) {
        c->write_errors++;
        return;
    }
    c->writes++;
    truth_commit(&c->app->truth, q->row, version_of(PQgetvalue(r, 0, 0)), app_now(c->app));
    PQclear(r);
    if (c->app->mode == APP_ASIDE) {
        const char *del[] = {"DEL", q->key};
        freeReplyObject(cache_command(c, 2, del));
    }
}

void *client_run(void *argument)
{
    struct client *c = argument;
    struct app *app = c->app;
    while (!atomic_load(&app->is_over)) {
        double dice = rng_fraction(&c->rng);
        struct request q = {.is_report = dice < app->report_share};
        if (q.is_report) {
            snprintf(q.key, sizeof(q.key), REPORT_KEY);
            do_read(c, &q);
            continue;
        }
        q.row = key_of_rank(zipf_draw(&app->zipf, &c->rng), app->rows);
        snprintf(q.key, sizeof(q.key), "item:%llu", (unsigned long long)q.row);
        if (dice < app->report_share + app->write_share) {
            do_write(c, &q);
        } else {
            do_read(c, &q);
        }
    }
    cache_close(c);
    database_close(c);
    return NULL;
}
