/*
 * What the author of a source driver reads: how a kind of database is reached.
 *
 * A driver is one file with one const struct source_driver and one row in the list of drivers in
 * src/source/meson.build. It opens an *upstream* (all connections to one database), takes requests
 * in batches and reports each exactly once through driver_events.done. It knows neither maps nor
 * keys nor the store: a request names a statement and carries bind values.
 *
 * Rules:
 *  - load() and cancel() never block and never call back from within; done() comes later, on the
 *    thread of the event loop, exactly once per request that load() took (a cancelled one
 *    included);
 *  - the layer above never has more requests under way than upstream_config.requests_max, so a
 *    driver needs no queue of its own and a request that was taken is a query that was sent;
 *  - values reach the database as bind values only, never as part of the statement's text;
 *  - a helper thread touches what it owns and the upstream's mailbox, nothing else.
 */
#ifndef TARN_SOURCE_DRIVER_H
#define TARN_SOURCE_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/buf.h"
#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/base/strview.h"

struct ev_loop;
struct upstream; /* the driver's own */

#define DRIVER_PARAMS_MAX     16
#define DRIVER_LIST_ITEMS_MAX 128

/* In statements of drivers that take words: this byte and the letter 'A' + i are parameter i. */
#define WORD_PARAM_MARK '\0'

/* ---- rows ------------------------------------------------------------------------------------ */

enum cell_type {
    CELL_NULL,
    CELL_INT,  /* decimal digits, all of them */
    CELL_REAL, /* decimal text that reads back as the same number, or inf, -inf, nan */
    CELL_BOOL, /* "1" or "0" */
    CELL_TEXT,
    CELL_BYTES, /* binary */
    CELL_JSON,  /* text the database declares to be JSON */
};

struct cell {
    size_t at, len; /* bytes, counted from the start of the block */
    enum cell_type type;
};

/* A result in one malloc block, so that it passes between threads as one pointer and goes with one
 * free(). */
struct rows {
    size_t memory;   /* bytes of the block */
    size_t cells_at; /* offset of struct cell[columns * (1 + count)]: the names, then row by row */
    unsigned columns, count;
    bool has_more; /* the statement had a row beyond these */
};

static inline const struct cell *rows_cells(const struct rows *r)
{
    return (const struct cell *)(const void *)((const char *)r + r->cells_at);
}

static inline struct strview rows_name(const struct rows *r, unsigned column)
{
    const struct cell *c = &rows_cells(r)[column];
    return strview_of((const char *)r + c->at, c->len);
}

static inline const struct cell *rows_cell(const struct rows *r, unsigned row, unsigned column)
{
    return &rows_cells(r)[(size_t)r->columns * (1 + row) + column];
}

static inline struct strview rows_bytes(const struct rows *r, const struct cell *c)
{
    return strview_of((const char *)r + c->at, c->len);
}

/* Builds a result: rows_begin(), then rows_add() for each column name (type CELL_TEXT), then for
 * each cell row by row, then rows_finish(). A failed allocation is remembered and reported by
 * rows_finish(). */
struct rows_builder {
    char *block; /* owned */
    size_t len, cap;
    struct cell *cells; /* owned */
    size_t cells_count, cells_cap;
    unsigned columns;
    bool failed;
};
void rows_begin(struct rows_builder *b, unsigned columns);
void rows_add(struct rows_builder *b, enum cell_type type, struct strview bytes);
/* NULL when memory ran out; the builder is empty either way. */
struct rows *rows_finish(struct rows_builder *b, bool has_more) WARN_UNUSED;
void rows_abandon(struct rows_builder *b);

/* ---- requests and results -------------------------------------------------------------------- */

enum driver_task {
    DRIVER_LOAD,
    DRIVER_CHECK, /* prepare the statement, check it, run nothing; the result has the column names,
                     no row */
    DRIVER_PING,  /* connect if need be, run a trivial query; no statement */
    DRIVER_WRITE, /* run a statement that changes rows, once, on the primary, and commit it */
};

enum driver_value_type { VALUE_INT, VALUE_TEXT, VALUE_BYTES, VALUE_NULL };

struct driver_value {
    struct strview bytes; /* TEXT, BYTES; borrowed during load() */
    int64_t number;       /* INT */
    enum driver_value_type type;
};

struct driver_request {
    uint64_t id; /* the caller's, unique among requests under way */
    enum driver_task task;
    unsigned statement; /* from add_statement() */
    unsigned params_count;
    const struct driver_value *params; /* borrowed during load() */
    bool takes_list;   /* the statement has one parameter, a list: `params` are its elements (LOAD),
                          at   most DRIVER_LIST_ITEMS_MAX, all of one type */
    unsigned rows_max; /* LOAD: rows to return at most; 0: one */
    int64_t timeout_ms;   /* from now; the driver ends the query by itself then */
    size_t row_bytes_max; /* a larger row is DRIVER_TOO_BIG */
    bool wants_more;      /* find out whether there is a row beyond those */
    bool needs_primary;   /* a replica may not know yet what this has to see */
    bool is_write;        /* CHECK: of a statement for WRITE; what it returns is not looked at */
};

