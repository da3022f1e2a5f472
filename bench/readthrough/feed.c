#include "feed.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <hiredis/hiredis.h>
#include <libpq-fe.h>

#define PAUSE_US      5000
#define ANSWER_MAX_US 250000 /* after that the notice counts as lost */
#define TEXT_MAX      64

struct ends {
    PGconn *database;
    redisContext *tracks, *hears; /* the cache; the first has what it tracks told to the second */
};

static void close_all(struct ends *e)
{
    PQfinish(e->database);
    if (e->tracks != NULL) {
        redisFree(e->tracks);
    }
    if (e->hears != NULL) {
        redisFree(e->hears);
    }
    *e = (struct ends){0};
}

static redisContext *open_cache(const struct app *app)
{
    const struct timeval timeout = {.tv_usec = ANSWER_MAX_US};
    redisContext *cache = redisConnectWithTimeout("127.0.0.1", app->cache_port, timeout);
    if (cache != NULL && cache->err == 0) {
        redisSetTimeout(cache, timeout);
    }
    return cache;
}

/* The integer of the reply, 0 for any other; negative: there is none, or it is an error. */
static long long command(redisContext *cache, const char *text)
{
    redisReply *reply = cache != NULL && cache->err == 0 ? redisCommand(cache, text) : NULL;
    const bool is_fine = reply != NULL && reply->type != REDIS_REPLY_ERROR;
    const long long n = is_fine && reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
    freeReplyObject(reply);
    return is_fine ? n : -1;
}

static bool open_all(struct feed *f, struct ends *e)
{
    char text[TEXT_MAX + 64];
    e->tracks = open_cache(f->app);
    e->hears = open_cache(f->app);
    e->database = PQconnectdb(f->app->database);
    if (PQstatus(e->database) != CONNECTION_OK) {
        return false;
    }
    const long long id = command(e->hears, "CLIENT ID");
    snprintf(text, sizeof(text), "CLIENT TRACKING ON REDIRECT %lld BCAST PREFIX mark:", id);
    return id >= 0 && command(e->hears, "SUBSCRIBE __redis__:invalidate") >= 0 &&
           command(e->tracks, text) >= 0;
}

static bool send_notice(PGconn *database, const char *name)
{
    char sql[TEXT_MAX + 64];
    snprintf(sql, sizeof(sql), "SELECT pg_notify('cache_inval', '%s')", name);
    PGresult *r = PQexec(database, sql);
    bool is_fine = PQresultStatus(r) == PGRES_TUPLES_OK;
    PQclear(r);
    return is_fine;
}

/* Is it ["message", channel, [.. name ..]]? */
static bool names_key(const redisReply *message, const char *name)
{
    const redisReply *keys = message->elements == 3 ? message->element[2] : NULL;
    for (size_t i = 0; keys != NULL && i < keys->elements; i++) {
        if (strcmp(keys->element[i]->str, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool await_message(redisContext *cache, const char *name)
{
    void *reply;
    while (redisGetReply(cache, &reply) == REDIS_OK) {
        bool is_it = names_key(reply, name);
        freeReplyObject(reply);
        if (is_it) {
            return true;
        }
    }
    return false;
}

void *feed_run(void *argument)
{
    struct feed *f = argument;
    struct ends ends = {0};
    for (unsigned n = 0; !atomic_load(&f->app->is_over); n++) {
        char name[TEXT_MAX];
        snprintf(name, sizeof(name), "mark:%u", n);
        bool is_fine = ends.hears != NULL || open_all(f, &ends);
        uint64_t began = app_now(f->app);
        is_fine = is_fine && send_notice(ends.database, name) && await_message(ends.hears, name);
        if (is_fine) {
            atomic_store(&f->app->told_us, began);
            histogram_add(&f->window, app_now(f->app) - began);
        } else {
            close_all(&ends);
        }
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_US * 1000}, NULL);
    }
    close_all(&ends);
    return NULL;
}
