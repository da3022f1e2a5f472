/*
 * Option tables of sources and maps. An option that is not in the table is an error with the
 * nearest known name, never ignored: an option that is accepted and does nothing is a trap.
 */
#include "settings.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "tarn/base/num.h"

#define SUGGEST_DISTANCE_MAX 3

static int64_t *int_field(const struct setting *row, void *values)
{
    return (int64_t *)(void *)((char *)values + row->offset);
}

static int64_t int_value(const struct setting *row, const void *values)
{
    return *(const int64_t *)(const void *)((const char *)values + row->offset);
}

static char *text_field(const struct setting *row, void *values)
{
    return (char *)values + row->offset;
}

/* Bytes of a text's field; 0: not a text. */
static size_t text_size(const struct setting *row)
{
    switch (row->type) {
    case SETTING_NAME:
        return SETTING_NAME_MAX;
    case SETTING_PATH:
        return SETTING_PATH_MAX;
    case SETTING_TEXT:
    case SETTING_LIST:
        return SETTING_LIST_MAX;
    case SETTING_DURATION:
    case SETTING_BYTES:
    case SETTING_COUNT:
    case SETTING_PERCENT:
    case SETTING_CHOICE:
    case SETTING_TUPLE:
        break;
    }
    return 0;
}

/* The name of a choice without what it says of its word. */
static struct strview choice_name(const char *name)
{
    return strview_of(name, strcspn(name, " "));
}

static bool choice_takes_word(const struct setting *row, int64_t choice)
{
    return row->type == SETTING_CHOICE && strchr(row->names[choice], ' ') != NULL;
}

/* ---- parsing --------------------------------------------------------------------------------- */

