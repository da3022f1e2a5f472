/*
 * The command layer without a server: a store, an environment and sessions, driven by lines of
 * text. Time stands still unless a test moves it.
 */
#ifndef TARN_TESTS_COMMAND_FIXTURE_H
#define TARN_TESTS_COMMAND_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tarn/base/buf.h"
#include "tarn/base/clock.h"
#include "tarn/command/command.h"
#include "tarn/command/session.h"
#include "tarn/proto/resp_parse.h"
#include "tarn/source/source.h"
#include "tarn/store/store.h"
#include "tarn/types/types.h"

struct ev_loop;

#define FIXTURE_MONO_MS 1000000
#define FIXTURE_WALL_MS INT64_C(1700000000000)

/* A client. */
struct client {
    struct session session;
    struct buf out;
    struct resp_request request; /* words of its last line */
    enum command_result result;  /* of its last run */
    unsigned resumed;            /* calls of session_ops::resume */
};

struct fixture {
    struct clock clock;
    struct store_options store_options;
    struct command_options options;
    struct store *store;
    struct types_options types_options;
    struct types *types;
    struct command_env env;
    struct client client; /* the one most tests use */
    struct ev_loop *loop; /* with fixture_setup_maps() only */
    struct sources *sources;
};

/* For cmocka: *state is a struct fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* The same with a mock database 'shop' and the maps user:{id:int} and plain:{name:slug}
 * (exists-loads no), acct:{id:int} and row:{id:int} (a hash) that write through, note:{id:int} that is
 * written in the cache alone. */
int fixture_setup_maps(void **state);

/* Speaks to the mock: "HOLD", "RELEASE", "ROWS 0", ... Returns its reply as a number, 0 when it has
 * none. */
int64_t fixture_mock(struct fixture *f, const char *line);

/* One configuration line of read-through; aborts the test when it is refused. */
void fixture_directive(struct fixture *f, const char *line);

/* Lets the sources do what they can without time passing. */
void fixture_turn(struct fixture *f);

void client_open(struct fixture *f, struct client *c);
void client_close(struct fixture *f, struct client *c);

/* Runs one request; words as in inline commands ("SET key 'a b'", "SET \"\\x00\" v"). Returns the
 * reply, valid until the client's next run. */
struct strview client_run(struct fixture *f, struct client *c, const char *line);

/* The same for arguments that no line can carry. */
struct strview client_run_argv(struct fixture *f, struct client *c, const struct strview *argv,
                               int argc);

/* Runs the suspended request again. */
struct strview client_run_again(struct fixture *f, struct client *c);

/* Runs a line however often it has to wait for loads. */
struct strview client_run_to_end(struct fixture *f, struct client *c, const char *line);

/* The fixture's own client gets these bytes in the end, or a reply that begins with them. */
void assert_answers(struct fixture *f, const char *line, const char *expected);
void assert_begins(struct fixture *f, const char *line, const char *expected);

void fixture_advance(struct fixture *f, int64_t ms);

/* The reply to `line` is exactly these bytes. */
#define assert_reply(f, line, expected) \
    client_assert_reply((f), &(f)->client, (line), (expected), __FILE__, __LINE__)
void client_assert_reply(struct fixture *f, struct client *c, const char *line,
                         const char *expected, const char *file, int line_number);

#define OK             "+OK\r\n"
#define NIL            "$-1\r\n"
#define ZERO           ":0\r\n"
#define ONE            ":1\r\n"
#define EMPTY          "$0\r\n\r\n"
#define NOT_AN_INTEGER "-ERR value is not an integer or out of range\r\n"
#define SYNTAX_ERROR   "-ERR syntax error\r\n"

#endif
