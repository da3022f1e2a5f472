/*
 * What is sent for a request.
 */
#ifndef TARN_SOURCE_PG_STEPS_H
#define TARN_SOURCE_PG_STEPS_H

#include <stdbool.h>

#include "pg_pipe.h"

/* Values of statement_timeout between a power of two and the next. */
#define PG_TIMEOUT_STEPS 8

/* Sends the request, or the next phase of a write. False: the connection broke, or memory ran out
 * half-way. */
bool pg_steps_send(struct pg_pipe *c, struct pg_request *r);

/* The request was answered: was the plan it prepared made? */
void pg_steps_note_end(struct pg_pipe *c, const struct pg_request *r);

/* For pg_write.c: the pieces. False as above. */
void pg_add_step(struct pg_request *r, enum pg_step step);
bool pg_send_text(struct pg_pipe *c, struct pg_request *r, enum pg_step step, const char *sql);
bool pg_send_sync(struct pg_pipe *c, struct pg_request *r);

/* What this session knows of the statement, until the next call. NULL: out of memory. */
struct pg_plan *pg_plan_of(struct pg_pipe *c, unsigned number);

#endif
