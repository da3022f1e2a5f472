/*
 * One pass over the bytes of a command. The mark is a byte that no statement has: a NUL.
 */
#include "word_params.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "tarn/source/driver.h"

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The name behind a dollar at the front of `s`, and how long all of it is; an empty name: there is
 * none. */
static struct strview name_of(struct strview s, size_t *len_out)
{
    const bool has_braces = s.len > 1 && s.data[1] == '{';
    const size_t from = has_braces ? 2 : 1;
    size_t to = from;
    while (to < s.len && is_name(s.data[to])) {
        to++;
    }
    if (has_braces && (to == s.len || s.data[to] != '}')) {
        return strview_of("", 0);
    }
    *len_out = to + has_braces;
    return strview_of(s.data + from, to - from);
}

static unsigned index_of(struct strview name, const struct strview *names, unsigned names_count)
{
    unsigned i = 0;
    while (i < names_count && !strview_eq(names[i], name)) {
        i++;
    }
    return i;
}

static int check_used(uint32_t used, const struct strview *names, unsigned names_count,
                      struct errtext *err)
{
    for (unsigned i = 0; i < names_count; i++) {
        if ((used >> i & 1) == 0) {
            errtext_set(err, "the command does not use the pattern's parameter '%.*s'",
                        STRVIEW_ARG(names[i]));
            return -EINVAL;
        }
    }
    return 0;
}

int word_params_mark(struct buf *out, struct strview statement, const struct strview *names,
                     unsigned names_count, struct errtext *err)
{
    assert(names_count <= DRIVER_PARAMS_MAX);
    uint32_t used = 0;
    size_t len = 0;
    for (struct strview s = statement; s.len > 0; s = strview_of(s.data + len, s.len - len)) {
        if (s.data[0] != '$' || (s.len > 1 && s.data[1] == '$')) {
            len = s.data[0] == '$' ? 2 : 1;
            buf_append_char(out, s.data[0]);
            continue;
        }
        const struct strview name = name_of(s, &len);
        const unsigned i = index_of(name, names, names_count);
        if (name.len == 0 || i == names_count) {
            errtext_set(err, "the command's parameter '$%.*s' is not in the pattern",
                        STRVIEW_ARG(name));
            return -EINVAL;
        }
        used |= UINT32_C(1) << i;
        buf_append_char(out, WORD_PARAM_MARK);
        buf_append_char(out, (char)('A' + i));
    }
    if (out->failed) {
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    return check_used(used, names, names_count, err);
}
