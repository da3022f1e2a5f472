/*
 * Marks the $name parameters of a statement that is a command and no SQL, for drivers whose
 * `takes_words` is set: `GET user:$id` -> `GET user:` WORD_PARAM_MARK `A`.
 *
 * A parameter stands anywhere, also within a word and within quotes: `$name`, or `${name}` where a
 * letter, digit or underscore follows; `$$` is a dollar. Blanks and quotes are left to the driver.
 */
#ifndef TARN_SOURCE_WORD_PARAMS_H
#define TARN_SOURCE_WORD_PARAMS_H

#include "tarn/base/buf.h"
#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/base/strview.h"

/* Appends the text to `out`; parameter i of `names` becomes WORD_PARAM_MARK and the letter 'A' + i.
 * Refused: a parameter that has no name in `names`, a name the statement does not use, a dollar
 * that begins no parameter. 0, -EINVAL with text or -ENOMEM. */
int word_params_mark(struct buf *out, struct strview statement, const struct strview *names,
                     unsigned names_count, struct errtext *err) WARN_UNUSED;

#endif
