/*
 * The engine marks parameters with a byte and a number. A list has as many ? as the next power of two
 * of its values, so that a query for many keys is one of a few prepared statements.
 */
#include "mysql_statement.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tarn/base/buf.h"

static_assert(1 << (MYSQL_LISTS - 1) == DRIVER_LIST_ITEMS_MAX,
              "the longest list has its statement");

static void append_places(struct buf *out, unsigned count)
{
    buf_append_char(out, '?');
    for (unsigned i = 1; i < count; i++) {
        buf_append_str(out, ",?");
    }
}

/* Puts places for each mark. False: there are too many. */
static bool write_sql(struct mysql_statement *s, struct strview marked, struct buf *out)
{
    unsigned marks = 0;
    for (size_t i = 0; i < marked.len;) {
        if (marked.data[i] != MYSQL_PLACEHOLDER) {
            buf_append_char(out, marked.data[i++]);
            continue;
        }
        unsigned number = 0;
        for (i++; i < marked.len && marked.data[i] >= '0' && marked.data[i] <= '9'; i++) {
            number = number * 10 + (unsigned)(marked.data[i] - '0');
        }
        if (marks == DRIVER_PARAMS_MAX) {
            return false;
        }
        assert(number >= 1);
        s->places[marks++] = (unsigned char)(number - 1);
        append_places(out, s->list_len);
    }
    s->places_count = s->list_len > 0 ? marks * s->list_len : marks;
    return true;
}

/* Skips blanks, parentheses and comments, and looks at the first word. The session refuses to
 * write; this refuses at start what could only ever fail, or returns rows of something else. */
static bool begins_like_query(const char *sql)
{
    static const char *const words[] = {"select", "with", "values", "table"};
    for (;;) {
        sql += strspn(sql, " \t\r\n(");
        const char *end = NULL;
        if (strncmp(sql, "/*", 2) == 0) {
            end = strstr(sql, "*/");
            end = end != NULL ? end + 2 : NULL;
        } else if (strncmp(sql, "--", 2) == 0 || sql[0] == '#') {
            end = strchr(sql, '\n');
        } else {
            break;
        }
        if (end == NULL) {
            return false;
        }
        sql = end;
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t len = strlen(words[i]);
        if (strncasecmp(sql, words[i], len) == 0 && strchr(" \t\r\n(/*'\"`@+-", sql[len]) != NULL) {
            return true;
        }
    }
    return false;
}

struct mysql_statement *mysql_statement_create(struct strview marked, unsigned number,
                                               unsigned list_len)
{
    struct mysql_statement *s = malloc(sizeof(*s));
    struct buf sql;
    if (s == NULL) {
        return NULL;
    }
    buf_init(&sql);
    *s = (struct mysql_statement){.number = number, .list_len = list_len};
    const bool is_fine = write_sql(s, marked, &sql);
    if (is_fine && !sql.failed) {
        const struct strview text = buf_view(&sql);
        s->sql = strndup(text.len > 0 ? text.data : "", text.len);
    }
    buf_fini(&sql);
    if (s->sql == NULL) {
        free(s);
        errno = is_fine ? ENOMEM : EINVAL;
        return NULL;
    }
    s->is_query = begins_like_query(s->sql);
    return s;
}

void mysql_statement_destroy(struct mysql_statement *s)
{
    if (s != NULL) {
        free(s->sql);
        free(s);
    }
}

unsigned mysql_statement_param(const struct mysql_statement *s, unsigned i, unsigned params_count)
{
    if (s->list_len == 0) {
        return s->places[i];
    }
    const unsigned at = i % s->list_len;
    return at < params_count ? at : params_count - 1;
}

unsigned mysql_list_step(unsigned count)
{
    unsigned step = 0;
    assert(count <= DRIVER_LIST_ITEMS_MAX);
    while (1U << step < count) {
        step++;
    }
    return step;
}
