/* See command_fixture.h. */
#include "command_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "tarn/base/compiler.h"
#include "tarn/base/num.h"

#define TURNS 20

static void on_close(struct session *s)
{
    s->flags |= SESSION_CLOSING;
}

static void on_resume(struct session *s)
{
    container_of(s, struct client, session)->resumed++;
}

static void on_buffers(const struct session *s, size_t *query_out, size_t *query_free_out,
                       size_t *output_out, size_t *memory_out)
{
    *query_out = *query_free_out = *memory_out = 0;
    *output_out = buf_len(s->out);
}

static void on_wake(struct session *s)
{
}

static const struct session_ops client_ops = {
    .close = on_close, .resume = on_resume, .buffers = on_buffers, .wake = on_wake};

void client_open(struct fixture *f, struct client *c)
{
    *c = (struct client){0};
    session_init(&c->session, &f->env, &client_ops, &c->out);
}

void client_close(struct fixture *f, struct client *c)
{
    session_fini(&c->session, &f->env);
    buf_fini(&c->out);
    resp_request_fini(&c->request);
}

static struct fixture *create(void)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct errtext err;
    assert_non_null(f);
    f->clock = (struct clock){
        .mono_ms = FIXTURE_MONO_MS, .wall_ms = FIXTURE_WALL_MS, .mono_us = FIXTURE_MONO_MS * 1000};
    f->store_options = (struct store_options){.maxmemory = 64 << 20, .hash_seed = 1};
    f->types_options = (struct types_options){.hash_max_listpack_entries = 128,
                                              .hash_max_listpack_value = 64};
    f->options = (struct command_options){.proto_max_bulk_len = 1 << 20,
                                          .slowlog_log_slower_than = -1};
    if (store_create(&f->store, &f->store_options, &f->clock, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(types_create(&f->types, f->store, &f->clock, &f->types_options), 0);
    f->env = (struct command_env){
        .store = f->store, .types = f->types, .clock = &f->clock, .command_options = &f->options};
    return f;
}

static void open_env(struct fixture *f)
{
    f->env.sources = f->sources;
    assert_int_equal(command_env_init(&f->env), 0);
    client_open(f, &f->client);
}

int fixture_setup(void **state)
{
    struct fixture *f = create();
    open_env(f);
    *state = f;
    return 0;
}

void fixture_directive(struct fixture *f, const char *line)
{
    struct resp_request words = {0};
    struct errtext err;
    words.argc = resp_split_words(strview_str(line), &words);
    if (sources_directive(f->sources, words.argv, words.argc, &err) != 0) {
        fail_msg("%s: %s", line, err.text);
    }
    resp_request_fini(&words);
}

int fixture_setup_maps(void **state)
{
    struct errtext err;
    struct fixture *f = create();
    f->loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(f->loop);
    assert_int_equal(sources_create(&f->sources, f->loop, f->store, &f->clock, &err), 0);
    fixture_directive(f, "source shop mock -");
    fixture_directive(f, "map user shop user:{id:int} 'SELECT name FROM users WHERE id = $id'");
    fixture_directive(
        f, "map plain shop plain:{name:slug} 'SELECT v FROM t WHERE n = $name' exists-loads no");
    fixture_directive(f,
                      "map acct shop acct:{id:int} 'SELECT v FROM a WHERE id = $id' writes through "
                      "on-set 'UPDATE a SET v = $value WHERE id = $id' "
                      "on-del 'DELETE FROM a WHERE id = $id'");
    fixture_directive(
        f, "map row shop row:{id:int} 'SELECT a, b FROM r WHERE id = $id' as hash writes "
           "through on-hset 'UPDATE r SET a = $a, b = $b WHERE id = $id'");
    fixture_directive(f,
                      "map note shop note:{id:int} 'SELECT v FROM n WHERE id = $id' writes local");
    if (sources_start(f->sources, &err) != 0) {
        fail_msg("%s", err.text);
    }
    open_env(f);
    fixture_turn(f);
    *state = f;
    return 0;
}

void fixture_turn(struct fixture *f)
{
    for (int i = 0; i < TURNS; i++) {
        sources_flush(f->sources);
        ev_run(f->loop, EVRUN_NOWAIT);
    }
}

int64_t fixture_mock(struct fixture *f, const char *line)
{
    char text[200];
    struct resp_request words = {0};
    struct buf reply;
    struct errtext err;
    int64_t number = 0;
    buf_init(&reply);
    snprintf(text, sizeof(text), "shop %s", line);
    words.argc = resp_split_words(strview_str(text), &words);
    if (sources_debug(f->sources, words.argv, words.argc, &reply, &err) != 0) {
        fail_msg("%s: %s", line, err.text);
    }
    (void)num_parse_i64(buf_view(&reply), &number);
    buf_fini(&reply);
    resp_request_fini(&words);
    fixture_turn(f);
    return number;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    store_check(f->store);
    client_close(f, &f->client);
    command_env_fini(&f->env);
    sources_destroy(f->sources);
    if (f->loop != NULL) {
        ev_loop_destroy(f->loop);
    }
    store_destroy(f->store);
    types_destroy(f->types);
    free(f);
    return 0;
}

struct strview client_run_argv(struct fixture *f, struct client *c, const struct strview *argv,
                               int argc)
{
    struct command_call call = {.session = &c->session, .argv = argv, .argc = argc};
    buf_clear(&c->out);
    command_prepare(&f->env, &call);
    command_prefetch(&f->env, &call, 1);
    c->result = command_run(&f->env, &call);
    return buf_view(&c->out);
}

struct strview client_run_again(struct fixture *f, struct client *c)
{
    return client_run_argv(f, c, c->request.argv, c->request.argc);
}

struct strview client_run(struct fixture *f, struct client *c, const char *line)
{
    c->request.argc = resp_split_words(strview_str(line), &c->request);
    assert_true(c->request.argc > 0);
    return client_run_again(f, c);
}

#define WAITS_MAX 10

struct strview client_run_to_end(struct fixture *f, struct client *c, const char *line)
{
    struct strview reply = client_run(f, c, line);
    for (int i = 0; c->result == COMMAND_SUSPENDED; i++) {
        assert_true(i < WAITS_MAX);
        fixture_turn(f);
        reply = client_run_again(f, c);
    }
    return reply;
}

void assert_answers(struct fixture *f, const char *line, const char *expected)
{
    const struct strview reply = client_run_to_end(f, &f->client, line);
    if (!strview_eq(reply, strview_str(expected))) {
        fail_msg("%s: got %.*s wanted %s", line, STRVIEW_ARG(reply), expected);
    }
}

void assert_begins(struct fixture *f, const char *line, const char *expected)
{
    const struct strview reply = client_run_to_end(f, &f->client, line);
    if (!strview_starts_with(reply, strview_str(expected))) {
        fail_msg("%s: got %.*s wanted %s...", line, STRVIEW_ARG(reply), expected);
    }
}

void fixture_advance(struct fixture *f, int64_t ms)
{
    f->clock.mono_ms += ms;
    f->clock.mono_us += ms * 1000;
    f->clock.wall_ms += ms;
    if (f->sources != NULL) {
        sources_tick(f->sources);
        fixture_turn(f);
    }
}

void client_assert_reply(struct fixture *f, struct client *c, const char *line,
                         const char *expected, const char *file, int line_number)
{
    const struct strview reply = client_run(f, c, line);
    if (!strview_eq(reply, strview_str(expected))) {
        print_error("%s\n  got    %.*s  wanted %s", line, STRVIEW_ARG(reply), expected);
        _fail(file, line_number);
    }
}
