/*
 * A map's command for a Redis server: `GET user:$id`, `HGETALL user:$id`. Words are split at
 * blanks; quotes ('...' or "...") keep blanks. Parameters only ever become bytes of arguments.
 *
 * Only a few commands that read one key are let through, each with the way its reply becomes a row:
 *
 *     GET key               one column `value`
 *     HGET key field        one column, named like the field
 *     HMGET key field...    a column for each field; no row when all are missing
 *     HGETALL key           a column for each field there is; no row when there is none
 */
#ifndef TARN_SOURCE_REDIS_STATEMENT_H
#define TARN_SOURCE_REDIS_STATEMENT_H

#include "tarn/base/buf.h"
#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/base/strview.h"
#include "tarn/source/driver.h"

#define REDIS_WORDS_MAX 128

enum redis_reading { REDIS_READS_VALUE, REDIS_READS_FIELDS, REDIS_READS_PAIRS };

struct redis_statement {
    char *bytes; /* owned: the words, with marks where parameters go */
    struct strview words[REDIS_WORDS_MAX];
    unsigned words_count;
    enum redis_reading reading;
    struct errtext problem; /* "": none; else it can never run */
};

/* `marked` is what word_params_mark() made. What is wrong with the command is `problem`; -ENOMEM is
 * the only failure. */
int redis_statement_init(struct redis_statement *s, struct strview marked) WARN_UNUSED;
/* Accepts a zeroed one. */
void redis_statement_fini(struct redis_statement *s);

/* Appends word `i` with its parameters filled in. */
void redis_statement_write(const struct redis_statement *s, unsigned i,
                           const struct driver_value *params, struct buf *out);

#endif
