/*
 * Looked through from the front, as statements are added by people.
 */
#include "statements.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sources.h"

void statements_fini(struct statements *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->items[i].sql);
    }
    free(l->items);
    *l = (struct statements){0};
}

static const struct statement *find(const struct statements *l, struct strview sql,
                                    unsigned params_count)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct statement *s = &l->items[i];
        if (s->params_count == params_count && strview_eq(strview_of(s->sql, s->len), sql)) {
            return s;
        }
    }
    return NULL;
}

static bool reserve(struct statements *l)
{
    if (l->count < l->cap) {
        return true;
    }
    const size_t cap = l->cap > 0 ? 2 * l->cap : 8;
    struct statement *items = realloc(l->items, cap * sizeof(items[0]));
    if (items == NULL) {
        return false;
    }
    l->items = items;
    l->cap = cap;
    return true;
}

int source_add_statement(struct source *src, struct strview sql, unsigned params_count,
                         struct errtext *err)
{
    struct statements *l = &src->statements;
    const struct statement *known = find(l, sql, params_count);
    if (known != NULL) {
        return known->id;
    }
    if (l->count == STATEMENTS_MAX || sql.len > STATEMENTS_BYTES_MAX - l->bytes) {
        errtext_set(err, "the source has had too many different statements");
        return -ENOSPC;
    }
    char *copy = malloc(sql.len + 1);
    const bool has_room = copy != NULL && reserve(l);
    const int id = has_room ? src->driver->add_statement(src->upstream, sql, params_count)
                            : -ENOMEM;
    if (id < 0) {
        errtext_set(err, "out of memory");
        free(copy);
        return -ENOMEM;
    }
    memcpy(copy, sql.data, sql.len);
    copy[sql.len] = '\0';
    l->bytes += sql.len;
    l->items[l->count++] = (struct statement){
        .sql = copy, .len = sql.len, .params_count = params_count, .id = id};
    return id;
}
