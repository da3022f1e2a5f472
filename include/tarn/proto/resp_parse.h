/*
 * Incremental parser of requests: RESP arrays of bulk strings, and inline commands.
 *
 * The caller keeps the unread bytes of a connection contiguous and calls resp_parse() with all of
 * them; the parser remembers how far it got, so a request that arrives byte by byte is not read
 * again from its start (work is linear in the bytes). Cutting the stream anywhere gives the same
 * requests and the same errors.
 *
 * Between calls for one request the caller may move the bytes (the parser keeps offsets) but not
 * drop any.
 */
#ifndef TARN_PROTO_RESP_PARSE_H
#define TARN_PROTO_RESP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/compiler.h"
#include "tarn/base/strview.h"

#define RESP_INLINE_MAX    (64 * 1024) /* bytes before the end of a line of any kind */
#define RESP_ARGS_MAX      (1024 * 1024)
#define RESP_BULK_MAX      (512ll * 1024 * 1024)
#define RESP_AUTH_ARGS_MAX 10 /* before authentication */
#define RESP_AUTH_BULK_MAX 16384
#define RESP_ARGV_KEEP     1024 /* the next small request shrinks a larger argv to this */

struct resp_limits {
    int64_t bulk_max;      /* proto-max-bulk-len */
    int64_t args_max;      /* at most INT_MAX */
    bool is_authenticated; /* false: the two limits for unauthenticated clients apply */
};

/* What a parser waits for. */
enum resp_state {
    RESP_AT_START,   /* nothing of the next request was looked at */
    RESP_ARRAY_LINE, /* the end of "*count" */
    RESP_BULK_LINE,  /* the end of "$length" */
    RESP_BULK_DATA,  /* the bytes of a bulk and the CR LF behind them */
    RESP_INLINE_LINE,
};

/* State of one connection's parser; zeroed is ready. Small, so that an idle connection is cheap. */
struct resp_parser {
    struct resp_span *spans; /* owned; arguments found so far of an unfinished request, or NULL */
    size_t at;               /* offset of the line or bulk that is waited for */
    uint64_t bulk_len;       /* RESP_BULK_DATA: the announced length */
    uint32_t line_seen;      /* bytes of the line that need not be looked at again */
    uint32_t args_left;      /* bulks still to come */
    uint32_t args_found;
    enum resp_state state;
};

/* Where requests are put: one per caller (not per connection), reused. Zeroed is ready. */
struct resp_request {
    struct strview *argv; /* owned; views into the caller's bytes, for inline commands `scratch` */
    int argc;
    int argv_cap;
    char *scratch; /* owned; unescaped words of an inline command */
    size_t scratch_cap;
    char error_text[48]; /* of an error that names a byte */
};

enum resp_status {
    RESP_REQUEST, /* a request with argc >= 1 */
    RESP_EMPTY,   /* nothing to run (empty line, *0, *-1): consume and go on */
    RESP_MORE,    /* need more bytes; nothing to consume */
    RESP_ERROR,   /* protocol error: send *error_out, close */
    RESP_NOMEM,   /* memory could not be had: close */
};

/*
 * Reads one request from the front of `in`. On RESP_REQUEST and RESP_EMPTY *used_out bytes are to
 * be dropped from the front before the next call. On RESP_ERROR *error_out is a text without the
 * leading "-" and without CR LF, e.g. "ERR Protocol error: invalid bulk length"; it is static or
 * lives in `out`. After RESP_ERROR and RESP_NOMEM the parser is good for resp_parser_fini() only.
 */
enum resp_status resp_parse(struct resp_parser *p, const struct resp_limits *limits,
                            struct strview in, struct resp_request *out, size_t *used_out,
                            const char **error_out) WARN_UNUSED;

/* The common case by itself: a plain array of at most `argv_max` arguments, all of it at the front
 * of `in`, from an authenticated client whose parser is RESP_AT_START. Puts views into argv and
 * returns the request's length; 0: ask resp_parse(). */
size_t resp_parse_whole(const struct resp_limits *limits, struct strview in, struct strview *argv,
                        size_t argv_max, int *argc_out) WARN_UNUSED;

/* How many bytes beyond the `have` given the current request is known to need; 0 when unknown. Lets
 * the caller size its buffer once for a large bulk. */
size_t resp_parser_wants(const struct resp_parser *p, size_t have);

/* Bytes the parser owns: none between requests. */
size_t resp_parser_memory(const struct resp_parser *p);

/* Frees what the parser owns; it is then ready for a new stream. */
void resp_parser_fini(struct resp_parser *p);
void resp_request_fini(struct resp_request *r);

/* Words of a line as inline commands and configuration files split them: blanks separate, "double"
 * with \n \r \t \b \a \xHH \" \\ and 'single' with \' quotes. The words are put into out->argv and
 * live in out->scratch. Returns their number, -1 for unbalanced quotes, -2 for no memory. */
int resp_split_words(struct strview line, struct resp_request *out) WARN_UNUSED;

#endif
