/*
 * Replies become rows here, and Redis's errors statuses. What a server says is never trusted to be
 * what was asked for: every type is looked at.
 */
#include "redis_request.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "tarn/base/clock.h"
#include "tarn/base/num.h"

static const char not_asked_for[] = "the reply is not what was asked for";

/* ---- to the wire ----------------------------------------------------------------------------- */

static void begin_words(struct buf *out, unsigned count)
{
    buf_append_char(out, '*');
    buf_append_u64(out, count);
    buf_append_str(out, "\r\n");
}

/* Appends one word; where its bytes are within `out`. */
static struct redis_word append_word(struct buf *out, struct strview bytes)
{
    buf_append_char(out, '$');
    buf_append_u64(out, bytes.len);
    buf_append_str(out, "\r\n");
    const struct redis_word word = {.at = buf_len(out), .len = bytes.len};
    buf_append_view(out, bytes);
    buf_append_str(out, "\r\n");
    return word;
}

static void write_load(struct redis_request *r, const struct driver_value *params)
{
    struct buf word;
    buf_init(&word);
    begin_words(&r->wire, r->words_count);
    for (unsigned i = 0; i < r->words_count; i++) {
        buf_clear(&word);
        redis_statement_write(r->statement, i, params, &word);
        r->words[i] = append_word(&r->wire, buf_view(&word));
        r->wire.failed = r->wire.failed || word.failed;
    }
    buf_clear(&word);
    redis_statement_write(r->statement, 1, params, &word);
    begin_words(&r->wire, 2);
    (void)append_word(&r->wire, strview_str("PTTL"));
    (void)append_word(&r->wire, buf_view(&word));
    r->wire.failed = r->wire.failed || word.failed;
    buf_fini(&word);
}

struct redis_request *redis_request_create(const struct driver_request *q,
                                           const struct redis_statement *statement)
{
    const unsigned words = q->task == DRIVER_LOAD ? statement->words_count : 0;
    struct redis_request *r = malloc(sizeof(*r) + words * sizeof(r->words[0]));
    if (r == NULL) {
        return NULL;
    }
    *r = (struct redis_request){
        .id = q->id,
        .task = q->task,
        .statement = statement,
        .deadline_us = clock_now_us() + q->timeout_ms * 1000,
        .row_bytes_max = q->row_bytes_max,
        .words_count = words,
    };
    if (q->task == DRIVER_LOAD) {
        write_load(r, q->params);
    } else {
        begin_words(&r->wire, 1);
        (void)append_word(&r->wire, strview_str("PING"));
    }
    if (r->wire.failed) {
        redis_request_destroy(r);
        return NULL;
    }
    r->memory = sizeof(*r) + words * sizeof(r->words[0]) + r->wire.cap;
    return r;
}

void redis_request_destroy(struct redis_request *r)
{
    buf_fini(&r->wire);
    free(r->rows);
    free(r);
}

/* ---- failures -------------------------------------------------------------------------------- */

void redis_request_fail(struct redis_request *r, enum driver_status status, const char *detail)
{
    if (r->status == DRIVER_OK) {
        r->status = status;
        (void)snprintf(r->detail, sizeof(r->detail), "%s", detail);
    }
}

static void fail_as_told(struct redis_request *r, const redisReply *error)
{
    static const struct {
        const char *word;
        enum driver_status status;
    } words[] = {
        {"LOADING ", DRIVER_DOWN},    {"MASTERDOWN ", DRIVER_DOWN},
        {"BUSY ", DRIVER_DOWN},       {"NOAUTH ", DRIVER_DOWN},
        {"SOURCEDOWN ", DRIVER_DOWN}, {"SOURCETIMEOUT ", DRIVER_TIMEOUT},
        {"SOURCEBUSY ", DRIVER_BUSY}, {"SOURCEBIG ", DRIVER_TOO_BIG},
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strncmp(error->str, words[i].word, strlen(words[i].word)) == 0) {
            redis_request_fail(r, words[i].status, error->str);
            return;
        }
    }
    redis_request_fail(r, DRIVER_ERROR, error->str);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static struct strview word_of(const struct redis_request *r, unsigned i)
{
    return strview_of(r->wire.data + r->wire.head + r->words[i].at, r->words[i].len);
}

static bool is_cell(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_NIL;
}

static void add_cell(struct rows_builder *b, const redisReply *reply)
{
    const bool is_null = reply->type == REDIS_REPLY_NIL;
    rows_add(b, is_null ? CELL_NULL : CELL_TEXT,
             is_null ? strview_of("", 0) : strview_of(reply->str, reply->len));
}

static bool fits(const struct redis_request *r, const redisReply *const *cells, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += cells[i]->len; /* they are in memory, so the sum is no overflow */
    }
    return bytes <= r->row_bytes_max;
}

