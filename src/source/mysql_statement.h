/*
 * A statement as MySQL takes it: a ? for each place of a parameter, in order.
 */
#ifndef TARN_SOURCE_MYSQL_STATEMENT_H
#define TARN_SOURCE_MYSQL_STATEMENT_H

#include <stdbool.h>

#include "tarn/base/compiler.h"
#include "tarn/base/strview.h"
#include "tarn/source/driver.h"

/* The mark of a parameter in a statement as the engine hands it over: no SQL has this byte. */
#define MYSQL_PLACEHOLDER '\1'

/* Lengths of lists: 1, 2, 4 ... DRIVER_LIST_ITEMS_MAX. */
#define MYSQL_LISTS 8

/* Of the upstream; never changed after it was made. */
struct mysql_statement {
    char *sql; /* owned, NUL-terminated */
    unsigned number;
    unsigned char places[DRIVER_PARAMS_MAX]; /* the parameter of each mark */
    unsigned places_count;                   /* of ? */
    unsigned list_len;                       /* ? for each mark; 0: the statement takes no list */
    bool is_query;                           /* begins like one */
};

/* Takes the text with its marks. NULL with errno: ENOMEM, or EINVAL for too many marks. */
struct mysql_statement *mysql_statement_create(struct strview marked, unsigned number,
                                               unsigned list_len) WARN_UNUSED;
void mysql_statement_destroy(struct mysql_statement *s);

/* Which of `params_count` parameters the i-th ? is; a list that is shorter than its places is padded
 * with its last value. */
unsigned mysql_statement_param(const struct mysql_statement *s, unsigned i, unsigned params_count);

/* Of the lengths above, which one takes `count` values: 0 to MYSQL_LISTS - 1. */
unsigned mysql_list_step(unsigned count);

#endif
