/*
 * A write is a flight of its own: queued, sent to the primary, never repeated, joined by nobody. What
 * it does to the cache:
 *
 *     the database did it           what was cached goes; the row that RETURNING gave is stored,
 *                                   unless that is one that was deleted
 *     it refused, or never heard    nothing
 *     nobody knows                  what was cached goes, and once more when it is over; SOURCEUNKNOWN
 *
 * Loads are voided when the write begins and again when it ends: one that was sent in between may have
 * read the row from before. For the same reason a row from RETURNING is stored only if nothing else
 * was heard of its key meanwhile, another write included.
 */
#include "write.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fill.h"
#include "flight.h"
#include "load.h"
#include "load_error.h"
#include "sql_params.h"

/* ---- statements ------------------------------------------------------------------------------ */

static const char *sql_of(const struct source_map *m, enum source_write kind)
{
    const char *const texts[] = {[SOURCE_WRITE_SET] = m->options.on_set,
                                 [SOURCE_WRITE_HSET] = m->options.on_hset,
                                 [SOURCE_WRITE_DEL] = m->options.on_del};
    return texts[kind];
}

/* The names that are no parameters of the pattern: fields of a hash. */
static int collect_fields(struct source_map *m, struct map_write *w, struct strview sql,
                          const struct sql_dialect *dialect, struct errtext *err)
{
    struct strview names[DRIVER_PARAMS_MAX];
    const unsigned own = m->pattern.params_count;
    const int count = sql_params_collect(sql, dialect, names, DRIVER_PARAMS_MAX, err);
    for (int i = 0; i < count; i++) {
        bool is_own = false;
        for (unsigned p = 0; p < own; p++) {
            is_own = is_own || strview_eq(m->pattern.params[p].name, names[i]);
        }
        if (!is_own && w->fields_count + own == DRIVER_PARAMS_MAX) {
            errtext_set(err, "a statement has at most %d parameters", DRIVER_PARAMS_MAX);
            return -EINVAL;
        }
        if (!is_own) {
            w->fields[w->fields_count++] = names[i];
        }
    }
    return count < 0 ? count : 0;
}

static int rewrite(struct source_map *m, enum source_write kind, struct errtext *err)
{
    struct map_write *w = &m->writes[kind];
    const struct strview sql = strview_str(sql_of(m, kind));
    const struct sql_dialect dialect = {.placeholder = m->source->driver->placeholder,
                                        .bracket_quotes = m->source->driver->bracket_quotes};
    struct strview names[DRIVER_PARAMS_MAX];
    unsigned count = 0;
    w->fields_count = 0;
    buf_clear(&w->sql);
    if (sql.len == 0) {
        return 0;
    }
    int r = kind == SOURCE_WRITE_HSET ? collect_fields(m, w, sql, &dialect, err) : 0;
    if (r != 0 || m->pattern.params_count + (kind == SOURCE_WRITE_SET) > DRIVER_PARAMS_MAX) {
        return r != 0 ? r : -EINVAL;
    }
    for (unsigned i = 0; i < m->pattern.params_count; i++) {
        names[count++] = m->pattern.params[i].name;
    }
    if (kind == SOURCE_WRITE_SET) {
        names[count++] = strview_str("value");
    }
    for (unsigned i = 0; i < w->fields_count; i++) {
        names[count++] = w->fields[i];
    }
    w->params_count = count;
    return sql_params_rewrite(&w->sql, sql, &dialect, names, count, err);
}

const char *write_option(enum source_write kind)
{
    static const char *const options[] = {[SOURCE_WRITE_SET] = "on-set",
                                          [SOURCE_WRITE_HSET] = "on-hset",
                                          [SOURCE_WRITE_DEL] = "on-del"};
    return options[kind];
}

int write_rewrite(struct source_map *m, struct errtext *err)
{
    bool has_any = false;
    for (unsigned kind = 0; kind < SOURCE_WRITES; kind++) {
        const int r = rewrite(m, (enum source_write)kind, err);
        if (r != 0) {
            errtext_prefix(err, "%s", write_option((enum source_write)kind));
            return r;
        }
        has_any = has_any || buf_len(&m->writes[kind].sql) > 0;
    }
    const bool is_through = m->options.writes == WRITES_THROUGH;
    if (is_through && (m->source->driver->abilities & DRIVER_CAN_WRITE) == 0) {
        errtext_set(err, "this driver does not write");
        return -EINVAL;
    }
    if (is_through != has_any) {
        errtext_set(err, "writes through and on-set, on-hset or on-del need each other");
        return -EINVAL;
    }
    return 0;
}

