/*
 * A connection that requests are sent over, several behind each other if need be (libpq's pipeline
 * mode), and what a request is.
 */
#ifndef TARN_SOURCE_PG_PIPE_H
#define TARN_SOURCE_PG_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "pg_link.h"
#include "tarn/base/list.h"
#include "tarn/source/driver.h"

#define PG_DETAIL_MAX 256
#define PG_STEPS_MAX  8

/* Of the upstream; never changed after it was made. */
struct pg_statement {
    char *sql; /* owned */
    unsigned number;
};

/* What a request consists of on the wire, in order. Everything up to a SYNC fails together. */
enum pg_step {
    PG_STEP_SETTING,    /* statement_timeout */
    PG_STEP_DEALLOCATE, /* of a plan that is out of date */
    PG_STEP_GUARD,      /* a check that the statement only reads */
    PG_STEP_PREPARE,
    PG_STEP_DESCRIBE,
    PG_STEP_QUERY,
    PG_STEP_SYNC,
    /* Of a write: */
    PG_STEP_BEGIN,
    PG_STEP_LIMIT, /* statement_timeout of the transaction */
    PG_STEP_COMMIT,
    PG_STEP_UNDO,
};

/* See pg_write.c. */
enum pg_write_phase { PG_WRITE_DESCRIBES, PG_WRITE_RUNS, PG_WRITE_UNDOES };

struct pg_member;
struct pg_request;
typedef void (*pg_finished_fn)(void *ctx, struct pg_request *r);

struct pg_request {
    struct list link; /* pg_server::waiting, pg_pipe::requests or upstream::finished */
    uint64_t id;
    enum driver_task task;
    const struct pg_statement *statement; /* borrowed; NULL: `sql` */
    const char *sql;                      /* borrowed; of a ping or a check of the server */
    int64_t deadline_us;                  /* clock_now_us() */
    size_t row_bytes_max;
    unsigned rows_max;
    bool needs_primary, is_cancelled;
    bool was_passed_on;       /* from a server out of reach to another */
    struct pg_member *member; /* borrowed; whom this checks; NULL: a request of the engine */
    size_t memory;            /* of the request */
    /* On the wire: */
    unsigned char steps[PG_STEPS_MAX]; /* enum pg_step */
    unsigned steps_count, step;
    bool is_one_by_one;  /* libpq was told to hand out row by row */
    unsigned generation; /* of the plan it used */
    bool is_outdated, was_prepared_again;
    bool is_too_wide, was_widened;
    enum pg_write_phase phase;
    /* The answer: */
    enum driver_status status;
    bool is_lost, is_unknown; /* as in struct driver_result */
    int64_t changed;
    bool is_rowless; /* a write's row had no room */
    enum pg_step failed_step;
    bool has_begun, has_more;
    unsigned rows_count;
    struct rows_builder builder;
    struct rows *rows; /* owned */
    char detail[PG_DETAIL_MAX];
    /* Values to bind, as libpq takes them: */
    unsigned params_count;
    const char *values[DRIVER_PARAMS_MAX];
    int lengths[DRIVER_PARAMS_MAX], formats[DRIVER_PARAMS_MAX];
    unsigned wide_types[DRIVER_PARAMS_MAX]; /* int8 for integers, else 0: as the server infers */
    unsigned wide_params; /* bit i: an integer that does not fit the server's `integer` */
    unsigned raw_params;  /* bit i: bytes that are no text */
    char bytes[];
};

struct pg_pipe;

/* None of them comes from within pg_pipe_send() or pg_pipe_close(). */
struct pg_pipe_events {
    void *ctx;
    void (*up)(void *ctx, struct pg_pipe *c);
    /* A request has its answer and belongs to the callee. */
    void (*finished)(void *ctx, struct pg_pipe *c, struct pg_request *r);
    /* The connection could not be made or broke; c->requests belong to the callee. */
    void (*down)(void *ctx, struct pg_pipe *c, enum pg_failure failure, const char *text);
};

/* A statement that was prepared in this session, under a name with its number and generation. */
struct pg_plan {
    unsigned generation;
    bool is_prepared;
    bool is_described;     /* a write */
    unsigned bytea_params; /* bit i: of that type */
};

struct pg_pipe {
    struct list link; /* pg_server::conns */
    struct pg_link wire;
    struct pg_pipe_events events;
    struct list requests; /* struct pg_request::link, in the order they were sent */
    unsigned requests_count;
    struct pg_plan *plans; /* owned; by statement */
    unsigned plans_count;
    int64_t timeout_ms; /* the session's statement_timeout; 0: not set yet */
    int64_t ends_us;    /* when it is to be replaced, INT64_MAX: never */
    int64_t idle_us;    /* since when it has nothing to do */
    int64_t watched_us; /* when the timer looks at the first request */
    ev_timer watch;
    bool is_worn;    /* takes no further requests and is closed when it has none */
    bool is_writing; /* takes none until the last one, a write, has ended */
    bool is_broken;  /* will go down in a moment */
};

/* NULL: out of memory. */
struct pg_pipe *pg_pipe_create(const struct pg_target *target, const struct pg_pipe_events *events);
/* Its requests must have been taken away. Not from within an event. */
void pg_pipe_destroy(struct pg_pipe *c);

static inline bool pg_pipe_is_up(const struct pg_pipe *c)
{
    return c->wire.state == PG_LINK_UP;
}

/* Sends the request, which belongs to the connection until finished() or down(). */
void pg_pipe_send(struct pg_pipe *c, struct pg_request *r);

#endif
