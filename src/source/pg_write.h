/*
 * A statement that changes rows, in a transaction of its own.
 */
#ifndef TARN_SOURCE_PG_WRITE_H
#define TARN_SOURCE_PG_WRITE_H

#include <stdbool.h>

#include "pg_pipe.h"

struct pg_result; /* libpq's PGresult */

/* Sends the phase that the request is in, but for its Sync. False as in pg_steps.h. */
bool pg_write_send(struct pg_pipe *c, struct pg_request *r);

/* A result other than a failure, of the present step. */
void pg_write_take(struct pg_pipe *c, struct pg_request *r, struct pg_result *result);

/* A failure, of the present step. */
void pg_write_note_failure(struct pg_request *r, const struct pg_result *result);

/* The phase was answered. True: another one is to be sent. */
bool pg_write_goes_on(const struct pg_pipe *c, struct pg_request *r);

#endif
