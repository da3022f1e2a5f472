/*
 * Strings: SET and its relatives, GET and its relatives, and the commands on parts of a string.
 *
 * Values are bytes; integers are stored as their text. Commands that change one value in place
 * (APPEND, SETRANGE) resize it and write into the store's memory, so a value is never put together
 * in a buffer first.
 *
 * Replies of GET variants are written before the key is changed, because what they show is borrowed
 * from the store.
 */
#include <assert.h>
#include <string.h>

#include "args.h"
#include "keyspace.h"
#include "reply.h"
#include "table.h"
#include "tarn/base/num.h"
#include "timing.h"

#define SET_OPTIONS    (SET_NX | SET_XX | SET_IFEQ | SET_GET | SET_KEEPTTL | SET_ANY_EXPIRY)
#define MSETEX_OPTIONS (SET_NX | SET_XX | SET_KEEPTTL | SET_ANY_EXPIRY)
#define GETEX_OPTIONS  (SET_PERSIST | SET_ANY_EXPIRY)

/* ---- setting ---- */

/* The value of SET ... GET; false when the command ends here. */
static bool reply_old_value(struct cmd_ctx *ctx, const struct store_key *key)
{
    struct strview old;
    switch (key_read_string(ctx, key, &old)) {
    case KEY_FOUND:
        resp_write_bulk(ctx->reply, old);
        return true;
    case KEY_ABSENT:
        resp_write_null(ctx->reply);
        return true;
    case KEY_WRONG_TYPE:
        break;
    }
    return false;
}

/* KEY_FOUND: the value may be set. KEY_WRONG_TYPE: the error was written. */
static enum key_state check_condition(struct cmd_ctx *ctx, const struct store_key *key,
                                      const struct set_args *args)
{
    struct entry_view e;
    struct strview value;
    if ((args->flags & SET_IFEQ) != 0) {
        const enum key_state state = key_find_string(ctx, key, &value);
        return state == KEY_FOUND && !strview_eq(value, ctx->argv[args->ifeq_arg]) ? KEY_ABSENT
                                                                                   : state;
    }
    if ((args->flags & (SET_NX | SET_XX)) == 0) {
        return KEY_FOUND;
    }
    const bool wants_present = (args->flags & SET_XX) != 0;
    return key_find(ctx, key, &e) == wants_present ? KEY_FOUND : KEY_ABSENT;
}

static bool set_value(struct cmd_ctx *ctx, const struct store_key *key, struct strview value,
                      unsigned flags, int64_t expires_at_ms)
{
    return (flags & SET_KEEPTTL) != 0 ? key_set_keep_expiry(ctx, key, value)
                                      : key_set(ctx, key, value, expires_at_ms);
}

static void set_with_options(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct set_args args;
    int64_t expires_at_ms = STORE_NO_EXPIRY;
    if (!args_parse_set(ctx, 3, SET_OPTIONS, &args)) {
        return;
    }
    if (args.expiry_arg > 0 && !set_args_expiry(ctx, &args, &expires_at_ms)) {
        return;
    }
    const bool replies_old = (args.flags & SET_GET) != 0;
    if (replies_old && !reply_old_value(ctx, &key)) {
        return;
    }
    const enum key_state state = check_condition(ctx, &key, &args);
    if (state != KEY_FOUND) {
        if (state == KEY_ABSENT && !replies_old) {
            resp_write_null(ctx->reply);
        }
        return;
    }
    if (set_value(ctx, &key, ctx->argv[2], args.flags, expires_at_ms) && !replies_old) {
        resp_write_ok(ctx->reply);
    }
}

void cmd_set(struct cmd_ctx *ctx)
{
    if (UNLIKELY(ctx->argc > 3)) {
        set_with_options(ctx);
        return;
    }
    const struct store_key key = key_at(ctx, 1);
    if (key_set(ctx, &key, ctx->argv[2], STORE_NO_EXPIRY)) {
        resp_write_ok(ctx->reply);
    }
}

