/*
 * Options as a configuration file and CONFIG SET bring them. A line is `name=value`; an empty line
 * makes the lines before it one change; a line that starts with `!` is read as at start-up.
 *
 * Checked: a change that fails leaves all as it was; what is shown can be set again and is shown
 * the same.
 */
#include <stdint.h>
#include <stdlib.h>

#include "tarn/base/option.h"

#define CHANGES_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct values {
    bool enabled;
    int64_t count, bytes, memory;
    int mode;
    char *name, *words, *password;
};

static const char *const mode_names[] = {"fast", "safe", "fastest", NULL};

/* clang-format off */
static const struct option rows[] = {
    {.name = "enabled", .type = OPTION_BOOL, .offset = offsetof(struct values, enabled), .def = "yes"},
    {.name = "count", .type = OPTION_INT, .offset = offsetof(struct values, count), .def = "1", .min = -9, .max = 99},
    {.name = "bytes", .type = OPTION_BYTES, .offset = offsetof(struct values, bytes), .def = "1kb", .max = INT64_MAX},
    {.name = "memory", .type = OPTION_MEMORY, .offset = offsetof(struct values, memory), .def = "0", .max = INT64_MAX},
    {.name = "mode", .type = OPTION_ENUM, .offset = offsetof(struct values, mode), .def = "safe", .names = mode_names},
    {.name = "name", .type = OPTION_STRING, .offset = offsetof(struct values, name), .def = "", .flags = OPTION_FIXED},
    {.name = "words", .type = OPTION_STRINGS, .offset = offsetof(struct values, words), .def = "a b"},
    {.name = "password", .type = OPTION_STRING, .offset = offsetof(struct values, password), .def = "",
     .flags = OPTION_SECRET},
};
/* clang-format on */
static const struct option_table table = {.title = "t", .rows = rows, .count = ARRAY_LEN(rows)};

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Refuses one value of one option, so that undoing is reached. */
static int apply(void *ctx, const struct option *option, struct errtext *err)
{
    const struct values *values = ctx;
    return values->count == 13 ? -1 : 0;
}

static int dump_one(void *ctx, const struct option_table *in, const struct option *option,
                    struct strview value)
{
    struct buf *out = ctx;
    require(buf_append_view(out, value) && buf_append_char(out, '\0'));
    return 0;
}

static void dump(const struct option_set *set, const struct values *values, struct buf *out)
{
    require(option_set_walk(set, dump_one, out) == 0);
    require(buf_append_str(out, values->password));
}

static int set_again(void *ctx, const struct option_table *in, const struct option *option,
                     struct strview value)
{
    struct option_set *set = ctx;
    struct errtext err;
    if ((option->flags & OPTION_SECRET) == 0) {
        require(option_set_load(set, strview_str(option->name), value, &err) == OPTION_OK);
    }
    return 0;
}

static void check_change(struct option_set *set, const struct values *values,
                         const struct option_change *changes, size_t count)
{
    struct buf before = {0};
    struct buf after = {0};
    struct errtext err = {.text = ""};
    size_t failed_at = count;
    dump(set, values, &before);
    int result = option_set_change(set, changes, count, &failed_at, &err);
    require(result >= 0);
    require(result == OPTION_OK || failed_at < count);
    dump(set, values, &after);
    require(result == OPTION_OK || strview_eq(buf_view(&before), buf_view(&after)));
    require(option_set_walk(set, set_again, set) == 0);
    buf_clear(&before);
    dump(set, values, &before);
    require(strview_eq(buf_view(&before), buf_view(&after)));
    buf_fini(&before);
    buf_fini(&after);
}

/* Cuts the next line off the front of *rest. */
static struct strview next_line(struct strview *rest)
{
    const char *end = memchr(rest->data, '\n', rest->len);
    size_t len = end != NULL ? (size_t)(end - rest->data) : rest->len;
    struct strview line = strview_of(rest->data, len);
    size_t used = end != NULL ? len + 1 : len;
    *rest = strview_of(rest->data + used, rest->len - used);
    return line;
}

static struct option_change split(struct strview line)
{
    const char *equals = line.len > 0 ? memchr(line.data, '=', line.len) : NULL;
    if (equals == NULL) {
        return (struct option_change){.name = line};
    }
    size_t len = (size_t)(equals - line.data);
    return (struct option_change){.name = strview_of(line.data, len),
                                  .value = strview_of(equals + 1, line.len - len - 1)};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct values values;
    struct option_set *set;
    struct option_change changes[CHANGES_MAX];
    size_t count = 0;
    require(option_set_create(&set) == 0);
    require(option_set_add(set, &table, &values, apply, &values) == 0);
    for (struct strview rest = strview_of(data, size); rest.len > 0;) {
        struct strview line = next_line(&rest);
        if (strview_starts_with(line, strview_str("!"))) {
            struct option_change c = split(strview_of(line.data + 1, line.len - 1));
            struct errtext err;
            require(option_set_load(set, c.name, c.value, &err) >= 0);
            (void)option_set_suggest(set, c.name);
        } else if (line.len > 0 && count < CHANGES_MAX) {
            changes[count++] = split(line);
        } else {
            check_change(set, &values, changes, count);
            count = 0;
        }
    }
    check_change(set, &values, changes, count);
    option_set_destroy(set);
    return 0;
}
