/*
 * The slow log, and SLOWLOG GET LEN RESET.
 *
 * An entry is a copy in one piece: the words, shortened as Redis shortens them, stand behind it as
 * a reply that is ready to be sent. Passwords are not copied.
 */
#include "slowlog.h"

#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "monitor.h"
#include "observers.h"
#include "reply.h"
#include "table.h"
#include "tarn/base/num.h"

#define GET_DEFAULT 10

struct slow_entry {
    struct list link;
    uint64_t id;
    int64_t at_s; /* Unix time */
    uint64_t took_us;
    size_t args_len, name_len;
    char address[64];
    char bytes[]; /* the array of words as a reply, then the client's name */
};

static struct slowlog *log_of(const struct command_env *env)
{
    return &env->observers->slowlog;
}

void slowlog_init(struct slowlog *log)
{
    *log = (struct slowlog){0};
    list_init(&log->entries);
}

static size_t entry_bytes(const struct slow_entry *e)
{
    return sizeof(*e) + e->args_len + e->name_len;
}

static void drop_last(struct slowlog *log)
{
    struct slow_entry *e = container_of(log->entries.prev, struct slow_entry, link);
    list_remove(&e->link);
    log->count--;
    log->bytes -= entry_bytes(e);
    free(e);
}

void slowlog_fini(struct slowlog *log)
{
    while (log->count > 0) {
        drop_last(log);
    }
}

void slowlog_trim(struct command_env *env)
{
    struct slowlog *log = log_of(env);
    while (log->count > (size_t)env->command_options->slowlog_max_len) {
        drop_last(log);
    }
}

/* ---- keeping ---- */

static void write_word(struct resp_writer *w, struct strview word)
{
    if (word.len <= SLOWLOG_ARG_BYTES_MAX) {
        resp_write_bulk(w, word);
        return;
    }
    struct buf text;
    buf_init(&text);
    buf_append(&text, word.data, SLOWLOG_ARG_BYTES_MAX);
    buf_printf(&text, "... (%zu more bytes)", word.len - SLOWLOG_ARG_BYTES_MAX);
    resp_write_bulk(w, buf_view(&text));
    buf_fini(&text);
}

static void write_words(struct resp_writer *w, const struct cmd_ctx *ctx)
{
    const int secret = monitor_first_secret(ctx);
    const int shown = ctx->argc <= SLOWLOG_ARGS_MAX ? ctx->argc : SLOWLOG_ARGS_MAX;
    resp_write_array(w, (size_t)shown);
    for (int i = 0; i < shown; i++) {
        if (i == shown - 1 && shown < ctx->argc) {
            struct buf text;
            buf_init(&text);
            buf_printf(&text, "... (%d more arguments)", ctx->argc - shown + 1);
            resp_write_bulk(w, buf_view(&text));
            buf_fini(&text);
        } else if (i >= secret) {
            resp_write_bulk_str(w, "(redacted)");
        } else {
            write_word(w, ctx->argv[i]);
        }
    }
}

static struct slow_entry *create_entry(const struct cmd_ctx *ctx, struct strview args)
{
    const struct session *s = ctx->session;
    const struct strview name = strview_str(s->name != NULL ? s->name : "");
    struct slow_entry *e = malloc(sizeof(*e) + args.len + name.len);
    if (e == NULL) {
        return NULL;
    }
    *e = (struct slow_entry){.id = log_of(ctx->env)->next_id,
                             .at_s = ctx->env->clock->wall_ms / 1000,
                             .args_len = args.len,
                             .name_len = name.len};
    memcpy(e->address, s->address, sizeof(e->address));
    memcpy(e->bytes, args.data, args.len);
    if (name.len > 0) {
        memcpy(e->bytes + args.len, name.data, name.len);
    }
    return e;
}

void slowlog_add(struct cmd_ctx *ctx, uint64_t took_us)
{
    struct slowlog *log = log_of(ctx->env);
    if ((ctx->command->flags & CMD_SKIP_SLOWLOG) != 0 ||
        ctx->env->command_options->slowlog_max_len == 0) {
        return;
    }
    struct buf args;
    buf_init(&args);
    struct resp_writer w = {.out = &args, .version = 2};
    write_words(&w, ctx);
    struct slow_entry *e = args.failed ? NULL : create_entry(ctx, buf_view(&args));
    buf_fini(&args);
    if (e == NULL) {
        return; /* no memory: a line less in the log */
    }
    e->took_us = took_us;
    list_push_front(&log->entries, &e->link);
    log->count++;
    log->next_id++;
    log->bytes += entry_bytes(e);
    slowlog_trim(ctx->env);
}

/* ---- commands ---- */

static void write_entry(struct resp_writer *w, const struct slow_entry *e)
{
    resp_write_array(w, 6);
    resp_write_int(w, (int64_t)e->id);
    resp_write_int(w, e->at_s);
    resp_write_int(w, (int64_t)e->took_us);
    resp_write_raw(w, strview_of(e->bytes, e->args_len));
    resp_write_bulk_str(w, e->address);
    resp_write_bulk(w, strview_of(e->bytes + e->args_len, e->name_len));
}

void cmd_slowlog_get(struct cmd_ctx *ctx)
{
    const struct slowlog *log = log_of(ctx->env);
    int64_t wanted = GET_DEFAULT;
    if (ctx->argc > 3) {
        reply_subcommand_error(ctx);
        return;
    }
    if (ctx->argc == 3 && (!num_parse_i64(ctx->argv[2], &wanted) || wanted < -1)) {
        reply_error(ctx, "ERR count should be greater than or equal to -1");
        return;
    }
    size_t left = wanted < 0 || (uint64_t)wanted > log->count ? log->count : (size_t)wanted;
    resp_write_array(ctx->reply, left);
    list_for_each (link, &log->entries) {
        if (left == 0) {
            break;
        }
        write_entry(ctx->reply, container_of(link, struct slow_entry, link));
        left--;
    }
}

void cmd_slowlog_len(struct cmd_ctx *ctx)
{
    resp_write_int(ctx->reply, (int64_t)log_of(ctx->env)->count);
}

void cmd_slowlog_reset(struct cmd_ctx *ctx)
{
    slowlog_fini(log_of(ctx->env));
    resp_write_ok(ctx->reply);
}