bool shortcut_set(struct command_env *env, const struct command_call *call)
{
    const struct strview value = call->argv[2];
    const struct store_write plain = {0};
    if (UNLIKELY(call->argc != 3 || value.len > TIMING_LARGE_BYTES || env->observed != 0 ||
                 keyspace_has_maps(env)) ||
        UNLIKELY(store_make_room(env->store) != STORE_OK) ||
        UNLIKELY(store_set(env->store, &call->key, value, &plain) != STORE_OK)) {
        return false;
    }
    struct resp_writer w = session_writer(call->session);
    resp_write_ok(&w);
    return true;
}

void cmd_setnx(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct entry_view e;
    if (key_find(ctx, &key, &e)) {
        resp_write_int(ctx->reply, 0);
    } else if (key_set(ctx, &key, ctx->argv[2], STORE_NO_EXPIRY)) {
        resp_write_int(ctx->reply, 1);
    }
}

static void set_with_ttl(struct cmd_ctx *ctx, bool is_seconds)
{
    const struct store_key key = key_at(ctx, 1);
    int64_t expires_at_ms;
    if (!arg_expiry(ctx, 2, (struct time_spec){.is_seconds = is_seconds}, &expires_at_ms)) {
        return;
    }
    if (key_set(ctx, &key, ctx->argv[3], expires_at_ms)) {
        resp_write_ok(ctx->reply);
    }
}

void cmd_setex(struct cmd_ctx *ctx)
{
    set_with_ttl(ctx, true);
}

void cmd_psetex(struct cmd_ctx *ctx)
{
    set_with_ttl(ctx, false);
}

void cmd_getset(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    if (reply_old_value(ctx, &key)) {
        (void)key_set(ctx, &key, ctx->argv[2], STORE_NO_EXPIRY); /* its error replaces the reply */
    }
}

/* Pairs of key and value in argv, from `first` up to `end`. */
struct pairs {
    int first, end;
};

/* Writes all pairs; false when the store was full, with the error written. */
static bool set_pairs(struct cmd_ctx *ctx, const struct pairs *pairs, unsigned flags,
                      int64_t expires_at_ms)
{
    struct store_key keys[KEY_BATCH];
    for (int i = pairs->first; i < pairs->end; i += 2 * KEY_BATCH) {
        const size_t n = size_min(key_batch(ctx, i, 2, keys), (size_t)(pairs->end - i) / 2);
        for (size_t k = 0; k < n; k++) {
            const struct strview value = ctx->argv[i + 2 * (int)k + 1];
            if (!set_value(ctx, &keys[k], value, flags, expires_at_ms)) {
                return false;
            }
        }
    }
    return true;
}

/* Are all of the keys there (or none of them)? */
static bool pairs_are(struct cmd_ctx *ctx, const struct pairs *pairs, bool present)
{
    for (int i = pairs->first; i < pairs->end; i += 2) {
        const struct store_key key = key_at(ctx, i);
        struct entry_view e;
        if (key_find(ctx, &key, &e) != present) {
            return false;
        }
    }
    return true;
}

void cmd_mset(struct cmd_ctx *ctx)
{
    if (ctx->argc % 2 == 0) {
        reply_arity_error(ctx);
        return;
    }
    const struct pairs pairs = {.first = 1, .end = ctx->argc};
    if (set_pairs(ctx, &pairs, 0, STORE_NO_EXPIRY)) {
        resp_write_ok(ctx->reply);
    }
}

void cmd_msetnx(struct cmd_ctx *ctx)
{
    if (ctx->argc % 2 == 0) {
        reply_arity_error(ctx);
        return;
    }
    const struct pairs pairs = {.first = 1, .end = ctx->argc};
    if (!pairs_are(ctx, &pairs, false)) {
        resp_write_int(ctx->reply, 0);
    } else if (set_pairs(ctx, &pairs, 0, STORE_NO_EXPIRY)) {
        resp_write_int(ctx->reply, 1);
    }
}

