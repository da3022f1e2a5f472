/*
 * Incremental parser of requests: RESP arrays of bulk strings, and inline commands.
 *
 * The caller keeps the unread bytes of a connection contiguous and calls resp_parse() with all of them; the parser
 * remembers how far it got, so a request that arrives byte by byte is not read again from its start (work is
 * linear in the bytes). Cutting the stream anywhere gives the same requests and the same errors.
 *
 * Between calls for one request the caller may move the bytes (the parser keeps offsets) but not drop any.
 */
#ifndef TARN_PROTO_RESP_PARSE_H
#define TARN_PROTO_RESP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"
#include "tarn/base/strview.h"

#define RESP_INLINE_MAX   (64 * 1024)  /* bytes of a line without its newline: inline, *count and $length lines */
#define RESP_ARGS_MAX     (1024 * 1024)
#define RESP_BULK_MAX     (512ll * 1024 * 1024)
#define RESP_AUTH_ARGS_MAX 10          /* before authentication */
#define RESP_AUTH_BULK_MAX 16384

struct resp_limits {
    int64_t bulk_max;  /* proto-max-bulk-len */
    int64_t args_max;
    bool is_authenticated; /* false: the two limits for unauthenticated clients apply */
};

/* State of one connection's parser; zeroed is ready. 32 bytes, so that an idle connection is cheap. */
struct resp_parser {
    struct resp_span *spans; /* owned; arguments found so far of an unfinished request; NULL in between */
    size_t scan_at;          /* offset up to which the unread bytes have been looked at */
    int64_t bulk_len;        /* length of the bulk being waited for, -1 none */
    uint32_t args_left;      /* bulks still to come of the current array; 0: at the start of a request */
    uint32_t args_found;
};

/* Where requests are put: one per caller (not per connection), reused. Zeroed is ready. */
struct resp_request {
    struct strview *argv; /* owned array; the views borrow the caller's bytes, or `scratch` for inline commands */
    int argc;
    int argv_cap;
    char *scratch; /* owned; unescaped words of an inline command */
    size_t scratch_cap;
};

enum resp_status {
    RESP_REQUEST, /* a request with argc >= 1 */
    RESP_EMPTY,   /* nothing to run (empty line, *0, *-1): consume and go on */
    RESP_MORE,    /* need more bytes; nothing to consume */
    RESP_ERROR,   /* protocol error: send *error_out, close */
    RESP_NOMEM,   /* memory could not be had: close */
};

/*
 * Reads one request from the front of `in`. On RESP_REQUEST and RESP_EMPTY *used_out bytes are to be dropped from
 * the front before the next call. On RESP_ERROR *error_out is a static text without the leading "-" and without
 * CR LF, e.g. "ERR Protocol error: invalid bulk length"; for errors that name a byte it is in `scratch` of `out`.
 */
enum resp_status resp_parse(struct resp_parser *p, const struct resp_limits *limits, struct strview in,
                            struct resp_request *out, size_t *used_out, const char **error_out) WARN_UNUSED;

/* How many bytes beyond those given the current request is known to need; 0 when unknown. Lets the caller size its
 * buffer once for a large bulk. */
size_t resp_parser_wants(const struct resp_parser *p, size_t have);

void resp_parser_fini(struct resp_parser *p);
void resp_request_fini(struct resp_request *r);

/* Words of a line as inline commands and configuration files split them: blanks separate, "double" with \n \r \t \b \a
 * \xHH \" \\ and 'single' with \' quotes. Returns the number of words, -1 for unbalanced quotes, -2 for no memory. */
int resp_split_words(struct strview line, struct resp_request *out) WARN_UNUSED;

#endif
