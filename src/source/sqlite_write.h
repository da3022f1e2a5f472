/*
 * Writes to SQLite, on a helper thread.
 */
#ifndef TARN_SOURCE_SQLITE_WRITE_H
#define TARN_SOURCE_SQLITE_WRITE_H

struct sqlite_conn;

/* Runs the connection's job: one statement, committed by itself. */
void sqlite_write_run(struct sqlite_conn *c);

#endif
