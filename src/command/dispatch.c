/*
 * The way of a request through the command layer: found, admitted, run, accounted.
 *
 * What a handler wrote stands in the session's output behind ctx.reply_start. If keys have to be
 * loaded first, the output is cut back to there and the same request is run again later, so a
 * handler never knows. If a load failed, its error takes the place of the reply. CLIENT REPLY cuts
 * a finished reply away in the same manner.
 *
 * The hot path is command_run() down to the handler: no allocation, no formatting, no look-up, and
 * the clock is read for one run in many (timing.h). GET and SET have a short cut around most of it.
 */
#include "tarn/command/command.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "args.h"
#include "auth.h"
#include "command_stats.h"
#include "handler.h"
#include "keyspace.h"
#include "loads.h"
#include "monitor.h"
#include "observers.h"
#include "reply.h"
#include "table.h"
#include "tarn/base/compiler.h"
#include "timing.h"
#include "transaction.h"

void command_prepare(struct command_env *env, struct command_call *call)
{
    const struct command *c = command_recent(env->table, call->argv[0]);
    if (UNLIKELY(c == NULL)) {
        c = command_table_resolve(env->table, call->argv, call->argc);
    }
    call->command = c;
    call->has_key = c != NULL && c->keys.first > 0 && c->keys.first < call->argc;
    if (call->has_key) {
        store_key_set(&call->key, env->store, call->session->db, call->argv[c->keys.first]);
    }
}

void command_prefetch(struct command_env *env, struct command_call *calls, unsigned count)
{
    struct store_key *keys[STORE_PREFETCH_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < count; i++) {
        if (LIKELY(calls[i].has_key)) {
            keys[n++] = &calls[i].key;
        }
        if (n == STORE_PREFETCH_MAX || i + 1 == count) {
            store_prefetch(env->store, keys, n);
            n = 0;
        }
    }
}

/* ---- refusing ---- */

/* Appends to a text of `cap` bytes that is known to suffice. */
static size_t put(char *text, size_t cap, size_t len, struct strview v)
{
    assert(v.len <= cap - len);
    if (v.len > 0) {
        memcpy(text + len, v.data, v.len);
    }
    return len + v.len;
}

static COLD void refuse_unknown(struct cmd_ctx *ctx)
{
    char args[2 * SHOWN_MAX];
    size_t len = 0;
    for (int i = 1; i < ctx->argc && len < SHOWN_MAX; i++) {
        const struct strview shown = word_shown(ctx->argv[i], SHOWN_MAX - len);
        len = put(args, sizeof(args), len, strview_str("'"));
        len = put(args, sizeof(args), len, shown);
        len = put(args, sizeof(args), len, strview_str("' "));
    }
    const struct strview name = word_shown(ctx->argv[0], SHOWN_MAX);
    resp_write_errorf(ctx->reply, "ERR unknown command '%.*s', with args beginning with: %.*s",
                      STRVIEW_ARG(name), (int)len, args);
}

static COLD void refuse_unknown_subcommand(struct cmd_ctx *ctx, const struct command *container)
{
    char upper[COMMAND_NAME_MAX + 1] = "";
    for (size_t i = 0; container->name[i] != '\0'; i++) {
        upper[i] = (char)toupper((unsigned char)container->name[i]);
    }
    const struct strview word = word_shown(ctx->argv[1], SHOWN_MAX);
    resp_write_errorf(ctx->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.", STRVIEW_ARG(word),
                      upper);
}

static COLD void refuse_missing(struct cmd_ctx *ctx)
{
    const struct command *container = command_table_find(ctx->env->table, ctx->argv[0]);
    if (container != NULL) {
        refuse_unknown_subcommand(ctx, container);
    } else {
        refuse_unknown(ctx);
    }
}

static bool arity_fits(const struct command *c, int argc)
{
    return c->arity >= 0 ? argc == c->arity : argc >= -c->arity;
}

/* Flags of a session that may do less, or does something else, than others. */
#define SESSION_ADMISSION (SESSION_AUTHENTICATED | SESSION_IN_MULTI | SESSION_SUBSCRIBER)

