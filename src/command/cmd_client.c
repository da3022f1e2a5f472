/*
 * CLIENT: what connections there are, and what they may ask for themselves.
 *
 * A session knows nothing of its socket; closing one and the sizes of its buffers come through
 * session_ops.
 */

#include <string.h>

#include "args.h"
#include "loads.h"
#include "reply.h"
#include "table.h"
#include "handler.h"
#include "observers.h"
#include "session_text.h"
#include "tarn/base/num.h"
#include "transaction.h"

/* ---- about oneself --------------------------------------------------------------------------- */

void cmd_client_id(struct cmd_ctx *ctx)
{
    resp_write_int(ctx->reply, (int64_t)ctx->session->id);
}

void cmd_client_getname(struct cmd_ctx *ctx)
{
    if (ctx->session->name == NULL) {
        resp_write_null(ctx->reply);
    } else {
        resp_write_bulk_str(ctx->reply, ctx->session->name);
    }
}

void cmd_client_setname(struct cmd_ctx *ctx)
{
    if (!session_text_is_valid(ctx->argv[2])) {
        reply_error(ctx, ERROR_CLIENT_NAME);
    } else if (!session_text_set(&ctx->session->name, ctx->argv[2])) {
        reply_error(ctx, ERROR_NO_MEMORY);
    } else {
        resp_write_ok(ctx->reply);
    }
}

void cmd_client_setinfo(struct cmd_ctx *ctx)
{
    struct strview option = ctx->argv[2];
    char **field;
    if (strview_eq_nocase(option, "lib-name")) {
        field = &ctx->session->lib_name;
    } else if (strview_eq_nocase(option, "lib-ver")) {
        field = &ctx->session->lib_ver;
    } else {
        resp_write_errorf(ctx->reply, "ERR Unrecognized option '%.*s'",
                          STRVIEW_ARG(word_shown(option, SHOWN_MAX)));
        return;
    }
    if (!session_text_is_valid(ctx->argv[3])) {
        resp_write_errorf(ctx->reply,
                          "ERR %s cannot contain spaces, newlines or special characters.",
                          field == &ctx->session->lib_name ? "lib-name" : "lib-ver");
    } else if (!session_text_set(field, ctx->argv[3])) {
        reply_error(ctx, ERROR_NO_MEMORY);
    } else {
        resp_write_ok(ctx->reply);
    }
}

/* ON|OFF for a flag of one's own session. */
static void set_flag(struct cmd_ctx *ctx, unsigned flag)
{
    if (strview_eq_nocase(ctx->argv[2], "on")) {
        ctx->session->flags |= flag;
    } else if (strview_eq_nocase(ctx->argv[2], "off")) {
        ctx->session->flags &= ~flag;
    } else {
        reply_error(ctx, ERROR_SYNTAX);
        return;
    }
    resp_write_ok(ctx->reply);
}

void cmd_client_no_evict(struct cmd_ctx *ctx)
{
    set_flag(ctx, SESSION_NO_EVICT);
}

void cmd_client_no_touch(struct cmd_ctx *ctx)
{
    set_flag(ctx, SESSION_NO_TOUCH);
}

void cmd_client_no_load(struct cmd_ctx *ctx)
{
    set_flag(ctx, SESSION_NO_LOAD);
}

/* OFF and SKIP have no reply of their own: dispatch drops what is written once the flag is set. */
void cmd_client_reply(struct cmd_ctx *ctx)
{
    struct session *s = ctx->session;
    if (strview_eq_nocase(ctx->argv[2], "on")) {
        s->flags &= ~(unsigned)(SESSION_REPLY_OFF | SESSION_REPLY_SKIP | SESSION_REPLY_SKIP_NEXT);
        resp_write_ok(ctx->reply);
    } else if (strview_eq_nocase(ctx->argv[2], "off")) {
        s->flags |= SESSION_REPLY_OFF;
    } else if (strview_eq_nocase(ctx->argv[2], "skip")) {
        if ((s->flags & SESSION_REPLY_OFF) == 0) {
            s->flags |= SESSION_REPLY_SKIP_NEXT;
        }
    } else {
        reply_error(ctx, ERROR_SYNTAX);
    }
}

/* ---- listing --------------------------------------------------------------------------------- */

static void append_flags(struct buf *out, const struct session *s)
{
    static const struct {
        unsigned flag;
        char letter;
    } letters[] = {
        {SESSION_MONITOR, 'O'},  {SESSION_TRACKING, 't'}, {SESSION_SUBSCRIBER, 'P'},
        {SESSION_IN_MULTI, 'x'}, {SESSION_BLOCKED, 'b'},  {SESSION_TOUCHED, 'd'},
        {SESSION_UNIX, 'U'},     {SESSION_CLOSING, 'c'},  {SESSION_NO_EVICT, 'e'},
        {SESSION_NO_TOUCH, 'T'},
    };
    size_t before = buf_len(out);
    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        if (s->flags & letters[i].flag) {
            buf_append_char(out, letters[i].letter);
        }
    }
    if ((s->flags & SESSION_TRACKING) != 0) {
        const unsigned tracking = s->interests->tracking.flags;
        buf_append_str(out, (tracking & TRACKING_BROKEN) != 0 ? "R" : "");
        buf_append_str(out, (tracking & TRACKING_BCAST) != 0 ? "B" : "");
    }
    if (buf_len(out) == before) {
        buf_append_char(out, 'N');
    }
}