static bool parse_choice(const struct setting *row, struct strview v, int64_t *out)
{
    for (int64_t i = 0; row->names[i] != NULL; i++) {
        struct strview name = choice_name(row->names[i]);
        if (v.len == name.len && strncasecmp(v.data, name.data, v.len) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool parse_percent(struct strview v, int64_t *out)
{
    double share = 0;
    if (!strview_eq(v, strview_str("0")) && !num_parse_percent(v, &share)) {
        return false;
    }
    *out = (int64_t)llround(share * SETTING_PERCENT_UNITS);
    return true;
}

static bool parse_int(const struct setting *row, struct strview v, int64_t *out)
{
    uint64_t bytes;
    switch (row->type) {
    case SETTING_DURATION:
        return num_parse_duration_ms(v, 1000, out);
    case SETTING_BYTES:
        if (!num_parse_bytes(v, &bytes) || bytes > INT64_MAX) {
            return false;
        }
        *out = (int64_t)bytes;
        return true;
    case SETTING_COUNT:
        return num_parse_i64(v, out);
    case SETTING_PERCENT:
        return parse_percent(v, out);
    case SETTING_CHOICE:
        return parse_choice(row, v, out);
    case SETTING_NAME:
    case SETTING_PATH:
    case SETTING_TEXT:
    case SETTING_TUPLE:
    case SETTING_LIST:
        break;
    }
    return false;
}

static bool parse_text(struct strview v, char *out, size_t size)
{
    if (v.len >= size || (v.len > 0 && memchr(v.data, '\0', v.len) != NULL)) {
        return false;
    }
    memset(out, 0, size);
    if (v.len > 0) {
        memcpy(out, v.data, v.len);
    }
    return true;
}

/* Adds a text behind those of the list, which ends with an empty one. */
static bool parse_list(struct strview v, char *list)
{
    size_t at = 0;
    while (list[at] != '\0') {
        at += strlen(list + at) + 1;
    }
    return v.len > 0 && parse_text(v, list + at, SETTING_LIST_MAX - 1 - at);
}

/* One value of a number: in its range. */
static bool parse_number(const struct setting *row, struct strview v, int64_t *out)
{
    return parse_int(row, v, out) &&
           (row->type == SETTING_CHOICE || (*out >= row->min && *out <= row->max));
}

static bool parse_tuple(const struct setting *row, struct strview v, int64_t *out)
{
    const size_t gap = strlen(row->separator);
    for (size_t i = 0; i < row->parts_count; i++) {
        const char *end = v.len > 0 ? memmem(v.data, v.len, row->separator, gap) : NULL;
        const bool is_last = i + 1 == row->parts_count;
        if (is_last != (end == NULL)) {
            return false;
        }
        const size_t len = is_last ? v.len : (size_t)(end - v.data);
        if (!parse_number(&row->parts[i], strview_of(v.data, len),
                          &out[row->parts[i].offset / sizeof(*out)])) {
            return false;
        }
        if (!is_last) {
            v = strview_of(end + gap, v.len - len - gap);
        }
    }
    return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_duration(struct buf *out, int64_t ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"h", 3600 * 1000}, {"m", 60 * 1000}, {"s", 1000}, {"ms", 1}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (ms % units[i].ms == 0 && (ms != 0 || units[i].ms == 1000)) {
            buf_append_i64(out, ms / units[i].ms);
            buf_append_str(out, units[i].unit);
            return;
        }
    }
}

static void write_number(const struct setting *row, int64_t value, const void *values,
                         struct buf *out)
{
    switch (row->type) {
    case SETTING_DURATION:
        write_duration(out, value);
        break;
    case SETTING_PERCENT:
        buf_printf(out, "%g%%", (double)value * 100 / SETTING_PERCENT_UNITS);
        break;
    case SETTING_CHOICE:
        buf_append_view(out, choice_name(row->names[value]));
        if (choice_takes_word(row, value)) {
            buf_printf(out, " %s", (const char *)values + row->word_offset);
        }
        break;
    case SETTING_BYTES:
    case SETTING_COUNT:
    case SETTING_NAME:
    case SETTING_PATH:
    case SETTING_TEXT:
    case SETTING_TUPLE:
    case SETTING_LIST:
        buf_append_i64(out, value);
        break;
    }
}

static void write_tuple(const struct setting *row, const void *values, struct buf *out)
{
    const char *base = (const char *)values + row->offset;
    for (size_t i = 0; i < row->parts_count; i++) {
        buf_append_str(out, i > 0 ? row->separator : "");
        write_number(&row->parts[i], int_value(&row->parts[i], base), values, out);
    }
}

void setting_write(const struct setting *row, const void *values, struct buf *out)
{
    const char *text = (const char *)values + row->offset;
    if (row->type == SETTING_LIST) {
        for (size_t at = 0; text[at] != '\0'; at += strlen(text + at) + 1) {
            buf_printf(out, "%s%s", at > 0 ? ", " : "", text + at);
        }
        return;
    }
    if (text_size(row) > 0) {
        buf_append_str(out, text);
        return;
    }
    if (row->type == SETTING_TUPLE) {
        write_tuple(row, values, out);
        return;
    }
    write_number(row, int_value(row, values), values, out);
}
void setting_walk_words(const struct setting *row, const void *values, setting_word_fn fn,
                        void *ctx)
{
    const char *text = (const char *)values + row->offset;
    if (row->type == SETTING_LIST) {
        for (size_t at = 0; text[at] != '\0'; at += strlen(text + at) + 1) {
            fn(ctx, strview_str(row->name));
            fn(ctx, strview_str(text + at));
        }
        return;
    }
    fn(ctx, strview_str(row->name));
    if (row->type == SETTING_CHOICE) {
        int64_t choice = int_value(row, values);
        fn(ctx, choice_name(row->names[choice]));
        if (choice_takes_word(row, choice)) {
            fn(ctx, strview_str((const char *)values + row->word_offset));
        }
        return;
    }
    struct buf value;
    buf_init(&value);
    setting_write(row, values, &value);
    fn(ctx, buf_view(&value));
    buf_fini(&value);
}

/* ---- applying -------------------------------------------------------------------------------- */

static const struct setting *find(const struct setting_table *t, struct strview name)
{
    for (size_t i = 0; i < t->count; i++) {
        if (strview_eq_nocase(name, t->rows[i].name)) {
            return &t->rows[i];
        }
    }
    return NULL;
}

static void refuse_unknown(const struct setting_table *t, struct strview name, struct errtext *err)
{
    const char *nearest = NULL;
    unsigned best = SUGGEST_DISTANCE_MAX + 1;
    for (size_t i = 0; i < t->count; i++) {
        unsigned distance = strview_distance(name, strview_str(t->rows[i].name));
        if (distance < best) {
            best = distance;
            nearest = t->rows[i].name;
        }
    }
    if (nearest != NULL) {
        errtext_set(err, "unknown option '%.*s', did you mean '%s'?", STRVIEW_ARG(name), nearest);
    } else {
        errtext_set(err, "unknown option '%.*s'", STRVIEW_ARG(name));
    }
}

static void refuse_value(const struct setting *row, struct strview v, struct errtext *err)
{
    struct buf range;
    buf_init(&range);
    if (row->type == SETTING_CHOICE) {
        for (size_t i = 0; row->names[i] != NULL; i++) {
            buf_printf(&range, "%s%s", i == 0 ? "one of " : ", ", row->names[i]);
        }
    } else if (text_size(row) > 0) {
        buf_printf(&range, "a text of less than %zu bytes", text_size(row));
    } else if (row->type == SETTING_TUPLE) {
        buf_printf(&range, "%zu values like %s", row->parts_count, row->def);
    } else {
        int64_t limits[2] = {row->min, row->max};
        struct setting limit = *row;
        for (size_t i = 0; i < 2; i++) {
            limit.offset = i * sizeof(limits[0]);
            buf_append_str(&range, i == 0 ? "between " : " and ");
            setting_write(&limit, limits, &range);
        }
    }
    errtext_set(err, "option '%s' cannot be '%.*s': it is %.*s", row->name,
                (int)size_min(v.len, 64), v.len > 0 ? v.data : "", STRVIEW_ARG(buf_view(&range)));
    buf_fini(&range);
}

static bool set(const struct setting *row, void *values, struct strview v)
{
    if (row->type == SETTING_LIST) {
        return parse_list(v, text_field(row, values));
    }
    if (text_size(row) > 0) {
        return parse_text(v, text_field(row, values), text_size(row));
    }
    int64_t value;
    if (row->type == SETTING_TUPLE) {
        return parse_tuple(row, v, int_field(row, values));
    }
    if (!parse_number(row, v, &value)) {
        return false;
    }
    *int_field(row, values) = value;
    return true;
}

void settings_defaults(const struct setting_table *t, void *values)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct setting *row = &t->rows[i];
        if (text_size(row) > 0) {
            memset(text_field(row, values), 0, text_size(row));
        } else {
            *int_field(row, values) = 0;
        }
        if (row->word_offset != 0) {
            memset((char *)values + row->word_offset, 0, SETTING_NAME_MAX);
        }
        if (row->def != NULL) {
            bool is_set = set(row, values, strview_str(row->def));
            assert(is_set);
            (void)is_set; /* without assertions */
        }
    }
}

