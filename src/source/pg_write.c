/*
 * The session only reads, and a write is the exception: a transaction that says READ WRITE around its
 * one statement. Nothing is sent behind a write before it has ended, so no load is ever part of it.
 *
 *     DESCRIBES   the server tells the types of the parameters; once per session and statement
 *     RUNS        BEGIN READ WRITE, the time limit, the statement, COMMIT: one trip
 *     UNDOES      ROLLBACK, when the statement was refused
 *
 * What is known of the outcome: until RUNS nothing happened. From then on it may have, until the
 * server answers: with COMMIT's result, or with an error that does not end the session and so ended
 * the transaction. The server's time limit is a little below the deadline, for such an answer to come
 * in time.
 *
 * A value for a bytea column goes as the bytes it is; other columns get text, which bytes that are no
 * text, sent as `text`, are refused as.
 */
#include "pg_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "driver_support.h"
#include "pg_rows.h"
#include "pg_steps.h"
#include "tarn/base/clock.h"

#define STATE_CLASS_CONNECTION   "08"
#define STATE_COMPLETION_UNKNOWN "40003"

static bool has_bit(unsigned bits, unsigned i)
{
    return (bits >> i & 1) != 0;
}

/* ---- sending --------------------------------------------------------------------------------- */

static bool send_description(struct pg_pipe *c, struct pg_request *r)
{
    pg_add_step(r, PG_STEP_PREPARE);
    pg_add_step(r, PG_STEP_DESCRIBE);
    return PQsendPrepare(c->wire.pg, "", r->statement->sql, 0, NULL) == 1 &&
           PQsendDescribePrepared(c->wire.pg, "") == 1;
}

static bool send_statement(struct pg_pipe *c, struct pg_request *r, const struct pg_plan *plan)
{
    Oid types[DRIVER_PARAMS_MAX] = {0}; /* 0: as the server infers */
    int formats[DRIVER_PARAMS_MAX] = {0};
    for (unsigned i = 0; i < r->params_count; i++) {
        const bool is_bytea = has_bit(plan->bytea_params, i);
        const bool is_raw = has_bit(r->raw_params, i);
        formats[i] = is_bytea || is_raw;
        if (is_raw && !is_bytea) {
            types[i] = PG_TEXT;
        } else if (has_bit(r->wide_params, i)) {
            types[i] = PG_INT8;
        }
    }
    pg_add_step(r, PG_STEP_QUERY);
    return PQsendQueryParams(c->wire.pg, r->statement->sql, (int)r->params_count, types, r->values,
                             r->lengths, formats, 0) == 1;
}

static bool send_transaction(struct pg_pipe *c, struct pg_request *r, const struct pg_plan *plan)
{
    char setting[64];
    const int64_t left_ms = (r->deadline_us - clock_now_us()) / 1000;
    (void)snprintf(setting, sizeof(setting), "SET LOCAL statement_timeout = %lld",
                   (long long)driver_write_limit_ms(left_ms));
    r->is_unknown = true;
    return pg_send_text(c, r, PG_STEP_BEGIN, "BEGIN READ WRITE") &&
           pg_send_text(c, r, PG_STEP_LIMIT, setting) && send_statement(c, r, plan) &&
           pg_send_text(c, r, PG_STEP_COMMIT, "COMMIT");
}

bool pg_write_send(struct pg_pipe *c, struct pg_request *r)
{
    const struct pg_plan *plan = pg_plan_of(c, r->statement->number);
    if (plan == NULL) {
        return false;
    }
    if (r->phase == PG_WRITE_UNDOES) {
        return pg_send_text(c, r, PG_STEP_UNDO, "ROLLBACK");
    }
    r->phase = plan->is_described ? PG_WRITE_RUNS : PG_WRITE_DESCRIBES;
    return plan->is_described ? send_transaction(c, r, plan) : send_description(c, r);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void take_description(struct pg_plan *plan, const PGresult *result)
{
    plan->bytea_params = 0;
    for (int i = 0; i < PQnparams(result) && i < DRIVER_PARAMS_MAX; i++) {
        plan->bytea_params |= (unsigned)(PQparamtype(result, i) == PG_BYTEA) << i;
    }
    plan->is_described = true;
}

void pg_write_take(struct pg_pipe *c, struct pg_request *r, struct pg_result *result)
{
    const enum pg_step step = (enum pg_step)r->steps[r->step];
    if (step == PG_STEP_DESCRIBE) {
        take_description(&c->plans[r->statement->number], result);
    } else if (step == PG_STEP_QUERY) {
        r->changed = strtoll(PQcmdTuples(result), NULL, 10); /* of the last result, and else "" */
    }
}

void pg_write_note_failure(struct pg_request *r, const struct pg_result *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const bool is_definite = severity != NULL && strcmp(severity, "ERROR") == 0 && state != NULL &&
                             strncmp(state, STATE_CLASS_CONNECTION, 2) != 0 &&
                             strcmp(state, STATE_COMPLETION_UNKNOWN) != 0;
    r->is_unknown = r->is_unknown && !is_definite;
}

bool pg_write_goes_on(const struct pg_pipe *c, struct pg_request *r)
{
    const bool is_fine = r->status == DRIVER_OK;
    switch (r->phase) {
    case PG_WRITE_DESCRIBES:
        if (is_fine && (r->is_cancelled || clock_now_us() >= r->deadline_us)) {
            r->status = DRIVER_TIMEOUT;
            (void)snprintf(r->detail, sizeof(r->detail), "its time was up before it began");
        }
        return r->status == DRIVER_OK;
    case PG_WRITE_RUNS:
        r->is_unknown = r->is_unknown && !is_fine;
        if (is_fine || c->is_worn ||
            (r->failed_step != PG_STEP_QUERY && r->failed_step != PG_STEP_LIMIT)) {
            return false;
        }
        r->phase = PG_WRITE_UNDOES;
        return true;
    case PG_WRITE_UNDOES:
        break;
    }
    return false;
}
