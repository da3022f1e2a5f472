/*
 * Values of options. Reading has no side effect on the options struct: a value is read whole, then
 * swapped in, so that several changes can be made or unmade together.
 *
 * The reasons given for a refusal are those of Redis 7, because tools match on them.
 */
#include "option_value.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/base/num.h"

#define SHA256_PREFIX "sha256:"

static bool has_text(const struct option *option)
{
    return option->type == OPTION_STRING || option->type == OPTION_STRINGS;
}

static int parse_bool(struct strview text, struct option_value *out, struct errtext *err)
{
    out->number = strview_eq_nocase(text, "yes");
    if (out->number == 0 && !strview_eq_nocase(text, "no")) {
        errtext_set(err, "argument must be 'yes' or 'no'");
        return OPTION_BAD;
    }
    return OPTION_OK;
}

static int check_range(const struct option *option, int64_t number, struct errtext *err)
{
    if (number < option->min || number > option->max) {
        errtext_set(err, "argument must be between %" PRId64 " and %" PRId64 " inclusive",
                    option->min, option->max);
        return OPTION_BAD;
    }
    return OPTION_OK;
}

static int parse_int(const struct option *option, struct strview text, struct option_value *out,
                     struct errtext *err)
{
    if (!num_parse_i64(text, &out->number)) {
        errtext_set(err, "argument couldn't be parsed into an integer");
        return OPTION_BAD;
    }
    return check_range(option, out->number, err);
}

static int parse_bytes(const struct option *option, struct strview text, struct option_value *out,
                       struct errtext *err)
{
    double share;
    uint64_t bytes;
    if (option->type == OPTION_MEMORY && num_parse_percent(text, &share)) {
        bytes = (uint64_t)((double)option_memory_total() * share);
    } else if (!num_parse_bytes(text, &bytes)) {
        errtext_set(err, option->type == OPTION_SHARE ? "argument must be a memory or percent value"
                                                      : "argument must be a memory value");
        return OPTION_BAD;
    }
    out->number = bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
    return check_range(option, out->number, err);
}

/* Whole percents only: what is kept is shown again. */
static int parse_share(const struct option *option, struct strview text, struct option_value *out,
                       struct errtext *err)
{
    int64_t percent;
    if (text.len == 0 || text.data[text.len - 1] != '%') {
        return parse_bytes(option, text, out, err);
    }
    if (!num_parse_i64(strview_of(text.data, text.len - 1), &percent) || percent < 0) {
        errtext_set(err, "argument must be a memory or percent value");
        return OPTION_BAD;
    }
    if (percent > 100) {
        errtext_set(err, "percentage argument must be less or equal to 100");
        return OPTION_BAD;
    }
    out->number = -percent;
    return OPTION_OK;
}

static int parse_enum(const struct option *option, struct strview text, struct option_value *out,
                      struct errtext *err)
{
    for (int i = 0; option->names[i] != NULL; i++) {
        if (strview_eq_nocase(text, option->names[i])) {
            out->number = i;
            return OPTION_OK;
        }
    }
    char list[ERRTEXT_MAX];
    size_t len = 0;
    for (int i = 0; option->names[i] != NULL; i++) {
        struct strview name = strview_str(option->names[i]);
        if (len + 2 + name.len >= sizeof(list)) {
            break; /* the error text ends here as well */
        }
        if (i > 0) {
            memcpy(list + len, ", ", 2);
            len += 2;
        }
        memcpy(list + len, name.data, name.len);
        len += name.len;
    }
    list[len] = '\0';
    errtext_set(err, "argument(s) must be one of the following: %s", list);
    return OPTION_BAD;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Copies the words of `text`, one space between them. Returns the length. */
static size_t copy_words(char *out, struct strview text)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool starts_word = !is_blank(text.data[i]) && (i == 0 || is_blank(text.data[i - 1]));
        if (starts_word && len > 0) {
            out[len++] = ' ';
        }
        if (!is_blank(text.data[i])) {
            out[len++] = text.data[i];
        }
    }
    return len;
}