/* For sessions that are not simply open to every command. */
static COLD bool admit_unusual(struct cmd_ctx *ctx)
{
    const struct command *c = ctx->command;
    const struct session *s = ctx->session;
    if ((s->flags & SESSION_IN_MULTI) != 0 && (c->flags & CMD_NO_MULTI) != 0) {
        reply_error(ctx, "ERR Command not allowed inside a transaction");
        return false;
    }
    if ((c->flags & CMD_NO_AUTH) == 0 && !auth_admits(ctx->env, ctx->session)) {
        reply_error(ctx, ERROR_NO_AUTH);
        return false;
    }
    if ((s->flags & SESSION_SUBSCRIBER) != 0 && s->resp_version == 2 &&
        (c->flags & CMD_SUBSCRIBER) == 0) {
        resp_write_errorf(ctx->reply,
                          "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
                          "QUIT / RESET are allowed in this context",
                          c->full_name);
        return false;
    }
    return true;
}

/* What stores values takes long with a large one: third or last among its words. */
static void look_for_large_value(struct cmd_ctx *ctx)
{
    const size_t last = ctx->argv[ctx->argc - 1].len;
    if (UNLIKELY(last > TIMING_LARGE_BYTES ||
                 (ctx->argc > 2 && ctx->argv[2].len > TIMING_LARGE_BYTES))) {
        command_stat_of(ctx->env, ctx->command)->untimed_max = 0; /* this run is timed */
    }
}

/* False: the error reply was written. */
static bool admit(struct cmd_ctx *ctx)
{
    const struct command *c = ctx->command;
    if (UNLIKELY(!arity_fits(c, ctx->argc) || c->handler == NULL)) {
        reply_arity_error(ctx);
        return false;
    }
    if (UNLIKELY((ctx->session->flags & SESSION_ADMISSION) != SESSION_AUTHENTICATED) &&
        !admit_unusual(ctx)) {
        return false;
    }
    if ((c->flags & CMD_WRITE) != 0 && UNLIKELY(!keyspace_may_write(ctx))) {
        return false;
    }
    if ((c->flags & CMD_DENYOOM) != 0) {
        look_for_large_value(ctx);
        if (UNLIKELY(!keyspace_make_room(ctx->env))) {
            reply_error(ctx, ERROR_OUT_OF_MEMORY);
            return false;
        }
    }
    return true;
}

/* ---- running ---- */

static ALWAYS_INLINE void run_handler(struct cmd_ctx *ctx, struct command_stat *stat)
{
    if (LIKELY(timing_may_skip(stat) && ctx->argc <= TIMING_SHORT_WORDS)) {
        stat->untimed++;
        ctx->command->handler(ctx);
    } else {
        timing_run(ctx, stat);
    }
}

static bool is_error_reply(const struct cmd_ctx *ctx)
{
    const struct strview out = buf_view(ctx->reply->out);
    return out.len > ctx->reply_start && out.data[ctx->reply_start] == '-';
}

/* For sessions that get no replies, or track keys. */
static COLD void finish_unusual(struct cmd_ctx *ctx)
{
    struct session *s = ctx->session;
    if ((s->flags & (SESSION_REPLY_OFF | SESSION_REPLY_SKIP)) != 0) {
        buf_truncate(s->out, ctx->reply_start);
        s->flags &= ~(unsigned)SESSION_REPLY_SKIP;
    }
    if ((s->flags & SESSION_TRACKING) != 0) {
        tracking_command_end(ctx);
    }
}

/* The request is over. */
static void finish(struct cmd_ctx *ctx)
{
    const unsigned unusual = SESSION_REPLY_OFF | SESSION_REPLY_SKIP | SESSION_TRACKING;
    struct session *s = ctx->session;
    s->commands++;
    if (UNLIKELY((s->flags & unusual) != 0)) {
        finish_unusual(ctx);
    }
    if (UNLIKELY(s->loads != NULL)) {
        loads_drop(s);
    }
}