enum driver_status {
    DRIVER_OK,
    DRIVER_DOWN,    /* cannot connect, or the connection broke */
    DRIVER_TIMEOUT, /* also: cancelled */
    DRIVER_BUSY,    /* no room: upstream_config.result_bytes_max */
    DRIVER_ERROR,   /* the database refused the statement, or it is not one read-only query */
    DRIVER_TOO_BIG,
};
#define DRIVER_STATUS_COUNT 6

struct driver_result {
    uint64_t id;
    enum driver_status status;
    const struct rows *rows; /* LOAD, CHECK with DRIVER_OK, what a WRITE returns (or NULL); borrowed
                                during done() */
    int64_t changed;         /* WRITE: rows that were touched */
    bool is_unknown;         /* WRITE that failed: it may have happened all the same */
    const char *detail;      /* for the log, never for clients; may hold the database's own words */
    /* With DRIVER_DOWN: the connection broke before the statement was answered, so another one may
     * do better: a load is sent once more. */
    bool is_lost;
    /* LOAD: the database itself forgets the row, so long after the request was sent. */
    bool has_life;
    int64_t life_ms;
};

enum driver_state {
    DRIVER_STATE_UNKNOWN,
    DRIVER_STATE_UP,
    DRIVER_STATE_DOWN,
    DRIVER_STATE_AUTH,     /* down: the database refuses the user or the password */
    DRIVER_STATE_DEGRADED, /* the primary is out of reach, replicas answer */
};
#define DRIVER_STATES 5

/* ---- the feed: the database says what changed -------------------------------------------------
 */

/* An upstream whose options ask for a feed opens it with open() and keeps it alive by itself. The
 * order that closes the gap: first the driver listens, then it says FEED_UP, and what happened
 * before that is not known. So every FEED_UP, the first one too, is a gap. */
enum feed_event {
    FEED_KEY,  /* text: the key's row changed, and whoever asks the database now sees it */
    FEED_MAP,  /* text: a map's name; any of its rows may have changed */
    FEED_ALL,  /* any row of the source may have changed; no text */
    FEED_DOWN, /* changes go unseen from here on; only after a FEED_UP; no text */
    FEED_UP,   /* changes are heard from here on; no text */
};

/* Called on the loop's thread. */
struct driver_events {
    void *ctx;
    void (*done)(void *ctx, const struct driver_result *r);
    /* The database was reached, or turned out to be out of reach. Only on a change. */
    void (*state)(void *ctx, enum driver_state state);
    /* `text` is borrowed during the call. NULL: nobody listens, and no feed is opened. */
    void (*feed)(void *ctx, enum feed_event event, struct strview text);
};

/* Reports each line of a notice as written by triggers: a key, or `!` and a map's name; an empty
 * notice is FEED_ALL. */
void driver_feed_notice(const struct driver_events *events, struct strview notice);

/* ---- options --------------------------------------------------------------------------------- */

#define DRIVER_NAME_MAX 64
#define DRIVER_PATH_MAX 256
#define DRIVER_LIST_MAX 4096

enum driver_read_from { READ_FROM_PRIMARY, READ_FROM_REPLICA, READ_FROM_NEAREST };
enum driver_feed {
    DRIVER_FEED_NONE,
    DRIVER_FEED_NOTIFY,
    DRIVER_FEED_CHANGELOG,
    DRIVER_FEED_VERSION
};

/* Options of a source that its driver acts on. They may change at any time; rows and help are in
 * src/source/options.c. */
struct driver_options {
    int64_t connect_timeout_ms, idle_timeout_ms, max_lifetime_ms;
    int64_t pipeline;  /* requests on one connection */
    int64_t prepare;   /* 0: no statement outlives its query, for poolers that change servers */
    int64_t feed;      /* enum driver_feed */
    int64_t read_from; /* enum driver_read_from */
    int64_t max_lag_ms;
    int64_t overlap_ms;                  /* a number of a changelog may be committed so late */
    char feed_name[DRIVER_NAME_MAX];     /* channel or table */
    char password_file[DRIVER_PATH_MAX]; /* "": none; read at each connect */
    char user_file[DRIVER_PATH_MAX];
    char replicas[DRIVER_LIST_MAX]; /* dsns, each ended by a NUL; an empty one ends the list */
};

/* What a driver can do beyond reading rows: an option that needs what its driver has not is
 * refused. */
