/*
 * The lexer of sql_params.h: one pass, one token at a time, every token but a parameter is copied
 * as it is.
 *
 * It never decides what is valid SQL, the database does that when the statement is prepared. It
 * only has to be right about where quoting begins and ends; a token it does not know is copied byte
 * by byte.
 */
#include "sql_params.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
    return is_name_start(c) || is_digit(c);
}

/* Words and numbers may contain dollars and bytes beyond ASCII; neither starts a parameter there.
 */
static bool is_word(char c)
{
    return is_name(c) || c == '$' || (unsigned char)c >= 0x80;
}

static size_t name_len(struct strview s)
{
    size_t n = 0;
    if (s.len > 0 && is_name_start(s.data[0])) {
        while (n < s.len && is_name(s.data[n])) {
            n++;
        }
    }
    return n;
}

static size_t find(struct strview s, size_t from, const char *what)
{
    size_t len = strlen(what);
    const char *p = from <= s.len ? memmem(s.data + from, s.len - from, what, len) : NULL;
    return p != NULL ? (size_t)(p - s.data) + len : 0;
}

/* Length of a quoted piece whose closing character is doubled to stand for itself; 0: it does not
 * end. */
static size_t quoted_len(struct strview s, char close, bool can_double)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.data[i] != close) {
            continue;
        }
        if (can_double && i + 1 < s.len && s.data[i + 1] == close) {
            i++;
            continue;
        }
        return i + 1;
    }
    return 0;
}

/* Length of the tag $...$ that opens a dollar quote at the front; 0: there is none. */
static size_t dollar_tag_len(struct strview s)
{
    size_t n = name_len(strview_of(s.data + 1, s.len - 1));
    return n + 1 < s.len && s.data[n + 1] == '$' ? n + 2 : 0;
}

static size_t dollar_quote_len(struct strview s, size_t tag_len)
{
    const char *end = memmem(s.data + tag_len, s.len - tag_len, s.data, tag_len);
    return end != NULL ? (size_t)(end - s.data) + tag_len : 0;
}

static size_t line_comment_len(struct strview s)
{
    const char *end = memchr(s.data, '\n', s.len);
    return end != NULL ? (size_t)(end - s.data) + 1 : s.len;
}

enum piece { PIECE_TEXT, PIECE_PARAM, PIECE_UNENDED };

/* What stands at the front of `s`, which is not empty, and how long it is. */
static enum piece next_piece(struct strview s, const struct sql_dialect *dialect, size_t *len_out)
{
    char c = s.data[0];
    char second = s.len > 1 ? s.data[1] : '\0';
    size_t len = 1;
    if (c == '\'' || c == '"' || c == '`') {
        len = quoted_len(s, c, true);
    } else if (c == '[' && dialect->bracket_quotes) {
        len = quoted_len(s, ']', false);
    } else if (c == '-' && second == '-') {
        len = line_comment_len(s);
    } else if (c == '/' && second == '*') {
        len = find(s, 2, "*/");
    } else if (c == '$') {
        size_t tag_len = dollar_tag_len(s);
        if (tag_len == 0) {
            *len_out = 1 + name_len(strview_of(s.data + 1, s.len - 1));
            return PIECE_PARAM;
        }
        len = dollar_quote_len(s, tag_len);
    } else if (is_word(c)) {
        while (len < s.len && is_word(s.data[len])) {
            len++;
        }
    }
    *len_out = len;
    return len > 0 ? PIECE_TEXT : PIECE_UNENDED;
}

struct rewrite {
    struct buf *out;
    const struct strview *names;
    unsigned names_count;
    uint32_t used; /* bit i: names[i] was seen */
    char placeholder;
    bool takes_list;
};

static int append_param(struct rewrite *w, struct strview name, struct errtext *err)
{
    for (unsigned i = 0; i < w->names_count; i++) {
        if (strview_eq(w->names[i], name)) {
            w->used |= UINT32_C(1) << i;
            buf_append_char(w->out, w->placeholder);
            buf_append_u64(w->out, i + 1);
            return 0;
        }
    }
    errtext_set(err, "the query's parameter '$%.*s' is not in the pattern", STRVIEW_ARG(name));
    return -EINVAL;
}

static int check_used(const struct rewrite *w, struct errtext *err)
{
    for (unsigned i = 0; i < w->names_count; i++) {
        if ((w->used >> i & 1) == 0) {
            errtext_set(err, "the query does not use the pattern's parameter '%.*s'",
                        STRVIEW_ARG(w->names[i]));
            return -EINVAL;
        }
    }
    if (w->out->failed) {
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    return 0;
}

int sql_params_rewrite(struct buf *out, struct strview sql, const struct sql_dialect *dialect,
                       const struct strview *names, unsigned names_count, struct errtext *err)
{
    assert(names_count <= 32);
    struct rewrite w = {.out = out,
                        .names = names,
                        .names_count = names_count,
                        .placeholder = dialect->placeholder,
                        .takes_list = dialect->takes_list};
    while (sql.len > 0) {
        size_t len;
        enum piece piece = next_piece(sql, dialect, &len);
        if (piece == PIECE_UNENDED) {
            errtext_set(err, "a quote or comment of the query does not end");
            return -EINVAL;
        }
        if (piece == PIECE_PARAM) {
            int r = append_param(&w, strview_of(sql.data + 1, len - 1), err);
            if (r != 0) {
                return r;
            }
            if (w.takes_list) {
                if (sql.len < len + 2 || memcmp(sql.data + len, "[]", 2) != 0) {
                    errtext_set(err, "a parameter of a bulk query is written $name[]");
                    return -EINVAL;
                }
                len += 2;
            }
        } else {
            buf_append(out, sql.data, len);
        }
        sql = strview_of(sql.data + len, sql.len - len);
    }
    return check_used(&w, err);
}

static bool is_known(const struct strview *names, unsigned count, struct strview name)
{
    for (unsigned i = 0; i < count; i++) {
        if (strview_eq(names[i], name)) {
            return true;
        }
    }
    return false;
}

int sql_params_collect(struct strview sql, const struct sql_dialect *dialect, struct strview *names,
                       unsigned max, struct errtext *err)
{
    unsigned count = 0;
    while (sql.len > 0) {
        size_t len;
        const enum piece piece = next_piece(sql, dialect, &len);
        const struct strview name = strview_of(sql.data + 1, len > 0 ? len - 1 : 0);
        if (piece == PIECE_UNENDED) {
            errtext_set(err, "a quote or comment of the query does not end");
            return -EINVAL;
        }
        if (piece == PIECE_PARAM && !is_known(names, count, name)) {
            if (count == max) {
                errtext_set(err, "a statement has at most %u parameters", max);
                return -EINVAL;
            }
            names[count++] = name;
        }
        sql = strview_of(sql.data + len, sql.len - len);
    }
    return (int)count;
}
