/*
 * Each function queues messages and notes what they are, so that pg_pipe.c knows which of them a
 * result belongs to. Plans are prepared under names with a number and a generation; one that is out
 * of date gets the next generation.
 */
#include "pg_steps.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "pg_write.h"
#include "tarn/base/clock.h"

#define STATEMENT_NAME_MAX 48

static const char guard_prefix[] = "DECLARE tarn_check INSENSITIVE CURSOR FOR ";

/* Rounded up, so that requests with nearly the same deadline need the same setting. */
static int64_t session_timeout_ms(const struct pg_request *r, int64_t now_us)
{
    int64_t left_ms = (r->deadline_us - now_us) / 1000 + 1;
    int64_t step = 1;
    while (step * PG_TIMEOUT_STEPS * 2 < left_ms) {
        step *= 2;
    }
    return left_ms <= 0 ? 1 : (left_ms + step - 1) / step * step;
}

void pg_add_step(struct pg_request *r, enum pg_step step)
{
    assert(r->steps_count < PG_STEPS_MAX);
    r->steps[r->steps_count++] = (unsigned char)step;
}

bool pg_send_sync(struct pg_pipe *c, struct pg_request *r)
{
    pg_add_step(r, PG_STEP_SYNC);
    return PQpipelineSync(c->wire.pg) == 1;
}

bool pg_send_text(struct pg_pipe *c, struct pg_request *r, enum pg_step step, const char *sql)
{
    pg_add_step(r, step);
    return PQsendQueryParams(c->wire.pg, sql, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

static bool send_setting(struct pg_pipe *c, struct pg_request *r)
{
    int64_t timeout_ms = session_timeout_ms(r, clock_now_us());
    if (timeout_ms == c->timeout_ms || !c->wire.target->options->prepare) {
        return true; /* behind a pooler the session is not ours to set */
    }
    char sql[64];
    (void)snprintf(sql, sizeof(sql), "SET statement_timeout = %lld", (long long)timeout_ms);
    c->timeout_ms = timeout_ms;
    return pg_send_text(c, r, PG_STEP_SETTING, sql) && pg_send_sync(c, r);
}

static void statement_name(char out[STATEMENT_NAME_MAX], unsigned number, unsigned generation)
{
    (void)snprintf(out, STATEMENT_NAME_MAX, "tarn_%u_%u", number, generation);
}

struct pg_plan *pg_plan_of(struct pg_pipe *c, unsigned number)
{
    if (number < c->plans_count) {
        return &c->plans[number];
    }
    size_t count = (size_t)number + 1;
    struct pg_plan *plans = realloc(c->plans, count * sizeof(plans[0]));
    if (plans == NULL) {
        return NULL;
    }
    memset(plans + c->plans_count, 0, (count - c->plans_count) * sizeof(plans[0]));
    c->plans = plans;
    c->plans_count = (unsigned)count;
    return &plans[number];
}

static bool send_prepared(struct pg_pipe *c, struct pg_request *r)
{
    const struct pg_statement *s = r->statement;
    char name[STATEMENT_NAME_MAX], sql[STATEMENT_NAME_MAX + 16];
    struct pg_plan *plan = pg_plan_of(c, s->number);
    if (plan == NULL) {
        return false;
    }
    bool is_fine = true;
    if (r->is_outdated && plan->is_prepared && plan->generation == r->generation) {
        statement_name(name, s->number, plan->generation);
        (void)snprintf(sql, sizeof(sql), "DEALLOCATE %s", name);
        is_fine = pg_send_text(c, r, PG_STEP_DEALLOCATE, sql) && pg_send_sync(c, r);
        plan->is_prepared = false;
    }
    bool must_prepare = !plan->is_prepared;
    plan->generation += must_prepare;
    plan->is_prepared = true;
    r->generation = plan->generation;
    statement_name(name, s->number, plan->generation);
    if (must_prepare) {
        pg_add_step(r, PG_STEP_PREPARE);
        is_fine = is_fine && PQsendPrepare(c->wire.pg, name, s->sql, 0, NULL) == 1;
    }
    pg_add_step(r, PG_STEP_QUERY);
    return is_fine && PQsendQueryPrepared(c->wire.pg, name, (int)r->params_count, r->values,
                                          r->lengths, r->formats, 0) == 1;
}

/* The server parses a cursor's declaration, and with it refuses two statements and all that is not
 * only reading; it is never run. */
static bool send_check(struct pg_pipe *c, struct pg_request *r)
{
    const char *sql = r->statement->sql;
    size_t size = sizeof(guard_prefix) + strlen(sql);
    char *guard = malloc(size);
    if (guard == NULL) {
        return false;
    }
    (void)snprintf(guard, size, "%s%s", guard_prefix, sql);
    pg_add_step(r, PG_STEP_GUARD);
    pg_add_step(r, PG_STEP_PREPARE);
    pg_add_step(r, PG_STEP_DESCRIBE);
    PGconn *pg = c->wire.pg;
    bool is_fine = PQsendPrepare(pg, "", guard, 0, NULL) == 1 &&
                   PQsendPrepare(pg, "", sql, 0, NULL) == 1 && PQsendDescribePrepared(pg, "") == 1;
    free(guard);
    return is_fine;
}

bool pg_steps_send(struct pg_pipe *c, struct pg_request *r)
{
    bool is_fine = r->task == DRIVER_WRITE || send_setting(c, r);
    if (!is_fine) {
        return false;
    }
    if (r->task == DRIVER_CHECK) {
        is_fine = send_check(c, r);
    } else if (r->task == DRIVER_WRITE) {
        is_fine = pg_write_send(c, r);
    } else if (r->statement == NULL) {
        is_fine = pg_send_text(c, r, PG_STEP_QUERY, r->sql);
    } else if (c->wire.target->options->prepare && !r->is_too_wide) {
        is_fine = send_prepared(c, r);
    } else {
        pg_add_step(r, PG_STEP_QUERY);
        is_fine = PQsendQueryParams(c->wire.pg, r->statement->sql, (int)r->params_count,
                                    r->is_too_wide ? r->wide_types : NULL, r->values, r->lengths,
                                    r->formats, 0) == 1;
    }
    return is_fine;
}

void pg_steps_note_end(struct pg_pipe *c, const struct pg_request *r)
{
    bool was_in_vain = r->status != DRIVER_OK && r->failed_step == PG_STEP_PREPARE;
    if (was_in_vain && r->task == DRIVER_LOAD) {
        struct pg_plan *plan = &c->plans[r->statement->number];
        plan->is_prepared = plan->is_prepared && plan->generation != r->generation;
    }
}