static int parse_text(const struct option *option, struct strview text, struct option_value *out,
                      struct errtext *err)
{
    if (text.len > OPTION_TEXT_MAX) {
        errtext_set(err, "argument is longer than %d bytes", OPTION_TEXT_MAX);
        return OPTION_BAD;
    }
    if (text.len > 0 && memchr(text.data, '\0', text.len) != NULL) {
        errtext_set(err, "argument contains a NUL byte");
        return OPTION_BAD;
    }
    char *copy = malloc(text.len + 1);
    if (copy == NULL) {
        return -ENOMEM;
    }
    size_t len = text.len;
    if (option->type == OPTION_STRINGS) {
        len = copy_words(copy, text);
    } else if (len > 0) {
        memcpy(copy, text.data, len);
    }
    copy[len] = '\0';
    out->text = copy;
    return OPTION_OK;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The digest itself instead of the password: what CONFIG REWRITE writes. */
static bool parse_digest(struct strview text, unsigned char out[SHA256_BYTES])
{
    const struct strview prefix = strview_str(SHA256_PREFIX);
    if (text.len != prefix.len + (size_t)2 * SHA256_BYTES || !strview_starts_with(text, prefix)) {
        return false;
    }
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        const int high = hex_digit(text.data[prefix.len + 2 * i]);
        const int low = hex_digit(text.data[prefix.len + 2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (unsigned char)(high * 16 + low);
    }
    return true;
}

static int parse_password(struct strview text, struct option_value *out)
{
    out->password.is_set = text.len > 0;
    if (text.len > 0 && !parse_digest(text, out->password.sha256)) {
        sha256(text, out->password.sha256);
    }
    return OPTION_OK;
}

int option_value_parse(const struct option *option, struct strview text, struct option_value *out,
                       struct errtext *err)
{
    *out = (struct option_value){0};
    switch (option->type) {
    case OPTION_BOOL:
        return parse_bool(text, out, err);
    case OPTION_INT:
        return parse_int(option, text, out, err);
    case OPTION_BYTES:
    case OPTION_MEMORY:
        return parse_bytes(option, text, out, err);
    case OPTION_SHARE:
        return parse_share(option, text, out, err);
    case OPTION_ENUM:
        return parse_enum(option, text, out, err);
    case OPTION_STRING:
    case OPTION_STRINGS:
        return parse_text(option, text, out, err);
    case OPTION_PASSWORD:
        return parse_password(text, out);
    }
    assert(!"an option has one of the types above");
    return -EINVAL;
}

void option_value_fini(struct option_value *value)
{
    free(value->text);
    *value = (struct option_value){0};
}

static void *field_of(const struct option *option, void *values)
{
    return (char *)values + option->offset;
}

static const void *const_field_of(const struct option *option, const void *values)
{
    return (const char *)values + option->offset;
}

/* The field's number, whatever its width; 0 for a text. */
static int64_t load_number(const struct option *option, const void *values)
{
    const void *field = const_field_of(option, values);
    switch (option->type) {
    case OPTION_BOOL:
        return *(const bool *)field;
    case OPTION_ENUM:
        return *(const int *)field;
    case OPTION_INT:
    case OPTION_BYTES:
    case OPTION_MEMORY:
    case OPTION_SHARE:
        return *(const int64_t *)field;
    case OPTION_STRING:
    case OPTION_STRINGS:
    case OPTION_PASSWORD:
        break;
    }
    return 0;
}

static void store_number(const struct option *option, void *values, int64_t number)
{
    void *field = field_of(option, values);
    switch (option->type) {
    case OPTION_BOOL:
        *(bool *)field = number != 0;
        break;
    case OPTION_ENUM:
        *(int *)field = (int)number;
        break;
    case OPTION_INT:
    case OPTION_BYTES:
    case OPTION_MEMORY:
    case OPTION_SHARE:
        *(int64_t *)field = number;
        break;
    case OPTION_STRING:
    case OPTION_STRINGS:
    case OPTION_PASSWORD:
        break;
    }
}

static char *load_text(const struct option *option, const void *values)
{
    return *(char *const *)const_field_of(option, values);
}

void option_value_put(const struct option *option, void *values, struct option_value *value)
{
    if (has_text(option)) {
        *(char **)field_of(option, values) = value->text;
    } else if (option->type == OPTION_PASSWORD) {
        *(struct option_password *)field_of(option, values) = value->password;
    } else {
        store_number(option, values, value->number);
    }
    *value = (struct option_value){0};
}

void option_value_swap(const struct option *option, void *values, struct option_value *value)
{
    struct option_value old = {0};
    if (has_text(option)) {
        old.text = load_text(option, values);
    } else if (option->type == OPTION_PASSWORD) {
        old.password = *(const struct option_password *)const_field_of(option, values);
    } else {
        old.number = load_number(option, values);
    }
    option_value_put(option, values, value);
    *value = old;
}

bool option_value_is_current(const struct option *option, const void *values,
                             const struct option_value *value)
{
    if (has_text(option)) {
        return strcmp(load_text(option, values), value->text) == 0;
    }
    if (option->type == OPTION_PASSWORD) {
        const struct option_password *held = const_field_of(option, values);
        return held->is_set == value->password.is_set &&
               sha256_eq(held->sha256, value->password.sha256);
    }
    return load_number(option, values) == value->number;
}

bool option_value_print(const struct option *option, const void *values, struct buf *out)
{
    if ((option->flags & OPTION_SECRET) != 0 || option->type == OPTION_PASSWORD) {
        return true;
    }
    return option_value_write(option, values, out);
}

static bool write_password(const struct option_password *password, struct buf *out)
{
    if (!password->is_set) {
        return true;
    }
    buf_append_str(out, SHA256_PREFIX);
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        buf_printf(out, "%02x", password->sha256[i]);
    }
    return !out->failed;
}

bool option_value_write(const struct option *option, const void *values, struct buf *out)
{
    if (option->type == OPTION_PASSWORD) {
        return write_password(const_field_of(option, values), out);
    }
    if (has_text(option)) {
        return buf_append_str(out, load_text(option, values));
    }
    int64_t number = load_number(option, values);
    switch (option->type) {
    case OPTION_BOOL:
        return buf_append_str(out, number != 0 ? "yes" : "no");
    case OPTION_ENUM:
        return buf_append_str(out, option->names[number]);
    case OPTION_SHARE:
        return number < 0 ? buf_append_i64(out, -number) && buf_append_char(out, '%')
                          : buf_append_i64(out, number);
    case OPTION_INT:
    case OPTION_BYTES:
    case OPTION_MEMORY:
    case OPTION_STRING:
    case OPTION_STRINGS:
    case OPTION_PASSWORD:
        break;
    }
    return buf_append_i64(out, number);
}
