/*
 * The line of a command is made once and sent to every monitor, after the command has run. Commands
 * for administrators are not shown, as in Redis, and neither is what may be a password.
 *
 *     1700000000.123456 [0 127.0.0.1:50000] "set" "key" "value"
 */
#include "monitor.h"

#include "observers.h"
#include "reply.h"
#include "session_text.h"
#include "table.h"

static void append_escaped(struct buf *out, char c)
{
    static const char plain[] = "\n\r\t\a\b\"\\";
    static const char letters[] = "nrtab\"\\";
    for (size_t i = 0; plain[i] != '\0'; i++) {
        if (c == plain[i]) {
            buf_append_char(out, '\\');
            buf_append_char(out, letters[i]);
            return;
        }
    }
    if (c >= ' ' && c <= '~') {
        buf_append_char(out, c);
    } else {
        buf_printf(out, "\\x%02x", (unsigned char)c);
    }
}

static void append_quoted(struct buf *out, struct strview v)
{
    const size_t shown = size_min(v.len, MONITOR_ARG_MAX);
    buf_append_char(out, '"');
    for (size_t i = 0; i < shown; i++) {
        append_escaped(out, v.data[i]);
    }
    buf_append_char(out, '"');
    if (shown < v.len) {
        buf_printf(out, "... (%zu more bytes)", v.len - shown);
    }
}

int monitor_first_secret(const struct cmd_ctx *ctx)
{
    if (ctx->command->id == COMMAND_ID_auth) {
        return 1;
    }
    if (ctx->command->id == COMMAND_ID_hello) {
        for (int i = 2; i < ctx->argc; i++) {
            if (strview_eq_nocase(ctx->argv[i], "auth")) {
                return i + 1;
            }
        }
    }
    if (ctx->command->id == COMMAND_ID_source_add) {
        return 4; /* the dsn */
    }
    if (ctx->command->id == COMMAND_ID_config_set) {
        for (int i = 2; i < ctx->argc; i += 2) {
            if (strview_eq_nocase(ctx->argv[i], "requirepass")) {
                return i + 1;
            }
        }
    }
    return ctx->argc;
}

static void append_line(struct buf *out, const struct cmd_ctx *ctx)
{
    const struct session *s = ctx->session;
    const struct clock *clock = ctx->env->clock;
    const int secret = monitor_first_secret(ctx);
    const char *kind = (s->flags & SESSION_UNIX) != 0 ? "unix:" : "";
    buf_printf(out, "+%lld.%03lld%03lld [%u %s%s]", (long long)(clock->wall_ms / 1000),
               (long long)(clock->wall_ms % 1000), (long long)(clock->mono_us % 1000), s->db, kind,
               s->address);
    for (int i = 0; i < ctx->argc; i++) {
        buf_append_char(out, ' ');
        if (i < secret) {
            append_quoted(out, ctx->argv[i]);
        } else {
            buf_append_str(out, "\"(redacted)\"");
        }
    }
    buf_append_str(out, "\r\n");
}

void monitor_feed(const struct cmd_ctx *ctx)
{
    struct command_env *env = ctx->env;
    if ((ctx->command->flags & (CMD_SKIP_MONITOR | CMD_ADMIN)) != 0) {
        return;
    }
    struct buf line;
    buf_init(&line);
    append_line(&line, ctx);
    list_for_each (link, &env->observers->monitors) {
        struct session *s = container_of(link, struct interests, monitors)->session;
        struct resp_writer w;
        if (!line.failed && observers_push_begin(env, s, &w)) {
            resp_write_raw(&w, buf_view(&line));
            observers_push_end(env, s);
        }
    }
    buf_fini(&line);
}

void cmd_monitor(struct cmd_ctx *ctx)
{
    struct session *s = ctx->session;
    struct interests *interests = observers_interests(s);
    if (ctx->is_in_exec) {
        reply_error(ctx, "ERR MONITOR isn't allowed for DENY BLOCKING client");
        return;
    }
    if (interests == NULL) {
        reply_error(ctx, ERROR_NO_MEMORY);
        return;
    }
    if ((s->flags & SESSION_MONITOR) == 0) {
        s->flags |= SESSION_MONITOR;
        list_push_back(&ctx->env->observers->monitors, &interests->monitors);
        ctx->env->attention |= ATTENTION_MONITOR;
    }
    resp_write_ok(ctx->reply);
}

void monitor_leave(struct command_env *env, struct session *s)
{
    if ((s->flags & SESSION_MONITOR) != 0) {
        s->flags &= ~(unsigned)SESSION_MONITOR;
        list_remove(&s->interests->monitors);
        if (list_is_empty(&env->observers->monitors)) {
            env->attention &= ~(unsigned)ATTENTION_MONITOR;
        }
    }
}
