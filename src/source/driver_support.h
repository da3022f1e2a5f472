/* What the drivers share: lists of statements, copies of bind values, quoting. */
#ifndef TARN_SOURCE_DRIVER_SUPPORT_H
#define TARN_SOURCE_DRIVER_SUPPORT_H

#include "tarn/source/driver.h"

/* Statements by number; what each is, is the driver's. */
struct statement_list {
    void **items; /* owned, and so are the statements; each driver frees its own */
    unsigned count;
};

/* Takes the statement over and returns its number; -ENOMEM: it is still the caller's. */
int statement_list_add(struct statement_list *l, void *statement);
/* Frees the list after each statement has gone through `free_statement`. */
void statement_list_fini(struct statement_list *l, void (*free_statement)(void *statement));

/* Bytes that the values' texts take, and a copy of the values that points into `bytes`. */
size_t driver_values_bytes(const struct driver_value *values, unsigned count);
void driver_values_copy(struct driver_value *to, const struct driver_value *from, unsigned count,
                        char *bytes);

/* How long a write may take in the database: a little less than it has, so that what the database
 * made of it is heard in time. Positive. */
int64_t driver_write_limit_ms(int64_t left_ms);

/* source_driver.settle for a driver without threads: runs the loop until `*requests` is 0. */
void driver_settle(struct ev_loop *loop, const unsigned *requests, int64_t wait_ms);

/* Is the host this machine: none, a loopback address, or the folder of a Unix socket? */
bool driver_host_is_near(const char *host);

/* Appends the text in quotes, each quote in it doubled: an SQL string or identifier. */
void driver_append_quoted(struct buf *out, struct strview text, char quote);

#endif
