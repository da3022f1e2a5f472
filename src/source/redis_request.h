/*
 * One request to a Redis server: its bytes on the wire and what becomes of the replies.
 *
 * A load is two commands in one packet: the read, and PTTL of the same key, so that a copy does not
 * outlive its original. A check and a ping are a PING.
 */
#ifndef TARN_SOURCE_REDIS_REQUEST_H
#define TARN_SOURCE_REDIS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "redis_statement.h"
#include "tarn/base/buf.h"
#include "tarn/base/list.h"
#include "tarn/source/driver.h"

#define REDIS_DETAIL_MAX 256

struct redisReply;

struct redis_request {
    struct list link; /* whoever has it: waiting, or finished */
    uint64_t id;
    enum driver_task task;
    const struct redis_statement *statement; /* borrowed; NULL for a ping */
    int64_t deadline_us, sent_us;            /* sent_us 0: not on a connection */
    size_t row_bytes_max, memory;
    bool is_cancelled; /* before its deadline */
    struct buf wire;
    /* The result. */
    enum driver_status status;
    bool is_lost; /* the connection broke under it */
    bool has_life;
    int64_t life_ms;
    struct rows *rows; /* owned */
    char detail[REDIS_DETAIL_MAX];
    /* The words of the read, within `wire`. */
    unsigned words_count;
    struct redis_word {
        size_t at, len;
    } words[];
};

/* NULL: out of memory. `statement` is NULL for a ping. */
struct redis_request *redis_request_create(const struct driver_request *q,
                                           const struct redis_statement *statement);
void redis_request_destroy(struct redis_request *r);

/* How many replies it gets. */
static inline unsigned redis_request_replies(const struct redis_request *r)
{
    return r->task == DRIVER_LOAD ? 2 : 1;
}

/* Reply `number` of them, from 0. */
void redis_request_take(struct redis_request *r, const struct redisReply *reply, unsigned number);

/* A failure; the first one stays. `detail` is copied. */
void redis_request_fail(struct redis_request *r, enum driver_status status, const char *detail);

#endif