enum driver_ability {
    DRIVER_CAN_LOG_IN = 1 << 0, /* password-file, user-file, idle-timeout, max-lifetime */
    DRIVER_CAN_PIPELINE = 1 << 1,
    DRIVER_CAN_PREPARE = 1 << 2, /* with and without */
    DRIVER_CAN_USE_REPLICAS = 1 << 3,
    DRIVER_CAN_NOTIFY = 1 << 4,
    DRIVER_CAN_CHANGELOG = 1 << 5,
    DRIVER_CAN_VERSION = 1 << 6,
    DRIVER_CAN_BULK = 1 << 7,  /* requests with takes_list */
    DRIVER_CAN_WRITE = 1 << 8, /* DRIVER_WRITE */
    DRIVER_FEED_IS_LOOSE =
        1 << 9, /* its changelog is not in the order of the commits, and a change may be
                                      heard of before everybody sees it: overlap, settle-ms */
};

/* ---- the driver ------------------------------------------------------------------------------ */

struct upstream_config {
    const char *name;                     /* of the source; borrowed for the upstream's life */
    const char *dsn;                      /* the same */
    const struct driver_options *options; /* the same */
    struct ev_loop *loop;
    struct driver_events events;
    unsigned connections;
    unsigned requests_max;   /* under way at once; more than connections with DRIVER_CAN_PIPELINE */
    size_t result_bytes_max; /* rows that were read and not yet handed to done() */
};

/* What triggers on a table have to know to name the keys that a changed row touches. */
struct driver_ddl_part {
    struct strview text;
    bool is_column; /* else literal text */
};
struct driver_ddl {
    const char *map, *table;
    const struct driver_options *options;
    struct driver_ddl_part parts[2 * DRIVER_PARAMS_MAX + 1]; /* the key, from left to right */
    unsigned parts_count;
};

/* What a dsn means for safety. */
struct driver_dsn_facts {
    bool has_password;
    bool is_exposed; /* leads to another machine, without insisting on encryption */
};

/* What SOURCE INFO shows of an upstream. */
struct driver_report {
    unsigned connections;            /* open now */
    unsigned replicas, replicas_fit; /* configured; reached and within max-lag */
    bool is_primary_up;
    int64_t lag_ms; /* of the slowest fit replica; negative: not known */
};

struct source_driver {
    const char *name, *help;
    unsigned connections_default;
    unsigned abilities;  /* enum driver_ability */
    char placeholder;    /* '?' for ?1 ?2, '$' for $1 $2; a control character: the driver goes on */
    bool bracket_quotes; /* [x] is a quoted identifier in this dialect */
    bool takes_words;    /* statements are commands, see WORD_PARAM_MARK; no placeholders */
    bool is_for_tests;

    /* Reaches for nothing yet: a database that is down does not fail it. 0 or -errno with text. */
    int (*open)(struct upstream **out, const struct upstream_config *config, struct errtext *err);
    /* Ends everything: no event comes afterwards. Waits at most `wait_ms` for helper threads. False:
     * one cannot be ended and was left behind with all that it uses, what `config` points to
     * included. Accepts NULL. */
    bool (*close)(struct upstream *u, int64_t wait_ms);

    /* Of a dsn that open() accepted; NULL: nothing is to be said of any. */
    void (*judge_dsn)(const char *dsn, struct driver_dsn_facts *out);

    /* Copies the text, whose parameters are placeholders. The statement's number, or -errno. */
    int (*add_statement)(struct upstream *u, struct strview sql, unsigned params_count);
    /* Takes the requests from the front, returns how many; fewer only when memory is short. */
    unsigned (*load)(struct upstream *u, const struct driver_request *requests, unsigned count);
    /* Ends the request as soon as can be; done() still comes. Unknown ids are ignored. */
    void (*cancel)(struct upstream *u, uint64_t id);
    /* At start only, before the loop runs: waits at most so long for requests under way and calls
     * done(). */
    void (*settle)(struct upstream *u, int64_t wait_ms);

    /* Bytes of results and requests held. Cheap. */
    size_t (*memory)(const struct upstream *u);
    /* NULL: there is nothing to report. */
    void (*report)(const struct upstream *u, struct driver_report *out);
    /* Appends the statements that make the database write to the feed; NULL: it needs none. */
    void (*ddl)(const struct driver_ddl *d, struct buf *out);
    /* DEBUG SOURCE; NULL: none. argv[0] is the verb. 0 or -EINVAL with text. */
    int (*debug)(struct upstream *u, const struct strview *argv, int argc, struct buf *reply,
                 struct errtext *err);
};

/* NULL: no such driver in this build. */
const struct source_driver *source_driver_find(struct strview name);
/* In order of the list; NULL after the last. */
const struct source_driver *source_driver_at(size_t i);

#endif
