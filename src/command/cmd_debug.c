/*
 * DEBUG: tools for tests, ours and those of clients. Refused unless enable-debug-command says yes.
 */
#include "args.h"
#include "keyspace.h"
#include "reply.h"
#include "table.h"
#include "tarn/base/num.h"
#include "tarn/base/sha256.h"
#include "tarn/source/source.h"

#include <stdio.h>
#include <time.h>

#define DEBUG_SLEEP_MAX_S 60

static bool may_debug(struct cmd_ctx *ctx)
{
    if (!ctx->env->command_options->enable_debug_command) {
        reply_error(ctx, "ERR DEBUG command not allowed. Set enable-debug-command in the "
                         "configuration file or on the "
                         "command line, and restart the server.");
    }
    return ctx->env->command_options->enable_debug_command;
}

/* Stops the whole server, which is its purpose: tests of clients and of watchdogs want exactly
 * that. */
void cmd_debug_sleep(struct cmd_ctx *ctx)
{
    long double seconds;
    if (!may_debug(ctx)) {
        return;
    }
    if (!num_parse_ldouble(ctx->argv[2], &seconds) ||
        !(seconds >= 0 && seconds <= DEBUG_SLEEP_MAX_S)) {
        resp_write_errorf(ctx->reply, "ERR DEBUG SLEEP takes 0 to %d seconds", DEBUG_SLEEP_MAX_S);
        return;
    }
    struct timespec left = {
        .tv_sec = (time_t)seconds,
        .tv_nsec = (long)((seconds - (long double)(time_t)seconds) * 1000000000.0L)};
    while (nanosleep(&left, &left) != 0) {
    }
    clock_update(ctx->env->clock);
    resp_write_ok(ctx->reply);
}

/* DEBUG SOURCE name HOLD|RELEASE|...: the gates of a mock source. */
void cmd_debug_source(struct cmd_ctx *ctx)
{
    struct errtext err;
    struct buf text;
    if (!may_debug(ctx)) {
        return;
    }
    if (ctx->env->sources == NULL) {
        reply_error(ctx, "ERR no source is configured");
        return;
    }
    buf_init(&text);
    if (sources_debug(ctx->env->sources, ctx->argv + 2, ctx->argc - 2, &text, &err) != 0) {
        resp_write_errorf(ctx->reply, "ERR %s", err.text);
    } else if (buf_len(&text) == 0) {
        resp_write_ok(ctx->reply);
    } else {
        resp_write_bulk(ctx->reply, buf_view(&text));
    }
    buf_fini(&text);
}

/* Walks every invariant of the store; the process ends with a message when one is broken. */
void cmd_debug_check(struct cmd_ctx *ctx)
{
    if (may_debug(ctx)) {
        store_check(ctx->env->store);
        resp_write_ok(ctx->reply);
    }
}

/* With 0, what is over stays in memory until somebody looks at it; nobody sees it in either case.
 */
void cmd_debug_set_active_expire(struct cmd_ctx *ctx)
{
    int64_t is_on;
    if (may_debug(ctx) && arg_i64(ctx, 2, &is_on)) {
        store_set_active_expiry(ctx->env->store, is_on != 0);
        resp_write_ok(ctx->reply);
    }
}

/* What Redis tells of a key's inside, as far as there is such a thing here. */
void cmd_debug_object(struct cmd_ctx *ctx)
{
    const struct store_key key = key_at(ctx, 2);
    struct entry_view e;
    struct buf out;
    int64_t idle_ms = 0;
    int freq = 0;
    if (!may_debug(ctx)) {
        return;
    }
    if (!key_look(ctx, &key, false, &e)) {
        reply_error(ctx, ERROR_NO_KEY);
        return;
    }
    buf_init(&out);
    if (!rdb_value_write(ctx->env->types, e.type, e.value, &out)) {
        buf_fini(&out);
        reply_error(ctx, ERROR_OUT_OF_MEMORY);
        return;
    }
    const size_t len = buf_len(&out);
    (void)store_idle(ctx->env->store, &key, &idle_ms, &freq);
    buf_clear(&out);
    buf_printf(&out,
               "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:0 lru_seconds_idle:"
               "%lld",
               (const void *)e.value.data, key_encoding_name(ctx, &e), len,
               (long long)(idle_ms > 0 ? idle_ms / 1000 : 0));
    resp_write_simple(ctx->reply, buf_view(&out));
    buf_fini(&out);
}

/* ---- DIGEST-VALUE: equal values have equal digests, whatever the order of their fields ---- */

#define DIGEST_BYTES 20 /* as long as Redis's */

/* Mixes the digest of some bytes in. */
static void digest_add(unsigned char digest[DIGEST_BYTES], struct strview bytes)
{
    unsigned char one[SHA256_BYTES];
    sha256(bytes, one);
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        digest[i] ^= one[i];
    }
}