/* The keys and options of MSETEX; false: an error was written. */
static bool parse_msetex(struct cmd_ctx *ctx, struct pairs *pairs, struct set_args *args)
{
    int64_t count;
    if (!num_parse_i64(ctx->argv[1], &count) || count < 1 || count > INT32_MAX) {
        reply_error(ctx, "ERR invalid numkeys value");
        return false;
    }
    if (count > (ctx->argc - 2) / 2) {
        reply_error(ctx, "ERR wrong number of key-value pairs");
        return false;
    }
    *pairs = (struct pairs){.first = 2, .end = 2 + 2 * (int)count};
    return args_parse_set(ctx, pairs->end, MSETEX_OPTIONS, args);
}

void cmd_msetex(struct cmd_ctx *ctx)
{
    struct pairs pairs;
    struct set_args args;
    int64_t expires_at_ms = STORE_NO_EXPIRY;
    if (!parse_msetex(ctx, &pairs, &args) ||
        (args.expiry_arg > 0 && !set_args_expiry(ctx, &args, &expires_at_ms))) {
        return;
    }
    const bool has_condition = (args.flags & (SET_NX | SET_XX)) != 0;
    if (has_condition && !pairs_are(ctx, &pairs, (args.flags & SET_XX) != 0)) {
        resp_write_int(ctx->reply, 0);
    } else if (set_pairs(ctx, &pairs, args.flags, expires_at_ms)) {
        resp_write_int(ctx->reply, 1);
    }
}

/* ---- removing ---- */

void cmd_delifeq(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct strview value;
    const enum key_state state = key_find_string(ctx, &key, &value);
    if (state != KEY_WRONG_TYPE) {
        const bool is_equal = state == KEY_FOUND && strview_eq(value, ctx->argv[2]);
        resp_write_int(ctx->reply, is_equal && key_remove(ctx, &key) ? 1 : 0);
    }
}

/* ---- getting ---- */

/* Writes the value, null when there is none. KEY_FOUND when something may be done with the key
 * afterwards. */
static enum key_state reply_value(struct cmd_ctx *ctx, const struct store_key *key)
{
    struct strview value;
    const enum key_state state = key_read_string(ctx, key, &value);
    if (LIKELY(state == KEY_FOUND)) {
        resp_write_bulk(ctx->reply, value);
    } else if (state == KEY_ABSENT) {
        resp_write_null(ctx->reply);
    }
    return state;
}

void cmd_get(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct strview value;
    switch (key_read_string(ctx, &key, &value)) {
    case KEY_FOUND:
        reply_stored_bulk(ctx, value);
        break;
    case KEY_ABSENT:
        resp_write_null(ctx->reply);
        break;
    case KEY_WRONG_TYPE:
        break;
    }
}

bool shortcut_get(struct command_env *env, const struct command_call *call)
{
    struct strview value;
    if (UNLIKELY(!store_find_short(env->store, &call->key, REPLY_LENT_MIN, &value))) {
        return false;
    }
    struct resp_writer w = session_writer(call->session);
    resp_write_bulk(&w, value);
    env->stats.keyspace_hits++;
    return true;
}

void cmd_getdel(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    if (reply_value(ctx, &key) == KEY_FOUND) {
        (void)key_remove(ctx, &key);
    }
}

void cmd_getex(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct set_args args;
    struct strview value;
    int64_t expires_at_ms = STORE_NO_EXPIRY;
    if (!args_parse_set(ctx, 2, GETEX_OPTIONS, &args)) {
        return;
    }
    const enum key_state state = key_read_string(ctx, &key, &value);
    if (state != KEY_FOUND) {
        if (state == KEY_ABSENT) {
            resp_write_null(ctx->reply);
        }
        return;
    }
    if (args.expiry_arg > 0 && !set_args_expiry(ctx, &args, &expires_at_ms)) {
        return;
    }
    resp_write_bulk(ctx->reply, value);
    if (args.flags != 0) {
        (void)key_expire(ctx, &key, expires_at_ms); /* its error replaces the reply */
    }
}

