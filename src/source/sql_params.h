/*
 * Rewrites the $name parameters of a statement to the driver's placeholders: `WHERE id = $id` ->
 * `WHERE id = ?1`.
 *
 * The lexer knows just enough SQL to tell what is not a parameter: 'literals', "identifiers",
 * `identifiers`, [identifiers] where the dialect has them, -- and block comments, $tag$ dollar
 * quotes $tag$, and dollars inside words.
 */
#ifndef TARN_SOURCE_SQL_PARAMS_H
#define TARN_SOURCE_SQL_PARAMS_H

#include <stdbool.h>

#include "tarn/base/buf.h"
#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/base/strview.h"

struct sql_dialect {
    char placeholder; /* '?' -> ?1, '$' -> $1 */
    bool bracket_quotes;
    bool takes_list; /* parameters are written $name[] */
};

/* Appends the rewritten text to `out`. Parameter i of `names` becomes placeholder i + 1. Refused: a
 * parameter that has no name in `names`, a name the statement does not use, a quote or comment that
 * does not end. 0, -EINVAL with text or -ENOMEM. */
int sql_params_rewrite(struct buf *out, struct strview sql, const struct sql_dialect *dialect,
                       const struct strview *names, unsigned names_count,
                       struct errtext *err) WARN_UNUSED;

/* The names of the parameters, each once, in order. Their number, at most `max`, or -EINVAL with
 * text. */
int sql_params_collect(struct strview sql, const struct sql_dialect *dialect, struct strview *names,
                       unsigned max, struct errtext *err) WARN_UNUSED;

#endif