static bool digest_value(const struct cmd_ctx *ctx, const struct entry_view *e,
                         unsigned char digest[DIGEST_BYTES])
{
    struct hashmap_iter it;
    struct hashmap_field field;
    struct buf pair;
    if (e->type == ENTRY_STRING) {
        digest_add(digest, e->value);
        return true;
    }
    buf_init(&pair);
    hashmap_begin(&it, ctx->env->types, e->value);
    while (!pair.failed && hashmap_next(&it, &field)) {
        buf_clear(&pair);
        (void)buf_append(&pair, &field.name.len, sizeof(field.name.len));
        (void)buf_append(&pair, &field.expires_at_ms, sizeof(field.expires_at_ms));
        (void)buf_append_view(&pair, field.name);
        (void)buf_append_view(&pair, field.value);
        digest_add(digest, buf_view(&pair));
    }
    const bool is_whole = !pair.failed;
    buf_fini(&pair);
    return is_whole;
}

void cmd_debug_digest_value(struct cmd_ctx *ctx)
{
    if (!may_debug(ctx)) {
        return;
    }
    resp_write_array(ctx->reply, (size_t)ctx->argc - 2);
    for (int i = 2; i < ctx->argc; i++) {
        const struct store_key key = key_at(ctx, i);
        unsigned char digest[DIGEST_BYTES] = {0};
        char text[2 * DIGEST_BYTES + 1];
        struct entry_view e;
        if (key_look(ctx, &key, false, &e) && !digest_value(ctx, &e, digest)) {
            buf_truncate(ctx->reply->out, ctx->reply_start);
            reply_error(ctx, ERROR_OUT_OF_MEMORY);
            return;
        }
        for (size_t n = 0; n < DIGEST_BYTES; n++) {
            snprintf(text + 2 * n, 3, "%02x", digest[n]);
        }
        resp_write_bulk_str(ctx->reply, text);
    }
}

/* ---- PROTOCOL: one reply of each kind, with the contents that Redis gives ---- */

static void write_numbers(struct resp_writer *w)
{
    for (int i = 0; i < 3; i++) {
        resp_write_int(w, i);
    }
}

static void write_string(struct resp_writer *w)
{
    resp_write_bulk_str(w, "Hello World");
}

static void write_integer(struct resp_writer *w)
{
    resp_write_int(w, 12345);
}

static void write_double(struct resp_writer *w)
{
    resp_write_double(w, 3.141);
}

static void write_bignum(struct resp_writer *w)
{
    static const char digits[] = "1234567999999999999999999999999999999";
    if (w->version == 3) {
        resp_write_raw(w, strview_str("("));
        resp_write_raw(w, strview_str(digits));
        resp_write_raw(w, strview_str("\r\n"));
    } else {
        resp_write_bulk_str(w, digits);
    }
}

static void write_array(struct resp_writer *w)
{
    resp_write_array(w, 3);
    write_numbers(w);
}

static void write_set(struct resp_writer *w)
{
    resp_write_set(w, 3);
    write_numbers(w);
}

static void write_map(struct resp_writer *w)
{
    resp_write_map(w, 3);
    for (int i = 0; i < 3; i++) {
        resp_write_int(w, i);
        resp_write_bool(w, i == 1);
    }
}

static void write_attribute(struct resp_writer *w)
{
    if (w->version == 3) {
        resp_write_raw(w, strview_str("|1\r\n"));
        resp_write_bulk_str(w, "key-popularity");
        resp_write_array(w, 2);
        resp_write_bulk_str(w, "key:123");
        resp_write_int(w, 90);
    }
    resp_write_bulk_str(w, "Some real reply following the attribute");
}

static void write_push(struct resp_writer *w)
{
    if (w->version < 3) {
        resp_write_error(w, strview_str("ERR RESP2 is not supported by this command"));
        return;
    }
    resp_write_push(w, 2);
    resp_write_bulk_str(w, "server-cpu-usage");
    resp_write_int(w, 42);
    resp_write_bulk_str(w, "Some real reply following the push reply");
}

static void write_true(struct resp_writer *w)
{
    resp_write_bool(w, true);
}

static void write_false(struct resp_writer *w)
{
    resp_write_bool(w, false);
}

static void write_verbatim(struct resp_writer *w)
{
    resp_write_verbatim(w, "txt", strview_str("This is a verbatim\nstring"));
}

static const struct {
    const char *name;
    void (*write)(struct resp_writer *w);
} protocol_types[] = {
    {"string", write_string},     {"integer", write_integer}, {"double", write_double},
    {"bignum", write_bignum},     {"null", resp_write_null},  {"array", write_array},
    {"set", write_set},           {"map", write_map},         {"attrib", write_attribute},
    {"push", write_push},         {"true", write_true},       {"false", write_false},
    {"verbatim", write_verbatim},
};

void cmd_debug_protocol(struct cmd_ctx *ctx)
{
    if (!may_debug(ctx)) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(protocol_types); i++) {
        if (arg_is(ctx, 2, protocol_types[i].name)) {
            protocol_types[i].write(ctx->reply);
            return;
        }
    }
    reply_error(ctx, "ERR Wrong protocol type name. Please use one of the following: "
                     "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|"
                     "false");
}
