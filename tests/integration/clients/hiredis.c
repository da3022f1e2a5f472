/* Uses a server through hiredis as C programs do: hiredis PORT. Exit 0 when all replies are
 * right. */
#include <hiredis/hiredis.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIPELINE 1000

static bool is_bulk(const redisReply *r, const char *bytes, size_t len)
{
    return r != NULL && r->type == REDIS_REPLY_STRING && (size_t)r->len == len &&
           memcmp(r->str, bytes, len) == 0;
}

/* Frees the reply. */
static void expect(redisReply *r, bool is_right, const char *what)
{
    if (!is_right) {
        printf("wrong reply to %s: type %d, %s\n", what, r != NULL ? r->type : -1,
               r != NULL && r->str != NULL ? r->str : "");
        exit(1);
    }
    freeReplyObject(r);
}

static void check_single(redisContext *c)
{
    static const char value[] = "zero \0 and line end \r\n";
    redisReply *r = redisCommand(c, "SET %b %b", "a key", (size_t)5, value, sizeof(value));
    expect(r, r != NULL && r->type == REDIS_REPLY_STATUS && strcmp(r->str, "OK") == 0, "SET");
    r = redisCommand(c, "GET %s", "a key");
    expect(r, is_bulk(r, value, sizeof(value)), "GET");
    r = redisCommand(c, "GET none");
    expect(r, r != NULL && r->type == REDIS_REPLY_NIL, "GET of no key");
    r = redisCommand(c, "STRLEN %s", "a key");
    expect(r, r != NULL && r->type == REDIS_REPLY_INTEGER && r->integer == (long long)sizeof(value),
           "STRLEN");
    r = redisCommand(c, "INCR %s", "a key");
    expect(r, r != NULL && r->type == REDIS_REPLY_ERROR && strncmp(r->str, "ERR ", 4) == 0,
           "INCR of text");
    r = redisCommand(c, "MGET %s none", "a key");
    expect(r,
           r != NULL && r->type == REDIS_REPLY_ARRAY && r->elements == 2 &&
               is_bulk(r->element[0], value, sizeof(value)) &&
               r->element[1]->type == REDIS_REPLY_NIL,
           "MGET");
}

static void check_pipeline(redisContext *c)
{
    for (int i = 0; i < PIPELINE; i++) {
        redisAppendCommand(c, "SET p:%d %d", i, i);
        redisAppendCommand(c, "GET p:%d", i);
    }
    for (int i = 0; i < PIPELINE; i++) {
        void *set = NULL, *get = NULL;
        char expected[16];
        snprintf(expected, sizeof(expected), "%d", i);
        if (redisGetReply(c, &set) != REDIS_OK || redisGetReply(c, &get) != REDIS_OK) {
            printf("pipeline: %s\n", c->errstr);
            exit(1);
        }
        freeReplyObject(set);
        expect(get, is_bulk(get, expected, strlen(expected)), "a pipelined GET");
    }
}

int main(int argc, char **argv)
{
    struct timeval timeout = {.tv_sec = 20};
    redisContext *c = argc == 2 ? redisConnectWithTimeout("127.0.0.1", atoi(argv[1]), timeout)
                                : NULL;
    if (c == NULL || c->err != 0) {
        printf("connect: %s\n", c != NULL ? c->errstr : "usage: hiredis PORT");
        return 1;
    }
    redisSetTimeout(c, timeout);
    check_single(c);
    check_pipeline(c);
    redisFree(c);
    return 0;
}