/* The map whose row a suspended client waits for, if that is what it waits for. */
static void append_awaited_map(struct cmd_ctx *ctx, struct buf *out, const struct session *s)
{
    const struct session_load *load = loads_first_pending(s->loads);
    if (load == NULL || load->db >= STORE_DATABASES) {
        return;
    }
    const struct source_map *map = sources_match(ctx->env->sources,
                                                 strview_of(load->key, load->key_len));
    if (map != NULL) {
        buf_append_str(out, " map=");
        buf_append_view(out, source_map_name(map));
    }
}

static void append_client(struct cmd_ctx *ctx, struct buf *out, const struct session *s)
{
    size_t query = 0, query_free = 0, output = 0, memory = 0, words = 0;
    int64_t now_ms = ctx->env->clock->mono_ms;
    const struct transaction *t = s->transaction;
    const size_t queued_bytes = t != NULL ? t->bytes : 0;
    s->ops->buffers(s, &query, &query_free, &output, &memory);
    if (s == ctx->session) {
        /* What is being run counts as unread, as in Redis. */
        query = size_max(query, args_request_bytes(ctx));
        words = args_word_bytes(ctx);
    }
    buf_printf(out, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%lld idle=%lld flags=",
               (unsigned long long)s->id, s->address, s->local_address, s->fd,
               s->name ? s->name : "", (long long)(now_ms / 1000 - s->created_s),
               (long long)(now_ms - s->active_ms) / 1000);
    append_flags(out, s);
    buf_printf(out,
               " db=%u sub=%zu psub=%zu ssub=%zu multi=%lld qbuf=%zu qbuf-free=%zu argv-mem=%zu "
               "multi-mem=%zu rbs=%zu rbp=%zu obl=%zu oll=0 omem=0 tot-mem=%zu events=%s cmd=",
               s->db, observers_count(s, TOPIC_CHANNEL), observers_count(s, TOPIC_PATTERN),
               observers_count(s, TOPIC_SHARD_CHANNEL), t != NULL ? (long long)t->count : -1LL,
               query, query_free, words, queued_bytes, s->out->cap, s->out->cap, output,
               memory + queued_bytes, output > 0 ? "rw" : "r");
    if (s->last_command == NULL) {
        buf_append_str(out, "NULL");
    } else {
        buf_append_str(out, s->last_command->full_name);
    }
    const bool is_tracking = (s->flags & SESSION_TRACKING) != 0;
    const long long redirect = is_tracking ? (long long)s->interests->tracking.redirect : -1LL;
    buf_printf(out, " user=default redir=%lld resp=%d lib-name=%s lib-ver=%s", redirect,
               s->resp_version, s->lib_name ? s->lib_name : "", s->lib_ver ? s->lib_ver : "");
    append_awaited_map(ctx, out, s);
    buf_append_char(out, '\n');
}

void cmd_client_info(struct cmd_ctx *ctx)
{
    struct buf text;
    buf_init(&text);
    append_client(ctx, &text, ctx->session);
    resp_write_verbatim(ctx->reply, "txt", buf_view(&text));
    buf_fini(&text);
}

/* Types of clients; there are no masters and replicas. */
enum client_type { TYPE_ANY, TYPE_NORMAL, TYPE_PUBSUB, TYPE_NOBODY };

static bool parse_type(struct cmd_ctx *ctx, struct strview v, enum client_type *out)
{
    static const struct {
        const char *name;
        enum client_type type;
    } types[] = {{"normal", TYPE_NORMAL},
                 {"pubsub", TYPE_PUBSUB},
                 {"master", TYPE_NOBODY},
                 {"replica", TYPE_NOBODY},
                 {"slave", TYPE_NOBODY}};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (strview_eq_nocase(v, types[i].name)) {
            *out = types[i].type;
            return true;
        }
    }
    resp_write_errorf(ctx->reply, "ERR Unknown client type '%.*s'",
                      STRVIEW_ARG(word_shown(v, SHOWN_MAX)));
    return false;
}

static bool is_of_type(const struct session *s, enum client_type type)
{
    const enum client_type own = (s->flags & SESSION_SUBSCRIBER) != 0 ? TYPE_PUBSUB : TYPE_NORMAL;
    return type == TYPE_ANY || type == own;
}

static struct session *find_session(struct command_env *env, uint64_t id)
{
    list_for_each (it, &env->sessions) {
        struct session *s = container_of(it, struct session, link);
        if (s->id == id) {
            return s;
        }
    }
    return NULL;
}

static void append_clients_by_id(struct cmd_ctx *ctx, struct buf *text)
{
    for (int i = 3; i < ctx->argc; i++) {
        int64_t id = 0;
        (void)num_parse_i64(ctx->argv[i], &id); /* checked by the caller */
        struct session *s = find_session(ctx->env, (uint64_t)id);
        if (s != NULL) {
            append_client(ctx, text, s);
        }
    }
}

