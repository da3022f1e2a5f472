/*
 * Splits a command into words and finds it in the list of what may be sent. Quotes only group:
 * there are no escapes, so a marked parameter never looks like anything else.
 */
#include "redis_statement.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/base/num.h"

static const struct {
    const char *name;
    unsigned words_min, words_max;
    enum redis_reading reading;
} commands[] = {
    {"GET", 2, 2, REDIS_READS_VALUE},
    {"HGET", 3, 3, REDIS_READS_FIELDS},
    {"HMGET", 3, REDIS_WORDS_MAX, REDIS_READS_FIELDS},
    {"HGETALL", 2, 2, REDIS_READS_PAIRS},
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Copies the word at the front of `s` to `out`, without its quotes; how many bytes of `s` that was.
 * 0: a quote does not end. */
static size_t split_word(struct strview s, char *out, size_t *len_out)
{
    char quote = '\0';
    size_t len = 0, i = 0;
    for (; i < s.len && (quote != '\0' || !is_blank(s.data[i])); i++) {
        const char c = s.data[i];
        if (c == WORD_PARAM_MARK) {
            out[len++] = c;
            out[len++] = s.data[++i]; /* marks come in two bytes */
        } else if (quote == '\0' && (c == '"' || c == '\'')) {
            quote = c;
        } else if (quote != '\0' && c == quote) {
            quote = '\0';
        } else {
            out[len++] = c;
        }
    }
    *len_out = len;
    return quote == '\0' ? i : 0;
}

static bool split(struct redis_statement *s, struct strview text)
{
    char *at = s->bytes;
    for (;;) {
        while (text.len > 0 && is_blank(text.data[0])) {
            text = strview_of(text.data + 1, text.len - 1);
        }
        if (text.len == 0) {
            return true;
        }
        size_t len;
        const size_t used = split_word(text, at, &len);
        if (used == 0) {
            errtext_set(&s->problem, "a quote of the command does not end");
            return false;
        }
        if (s->words_count == REDIS_WORDS_MAX) {
            errtext_set(&s->problem, "the command has more than %d words", REDIS_WORDS_MAX);
            return false;
        }
        s->words[s->words_count++] = strview_of(at, len);
        at += len;
        text = strview_of(text.data + used, text.len - used);
    }
}

static void check(struct redis_statement *s)
{
    const struct strview name = s->words_count > 0 ? s->words[0] : strview_of("", 0);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (!strview_eq_nocase(name, commands[i].name)) {
            continue;
        }
        s->reading = commands[i].reading;
        if (s->words_count < commands[i].words_min || s->words_count > commands[i].words_max) {
            errtext_set(&s->problem, "wrong number of words for %s", commands[i].name);
        }
        return;
    }
    errtext_set(&s->problem, "the command is none of GET, HGET, HMGET, HGETALL");
}

int redis_statement_init(struct redis_statement *s, struct strview marked)
{
    *s = (struct redis_statement){.bytes = malloc(marked.len + 1)};
    if (s->bytes == NULL) {
        return -ENOMEM;
    }
    if (split(s, marked)) {
        check(s);
    }
    return 0;
}

void redis_statement_fini(struct redis_statement *s)
{
    free(s->bytes);
    *s = (struct redis_statement){0};
}

static void append_value(struct buf *out, const struct driver_value *v)
{
    if (v->type == VALUE_INT) {
        buf_append_i64(out, v->number);
    } else {
        buf_append_view(out, v->bytes);
    }
}

void redis_statement_write(const struct redis_statement *s, unsigned i,
                           const struct driver_value *params, struct buf *out)
{
    assert(i < s->words_count);
    struct strview word = s->words[i];
    while (word.len > 0) {
        const char *mark = memchr(word.data, WORD_PARAM_MARK, word.len);
        const size_t plain = mark != NULL ? (size_t)(mark - word.data) : word.len;
        buf_append(out, word.data, plain);
        if (mark == NULL) {
            return;
        }
        append_value(out, &params[mark[1] - 'A']);
        word = strview_of(mark + 2, word.len - plain - 2);
    }
}
