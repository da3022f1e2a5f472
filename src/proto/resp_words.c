/*
 * Lines into words, as the shell-like notation of inline commands and configuration files has it.
 *
 * A word may be built from parts, a"b c"d, but a closing quote ends it: what follows must be a
 * blank or the end of the line. Words never get longer by unescaping, so all of them fit into
 * scratch memory as long as the line, which is reserved once; the views into it stay good.
 *
 * Blanks are not the same everywhere, and compatibility rests on it: vertical tab and form feed
 * separate words only where a blank is skipped or ends a quoted word; within a bare word they are
 * bytes like any other. A zero byte is ordinary everywhere.
 */
#include "tarn/proto/resp_parse.h"

#include <stdlib.h>

#include "resp_request.h"

enum { UNBALANCED = -1, NO_MEMORY = -2 };

struct splitter {
    const char *at, *end; /* the line's unread part */
    char *to;             /* where the next unescaped byte goes */
};

static bool is_separator(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_blank(char c)
{
    return is_separator(c) || c == '\v' || c == '\f';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static char unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

/* One byte within double quotes, escaped or not; s->at < s->end. */
static void copy_double_quoted(struct splitter *s)
{
    size_t left = (size_t)(s->end - s->at);
    if (left >= 4 && s->at[0] == '\\' && s->at[1] == 'x' && hex_digit(s->at[2]) >= 0 &&
        hex_digit(s->at[3]) >= 0) {
        *s->to++ = (char)(hex_digit(s->at[2]) * 16 + hex_digit(s->at[3]));
        s->at += 4;
    } else if (left >= 2 && s->at[0] == '\\') {
        *s->to++ = unescape(s->at[1]);
        s->at += 2;
    } else {
        *s->to++ = *s->at++;
    }
}

/* The same within single quotes, where only the quote itself can be escaped. */
static void copy_single_quoted(struct splitter *s)
{
    if (s->end - s->at >= 2 && s->at[0] == '\\' && s->at[1] == '\'') {
        s->at++;
    }
    *s->to++ = *s->at++;
}

/* s->at is behind the opening quote. False when the quote is not closed properly. */
static bool split_quoted(struct splitter *s, char quote)
{
    while (s->at < s->end && *s->at != quote) {
        if (quote == '"') {
            copy_double_quoted(s);
        } else {
            copy_single_quoted(s);
        }
    }
    if (s->at == s->end) {
        return false;
    }
    s->at++;
    return s->at == s->end || is_blank(*s->at);
}

/* s->at is at the first byte of a word. */
static bool split_word(struct splitter *s)
{
    while (s->at < s->end && !is_separator(*s->at)) {
        char c = *s->at++;
        if (c == '"' || c == '\'') {
            return split_quoted(s, c);
        }
        *s->to++ = c;
    }
    return true;
}

static bool reserve_scratch(struct resp_request *out, size_t len)
{
    if (len <= out->scratch_cap) {
        return true;
    }
    char *scratch = realloc(out->scratch, len);
    if (scratch == NULL) {
        return false;
    }
    out->scratch = scratch;
    out->scratch_cap = len;
    return true;
}

int resp_split_words(struct strview line, struct resp_request *out)
{
    out->argc = 0;
    if (line.len == 0) {
        return 0;
    }
    if (!reserve_scratch(out, line.len)) {
        return NO_MEMORY;
    }
    struct splitter s = {.at = line.data, .end = line.data + line.len, .to = out->scratch};
    for (;;) {
        while (s.at < s.end && is_blank(*s.at)) {
            s.at++;
        }
        if (s.at == s.end) {
            return out->argc;
        }
        const char *word = s.to;
        if (!split_word(&s)) {
            out->argc = 0;
            return UNBALANCED;
        }
        if (!resp_request_reserve(out, (size_t)out->argc + 1)) {
            return NO_MEMORY;
        }
        out->argv[out->argc++] = strview_of(word, (size_t)(s.to - word));
    }
}
