/*
 * From configuration to a running layer: upstreams are opened, statements handed over, maps
 * checked.
 *
 * A check asks the database to prepare the map's statement. A database that answers "no" is a
 * mistake in the configuration and refuses the start; one that does not answer is not waited for
 * beyond its connect-timeout, and its maps are checked when they first load.
 */
#include "sources.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "feed.h"
#include "fence.h"
#include "flight.h"
#include "pump.h"
#include "tarn/base/log.h"
#include "write.h"

static int make_slots(struct source *src, struct errtext *err)
{
    const struct source_options *o = &src->options;
    bool can_pipeline = (src->driver->abilities & DRIVER_CAN_PIPELINE) != 0;
    src->connections = o->pool > 0 ? (unsigned)o->pool : src->driver->connections_default;
    src->capacity = src->connections * (can_pipeline ? (unsigned)o->driver.pipeline : 1);
    src->slots = calloc(src->capacity, sizeof(src->slots[0]));
    src->free_slots = calloc(src->capacity, sizeof(src->free_slots[0]));
    if (src->slots == NULL || src->free_slots == NULL) {
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    for (unsigned i = 0; i < src->capacity; i++) {
        src->free_slots[src->free_count++] = src->capacity - 1 - i;
    }
    return 0;
}

static struct driver_dsn_facts facts_of(const struct source *src)
{
    struct driver_dsn_facts facts = {0};
    if (src->driver->judge_dsn != NULL) {
        src->driver->judge_dsn(src->dsn, &facts);
    }
    return facts;
}

bool sources_have_passwords(const struct sources *s)
{
    bool have = false;
    for (size_t i = 0; i < s->sources_count && !have; i++) {
        have = facts_of(s->sources[i]).has_password;
    }
    return have;
}

int source_start(struct source *src, struct errtext *err)
{
    if (facts_of(src).is_exposed) {
        log_warning(
            "source '%s': rows and passwords cross a network that others may read; make its "
            "dsn insist on TLS, if the driver can",
            src->name);
    }
    int r = make_slots(src, err);
    if (r != 0) {
        return r;
    }
    struct upstream_config config = {
        .name = src->name,
        .dsn = src->dsn,
        .options = &src->options.driver,
        .loop = src->owner->loop,
        .events = {.ctx = src,
                   .done = source_on_done,
                   .state = source_on_state,
                   .feed = source_has_feed(src) ? source_on_feed : NULL},
        .connections = src->connections,
        .requests_max = src->capacity,
        .result_bytes_max = (size_t)src->options.inflight_memory,
    };
    source_feed_start(src);
    if (fences_init(src->owner) != 0) {
        errtext_set(err, "out of memory");
        return -ENOMEM;
    }
    return src->driver->open(&src->upstream, &config, err);
}

int map_start(struct source_map *m, struct errtext *err)
{
    m->statement_id = source_add_statement(m->source, buf_view(&m->statement),
                                           m->pattern.params_count, err);
    int r = m->statement_id < 0 ? m->statement_id : write_add_statements(m, err);
    if (r >= 0 && buf_len(&m->bulk_statement) > 0) {
        m->bulk_statement_id = source_add_statement(m->source, buf_view(&m->bulk_statement), 1,
                                                    err);
        r = m->bulk_statement_id;
    }
    source_feed_note_map(m);
    return r < 0 ? r : 0;
}

/* 0: fine. 1: no answer. -EINVAL with text: the map can never work. */
static int check_statement(struct source_map *m, struct driver_request *request,
                           struct errtext *err)
{
    struct source *src = m->source;
    struct sources *s = src->owner;
    int64_t wait_ms = src->options.driver.connect_timeout_ms;
    request->task = DRIVER_CHECK;
    request->timeout_ms = wait_ms;
    request->row_bytes_max = (size_t)m->options.max_row;
    s->check_map = m;
    s->check_is_bulk = request->takes_list;
    s->check_is_write = request->is_write;
    if (src->driver->load(src->upstream, request, 1) == 1) {
        src->driver->settle(src->upstream, wait_ms);
    }
    bool has_answer = s->check_map == NULL;
    s->check_map = NULL;
    if (!has_answer) {
        src->driver->cancel(src->upstream, request->id);
        log_warning("source '%s' did not answer the check of map '%s' in time", src->name, m->name);
        return 1;
    }
    if (s->check_status == DRIVER_ERROR) {
        *err = s->check_text;
        return -EINVAL;
    }
    if (s->check_status != DRIVER_OK) {
        log_warning("source '%s' is not ready: %s", src->name, s->check_text.text);
        return 1;
    }
    return 0;
}

static int check_writes(struct source_map *m, struct errtext *err)
{
    int r = 0;
    for (unsigned kind = 0; kind < SOURCE_WRITES && r == 0; kind++) {
        const struct map_write *w = &m->writes[kind];
        struct driver_request request = {.statement = (unsigned)w->statement_id,
                                         .params_count = w->params_count,
                                         .is_write = true,
                                         .needs_primary = true};
        if (source_map_writes(m, (enum source_write)kind)) {
            r = check_statement(m, &request, err);
        }
        if (r < 0) {
            errtext_prefix(err, "%s", write_option((enum source_write)kind));
        }
    }
    return r;
}

static int check_map(struct source_map *m, struct errtext *err)
{
    struct driver_request query = {.statement = (unsigned)m->statement_id,
                                   .params_count = m->pattern.params_count};
    int r = check_statement(m, &query, err);
    if (r == 0 && m->bulk_statement_id >= 0) {
        struct driver_request bulk = {
            .statement = (unsigned)m->bulk_statement_id, .params_count = 1, .takes_list = true};
        r = check_statement(m, &bulk, err);
        if (r < 0) {
            errtext_prefix(err, "bulk-query");
        }
    }
    return r == 0 ? check_writes(m, err) : r;
}

static int check_maps(struct source *src, struct errtext *err)
{
    struct sources *s = src->owner;
    for (size_t i = 0; i < s->maps_count; i++) {
        struct source_map *m = s->maps[i];
        if (m->source != src) {
            continue;
        }
        int r = check_map(m, err);
        if (r < 0) {
            errtext_prefix(err, "map %s", m->name);
            return r;
        }
        if (r > 0) {
            return 0; /* one wait per source is enough */
        }
    }
    return 0;
}

int sources_start(struct sources *s, struct errtext *err)
{
    assert(!s->is_running);
    for (size_t i = 0; i < s->sources_count; i++) {
        int r = source_start(s->sources[i], err);
        if (r != 0) {
            errtext_prefix(err, "source %s", s->sources[i]->name);
            return r;
        }
    }
    for (size_t i = 0; i < s->maps_count; i++) {
        int r = map_start(s->maps[i], err);
        if (r != 0) {
            return r;
        }
    }
    for (size_t i = 0; i < s->sources_count; i++) {
        int r = check_maps(s->sources[i], err);
        if (r != 0) {
            return r;
        }
    }
    s->is_running = true;
    return 0;
}