void cmd_client_list(struct cmd_ctx *ctx)
{
    struct buf text;
    enum client_type type = TYPE_ANY;
    bool by_id = false;

    if (ctx->argc == 4 && strview_eq_nocase(ctx->argv[2], "type")) {
        if (!parse_type(ctx, ctx->argv[3], &type)) {
            return;
        }
    } else if (ctx->argc > 3 && strview_eq_nocase(ctx->argv[2], "id")) {
        by_id = true;
        for (int i = 3; i < ctx->argc; i++) {
            int64_t id;
            if (!num_parse_i64(ctx->argv[i], &id)) {
                reply_error(ctx, "ERR Invalid client ID");
                return;
            }
        }
    } else if (ctx->argc != 2) {
        reply_error(ctx, ERROR_SYNTAX);
        return;
    }
    buf_init(&text);
    if (by_id) {
        append_clients_by_id(ctx, &text);
    } else {
        list_for_each (it, &ctx->env->sessions) {
            const struct session *s = container_of(it, struct session, link);
            if (is_of_type(s, type)) {
                append_client(ctx, &text, s);
            }
        }
    }
    resp_write_verbatim(ctx->reply, "txt", buf_view(&text));
    buf_fini(&text);
}

/* ---- killing --------------------------------------------------------------------------------- */

struct kill_filter {
    uint64_t id;                   /* 0: any */
    struct strview address, local; /* data NULL: any */
    int64_t age_min_s;             /* 0: any */
    enum client_type type;
    bool skip_me;
};

static bool parse_kill_option(struct cmd_ctx *ctx, struct kill_filter *f, struct strview name,
                              struct strview value)
{
    int64_t n;
    if (strview_eq_nocase(name, "id")) {
        if (!num_parse_i64(value, &n) || n < 1) {
            reply_error(ctx, "ERR client-id should be greater than 0");
            return false;
        }
        f->id = (uint64_t)n;
    } else if (strview_eq_nocase(name, "maxage")) {
        if (!num_parse_i64(value, &n) || n < 1) {
            reply_error(ctx, "ERR maxage is not an integer or out of range");
            return false;
        }
        f->age_min_s = n;
    } else if (strview_eq_nocase(name, "type")) {
        return parse_type(ctx, value, &f->type);
    } else if (strview_eq_nocase(name, "addr")) {
        f->address = value;
    } else if (strview_eq_nocase(name, "laddr")) {
        f->local = value;
    } else if (strview_eq_nocase(name, "user")) {
        if (!strview_eq(value, strview_str("default"))) {
            resp_write_errorf(ctx->reply, "ERR No such user '%.*s'",
                              STRVIEW_ARG(word_shown(value, SHOWN_MAX)));
            return false;
        }
    } else if (strview_eq_nocase(name, "skipme") && strview_eq_nocase(value, "yes")) {
        f->skip_me = true;
    } else if (strview_eq_nocase(name, "skipme") && strview_eq_nocase(value, "no")) {
        f->skip_me = false;
    } else {
        reply_error(ctx, ERROR_SYNTAX);
        return false;
    }
    return true;
}

static bool kill_matches(const struct cmd_ctx *ctx, const struct kill_filter *f,
                         const struct session *s)
{
    if (!is_of_type(s, f->type) || (f->skip_me && s == ctx->session)) {
        return false;
    }
    if ((f->id != 0 && s->id != f->id) ||
        (f->age_min_s != 0 && ctx->env->clock->mono_ms / 1000 - s->created_s < f->age_min_s)) {
        return false;
    }
    return (f->address.data == NULL || strview_eq(f->address, strview_str(s->address))) &&
           (f->local.data == NULL || strview_eq(f->local, strview_str(s->local_address)));
}

static int64_t kill_matching(struct cmd_ctx *ctx, const struct kill_filter *f)
{
    int64_t killed = 0;
    list_for_each_safe (it, &ctx->env->sessions) {
        struct session *s = container_of(it, struct session, link);
        if (kill_matches(ctx, f, s)) {
            s->ops->close(s);
            killed++;
        }
    }
    return killed;
}

/* The old form, CLIENT KILL addr:port, answers OK and may kill oneself; the new one counts and by
 * default does not. */
void cmd_client_kill(struct cmd_ctx *ctx)
{
    struct kill_filter f = {.type = TYPE_ANY, .skip_me = true};
    if (ctx->argc == 3) {
        f.address = ctx->argv[2];
        f.skip_me = false;
        if (kill_matching(ctx, &f) > 0) {
            resp_write_ok(ctx->reply);
        } else {
            reply_error(ctx, "ERR No such client");
        }
        return;
    }
    if (ctx->argc % 2 != 0) {
        reply_error(ctx, ERROR_SYNTAX);
        return;
    }
    for (int i = 2; i < ctx->argc; i += 2) {
        if (!parse_kill_option(ctx, &f, ctx->argv[i], ctx->argv[i + 1])) {
            return;
        }
    }
    resp_write_int(ctx->reply, kill_matching(ctx, &f));
}
