/*
 * One value of one option: read from text, exchanged with the field it is for, printed.
 */
#ifndef TARN_BASE_OPTION_VALUE_H
#define TARN_BASE_OPTION_VALUE_H

#include "tarn/base/option.h"

/* Which member counts follows from the option's type: `text` for STRING and STRINGS, `password` for
 * PASSWORD, else `number`. */
struct option_value {
    int64_t number;
    char *text; /* owned */
    struct option_password password;
};

/* Reads `text` as a value of `option`. OPTION_OK, OPTION_BAD with the reason in `err`, or -ENOMEM.
 */
int option_value_parse(const struct option *option, struct strview text, struct option_value *out,
                       struct errtext *err) WARN_UNUSED;

/* Frees the text; accepts a zeroed value. */
void option_value_fini(struct option_value *value);

/* Moves *value into the field without looking at what was there: for a struct that is not filled
 * yet. */
void option_value_put(const struct option *option, void *values, struct option_value *value);

/* The field of `option` in `values` and *value change places. */
void option_value_swap(const struct option *option, void *values, struct option_value *value);

/* True when the field already holds *value. */
bool option_value_is_current(const struct option *option, const void *values,
                             const struct option_value *value);

/* Appends the field as CONFIG GET shows it, nothing for a secret. False when memory is short. */
bool option_value_print(const struct option *option, const void *values, struct buf *out);

/* Appends the field as a configuration file would hold it, secrets included. False when memory is
 * short. */
bool option_value_write(const struct option *option, const void *values, struct buf *out);

#endif
