/*
 * A command layer of a few words, in place of the real one, so that the tests of net decide when a
 * request suspends, is delayed or answers much. Included by one test program each.
 *
 *     PING            +PONG
 *     ECHO x          x
 *     BIG n           n bytes
 *     DIRECT n        n bytes 'd', lent for the moment of the call
 *     LEND n          n bytes 'd', lent until another command runs, which wipes them; few are copied
 *     QUIT            +OK, then the connection is closed
 *     WAIT            suspends; when it is run again, +LOADED
 *     DELAY ms        +OK, after that time
 *     KILL            closes every other connection, +OK
 */
#ifndef TARN_TESTS_FAKE_COMMANDS_H
#define TARN_TESTS_FAKE_COMMANDS_H

#include <string.h>

#include "tarn/base/compiler.h"
#include "tarn/base/num.h"
#include "tarn/command/command.h"
#include "tarn/proto/resp_write.h"

#define FAKE_DIRECT_MAX (2 << 20)
#define FAKE_LENT_MIN   4000 /* less is copied */
#define LOADED_ARRIVED_MS \
    (-2) /* session::active_ms of a session whose WAIT has suspended once \
          */

void session_init(struct session *s, struct command_env *env, const struct session_ops *ops,
                  struct buf *out)
{
    *s = (struct session){
        .ops = ops,
        .out = out,
        .id = ++env->next_session_id,
        .flags = SESSION_AUTHENTICATED,
        .resp_version = 2,
        .fd = -1,
    };
    list_push_back(&env->sessions, &s->link);
    env->sessions_count++;
}

void session_fini(struct session *s, struct command_env *env)
{
    list_remove(&s->link);
    env->sessions_count--;
}

/* Rows that are only compared: LEND's and that of all others. */
static const char fake_rows[2];

static bool is_lend(const struct command_call *call)
{
    return strview_eq_nocase(call->argv[0], "lend");
}

void command_prepare(struct command_env *env, struct command_call *call)
{
    (void)env;
    call->command = (const void *)&fake_rows[is_lend(call)];
}

void command_prefetch(struct command_env *env, struct command_call *calls, unsigned count)
{
    (void)env;
    (void)calls;
    (void)count;
}

void command_turn_end(struct command_env *env)
{
    (void)env;
}

void command_tick(struct command_env *env)
{
    (void)env;
}

static int64_t fake_number(const struct command_call *call)
{
    int64_t n = 0;
    if (call->argc > 1) {
        (void)num_parse_i64(call->argv[1], &n);
    }
    return n;
}

static void fake_big(struct resp_writer *w, size_t n)
{
    char *bytes = resp_write_bulk_uninit(w, n);
    if (bytes != NULL) {
        memset(bytes, 'x', n);
    }
}

static char fake_store[FAKE_DIRECT_MAX];
static size_t fake_lent; /* bytes of it */

/* Nobody may look at it later. */
static void fake_wipe(void)
{
    memset(fake_store, 0, fake_lent);
    fake_lent = 0;
}

/* As GET sends a large value: from memory that is not the connection's. */
static void fake_lend(struct session *s, size_t n, bool stays)
{
    memset(fake_store, 'd', n);
    if (n < FAKE_LENT_MIN || !s->ops->lend_bulk(s, strview_of(fake_store, n), stays)) {
        struct resp_writer w = session_writer(s);
        resp_write_bulk(&w, strview_of(fake_store, n));
    }
    fake_lent = size_max(fake_lent, n);
    if (!stays) {
        fake_wipe();
    }
}

static void fake_kill(struct command_env *env, struct session *self)
{
    list_for_each (link, &env->sessions) {
        struct session *s = container_of(link, struct session, link);
        if (s != self) {
            s->ops->close(s);
        }
    }
}

enum command_result command_run(struct command_env *env, struct command_call *call)
{
    struct session *s = call->session;
    struct resp_writer w = session_writer(s);
    struct strview name = call->argv[0];
    s->last_command = call->command;
    if (!is_lend(call)) {
        fake_wipe();
    }
    if (strview_eq_nocase(name, "ping")) {
        resp_write_simple(&w, strview_str("PONG"));
    } else if (strview_eq_nocase(name, "echo") && call->argc == 2) {
        resp_write_bulk(&w, call->argv[1]);
    } else if (strview_eq_nocase(name, "big")) {
        fake_big(&w, (size_t)fake_number(call));
    } else if (strview_eq_nocase(name, "direct")) {
        fake_lend(s, (size_t)fake_number(call), false);
    } else if (is_lend(call)) {
        fake_lend(s, (size_t)fake_number(call), true);
    } else if (strview_eq_nocase(name, "spin")) {
        const int64_t until_us = clock_now_us() + fake_number(call);
        while (clock_now_us() < until_us) {
        }
        resp_write_ok(&w);
    } else if (strview_eq_nocase(name, "quit")) {
        resp_write_ok(&w);
        s->flags |= SESSION_CLOSING;
    } else if (strview_eq_nocase(name, "wait")) {
        if (s->active_ms != LOADED_ARRIVED_MS) {
            s->active_ms = LOADED_ARRIVED_MS;
            return COMMAND_SUSPENDED;
        }
        s->active_ms = 0;
        resp_write_simple(&w, strview_str("LOADED"));
    } else if (strview_eq_nocase(name, "delay")) {
        s->blocked_until_ms = env->clock->mono_ms + fake_number(call);
        resp_write_ok(&w);
    } else if (strview_eq_nocase(name, "kill")) {
        fake_kill(env, s);
        resp_write_ok(&w);
    } else {
        resp_write_error(&w, strview_str("ERR unknown"));
    }
    s->commands++;
    env->stats.commands_processed++;
    return COMMAND_DONE;
}

/* Counts; nothing is looked at behind `stop`. */
bool command_look_ahead(struct command_env *env, const struct session *s,
                        const struct strview *argv, int argc)
{
    env->stats.keyspace_misses++;
    return argc > 0 && s != NULL && !strview_eq_nocase(argv[0], "stop");
}

#endif