static void finish_rows(struct redis_request *r, struct rows_builder *b)
{
    r->rows = rows_finish(b, false);
    if (r->rows == NULL) {
        redis_request_fail(r, DRIVER_BUSY, "out of memory for the row");
    }
}

/* The names of the columns, which the command says unless it reads a whole hash. */
static void add_names(const struct redis_request *r, struct rows_builder *b)
{
    static const char *const names[] = {"value", "more"};
    for (unsigned i = 0; i < b->columns; i++) {
        struct strview name = strview_str(names[i > 0]);
        if (r->statement->reading == REDIS_READS_FIELDS) {
            name = r->words_count > 0 ? word_of(r, 2 + i) : r->statement->words[2 + i];
        }
        rows_add(b, CELL_TEXT, name);
    }
}

/* A result without a row: what a missing key is, and what a check gets. */
static void take_nothing(struct redis_request *r)
{
    static const unsigned columns[] = {[REDIS_READS_VALUE] = 1, [REDIS_READS_PAIRS] = 2};
    const enum redis_reading reading = r->statement->reading;
    struct rows_builder b;
    rows_begin(&b,
               reading == REDIS_READS_FIELDS ? r->statement->words_count - 2 : columns[reading]);
    add_names(r, &b);
    finish_rows(r, &b);
}

static void take_cells(struct redis_request *r, const redisReply *const *cells, unsigned count)
{
    bool has_value = false;
    for (unsigned i = 0; i < count; i++) {
        if (!is_cell(cells[i])) {
            redis_request_fail(r, DRIVER_ERROR, not_asked_for);
            return;
        }
        has_value = has_value || cells[i]->type == REDIS_REPLY_STRING;
    }
    if (!has_value) {
        take_nothing(r);
        return;
    }
    if (!fits(r, cells, count)) {
        redis_request_fail(r, DRIVER_TOO_BIG, "the value is larger than max-row");
        return;
    }
    struct rows_builder b;
    rows_begin(&b, count);
    add_names(r, &b);
    for (unsigned i = 0; i < count; i++) {
        add_cell(&b, cells[i]);
    }
    finish_rows(r, &b);
}

static bool are_pairs(const redisReply *reply)
{
    bool are_strings = true;
    for (size_t i = 0; i < reply->elements; i++) {
        are_strings = are_strings && reply->element[i]->type == REDIS_REPLY_STRING;
    }
    return are_strings && reply->elements % 2 == 0;
}

static void take_pairs(struct redis_request *r, const redisReply *reply)
{
    const redisReply *const *cells = (const redisReply *const *)reply->element;
    if (reply->elements == 0) {
        take_nothing(r);
        return;
    }
    if (!are_pairs(reply)) {
        redis_request_fail(r, DRIVER_ERROR, not_asked_for);
        return;
    }
    if (!fits(r, cells, reply->elements)) {
        redis_request_fail(r, DRIVER_TOO_BIG, "the hash is larger than max-row");
        return;
    }
    struct rows_builder b;
    rows_begin(&b, (unsigned)(reply->elements / 2)); /* bounded by REDIS_ELEMENTS_MAX */
    for (size_t half = 0; half < 2; half++) {
        for (size_t i = half; i < reply->elements; i += 2) {
            add_cell(&b, cells[i]);
        }
    }
    finish_rows(r, &b);
}

static void take_value(struct redis_request *r, const redisReply *reply)
{
    const enum redis_reading reading = r->statement->reading;
    const unsigned fields = r->words_count - 2;
    const bool is_array = reply->type == REDIS_REPLY_ARRAY;
    if (reading == REDIS_READS_PAIRS && is_array) {
        take_pairs(r, reply);
    } else if (reading == REDIS_READS_FIELDS && is_array && reply->elements == fields) {
        take_cells(r, (const redisReply *const *)reply->element, fields);
    } else if (is_cell(reply) &&
               (reading == REDIS_READS_VALUE || (reading == REDIS_READS_FIELDS && fields == 1))) {
        take_cells(r, &reply, 1);
    } else {
        redis_request_fail(r, DRIVER_ERROR, not_asked_for);
    }
}

/* -1: the key has no end. -2: it has ended since. */
static void take_life(struct redis_request *r, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_INTEGER) {
        redis_request_fail(r, DRIVER_ERROR, "the reply to PTTL is no number");
        return;
    }
    r->has_life = reply->integer != -1;
    r->life_ms = reply->integer > 0 ? reply->integer : 0;
}

void redis_request_take(struct redis_request *r, const struct redisReply *reply, unsigned number)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        fail_as_told(r, reply);
    } else if (r->task == DRIVER_CHECK) {
        take_nothing(r);
    } else if (r->task == DRIVER_LOAD && number == 0) {
        take_value(r, reply);
    } else if (r->task == DRIVER_LOAD) {
        take_life(r, reply);
    }
}
