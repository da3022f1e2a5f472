/*
 * What has changed between two configurations, as lines: of CONFIG REWRITE, which compares what is
 * with what the file says.
 *
 * An object that was made anew (another statement, another dsn, another option that is fixed at
 * start) gets a whole line; one whose options were set gets a line for each of them.
 */
#include "sources.h"

#include <errno.h>
#include <string.h>

struct comparison {
    sources_change_fn fn;
    void *ctx;
    struct buf line;
};

/* ---- lines ----------------------------------------------------------------------------------- */

static void write_word(struct buf *out, struct strview word)
{
    buf_append_char(out, ' ');
    buf_append_word(out, word);
}

static void write_setting_word(void *ctx, struct strview word)
{
    struct buf *out = ctx;
    write_word(out, word);
}

static void write_settings(struct buf *out, const struct setting_table *t, const void *values)
{
    for (size_t i = 0; i < t->count; i++) {
        if (!setting_is_default(&t->rows[i], values)) {
            setting_walk_words(&t->rows[i], values, write_setting_word, out);
        }
    }
}

static void write_source(struct buf *out, const struct source *src)
{
    buf_printf(out, "source %s %s", src->name, src->driver->name);
    write_word(out, strview_str(src->dsn));
    write_settings(out, &source_settings, &src->options);
}

static void write_map(struct buf *out, const struct source_map *m)
{
    buf_printf(out, "map %s %s", m->name, m->source->name);
    write_word(out, pattern_text(&m->pattern));
    write_word(out, strview_str(m->sql));
    write_settings(out, &map_settings, &m->options);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static int report(struct comparison *c, enum source_difference kind, const char *directive,
                  const char *name, const char *option)
{
    const struct source_change change = {.kind = kind,
                                         .directive = directive,
                                         .name = strview_str(name),
                                         .option = option,
                                         .line = buf_view(&c->line)};
    return c->line.failed ? -ENOMEM : c->fn(c->ctx, &change);
}

static bool are_fixed_equal(const struct setting_table *t, const void *a, const void *b)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->rows[i].is_fixed && !setting_is_equal(&t->rows[i], a, b)) {
            return false;
        }
    }
    return true;
}

static int compare_options(struct comparison *c, const struct setting_table *t, const void *now,
                           const void *before, const char *directive, const char *name)
{
    int r = 0;
    for (size_t i = 0; i < t->count && r == 0; i++) {
        const struct setting *row = &t->rows[i];
        if (!setting_is_equal(row, now, before)) {
            buf_clear(&c->line);
            buf_printf(&c->line, "%s-set %s", directive, name);
            setting_walk_words(row, now, write_setting_word, &c->line);
            r = report(c, SOURCE_HAS_OTHER_OPTION, directive, name, row->name);
        }
    }
    return r;
}

static int compare_source(struct comparison *c, const struct source *now,
                          const struct source *before)
{
    buf_clear(&c->line);
    write_source(&c->line, now);
    if (before == NULL) {
        return report(c, SOURCE_IS_NEW, "source", now->name, NULL);
    }
    if (now->driver != before->driver || strcmp(now->dsn, before->dsn) != 0 ||
        !are_fixed_equal(&source_settings, &now->options, &before->options)) {
        return report(c, SOURCE_IS_OTHER, "source", now->name, NULL);
    }
    return compare_options(c, &source_settings, &now->options, &before->options, "source",
                           now->name);
}

static int compare_map(struct comparison *c, const struct source_map *now,
                       const struct source_map *before)
{
    buf_clear(&c->line);
    write_map(&c->line, now);
    if (before == NULL) {
        return report(c, SOURCE_IS_NEW, "map", now->name, NULL);
    }
    if (strcmp(now->source->name, before->source->name) != 0 ||
        strcmp(now->sql, before->sql) != 0 ||
        !strview_eq(pattern_text(&now->pattern), pattern_text(&before->pattern)) ||
        !are_fixed_equal(&map_settings, &now->options, &before->options)) {
        return report(c, SOURCE_IS_OTHER, "map", now->name, NULL);
    }
    return compare_options(c, &map_settings, &now->options, &before->options, "map", now->name);
}

static int compare_all(struct comparison *c, struct sources *now, struct sources *before)
{
    int r = 0;
    for (size_t i = 0; i < before->maps_count && r == 0; i++) {
        const struct source_map *m = before->maps[i];
        if (sources_map_by_name(now, strview_str(m->name)) == NULL) {
            r = report(c, SOURCE_IS_GONE, "map", m->name, NULL);
        }
    }
    for (size_t i = 0; i < before->sources_count && r == 0; i++) {
        const struct source *src = before->sources[i];
        if (source_find(now, strview_str(src->name)) == NULL) {
            r = report(c, SOURCE_IS_GONE, "source", src->name, NULL);
        }
    }
    for (size_t i = 0; i < now->sources_count && r == 0; i++) {
        const struct source *src = now->sources[i];
        r = compare_source(c, src, source_find(before, strview_str(src->name)));
    }
    for (size_t i = 0; i < now->maps_count && r == 0; i++) {
        const struct source_map *m = now->maps[i];
        r = m->is_gone ? 0 : compare_map(c, m, sources_map_by_name(before, strview_str(m->name)));
    }
    return r;
}

int sources_compare(struct sources *now, struct sources *before, sources_change_fn fn, void *ctx)
{
    struct comparison c = {.fn = fn, .ctx = ctx};
    buf_init(&c.line);
    const int r = compare_all(&c, now, before);
    buf_fini(&c.line);
    return r;
}

int sources_create_like(struct sources **out, const struct sources *s, struct errtext *err)
{
    return sources_create(out, s->loop, s->store, s->clock, err);
}
