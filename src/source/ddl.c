/*
 * SOURCE DDL: what to paste into the database so that it reports changes of a map's rows. The map
 * names its table; a parameter of its pattern is the column of that name. How a database is told is
 * the driver's business.
 */
#include "tarn/source/source.h"

#include <errno.h>

#include "sources.h"

static void add_literal(struct driver_ddl *d, struct strview text)
{
    if (text.len > 0) {
        d->parts[d->parts_count++] = (struct driver_ddl_part){.text = text};
    }
}

static void add_pattern(struct driver_ddl *d, const struct pattern *p)
{
    add_literal(d, p->prefix);
    for (unsigned i = 0; i < p->params_count; i++) {
        d->parts[d->parts_count++] = (struct driver_ddl_part){.text = p->params[i].name,
                                                              .is_column = true};
        add_literal(d, p->params[i].literal_after);
    }
}

static int refuse(struct errtext *err, const char *why)
{
    errtext_set(err, "%s", why);
    return -EINVAL;
}

int sources_ddl(struct sources *s, struct strview map, struct buf *out, struct errtext *err)
{
    const struct source_map *m = sources_map_by_name(s, map);
    if (m == NULL) {
        return refuse(err, "there is no such map");
    }
    if (m->options.table[0] == '\0') {
        return refuse(err, "the map does not say whose rows it loads: set its option 'table'");
    }
    const struct source *src = m->source;
    if (src->options.driver.feed == DRIVER_FEED_NONE || src->driver->ddl == NULL) {
        return refuse(err, "the source has no feed that triggers could write to: set 'invalidate'");
    }
    for (unsigned i = 0; i < m->pattern.params_count; i++) {
        if (m->pattern.params[i].type == PARAM_BYTES) {
            return refuse(err, "keys with a parameter of type bytes cannot be written by triggers");
        }
    }
    struct driver_ddl ddl = {
        .map = m->name, .table = m->options.table, .options = &src->options.driver};
    add_pattern(&ddl, &m->pattern);
    src->driver->ddl(&ddl, out);
    return out->failed ? -ENOMEM : 0;
}
