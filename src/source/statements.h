/*
 * The statements that a source has given to its driver, which keeps each for as long as it is open:
 * the same text is given once.
 */
#ifndef TARN_SOURCE_STATEMENTS_H
#define TARN_SOURCE_STATEMENTS_H

#include <stddef.h>

#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/base/strview.h"

struct source;

/* Of one source: those of its maps, and those that SOURCE MAP and SOURCE WARM bring. */
#define STATEMENTS_MAX       32768
#define STATEMENTS_BYTES_MAX (64 * 1024 * 1024)

struct statement {
    char *sql; /* owned */
    size_t len;
    unsigned params_count;
    int id; /* the driver's */
};

struct statements {
    struct statement *items; /* owned */
    size_t count, cap;
    size_t bytes; /* of their texts */
};

void statements_fini(struct statements *l);

/* The driver's number of the statement; -ENOMEM or -ENOSPC with text. */
int source_add_statement(struct source *src, struct strview sql, unsigned params_count,
                         struct errtext *err) WARN_UNUSED;

#endif
