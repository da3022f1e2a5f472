/*
 * What the two files of the mock driver share: driver_mock.c takes queries and answers them,
 * mock_verbs.c lets a test say how.
 */
#ifndef TARN_SOURCE_MOCK_H
#define TARN_SOURCE_MOCK_H

#include <ev.h>

#include "tarn/base/list.h"
#include "tarn/source/driver.h"

#define MOCK_VALUE_BYTES_MAX (64 * 1024 * 1024)
#define MOCK_ROWS_MAX        1000
#define MOCK_TEXT_MAX        256

enum mock_value {
    MOCK_DEFAULT, /* mock:<parameters>:<number of the query> */
    MOCK_TEXT,
    MOCK_NULL,
    MOCK_BYTES,
    MOCK_TABLE,
};

/* What answers look like. */
struct mock_script {
    enum mock_value kind;
    int64_t rows;
    int64_t bytes;
    char text[MOCK_TEXT_MAX]; /* TEXT: the value; TABLE: cells, see mock_verbs.c */
};

struct mock_query {
    struct list link;
    uint64_t id;
    enum driver_task task;
    size_t row_bytes_max;
    bool is_free; /* past the gate */
    bool is_cancelled, is_lost;
    bool takes_list;
    struct mock_script script;
    uint64_t number;   /* of the query */
    struct buf params; /* each with a colon behind it */
    struct buf list;   /* the elements of an array, each ended by a NUL */
};

struct upstream {
    struct upstream_config config;
    struct list queries; /* struct mock_query::link, in order of arrival */
    struct mock_script script;
    enum driver_status fail_as; /* DRIVER_OK: do not */
    enum driver_state state;
    bool is_holding;
    bool returns;    /* writes return a row */
    int64_t changed; /* rows that a write touches */
    int statements_count;
    uint64_t queries_count;
    size_t memory;
    ev_async wake;
};

static const struct mock_script mock_first_script = {.kind = MOCK_DEFAULT, .rows = 1};

/* A test speaks; argv[0] is the verb. */
int mock_debug(struct upstream *u, const struct strview *argv, int argc, struct buf *reply,
               struct errtext *err);

#endif
