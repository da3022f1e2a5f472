/*
 * From the syntax text of a row to the nested arguments of COMMAND DOCS.
 *
 * The text is read twice: first into top-level items, because an array's length precedes its
 * elements, then each item is written. Alternatives and token groups are cut out of an item's text
 * while writing. Everything is bounded by SYNTAX_ITEMS_MAX and by the one level of brackets, so
 * nothing recurses.
 */
#include "syntax.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

static struct strview trim(struct strview v)
{
    while (v.len > 0 && v.data[0] == ' ') {
        v.data++;
        v.len--;
    }
    while (v.len > 0 && v.data[v.len - 1] == ' ') {
        v.len--;
    }
    return v;
}

/* Takes the text before the next `separator` off the front of *rest. False when *rest is used up.
 */
static bool next_part(struct strview *rest, char separator, struct strview *out)
{
    struct strview all = trim(*rest);
    if (all.len == 0) {
        return false;
    }
    const char *end = memchr(all.data, separator, all.len);
    size_t len = end != NULL ? (size_t)(end - all.data) : all.len;
    *out = trim(strview_of(all.data, len));
    size_t used = end != NULL ? len + 1 : len;
    *rest = strview_of(all.data + used, all.len - used);
    return true;
}

static int count_parts(struct strview text, char separator)
{
    struct strview part;
    int n = 0;
    while (next_part(&text, separator, &part)) {
        n++;
    }
    return n;
}

static bool is_token(struct strview word)
{
    return word.len > 0 && (isupper((unsigned char)word.data[0]) || word.data[0] == '*');
}

static bool ends_with_dots(struct strview text)
{
    return text.len >= 3 && memcmp(text.data + text.len - 3, "...", 3) == 0;
}

/* "[key value ...]" behind "key value": the last two plain items become one that repeats. */
static int fold_repeat(struct syntax_item *items, int count, struct strview repeated)
{
    int words = count_parts(repeated, ' ') - 1; /* without the dots */
    if (words < 1 || words > count) {
        return -1;
    }
    struct syntax_item *first = &items[count - words];
    const struct syntax_item *last = &items[count - 1];
    first->text.len = (size_t)(last->text.data + last->text.len - first->text.data);
    first->words = words;
    first->is_multiple = true;
    return count - words + 1;
}

int syntax_split(const char *syntax, struct syntax_item items[SYNTAX_ITEMS_MAX])
{
    struct strview rest = trim(strview_str(syntax));
    int count = 0;
    while (rest.len > 0) {
        struct strview text;
        if (count == SYNTAX_ITEMS_MAX) {
            return -1;
        }
        bool is_optional = rest.data[0] == '[';
        if (!is_optional && rest.data[0] != '<') {
            (void)next_part(&rest, ' ', &text); /* rest is not empty */
            items[count++] = (struct syntax_item){.text = text, .words = 1};
            rest = trim(rest);
            continue;
        }
        const char *end = memchr(rest.data, is_optional ? ']' : '>', rest.len);
        if (end == NULL) {
            return -1;
        }
        text = trim(strview_of(rest.data + 1, (size_t)(end - rest.data) - 1));
        size_t used = (size_t)(end - rest.data) + 1;
        rest = trim(strview_of(rest.data + used, rest.len - used));
        if (is_optional && ends_with_dots(text) && count > 0 && !items[count - 1].is_optional) {
            count = fold_repeat(items, count, text);
            if (count < 0) {
                return -1;
            }
        } else {
            items[count++] = (struct syntax_item){
                .text = text, .is_optional = is_optional, .is_multiple = ends_with_dots(text)};
        }
    }
    return count;
}

/* ---- writing --------------------------------------------------------------------------------- */

struct argument {
    struct strview name;
    const char *type;
    struct strview token; /* len 0: none */
    bool is_optional, is_multiple;
    int children; /* elements of "arguments" the caller writes next; 0: none */
};

/* Names in COMMAND DOCS are lower case; ours are at most a word. */
static void write_lower(struct resp_writer *w, struct strview v)
{
    char name[64];
    size_t n = v.len < sizeof(name) ? v.len : sizeof(name);
    for (size_t i = 0; i < n; i++) {
        name[i] = (char)tolower((unsigned char)v.data[i]);
    }
    resp_write_bulk(w, strview_of(name, n));
}

