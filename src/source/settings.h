/*
 * Options of one object (a source, a map) as tables: like tarn/base/option.h, which knows the
 * options of the process, but for many objects with the same options. A row is the default, the
 * parser, the range and the documentation.
 *
 * Every field is an int64_t, except the texts: NAME is char[SETTING_NAME_MAX], PATH is
 * char[SETTING_PATH_MAX], TEXT and LIST are char[SETTING_LIST_MAX]; a TUPLE is several int64_t.
 */
#ifndef TARN_SOURCE_SETTINGS_H
#define TARN_SOURCE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/buf.h"
#include "tarn/base/compiler.h"
#include "tarn/base/err.h"
#include "tarn/base/strview.h"

#define SETTING_NAME_MAX      64
#define SETTING_PATH_MAX      256
#define SETTING_LIST_MAX      4096
#define SETTING_PARTS_MAX     4
#define SETTING_PERCENT_UNITS 1000000 /* 100% */

enum setting_type {
    SETTING_DURATION, /* ms; "5s", "250ms", a bare number is seconds */
    SETTING_BYTES,    /* "1mb" */
    SETTING_COUNT,
    SETTING_PERCENT, /* "10%"; in millionths */
    SETTING_CHOICE,  /* index into names; a name with a blank, "notify <channel>", takes one more
                        word, kept as a NAME at word_offset */
    SETTING_NAME,    /* a word; "" by default */
    SETTING_PATH,    /* the same, longer */
    SETTING_TEXT,    /* the same, as long as a LIST */
    SETTING_TUPLE,   /* several values in one word, see `parts`: "5 50% 10s", "1s..30s" */
    SETTING_LIST,    /* may be given several times; texts, each ended by a NUL, an empty one ends */
};

struct setting {
    const char *name;
    const char *help;         /* one line */
    const char *def;          /* as a user would write it; NULL: unset, the field is 0 */
    const char *const *names; /* CHOICE: NULL-terminated */
    size_t offset;
    size_t word_offset;          /* CHOICE with words; else 0 */
    const struct setting *parts; /* TUPLE: whose offsets count from `offset`; */
    size_t parts_count;
    const char *separator; /* between them */
    int64_t min, max;
    enum setting_type type;
    unsigned needs; /* enum driver_ability: for drivers with it; 0: for all */
    bool is_fixed;  /* refused once the server runs */
};

struct setting_table {
    const struct setting *rows;
    size_t count;
};

void settings_defaults(const struct setting_table *t, void *values);

/* `argv` is name value name value ...; on failure some of them may be in `values`, so work on a
 * copy. 0 or -EINVAL with text. */
int settings_apply(const struct setting_table *t, void *values, const struct strview *argv,
                   int argc, bool is_running, struct errtext *err) WARN_UNUSED;

bool setting_is_default(const struct setting *row, const void *values);
bool setting_is_equal(const struct setting *row, const void *a, const void *b);
/* Appends the value as a user would write it, without quotes. */
void setting_write(const struct setting *row, const void *values, struct buf *out);
/* The words that set it to its value: name, value, ... */
typedef void (*setting_word_fn)(void *ctx, struct strview word);
void setting_walk_words(const struct setting *row, const void *values, setting_word_fn fn,
                        void *ctx);

#endif
