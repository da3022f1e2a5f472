/*
 * Lines into words: inline commands and configuration files.
 *
 * A word is never longer than what it was written as, so all words of a line fit into one scratch
 * area of the line's length; they are views into it. A closing quote must be followed by a blank or
 * the end, as in Redis.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/proto/resp_parse.h"

enum { UNBALANCED = -1, NO_MEMORY = -2 };

struct reader {
    struct strview line;
    size_t at;
    char *out; /* next free byte of the scratch area */
};

static bool is_blank(char c)
{
    return isspace((unsigned char)c) || c == '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char unescape(char c)
{
    static const char from[] = "nrtba", to[] = "\n\r\t\b\a";
    const char *found = c != '\0' ? strchr(from, c) : NULL;
    return found != NULL ? to[found - from] : c;
}

/* Behind a backslash inside double quotes. */
static void read_escape(struct reader *r)
{
    size_t left = r->line.len - r->at;
    const char *p = r->line.data + r->at;
    if (p[0] == 'x' && left >= 3 && hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0) {
        *r->out++ = (char)(hex_value(p[1]) << 4 | hex_value(p[2]));
        r->at += 3;
    } else {
        *r->out++ = unescape(p[0]);
        r->at++;
    }
}

/* Up to the closing quote; false when there is none, or no blank behind it. */
static bool read_quoted(struct reader *r, char quote)
{
    while (r->at < r->line.len) {
        char c = r->line.data[r->at++];
        bool has_next = r->at < r->line.len;
        if (c == quote) {
            return !has_next || is_blank(r->line.data[r->at]);
        }
        if (c == '\\' && has_next && quote == '"') {
            read_escape(r);
        } else if (c == '\\' && has_next && r->line.data[r->at] == '\'') {
            *r->out++ = '\'';
            r->at++;
        } else {
            *r->out++ = c;
        }
    }
    return false;
}

static bool read_word(struct reader *r)
{
    while (r->at < r->line.len && !is_blank(r->line.data[r->at])) {
        char c = r->line.data[r->at++];
        if (c != '"' && c != '\'') {
            *r->out++ = c;
        } else if (!read_quoted(r, c)) {
            return false;
        }
    }
    return true;
}

static bool reserve(struct resp_request *out, size_t scratch)
{
    if (out->scratch_cap < scratch) {
        char *bytes = realloc(out->scratch, scratch);
        if (bytes == NULL) {
            return false;
        }
        out->scratch = bytes;
        out->scratch_cap = scratch;
    }
    return true;
}

static bool add_word(struct resp_request *out, struct strview word)
{
    if (out->argc == out->argv_cap) {
        int cap = out->argv_cap == 0 ? 16 : out->argv_cap * 2;
        struct strview *argv = realloc(out->argv, (size_t)cap * sizeof(*argv));
        if (argv == NULL) {
            return false;
        }
        out->argv = argv;
        out->argv_cap = cap;
    }
    out->argv[out->argc++] = word;
    return true;
}

int resp_split_words(struct strview line, struct resp_request *out)
{
    struct reader r = {.line = line};
    out->argc = 0;
    if (!reserve(out, line.len + 1)) {
        return NO_MEMORY;
    }
    r.out = out->scratch;
    for (;;) {
        while (r.at < line.len && isspace((unsigned char)line.data[r.at])) {
            r.at++;
        }
        if (r.at == line.len || line.data[r.at] == '\0') {
            return out->argc;
        }
        char *start = r.out;
        if (!read_word(&r)) {
            return UNBALANCED;
        }
        if (!add_word(out, strview_of(start, (size_t)(r.out - start)))) {
            return NO_MEMORY;
        }
    }
}
