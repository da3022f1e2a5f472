/*
 * What the commands on the expiry of fields have in common: "FIELDS numfields field ...", times,
 * and giving a field its expiry. Private to the command layer; functions that return bool have
 * written the error reply when they return false.
 */
#ifndef TARN_COMMAND_HASH_ARGS_H
#define TARN_COMMAND_HASH_ARGS_H

#include "args.h"
#include "tarn/types/hashmap.h"

#define HASH_ERROR_NO_FIELDS   "ERR Mandatory argument FIELDS is missing or not at the right position"
#define HASH_ERROR_FIELD_COUNT "ERR Number of fields must be a positive integer"

/* Fields in argv, from `first` to the end. */
struct hash_fields {
    int first;
    size_t count;
};

/* "FIELDS numfields field ..." from argument `at` to the end; a bad number is answered with
 * `count_error`. */
bool hash_parse_fields(struct cmd_ctx *ctx, int at, const char *count_error,
                       struct hash_fields *out) WARN_UNUSED;

/* Argument `i` as the time a field expires, checked on the clock and in the unit that the client
 * used. *at_out is monotonic, and not after now when it is over already. */
bool hash_parse_time(struct cmd_ctx *ctx, int i, struct time_spec spec,
                     int64_t *at_out) WARN_UNUSED;

/* These commands look at the type before their arguments. */
bool hash_or_absent(struct cmd_ctx *ctx, const struct store_key *key) WARN_UNUSED;

/* Sets the expiry of a field that is there, or removes it when that time is over. */
enum store_result hash_expire_field(struct cmd_ctx *ctx, struct hashmap_edit *edit,
                                    struct strview name, int64_t expires_at_ms) WARN_UNUSED;

#endif
