/*
 * Rows come back in any order and are matched by the bulk column, byte for byte against the
 * parameter in the key's canonical spelling. A row that nobody asked for is counted and left out; a
 * key without a row is absent; two rows for one key are that key's own error. The keys of a batch
 * are of one database, so no two are the same.
 */
#include "bulk.h"

#include <assert.h>
#include <errno.h>

#define BUCKETS   256 /* of the look-up by parameter: power of two, above BULK_MAX */
#define NO_FLIGHT UINT8_MAX

static_assert(BULK_MAX < NO_FLIGHT && BULK_MAX < BUCKETS, "a flight's index fits, and one is free");

static bool is_bulk(const struct flight *f)
{
    return f->map != NULL && f->map->bulk_statement_id >= 0 && f->purpose == FLIGHT_READ &&
           !f->is_alone;
}

unsigned bulk_gather(const struct list *queue, struct flight *first, struct flight *out[BULK_MAX])
{
    unsigned count = 0;
    out[count++] = first;
    if (!is_bulk(first)) {
        return count;
    }
    for (struct list *it = first->in_queue.next; it != queue && count < BULK_MAX; it = it->next) {
        struct flight *f = container_of(it, struct flight, in_queue);
        if (f->map == first->map && f->db == first->db && is_bulk(f)) {
            out[count++] = f;
        }
    }
    return count;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* Parameter -> flight: open addressing over the flights of one batch. */
struct lookup {
    struct sources *s;
    struct strview params[BULK_MAX];
    uint8_t buckets[BUCKETS];
};

static uint8_t *find_bucket(struct lookup *l, struct strview param)
{
    size_t at = (size_t)store_hash(l->s->store, param);
    for (;; at++) {
        uint8_t *bucket = &l->buckets[at % BUCKETS];
        if (*bucket == NO_FLIGHT || strview_eq(l->params[*bucket], param)) {
            return bucket;
        }
    }
}

static void add_flights(struct lookup *l, struct flight *const *flights, unsigned count)
{
    memset(l->buckets, NO_FLIGHT, sizeof(l->buckets));
    for (unsigned i = 0; i < count; i++) {
        struct strview values[PATTERN_PARAMS_MAX];
        if (flights[i] != NULL &&
            pattern_match(&flights[i]->map->pattern, flight_key(flights[i]), SIZE_MAX, values)) {
            l->params[i] = values[0];
            *find_bucket(l, values[0]) = (uint8_t)i;
        }
    }
}

static unsigned column_index(const struct rows *r, const char *name)
{
    unsigned i = 0;
    while (i < r->columns && !strview_eq(rows_name(r, i), strview_str(name))) {
        i++;
    }
    return i;
}

void bulk_match(struct bulk_rows *out, struct flight *const *flights, unsigned count,
                const struct rows *rows)
{
    struct source_map *m = NULL;
    for (unsigned i = 0; i < count; i++) {
        m = flights[i] != NULL ? flights[i]->map : m;
    }
    *out = (struct bulk_rows){0};
    if (m == NULL) {
        return; /* nobody waits any more */
    }
    struct lookup l = {.s = m->source->owner};
    const unsigned column = column_index(rows, m->options.bulk);
    add_flights(&l, flights, count);
    for (unsigned i = 0; i < rows->count && column < rows->columns; i++) {
        const uint8_t owner = *find_bucket(&l, rows_bytes(rows, rows_cell(rows, i, column)));
        if (owner == NO_FLIGHT) {
            m->stats.bulk_orphans++;
        } else if (out->count[owner]++ == 0) {
            out->row[owner] = i;
        }
    }
}

/* ---- options --------------------------------------------------------------------------------- */

int bulk_check(const struct source_map *m, struct errtext *err)
{
    const struct map_options *o = &m->options;
    if (o->bulk[0] == '\0' && o->bulk_query[0] == '\0') {
        return 0;
    }
    const char *problem = NULL;
    const struct pattern *p = &m->pattern;
    const enum param_type type = p->params_count > 0 ? p->params[0].type : PARAM_BYTES;
    if (o->bulk[0] == '\0' || o->bulk_query[0] == '\0') {
        problem = "bulk and bulk-query need each other";
    } else if (p->params_count != 1) {
        problem = "bulk needs a pattern with one parameter";
    } else if (type == PARAM_BYTES || (type == PARAM_STR && o->canon[0] == '\0')) {
        problem = "bulk needs a parameter with one spelling (str only with canon)";
    } else if (o->as == SHAPE_JSONROWS) {
        problem = "bulk is not for jsonrows";
    } else if ((m->source->driver->abilities & DRIVER_CAN_BULK) == 0) {
        problem = "this driver has no bulk loads";
    }
    if (problem != NULL) {
        errtext_set(err, "%s", problem);
        return -EINVAL;
    }
    return 0;
}
