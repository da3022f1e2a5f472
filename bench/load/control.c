/*
 * INFO in the Redis protocol, `stats` in memcached's, which hiredis cannot speak: there it only
 * makes the connection.
 */
#include "control.h"

#include <hiredis/hiredis.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define STATS_BYTES 8192
#define SECONDS     10

/* The number that follows `name` in a text. */
static int number_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    long value = at != NULL ? strtol(at + strlen(name), NULL, 10) : 0;
    return value > 0 && value <= INT32_MAX ? (int)value : 0;
}

static int redis_pid(redisContext *c)
{
    int pid = 0;
    redisReply *reply = redisCommand(c, "INFO server");
    if (reply != NULL && reply->type == REDIS_REPLY_STRING) {
        pid = number_after(reply->str, "process_id:");
    }
    freeReplyObject(reply);
    return pid;
}

static int memcached_pid(redisContext *c)
{
    static const char command[] = "stats\r\n";
    char text[STATS_BYTES];
    ssize_t len = send(c->fd, command, sizeof(command) - 1, MSG_NOSIGNAL);
    len = len > 0 ? recv(c->fd, text, sizeof(text) - 1, 0) : len;
    if (len <= 0) {
        return 0;
    }
    text[len] = '\0';
    return number_after(text, "STAT pid ");
}

int control_server_pid(const struct options *o)
{
    struct timeval limit = {.tv_sec = SECONDS};
    redisContext *c = redisConnectWithTimeout(o->host, o->port, limit);
    int pid = 0;
    if (c != NULL && c->err == 0 && redisSetTimeout(c, limit) == REDIS_OK) {
        pid = o->protocol == &protocol_resp ? redis_pid(c) : memcached_pid(c);
    }
    redisFree(c);
    return pid;
}