void cmd_mget(struct cmd_ctx *ctx)
{
    struct store_key keys[KEY_BATCH];
    resp_write_array(ctx->reply, (size_t)ctx->argc - 1);
    for (int i = 1; i < ctx->argc; i += KEY_BATCH) {
        const size_t n = key_batch(ctx, i, 1, keys);
        for (size_t k = 0; k < n; k++) {
            struct entry_view e;
            if (key_read(ctx, &keys[k], ENTRY_STRING, &e) == KEY_FOUND) {
                resp_write_bulk(ctx->reply, e.value);
            } else {
                resp_write_null(ctx->reply); /* another type too: MGET never fails for one key */
            }
        }
    }
}

/* ---- parts ---- */

void cmd_strlen(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct strview value = {0};
    if (key_read_string(ctx, &key, &value) != KEY_WRONG_TYPE) {
        resp_write_int(ctx->reply, (int64_t)value.len);
    }
}

/* The bytes start..end of a string, both inclusive, negative ones counted from its end. */
static struct strview part_of(struct strview value, int64_t start, int64_t end)
{
    const int64_t len = (int64_t)value.len;
    if (start < 0 && end < 0 && start > end) {
        return strview_of(NULL, 0);
    }
    start = start < 0 ? start + len : start;
    end = end < 0 ? end + len : end;
    start = start < 0 ? 0 : start;
    end = end < 0 ? 0 : end;
    end = end >= len ? len - 1 : end;
    if (len == 0 || start > end) {
        return strview_of(NULL, 0);
    }
    return strview_of(value.data + start, (size_t)(end - start + 1));
}

void cmd_getrange(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    struct strview value = {0};
    int64_t start, end;
    if (!arg_i64(ctx, 2, &start) || !arg_i64(ctx, 3, &end)) {
        return;
    }
    if (key_read_string(ctx, &key, &value) != KEY_WRONG_TYPE) {
        resp_write_bulk(ctx->reply, part_of(value, start, end));
    }
}

void cmd_substr(struct cmd_ctx *ctx)
{
    cmd_getrange(ctx);
}

/* False: longer than any string may be, and the error reply was written. */
static bool length_fits(struct cmd_ctx *ctx, int64_t len, size_t more, size_t *total_out)
{
    int64_t total;
    if (more > STORE_VALUE_MAX || add_overflow(len, (int64_t)more, &total) ||
        total > ctx->env->command_options->proto_max_bulk_len) {
        reply_error(ctx, ERROR_TOO_LONG);
        return false;
    }
    *total_out = (size_t)total;
    return true;
}

void cmd_append(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    const struct strview more = ctx->argv[2];
    struct strview value = {0};
    size_t len;
    const enum key_state state = key_find_string(ctx, &key, &value);
    if (state == KEY_WRONG_TYPE || !length_fits(ctx, (int64_t)value.len, more.len, &len)) {
        return;
    }
    const size_t at = value.len;
    char *bytes;
    if (!key_resize(ctx, &key, len, state == KEY_FOUND, &bytes)) {
        return;
    }
    if (more.len > 0) {
        memcpy(bytes + at, more.data, more.len);
    }
    resp_write_int(ctx->reply, (int64_t)len);
}

void cmd_setrange(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 1);
    const struct strview part = ctx->argv[3];
    struct strview value = {0};
    int64_t offset;
    size_t end;
    if (!arg_i64(ctx, 2, &offset)) {
        return;
    }
    if (offset < 0) {
        reply_error(ctx, "ERR offset is out of range");
        return;
    }
    const enum key_state state = key_find_string(ctx, &key, &value);
    if (state == KEY_WRONG_TYPE) {
        return;
    }
    if (part.len == 0) {
        resp_write_int(ctx->reply, (int64_t)value.len);
        return;
    }
    if (!length_fits(ctx, offset, part.len, &end)) {
        return;
    }
    const size_t len = size_max(end, value.len);
    char *bytes;
    if (key_resize(ctx, &key, len, state == KEY_FOUND, &bytes)) {
        memcpy(bytes + offset, part.data, part.len);
        resp_write_int(ctx->reply, (int64_t)len);
    }
}
