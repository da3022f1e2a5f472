/*
 * The two protocols: how requests are written, and how replies are read as a stream, in whatever
 * pieces they come, with values compared on the way instead of being collected.
 */
#ifndef BENCH_LOAD_PROTOCOL_H
#define BENCH_LOAD_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/buf.h"
#include "tarn/base/strview.h"

#define REPLY_LINE_MAX 256

/* What the first line of a reply says. */
enum line_kind {
    LINE_OK,     /* written: the reply is complete */
    LINE_VALUE,  /* a value of *body_len bytes and CRLF follow */
    LINE_MISS,   /* no such key: complete */
    LINE_ERROR,  /* the server refuses: complete */
    LINE_BROKEN, /* not the protocol */
};

struct protocol {
    const char *name;
    /* Requests for the key with KEY_BYTES characters. False without memory. */
    bool (*put_get)(struct buf *out, const char *key);
    bool (*put_set)(struct buf *out, const char *key, struct strview value, uint64_t ttl_ms);
    enum line_kind (*line)(struct strview line, size_t *body_len);
    const char *trailer; /* what ends a reply that has a value */
};

extern const struct protocol protocol_resp;
extern const struct protocol protocol_memcached;

/* By name; NULL when there is none of this name. */
const struct protocol *protocol_find(const char *name);

enum reply {
    REPLY_MORE, /* all of the input is used, the reply is not complete */
    REPLY_OK,
    REPLY_VALUE, /* the value that was expected */
    REPLY_WRONG, /* another value */
    REPLY_MISS,
    REPLY_ERROR,  /* the line is in reader->line */
    REPLY_BROKEN, /* not the protocol: reading cannot go on */
};

struct reply_reader {
    enum { READ_LINE, READ_VALUE, READ_TRAILER } state;
    bool is_wrong;
    size_t value_len, at; /* of the value or the trailer */
    size_t line_len;
    char line[REPLY_LINE_MAX];
};

/* Reads one reply. Sets *used to the bytes that belong to it. `expected` is the value that the key
 * should have. */
enum reply reply_read(struct reply_reader *r, const struct protocol *p, struct strview in,
                      struct strview expected, size_t *used);

#endif