static void write_argument(struct resp_writer *w, const struct argument *a)
{
    bool has_flags = a->is_optional || a->is_multiple;
    resp_write_map(w, 2 + (a->token.len > 0) + has_flags + (a->children > 0));
    resp_write_bulk_str(w, "name");
    write_lower(w, a->name);
    resp_write_bulk_str(w, "type");
    resp_write_bulk_str(w, a->type);
    if (a->token.len > 0) {
        resp_write_bulk_str(w, "token");
        resp_write_bulk(w, a->token);
    }
    if (has_flags) {
        resp_write_bulk_str(w, "flags");
        resp_write_set(w, (size_t)a->is_optional + a->is_multiple);
        if (a->is_optional) {
            resp_write_simple(w, strview_str("optional"));
        }
        if (a->is_multiple) {
            resp_write_simple(w, strview_str("multiple"));
        }
    }
    if (a->children > 0) {
        resp_write_bulk_str(w, "arguments");
        resp_write_array(w, (size_t)a->children);
    }
}

static const char *type_of_value(struct strview word)
{
    static const struct {
        const char *word, *type;
    } types[] = {
        {"key", "key"},
        {"newkey", "key"},
        {"source", "key"},
        {"destination", "key"},
        {"pattern", "pattern"},
        {"seconds", "integer"},
        {"milliseconds", "integer"},
        {"offset", "integer"},
        {"cursor", "integer"},
        {"count", "integer"},
        {"increment", "integer"},
        {"decrement", "integer"},
        {"start", "integer"},
        {"end", "integer"},
        {"index", "integer"},
        {"unix-time-seconds", "unix-time"},
        {"unix-time-milliseconds", "unix-time"},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strview_eq(word, strview_str(types[i].word))) {
            return types[i].type;
        }
    }
    return "string";
}

static void write_value(struct resp_writer *w, struct strview word)
{
    write_argument(w, &(struct argument){.name = word, .type = type_of_value(word)});
}

/* One alternative: "NX", "EX seconds", "AUTH username password" or "value". */
static void write_group(struct resp_writer *w, struct strview text, bool is_optional,
                        bool is_multiple)
{
    struct strview rest = text, first = {0}, word;
    (void)next_part(&rest, ' ', &first);
    int values = count_parts(rest, ' ') - ends_with_dots(text);
    struct argument a = {.name = first, .is_optional = is_optional, .is_multiple = is_multiple};
    if (!is_token(first)) {
        a.type = type_of_value(first);
        write_argument(w, &a);
        return;
    }
    a.token = first;
    if (values <= 0) {
        a.type = "pure-token";
        write_argument(w, &a);
    } else if (values == 1) {
        (void)next_part(&rest, ' ', &word);
        a.name = word;
        a.type = type_of_value(word);
        write_argument(w, &a);
    } else {
        a.type = "block";
        a.children = values;
        write_argument(w, &a);
        for (int i = 0; i < values && next_part(&rest, ' ', &word); i++) {
            write_value(w, word);
        }
    }
}

static void write_item(struct resp_writer *w, const struct syntax_item *item)
{
    int alternatives = count_parts(item->text, '|');
    struct strview rest = item->text, part;
    if (alternatives > 1) {
        write_argument(
            w, &(struct argument){.name = strview_str(item->is_optional ? "condition" : "choice"),
                                  .type = "oneof",
                                  .is_optional = item->is_optional,
                                  .is_multiple = item->is_multiple,
                                  .children = alternatives});
        while (next_part(&rest, '|', &part)) {
            write_group(w, part, false, false);
        }
    } else if (item->words > 1) {
        write_argument(w, &(struct argument){.name = strview_str("data"),
                                             .type = "block",
                                             .is_multiple = true,
                                             .children = item->words});
        while (next_part(&rest, ' ', &part)) {
            write_value(w, part);
        }
    } else {
        write_group(w, item->text, item->is_optional, item->is_multiple);
    }
}

void syntax_write(struct resp_writer *w, const char *syntax)
{
    struct syntax_item items[SYNTAX_ITEMS_MAX];
    int count = syntax_split(syntax, items);
    assert(count >= 0);
    resp_write_array(w, (size_t)count);
    for (int i = 0; i < count; i++) {
        write_item(w, &items[i]);
    }
}