/* Those who follow what commands do. */
static COLD void tell_observers(struct cmd_ctx *ctx)
{
    if ((ctx->session->flags & SESSION_TRACKING) != 0) {
        tracking_after_command(ctx);
    }
    if ((ctx->env->attention & ATTENTION_MONITOR) != 0) {
        monitor_feed(ctx);
    }
    if ((ctx->env->attention & ATTENTION_HOTKEYS) != 0) {
        hotkeys_note(ctx);
    }
}

/* A reply like any other, neither missing, nor large, nor sent already? */
static bool is_usual_reply(const struct cmd_ctx *ctx)
{
    return buf_len(ctx->reply->out) - ctx->reply_start - 1 < TIMING_LARGE_BYTES;
}

static COLD void account_unusual_reply(struct cmd_ctx *ctx)
{
    const bool is_large = buf_len(ctx->reply->out) > ctx->reply_start ||
                          ctx->sent > TIMING_LARGE_BYTES;
    if (is_large && ctx->stands_for == 0) {
        timing_note_large(ctx);
    }
}

/* The handler has run to its end: an error of a load takes the place of its reply. */
static ALWAYS_INLINE void account(struct cmd_ctx *ctx, struct command_stat *stat)
{
    if (UNLIKELY(ctx->load_error.len > 0)) {
        buf_truncate(ctx->session->out, ctx->reply_start);
        resp_write_error(ctx->reply, ctx->load_error);
    }
    stat->calls++;
    if (UNLIKELY(!is_usual_reply(ctx))) {
        account_unusual_reply(ctx);
    } else if (UNLIKELY(is_error_reply(ctx))) {
        stat->failed++;
        command_stats_count_error(ctx);
    }
    if (UNLIKELY(ctx->stands_for > 0)) {
        timing_note(ctx, stat);
    }
    ctx->env->stats.commands_processed++;
    ctx->env->stats.keyspace_hits += ctx->hits;
    ctx->env->stats.keyspace_misses += ctx->misses;
    if (UNLIKELY((ctx->session->flags & SESSION_TRACKING) != 0 ||
                 (ctx->env->attention & (ATTENTION_MONITOR | ATTENTION_HOTKEYS)) != 0)) {
        tell_observers(ctx);
    }
}

/* Runs the handler, unless read-through does something in its place. */
static ALWAYS_INLINE void run_command(struct cmd_ctx *ctx, struct command_stat *stat)
{
    const bool may_be_mapped = (ctx->command->flags & CMD_WRITE) != 0 &&
                               UNLIKELY(keyspace_has_maps(ctx->env));
    if (UNLIKELY(may_be_mapped) && keyspace_takes_over(ctx)) {
        return;
    }
    run_handler(ctx, stat);
    if (UNLIKELY(may_be_mapped)) {
        keyspace_bound_lives(ctx);
    }
}

void dispatch_queued(struct cmd_ctx *exec, const struct queued *q)
{
    struct cmd_ctx ctx = {
        .env = exec->env,
        .session = exec->session,
        .command = q->command,
        .argv = q->argv,
        .argc = q->argc,
        .reply = exec->reply,
        .reply_start = buf_len(exec->reply->out),
        .is_in_exec = true,
    };
    struct command_stat *stat = command_stat_of(ctx.env, q->command);
    run_command(&ctx, stat);
    account(&ctx, stat);
    if (buf_len(ctx.reply->out) == ctx.reply_start) {
        resp_write_null(ctx.reply); /* CLIENT REPLY: the array needs its element */
    }
}

/* First try of a request, as opposed to one that comes back from its loads. */
static void begin(struct command_env *env, struct command_call *call)
{
    struct session *s = call->session;
    s->active_ms = env->clock->mono_ms;
    s->last_command = call->command;
    if (UNLIKELY((s->flags & SESSION_REPLY_SKIP_NEXT) != 0)) {
        s->flags = (s->flags & ~(unsigned)SESSION_REPLY_SKIP_NEXT) | SESSION_REPLY_SKIP;
    }
}

/* The command was not run; why stands in the reply. */
static COLD void account_refusal(struct cmd_ctx *ctx, struct command_stat *stat)
{
    if (stat != NULL) {
        stat->rejected++;
    }
    command_stats_count_error(ctx);
    transaction_spoil(ctx);
}