/* The word behind a choice that takes one: argv[0] is the option, argv[1] the choice. How many
 * words that was, or -EINVAL with text. */
static int set_word(const struct setting *row, void *values, const struct strview *argv, int argc,
                    struct errtext *err)
{
    if (row->word_offset == 0) {
        return 0;
    }
    int64_t choice = int_value(row, values);
    char *word = (char *)values + row->word_offset;
    memset(word, 0, SETTING_NAME_MAX);
    if (!choice_takes_word(row, choice)) {
        return 0;
    }
    if (argc < 3 || argv[2].len == 0 || !parse_text(argv[2], word, SETTING_NAME_MAX)) {
        errtext_set(err, "option '%s' needs a word of less than %d bytes: %s", row->name,
                    SETTING_NAME_MAX, row->names[choice]);
        return -EINVAL;
    }
    return 1;
}

int settings_apply(const struct setting_table *t, void *values, const struct strview *argv,
                   int argc, bool is_running, struct errtext *err)
{
    for (int i = 0, more = 0; i < argc; i += 2 + more) {
        const struct setting *row = find(t, argv[i]);
        if (row == NULL) {
            refuse_unknown(t, argv[i], err);
            return -EINVAL;
        }
        if (i + 1 == argc) {
            errtext_set(err, "option '%s' needs a value", row->name);
            return -EINVAL;
        }
        if (row->is_fixed && is_running) {
            errtext_set(err, "option '%s' can only be set at start", row->name);
            return -EINVAL;
        }
        if (!set(row, values, argv[i + 1])) {
            refuse_value(row, argv[i + 1], err);
            return -EINVAL;
        }
        more = set_word(row, values, argv + i, argc - i, err);
        if (more < 0) {
            return more;
        }
    }
    return 0;
}

bool setting_is_default(const struct setting *row, const void *values)
{
    if (text_size(row) > 0) {
        return *((const char *)values + row->offset) == '\0';
    }
    int64_t def[SETTING_PARTS_MAX] = {0};
    struct setting at_front = *row;
    at_front.offset = 0;
    if (row->def != NULL) {
        (void)set(&at_front, def, strview_str(row->def)); /* defaults parse */
    }
    const size_t count = row->type == SETTING_TUPLE ? row->parts_count : 1;
    return memcmp(def, (const char *)values + row->offset, count * sizeof(def[0])) == 0;
}

bool setting_is_equal(const struct setting *row, const void *a, const void *b)
{
    const char *x = (const char *)a, *y = (const char *)b;
    const size_t count = row->type == SETTING_TUPLE ? row->parts_count : 1;
    const size_t size = text_size(row) > 0 ? text_size(row) : count * sizeof(int64_t);
    return memcmp(x + row->offset, y + row->offset, size) == 0 &&
           (row->word_offset == 0 ||
            memcmp(x + row->word_offset, y + row->word_offset, SETTING_NAME_MAX) == 0);
}
