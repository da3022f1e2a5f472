/*
 * Arguments: numbers, times and words out of ctx->argv. Functions that return bool have written the
 * error reply when they return false, and left *out alone; the handler then just returns.
 */
#ifndef TARN_COMMAND_ARGS_H
#define TARN_COMMAND_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "handler.h"

/* True when argument `i` is this word; case is ignored. `word` is a literal. */
static inline bool arg_is(const struct cmd_ctx *ctx, int i, const char *word)
{
    return strview_eq_nocase(ctx->argv[i], word);
}

/* What of a client's word an error text shows: up to `max` bytes, and no further than a NUL, as C's
 * printf would. */
struct strview word_shown(struct strview word, size_t max);

/* Bytes of all words of the running request, and of the request as an array of bulk strings. */
size_t args_word_bytes(const struct cmd_ctx *ctx);
size_t args_request_bytes(const struct cmd_ctx *ctx);

/* How much of a word is shown, and of all arguments of an unknown command together. */
#define SHOWN_MAX 128

/* A strict integer; otherwise "value is not an integer or out of range". */
bool arg_i64(struct cmd_ctx *ctx, int i, int64_t *out) WARN_UNUSED;

/* An integer within min..max; otherwise Redis's "value is out of range, value must between ..." */
bool arg_i64_range(struct cmd_ctx *ctx, int i, int64_t min, int64_t max, int64_t *out) WARN_UNUSED;

/* A database number; otherwise "DB index is out of range". */
bool arg_db(struct cmd_ctx *ctx, int i, unsigned *out) WARN_UNUSED;

/* Place of a bit in a string, or with bits > 0 also "#n": the n-th field of so many bits. Otherwise
 * "bit offset is not an integer or out of range". */
bool arg_bit_offset(struct cmd_ctx *ctx, int i, unsigned bits, uint64_t *out) WARN_UNUSED;

/* A cursor of SCAN or HSCAN; otherwise "invalid cursor". */
bool arg_cursor(struct cmd_ctx *ctx, int i, uint64_t *out) WARN_UNUSED;

/* How a time is written: in seconds or milliseconds, from now or as Unix time. */
struct time_spec {
    bool is_seconds;
    bool is_absolute;
};

/* Argument `i` as the time to expire of SET, SETEX, GETEX: must be positive, otherwise "invalid
 * expire time in 'set' command". *at_out is monotonic and may lie in the past (absolute times do).
 */
bool arg_expiry(struct cmd_ctx *ctx, int i, struct time_spec spec, int64_t *at_out) WARN_UNUSED;

/* The same for EXPIRE and its family, where any integer that does not overflow is a time. */
bool arg_expiry_any(struct cmd_ctx *ctx, int i, struct time_spec spec, int64_t *at_out) WARN_UNUSED;

/* The options of SET, MSETEX and GETEX, as one parser because each excludes others. */
enum set_flag {
    SET_NX = 1 << 0,
    SET_XX = 1 << 1,
    SET_GET = 1 << 2,
    SET_KEEPTTL = 1 << 3,
    SET_PERSIST = 1 << 4,
    SET_EX = 1 << 5,
    SET_PX = 1 << 6,
    SET_EXAT = 1 << 7,
    SET_PXAT = 1 << 8,
    SET_IFEQ = 1 << 9,
};
#define SET_ANY_EXPIRY (SET_EX | SET_PX | SET_EXAT | SET_PXAT)

struct set_args {
    unsigned flags; /* enum set_flag */
    int expiry_arg; /* index of the time in argv; 0: none. Not parsed yet: GETEX looks at the key
                       first */
    int ifeq_arg;   /* index of the value to compare with; 0: none */
};

/* Options from argument `first` on; only those in `allowed` are known. False: "syntax error" was
 * written. */
bool args_parse_set(struct cmd_ctx *ctx, int first, unsigned allowed,
                    struct set_args *out) WARN_UNUSED;

/* The time named by args->expiry_arg; see arg_expiry(). */
bool set_args_expiry(struct cmd_ctx *ctx, const struct set_args *args, int64_t *at_out) WARN_UNUSED;

#endif
