/*
 * What a parser makes of a stream, as text, so that two ways of delivering the stream can be
 * compared:
 *
 *     GET,k;     a request with its arguments        -;     nothing to run
 *     !ERR ...   a protocol error (the end)          +12    the end; 12 more bytes are known to be
 * needed
 *
 * Each call of the parser gets its bytes in a fresh block of exactly their size: a sanitizer sees
 * the first byte that is read beyond them, and a view or offset that was kept from an earlier block
 * is wrong.
 */
#ifndef TARN_TESTS_RESP_TRANSCRIPT_H
#define TARN_TESTS_RESP_TRANSCRIPT_H

#include <stdint.h>
#include <stdlib.h>

#include "tarn/base/buf.h"
#include "tarn/proto/resp_parse.h"

struct transcript {
    struct resp_parser parser;
    struct resp_request request;
    const struct resp_limits *limits;
    struct buf text;
    bool is_over; /* after an error */
};

static inline void transcript_check(bool ok)
{
    if (!ok) {
        abort();
    }
}

static inline void transcript_put(struct transcript *t, enum resp_status status, const char *error)
{
    switch (status) {
    case RESP_REQUEST:
        transcript_check(t->request.argc > 0 && t->request.argc <= t->request.argv_cap);
        for (int i = 0; i < t->request.argc; i++) {
            transcript_check(i == 0 || buf_append_char(&t->text, ','));
            transcript_check(buf_append_view(&t->text, t->request.argv[i]));
        }
        transcript_check(buf_append_char(&t->text, ';'));
        break;
    case RESP_EMPTY:
        transcript_check(buf_append_str(&t->text, "-;"));
        break;
    case RESP_ERROR:
        transcript_check(buf_printf(&t->text, "!%s", error));
        t->is_over = true;
        break;
    case RESP_MORE:
    case RESP_NOMEM:
    default:
        abort();
    }
}

/* Parses what there is from *at on, as a connection does, and moves *at behind the last request. */
static inline void transcript_feed(struct transcript *t, struct strview all, size_t *at)
{
    while (!t->is_over) {
        size_t left = all.len - *at;
        size_t used = 0;
        const char *error = NULL;
        char *block = malloc(left > 0 ? left : 1);
        transcript_check(block != NULL);
        if (left > 0) {
            memcpy(block, all.data + *at, left);
        }
        enum resp_status status = resp_parse(&t->parser, t->limits, strview_of(block, left),
                                             &t->request, &used, &error);
        if (status == RESP_MORE) {
            free(block);
            return;
        }
        transcript_put(t, status, error);
        transcript_check(t->is_over || (used > 0 && used <= left));
        *at += used;
        free(block);
    }
}

/* `next_piece` says how many bytes arrive at once after the first `received`; more than there are
 * is fine. */
static inline struct buf transcript_of(struct strview stream, const struct resp_limits *limits,
                                       size_t (*next_piece)(void *ctx, size_t received), void *ctx)
{
    struct transcript t = {.limits = limits};
    size_t received = 0;
    size_t at = 0;
    while (received < stream.len && !t.is_over) {
        received += size_min(next_piece(ctx, received), stream.len - received);
        transcript_feed(&t, strview_of(stream.data, received), &at);
    }
    if (!t.is_over) {
        transcript_check(
            buf_printf(&t.text, "+%zu", resp_parser_wants(&t.parser, stream.len - at)));
    }
    resp_parser_fini(&t.parser);
    resp_request_fini(&t.request);
    return t.text;
}

#endif
