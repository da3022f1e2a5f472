/*
 * The layer as a whole: made, configured line by line, started, stopped. Directives change nothing
 * when they fail: what is new is built aside and put in its place at the end.
 */
#include "sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bulk.h"
#include "flight.h"
#include "sql_params.h"
#include "word_params.h"
#include "write.h"

/* ---- life ------------------------------------------------------------------------------------ */

int sources_create(struct sources **out, struct ev_loop *loop, struct store *store,
                   const struct clock *clock, struct errtext *err)
{
    struct sources *s = malloc(sizeof(*s));
    if (s == NULL) {
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    *s = (struct sources){.loop = loop,
                          .store = store,
                          .clock = clock,
                          .next_flight_id = 1,
                          .timer_at_ms = INT64_MAX};
    int r = flight_table_init(&s->flights);
    if (r != 0) {
        errtext_set(err, "out of memory");
        free(s);
        return r;
    }
    list_init(&s->writes);
    tags_init(&s->tags);
    rng_init_random(&s->rng);
    ev_timer_init(&s->timer, sources_on_timer, 0.0, 0.0);
    *out = s;
    return 0;
}

void source_destroy(struct source *src, int64_t wait_ms)
{
    if (src->upstream != NULL && !src->driver->close(src->upstream, wait_ms)) {
        return;
    }
    for (unsigned i = 0; src->slots != NULL && i < src->capacity; i++) {
        free(src->slots[i].many);
    }
    settle_fini(&src->settle);
    settle_fini(&src->unsure);
    statements_fini(&src->statements);
    free(src->slots);
    free(src->free_slots);
    free(src->name);
    free(src->dsn);
    free(src);
}

void map_clear(struct source_map *m)
{
    pattern_fini(&m->pattern);
    buf_fini(&m->statement);
    buf_fini(&m->bulk_statement);
    for (unsigned kind = 0; kind < SOURCE_WRITES; kind++) {
        buf_fini(&m->writes[kind].sql);
    }
    free(m->name);
    free(m->sql);
    m->name = m->sql = NULL;
}

static void map_destroy(struct source_map *m)
{
    map_clear(m);
    free(m);
}

void sources_set_observer(struct sources *s, const struct source_observer *o)
{
    s->observer = o != NULL ? *o : (struct source_observer){0};
}

void sources_stop(struct sources *s)
{
    if (s->is_stopped) {
        return;
    }
    s->is_stopped = true; /* from here on nothing starts and nothing is held */
    warm_fini(&s->warm);
    sources_fail_all(s);
    for (size_t i = 0; i < s->sources_count; i++) {
        struct source *src = s->sources[i];
        if (src->upstream != NULL) {
            (void)src->driver->close(src->upstream, SOURCE_STOP_WAIT_MS);
            src->upstream = NULL;
        }
    }
    ev_timer_stop(s->loop, &s->timer);
}

void sources_destroy(struct sources *s)
{
    if (s == NULL) {
        return;
    }
    sources_stop(s);
    for (size_t i = 0; i < s->maps_count; i++) {
        map_destroy(s->maps[i]);
    }
    for (size_t i = 0; i < s->sources_count; i++) {
        source_destroy(s->sources[i], SOURCE_STOP_WAIT_MS);
    }
    free(s->maps);
    free(s->fences);
    map_index_fini(&s->map_index);
    flight_table_fini(&s->flights);
    admission_fini(&s->admission);
    tags_fini(&s->tags);
    warm_fini(&s->warm);
    buf_fini(&s->scratch);
    free(s);
}

size_t sources_memory(const struct sources *s)
{
    size_t bytes = flight_table_memory(&s->flights) + s->scratch.cap +
                   admission_memory(&s->admission) + s->warm.keys.cap + s->warm.line.cap +
                   s->tags.bytes + hmap_memory(&s->tags.by_name) + hmap_memory(&s->tags.members);
    for (size_t i = 0; i < s->sources_count; i++) {
        const struct source *src = s->sources[i];
        bytes += src->bytes + src->settle.events.cap + src->unsure.events.cap;
        bytes += src->upstream != NULL ? src->driver->memory(src->upstream) : 0;
    }
    return bytes;
}

/* ---- names ----------------------------------------------------------------------------------- */

static int check_name(struct strview name, struct errtext *err)
{
    bool is_fine = name.len > 0 && name.len <= OBJECT_NAME_MAX;
    for (size_t i = 0; i < name.len && is_fine; i++) {
        char c = name.data[i];
        is_fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.';
    }
    if (!is_fine) {
        errtext_set(err, "a name has 1 to %d letters, digits, '_', '-' or '.'", OBJECT_NAME_MAX);
        return -EINVAL;
    }
    return 0;
}

struct source *source_find(const struct sources *s, struct strview name)
{
    for (size_t i = 0; i < s->sources_count; i++) {
        if (strview_eq(name, strview_str(s->sources[i]->name))) {
            return s->sources[i];
        }
    }
    return NULL;
}

static struct source *need_source(const struct sources *s, struct strview name, struct errtext *err)
{
    struct source *src = source_find(s, name);
    if (src == NULL) {
        errtext_set(err, "there is no source '%.*s'", (int)size_min(name.len, OBJECT_NAME_MAX),
                    name.len > 0 ? name.data : "");
    }
    return src;
}

struct source_map *sources_map_by_name(struct sources *s, struct strview name)
{
    for (size_t i = 0; i < s->maps_count; i++) {
        if (!s->maps[i]->is_gone && strview_eq(name, strview_str(s->maps[i]->name))) {
            return s->maps[i];
        }
    }
    return NULL;
}

static char *copy_text(struct strview v)
{
    char *text = malloc(v.len + 1);
    if (text != NULL) {
        if (v.len > 0) {
            memcpy(text, v.data, v.len);
        }
        text[v.len] = '\0';
    }
    return text;
}

static int check_text(struct strview v, size_t bytes_max, const char *what, struct errtext *err)
{
    if (v.len == 0 || v.len > bytes_max || memchr(v.data, '\0', v.len) != NULL) {
        errtext_set(err, "%s has 1 to %zu bytes, none of them NUL", what, bytes_max);
        return -EINVAL;
    }
    return 0;
}

static int out_of_memory(struct errtext *err)
{
    errtext_set(err, "out of memory");
    return -ENOMEM;
}

/* ---- source ---------------------------------------------------------------------------------- */

static const struct source_driver *need_driver(struct strview name, struct errtext *err)
{
    const struct source_driver *d = source_driver_find(name);
    if (d != NULL) {
        return d;
    }
    struct buf names;
    buf_init(&names);
    for (size_t i = 0; (d = source_driver_at(i)) != NULL; i++) {
        if (!d->is_for_tests) {
            buf_printf(&names, "%s%s", buf_len(&names) > 0 ? ", " : "", d->name);
        }
    }
    errtext_set(err, "there is no driver '%.*s' in this build, only %.*s",
                (int)size_min(name.len, OBJECT_NAME_MAX), name.len > 0 ? name.data : "",
                STRVIEW_ARG(buf_view(&names)));
    buf_fini(&names);
    return NULL;
}

/* argv: name driver dsn [option value]... */
static int add_source(struct sources *s, const struct strview *argv, int argc, struct errtext *err)
{
    if (argc < 3) {
        errtext_set(err, "usage: source <name> <driver> <dsn> [option value]...");
        return -EINVAL;
    }
    if (source_find(s, argv[0]) != NULL || s->sources_count == SOURCES_MAX) {
        errtext_set(err, "the source exists already, or there are %d", SOURCES_MAX);
        return -EINVAL;
    }
    const struct source_driver *driver = need_driver(argv[1], err);
    struct source_options options;
    settings_defaults(&source_settings, &options);
    if (check_name(argv[0], err) != 0 || driver == NULL ||
        check_text(argv[2], DSN_BYTES_MAX, "a dsn", err) != 0 ||
        settings_apply(&source_settings, &options, argv + 3, argc - 3, false, err) != 0 ||
        source_options_check(&options, driver, err) != 0) {
        return -EINVAL;
    }
    struct source *src = malloc(sizeof(*src));
    if (src == NULL) {
        return out_of_memory(err);
    }
    *src = (struct source){.owner = s,
                           .driver = driver,
                           .options = options,
                           .name = copy_text(argv[0]),
                           .dsn = copy_text(argv[2])};
    if (src->name == NULL || src->dsn == NULL) {
        source_destroy(src, 0);
        return out_of_memory(err);
    }
    list_init(&src->queue);
    list_init(&src->background);
    deadlines_init(&src->deadlines);
    s->sources[s->sources_count++] = src;
    const int r = s->is_running ? source_start(src, err) : 0;
    if (r != 0) {
        s->sources_count--;
        source_destroy(src, 0);
    }
    return r;
}

/* argv: name [option value]... */
static int set_source(struct sources *s, const struct strview *argv, int argc, struct errtext *err)
{
    struct source *src = argc > 0 ? need_source(s, argv[0], err) : NULL;
    if (src == NULL) {
        return -EINVAL;
    }
    struct source_options options = src->options;
    int r = settings_apply(&source_settings, &options, argv + 1, argc - 1, s->is_running, err);
    r = r != 0 ? r : source_options_check(&options, src->driver, err);
    if (r == 0) {
        src->options = options;
    }
    return r;
}

/* ---- map ------------------------------------------------------------------------------------- */

static int rewrite_sql(struct source_map *m, struct errtext *err)
{
    struct strview names[PATTERN_PARAMS_MAX];
    for (unsigned i = 0; i < m->pattern.params_count; i++) {
        names[i] = m->pattern.params[i].name;
    }
    const struct source_driver *driver = m->source->driver;
    if (driver->takes_words) {
        return word_params_mark(&m->statement, strview_str(m->sql), names, m->pattern.params_count,
                                err);
    }
    struct sql_dialect dialect = {.placeholder = driver->placeholder,
                                  .bracket_quotes = driver->bracket_quotes};
    int r = sql_params_rewrite(&m->statement, strview_str(m->sql), &dialect, names,
                               m->pattern.params_count, err);
    if (r != 0 || m->options.bulk_query[0] == '\0') {
        return r;
    }
    dialect.takes_list = true;
    r = sql_params_rewrite(&m->bulk_statement, strview_str(m->options.bulk_query), &dialect, names,
                           m->pattern.params_count, err);
    if (r != 0) {
        errtext_prefix(err, "bulk-query");
    }
    return r;
}

/* The options that say how to load, as a whole: changed by `map` and, until the start, `map-set`.
 */
static int check_options(struct source_map *m, struct errtext *err)
{
    buf_clear(&m->statement);
    buf_clear(&m->bulk_statement);
    int r = bulk_check(m, err);
    r = r != 0 ? r : write_rewrite(m, err);
    return r != 0 ? r : rewrite_sql(m, err);
}

static int check_overlaps(const struct sources *s, const struct source_map *m, struct errtext *err)
{
    for (size_t i = 0; i < s->maps_count; i++) {
        int r = s->maps[i]->is_gone ? 0 : pattern_overlaps(&s->maps[i]->pattern, &m->pattern);
        if (r < 0) {
            return out_of_memory(err);
        }
        if (r > 0) {
            errtext_set(err, "a key can match this pattern and that of map '%s'", s->maps[i]->name);
            return -EINVAL;
        }
    }
    return 0;
}

/* The place of a map that was deleted, or a new one at the end; NULL without memory. */
static struct source_map **find_place(struct sources *s)
{
    for (size_t i = 0; i < s->maps_count; i++) {
        if (s->maps[i]->is_gone) {
            return &s->maps[i];
        }
    }
    struct source_map **maps = realloc(s->maps, (s->maps_count + 1) * sizeof(struct source_map *));
    if (maps == NULL) {
        return NULL;
    }
    s->maps = maps;
    maps[s->maps_count] = NULL;
    return &maps[s->maps_count];
}

/* Entries of whoever had the place before are told from its own by their epoch. */
static int insert_map(struct sources *s, struct source_map *m, struct errtext *err)
{
    struct source_map **place = find_place(s);
    if (place == NULL || map_index_add(&s->map_index, m) != 0) {
        return out_of_memory(err);
    }
    struct source_map *before = *place;
    m->index = (unsigned)(place - s->maps);
    if (before != NULL) {
        m->epoch = m->first_epoch = before->epoch;
        map_destroy(before);
    }
    *place = m;
    s->maps_count += before == NULL;
    return 0;
}

/* argv: name source pattern sql [option value]... */
static int add_map(struct sources *s, const struct strview *argv, int argc, struct errtext *err)
{
    if (argc < 4) {
        errtext_set(err, "usage: map <name> <source> <pattern> <sql> [option value]...");
        return -EINVAL;
    }
    if (sources_map_by_name(s, argv[0]) != NULL || s->map_index.count == MAPS_MAX) {
        errtext_set(err, "the map exists already, or there are %d", MAPS_MAX);
        return -EINVAL;
    }
    struct source *src = need_source(s, argv[1], err);
    if (check_name(argv[0], err) != 0 || src == NULL ||
        check_text(argv[3], SQL_BYTES_MAX, "a query", err) != 0) {
        return -EINVAL;
    }
    struct source_map *m = malloc(sizeof(*m));
    if (m == NULL) {
        return out_of_memory(err);
    }
    *m = (struct source_map){.source = src,
                             .statement_id = -1,
                             .bulk_statement_id = -1,
                             .soft_at_ms = -1,
                             .blind_at_ms = INT64_MAX,
                             .name = copy_text(argv[0]),
                             .sql = copy_text(argv[3])};
    deadlines_init(&m->deadlines);
    settings_defaults(&map_settings, &m->options);
    int r = m->name == NULL || m->sql == NULL ? out_of_memory(err) : 0;
    r = r != 0 ? r : settings_apply(&map_settings, &m->options, argv + 4, argc - 4, false, err);
    r = r != 0 ? r : pattern_init(&m->pattern, argv[2], err);
    r = r != 0 ? r : check_overlaps(s, m, err);
    r = r != 0 ? r : check_options(m, err);
    r = r == 0 && s->is_running ? map_start(m, err) : r;
    r = r != 0 ? r : insert_map(s, m, err);
    if (r != 0) {
        map_destroy(m);
    }
    return r;
}

/* argv: name [option value]... */
static int set_map(struct sources *s, const struct strview *argv, int argc, struct errtext *err)
{
    struct source_map *m = argc > 0 ? sources_map_by_name(s, argv[0]) : NULL;
    if (m == NULL) {
        errtext_set(err, "there is no such map");
        return -EINVAL;
    }
    struct map_options options = m->options;
    int r = settings_apply(&map_settings, &options, argv + 1, argc - 1, s->is_running, err);
    if (r != 0 || s->is_running) {
        m->options = r == 0 ? options : m->options;
        return r;
    }
    const struct map_options before = m->options;
    m->options = options;
    r = check_options(m, err);
    if (r != 0) {
        struct errtext ignored;
        m->options = before;
        (void)check_options(m, &ignored); /* it was fine before */
    }
    return r;
}

/* ---- directives ------------------------------------------------------------------------------ */

static const struct directive {
    const char *name;
    int (*run)(struct sources *s, const struct strview *argv, int argc, struct errtext *err);
} directives[] = {
    {"source", add_source},
    {"source-set", set_source},
    {"map", add_map},
    {"map-set", set_map},
};

static const struct directive *find_directive(struct strview name)
{
    for (size_t i = 0; i < ARRAY_LEN(directives); i++) {
        if (strview_eq_nocase(name, directives[i].name)) {
            return &directives[i];
        }
    }
    return NULL;
}

bool sources_is_directive(struct strview name)
{
    return find_directive(name) != NULL;
}

int sources_change(struct sources *s, const char *directive, const struct strview *argv, int argc,
                   struct errtext *err)
{
    const struct directive *d = find_directive(strview_str(directive));
    if (d == NULL) {
        errtext_set(err, "not a directive of sources and maps");
        return -EINVAL;
    }
    if (s->is_stopped) {
        errtext_set(err, "the server is shutting down");
        return -EINVAL;
    }
    const int r = d->run(s, argv, argc, err);
    if (r != 0) {
        errtext_prefix(err, "%s %.*s", d->name,
                       argc > 0 ? (int)size_min(argv[0].len, OBJECT_NAME_MAX) : 0,
                       argc > 0 && argv[0].len > 0 ? argv[0].data : "");
    }
    return r;
}

int sources_directive(struct sources *s, const struct strview *argv, int argc, struct errtext *err)
{
    const struct directive *d = argc > 0 ? find_directive(argv[0]) : NULL;
    return sources_change(s, d != NULL ? d->name : "", argv + 1, argc - 1, err);
}