int write_add_statements(struct source_map *m, struct errtext *err)
{
    for (unsigned kind = 0; kind < SOURCE_WRITES; kind++) {
        struct map_write *w = &m->writes[kind];
        if (buf_len(&w->sql) > 0) {
            w->statement_id = source_add_statement(m->source, buf_view(&w->sql), w->params_count,
                                                   err);
            if (w->statement_id < 0) {
                return w->statement_id;
            }
        }
    }
    return 0;
}

bool source_map_writes(const struct source_map *m, enum source_write kind)
{
    return m->options.writes == WRITES_THROUGH && buf_len(&m->writes[kind].sql) > 0;
}

bool source_map_is_local(const struct source_map *m)
{
    return m->options.writes == WRITES_LOCAL;
}

int64_t source_map_ttl_ms(const struct source_map *m)
{
    return m->options.ttl_ms;
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* The values of a write, copied: they outlive the command's arguments. */
struct write_values {
    unsigned count;
    struct driver_value values[DRIVER_PARAMS_MAX]; /* views into `bytes` */
    char bytes[];
};

static struct driver_value value_of(struct strview bytes)
{
    return (struct driver_value){.bytes = bytes,
                                 .type = strview_is_utf8(bytes) ? VALUE_TEXT : VALUE_BYTES};
}

/* The value given for a field; NULL when none was. */
static const struct strview *find_pair(const struct strview *pairs, size_t count,
                                       struct strview name)
{
    const struct strview *found = NULL;
    for (size_t i = 0; i + 1 < count; i += 2) {
        found = strview_eq(pairs[i], name) ? &pairs[i + 1] : found; /* the last one wins */
    }
    return found;
}

/* False: a field that the statement does not know. */
static bool knows_fields(const struct map_write *w, const struct strview *pairs, size_t count)
{
    for (size_t i = 0; i + 1 < count; i += 2) {
        unsigned f = 0;
        while (f < w->fields_count && !strview_eq(w->fields[f], pairs[i])) {
            f++;
        }
        if (f == w->fields_count) {
            return false;
        }
    }
    return true;
}

static unsigned bind_values(const struct source_map *m, enum source_write kind, struct strview key,
                            const struct strview *args, size_t args_count,
                            struct driver_value out[DRIVER_PARAMS_MAX])
{
    struct strview values[PATTERN_PARAMS_MAX];
    const struct map_write *w = &m->writes[kind];
    unsigned count = 0;
    if (!pattern_match(&m->pattern, key, SIZE_MAX, values)) {
        return 0;
    }
    for (; count < m->pattern.params_count; count++) {
        out[count] = param_value(&m->pattern.params[count], values[count]);
    }
    if (kind == SOURCE_WRITE_SET && args_count > 0) {
        out[count++] = value_of(args[0]);
    }
    for (unsigned i = 0; i < w->fields_count; i++) {
        const struct strview *value = find_pair(args, args_count, w->fields[i]);
        out[count++] = value != NULL ? value_of(*value) : (struct driver_value){.type = VALUE_NULL};
    }
    return count;
}

static struct write_values *copy_values(const struct driver_value *values, unsigned count)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        bytes += values[i].bytes.len; /* they lie in memory, so their sum fits */
    }
    struct write_values *w = malloc(sizeof(*w) + bytes);
    if (w == NULL) {
        return NULL;
    }
    w->count = count;
    size_t at = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct strview v = values[i].bytes;
        w->values[i] = values[i];
        if (v.len > 0) {
            memcpy(w->bytes + at, v.data, v.len);
        }
        w->values[i].bytes = strview_of(w->bytes + at, v.len);
        at += v.len;
    }
    return w;
}

