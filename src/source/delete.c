/*
 * SOURCE DEL: a map or a source goes while the server runs.
 *
 * A map's loads end in failure, and its key pattern is anybody's. What is cached of it stays where it
 * is until it expires or is evicted, and is nothing to readers: its entries name the map's place and
 * an epoch that is over. So the place is kept, with the epoch, until another map takes both.
 *
 * A source goes when no map loads from it. The loop waits a moment for its helper threads; one that
 * hangs in its database is left behind with all that it uses.
 */
#include "sources.h"

#include <errno.h>
#include <string.h>

#include "deadline.h"

static void delete_map(struct sources *s, struct source_map *m)
{
    sources_invalidate_map(s, m);
    if (s->observer.map_invalidated != NULL) {
        s->observer.map_invalidated(s->observer.ctx, m);
    }
    if (s->warm.map == m) {
        (void)sources_warm_stop(s);
    }
    map_index_remove(&s->map_index, m);
    m->is_gone = true;
    m->options.error_hold_ms = 0; /* no failure of its loads is kept */
    deadlines_fail(&m->deadlines, "the map was deleted");
    if (s->warm.map == m) {
        s->warm.map = NULL;
    }
    map_clear(m);
    m->source = NULL;
}

static const struct source_map *find_user(const struct sources *s, const struct source *src)
{
    for (size_t i = 0; i < s->maps_count; i++) {
        if (s->maps[i]->source == src) {
            return s->maps[i];
        }
    }
    return NULL;
}

static void delete_source(struct sources *s, struct source *src)
{
    size_t at = 0;
    while (s->sources[at] != src) {
        at++;
    }
    deadlines_fail(&src->deadlines, "the source was deleted");
    s->sources_count--;
    memmove(&s->sources[at], &s->sources[at + 1], (s->sources_count - at) * sizeof(s->sources[0]));
    source_destroy(src, SOURCE_DEL_WAIT_MS);
}

int sources_delete(struct sources *s, struct strview name, struct errtext *err)
{
    struct source_map *m = sources_map_by_name(s, name);
    struct source *src = source_find(s, name);
    if (m != NULL) {
        delete_map(s, m);
        return 0;
    }
    if (src == NULL) {
        errtext_set(err, "there is no source and no map of that name");
        return -EINVAL;
    }
    const struct source_map *user = find_user(s, src);
    if (user != NULL) {
        errtext_set(err, "map '%s' loads from this source", user->name);
        return -EBUSY;
    }
    delete_source(s, src);
    return 0;
}