/* The request, from admission to its accounts. False when its keys have to be loaded first. */
static bool run(struct cmd_ctx *ctx)
{
    struct session *s = ctx->session;
    if (UNLIKELY(ctx->command == NULL)) {
        refuse_missing(ctx);
        account_refusal(ctx, NULL);
        return true;
    }
    struct command_stat *stat = command_stat_of(ctx->env, ctx->command);
    if (UNLIKELY(!admit(ctx))) {
        account_refusal(ctx, stat);
        return true;
    }
    if (UNLIKELY((ctx->env->attention & ATTENTION_PAUSE) != 0) && pause_holds(ctx)) {
        return false;
    }
    if (UNLIKELY((s->flags & SESSION_IN_MULTI) != 0) &&
        (ctx->command->flags & CMD_IMMEDIATE) == 0) {
        transaction_queue(ctx);
        if (is_error_reply(ctx)) {
            account_refusal(ctx, stat);
        }
        return true;
    }
    run_command(ctx, stat);
    if (UNLIKELY(ctx->loads_pending > 0 && ctx->load_error.len == 0)) {
        buf_truncate(s->out, ctx->reply_start);
        loads_suspend(s->loads);
        return false;
    }
    account(ctx, stat);
    return true;
}

/* Flags of a session in which no command is what it is elsewhere. */
#define SESSION_UNUSUAL                                                               \
    (SESSION_IN_MULTI | SESSION_SUBSCRIBER | SESSION_REPLY_OFF | SESSION_REPLY_SKIP | \
     SESSION_REPLY_SKIP_NEXT | SESSION_TRACKING | SESSION_NO_TOUCH)

/* What all of command_run() comes to where nothing is unusual, for commands that have a short cut.
 * (A GET takes 200 of its 1080 instructions less, a SET 350 of 1430.) */
static ALWAYS_INLINE bool take_shortcut(struct command_env *env, struct command_call *call)
{
    struct session *s = call->session;
    const struct command *c = call->command;
    if (UNLIKELY(c == NULL) || c->shortcut == NULL || UNLIKELY(!arity_fits(c, call->argc)) ||
        UNLIKELY((s->flags & (SESSION_UNUSUAL | SESSION_AUTHENTICATED)) != SESSION_AUTHENTICATED) ||
        UNLIKELY(s->loads != NULL || env->attention != 0)) {
        return false;
    }
    struct command_stat *stat = command_stat_of(env, c);
    store_key_use_db(&call->key, s->db);
    if (UNLIKELY(!timing_may_skip(stat)) || !c->shortcut(env, call)) {
        return false;
    }
    s->active_ms = env->clock->mono_ms;
    s->last_command = c;
    s->commands++;
    stat->untimed++;
    stat->calls++;
    env->stats.commands_processed++;
    return true;
}

enum command_result command_run(struct command_env *env, struct command_call *call)
{
    if (take_shortcut(env, call)) {
        return COMMAND_DONE;
    }
    struct session *s = call->session;
    struct resp_writer reply = session_writer(s);
    if (LIKELY(s->loads == NULL)) {
        begin(env, call);
    }
    if (LIKELY(call->has_key)) {
        store_key_use_db(&call->key, s->db); /* a SELECT may have run since command_prepare() */
    }
    struct cmd_ctx ctx = {
        .env = env,
        .session = s,
        .command = call->command,
        .argv = call->argv,
        .argc = call->argc,
        .reply = &reply,
        .reply_start = buf_len(s->out),
        .is_rerun = s->loads != NULL,
        .first_key = call->has_key ? &call->key : NULL,
    };
    env->running = s;
    const bool is_done = run(&ctx);
    if (LIKELY(is_done)) {
        finish(&ctx);
    }
    env->running = NULL;
    if (UNLIKELY(env->observers->pending.tail > 0)) {
        observers_flush_pending(env, s);
    }
    return is_done ? COMMAND_DONE : COMMAND_SUSPENDED;
}