enum load_start sources_write(struct sources *s, struct source_map *m, enum source_write kind,
                              const struct source_write_args *args, struct load_waiter *w,
                              struct load_result *now)
{
    struct driver_value values[DRIVER_PARAMS_MAX];
    if (kind == SOURCE_WRITE_HSET &&
        !knows_fields(&m->writes[kind], args->values, args->values_count)) {
        return load_refuse(m, LOAD_ERROR_REFUSED, "a field that on-hset does not name", now);
    }
    const unsigned count = bind_values(m, kind, args->key.key, args->values, args->values_count,
                                       values);
    struct write_values *copy = copy_values(values, count);
    if (copy == NULL) {
        return load_refuse(m, LOAD_ERROR_BUSY, "out of memory", now);
    }
    const struct flight_plan plan = {.source = m->source,
                                     .map = m,
                                     .key = args->key,
                                     .started_ms = args->arrived_ms,
                                     .deadline_ms = args->arrived_ms + map_load_timeout(m),
                                     .purpose = FLIGHT_WRITE,
                                     .is_admitted = true,
                                     .statement_id = m->writes[kind].statement_id,
                                     .write = copy};
    struct flight *f = NULL;
    const struct refusal why = load_start_flight(&plan, w, &f);
    if (why.detail != NULL) {
        free(copy);
        return load_refuse(m, why.code, why.detail, now);
    }
    m->stats.writes++;
    list_for_each (it, &s->writes) { /* of two writes of a key, neither's row is stored */
        const struct flight *other = container_of(it, struct flight, in_writes);
        f->is_void = f->is_void || strview_eq(flight_key(other), flight_key(f));
    }
    for (unsigned db = 0; db < STORE_DATABASES; db++) {
        sources_void_key(s, db, args->key.key);
    }
    list_push_back(&s->writes, &f->in_writes);
    return LOAD_WAITS;
}

void write_void_key(struct sources *s, struct strview key)
{
    list_for_each (it, &s->writes) {
        struct flight *f = container_of(it, struct flight, in_writes);
        f->is_void = f->is_void || strview_eq(flight_key(f), key);
    }
}

void write_fill_request(const struct flight *f, struct driver_request *r)
{
    r->task = DRIVER_WRITE;
    r->statement = (unsigned)f->statement_id;
    r->params = f->write->values;
    r->params_count = f->write->count;
    r->row_bytes_max = (size_t)f->map->options.max_row;
    r->rows_max = 1;
    r->needs_primary = true;
}

/* ---- ending ---------------------------------------------------------------------------------- */

/* Nothing of the key is good any more, and no load under way will be. */
static void forget(struct flight *f)
{
    sources_forget_key(f->source->owner, flight_key(f));
}

void write_done(struct flight *f, const struct driver_result *r)
{
    const bool has_row = r->rows != NULL && r->rows->count == 1 && !r->rows->has_more;
    if (r->status != DRIVER_OK) {
        f->is_definite = !r->is_unknown;
        flight_fail(f, load_error_from_status(r->status), r->detail);
        return;
    }
    if (r->changed == 0 && !has_row) {
        f->is_definite = true;
        flight_fail(f, LOAD_ERROR_NOROW, "the statement touched no row");
        return;
    }
    const bool is_del = f->statement_id == f->map->writes[SOURCE_WRITE_DEL].statement_id &&
                        source_map_writes(f->map, SOURCE_WRITE_DEL); /* its row is the one gone */
    const bool may_store = has_row && !is_del && !flight_is_stale(f);
    f->is_void = false; /* what follows is our own doing */
    list_remove(&f->in_writes);
    forget(f);
    struct load_result done = {.status = LOAD_FOUND, .value = strview_of("", 0)};
    if (may_store) {
        fill_from_write(f, r->rows);
    }
    flight_finish(f, &done);
}

enum load_error write_failed(struct flight *f, enum load_error code)
{
    f->map->stats.write_errors++;
    if (f->state == FLIGHT_QUEUED || f->is_definite) {
        return code;
    }
    /* It may still be to come: no later than its time is up, as the database keeps to that. */
    settle_add_key(f->source, flight_key(f), 2 * map_load_timeout(f->map));
    forget(f);
    return LOAD_ERROR_UNKNOWN;
}
