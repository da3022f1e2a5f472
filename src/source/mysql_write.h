/*
 * A statement that changes rows, in a transaction of its own.
 */
#ifndef TARN_SOURCE_MYSQL_WRITE_H
#define TARN_SOURCE_MYSQL_WRITE_H

struct mysql_conn;
struct mysql_job;

/* Runs the job's statement over the open connection and writes the answer into the job. */
void mysql_write_run(struct mysql_conn *c, struct mysql_job *job);

#endif
