/*
 * See tracking.h. The table holds ids, not sessions: an id whose session has gone is met and
 * dropped when its key changes or leaves the table, so a client with a million keys costs nothing
 * when it disconnects. The ids of a key are sorted.
 *
 * The table is bounded by tracking-table-max-keys: the oldest keys leave first, and their readers
 * are told to forget them. A flush tells everybody to forget everything and drops the table, whose
 * memory is given back in slices.
 *
 * Keys are tracked by name whatever their database, as in Redis.
 */
#include "tracking.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "observers.h"
#include "table.h"

#define CHANGED_MAX   4096 /* keys kept for the end of the turn before they are sent */
#define FREED_AT_ONCE 4096 /* dropped keys given back per turn */
#define LEAVE_AT_ONCE 2    /* oldest keys that make room for a new one */
#define IDS_MIN       2

#define INVALIDATE_CHANNEL "__redis__:invalidate"

struct tracked_key {
    struct hmap_link by_key;
    struct list by_age;
    uint64_t *ids; /* owned; sorted */
    uint32_t count, cap;
    size_t len;
    char key[];
};

struct changed_key {
    struct hmap_link by_key;
    struct list in_order;
    const struct session *by; /* only compared; NULL when several changed it, or nobody */
    size_t len;
    char key[];
};

static struct tracking *tracking_of(const struct command_env *env)
{
    return &env->observers->tracking;
}

void tracking_init(struct tracking *t)
{
    *t = (struct tracking){0};
    list_init(&t->by_age);
    list_init(&t->dropped);
    list_init(&t->changed_in);
}

static size_t key_bytes(const struct tracked_key *k)
{
    return sizeof(*k) + k->len + k->cap * sizeof(*k->ids);
}

static void free_key(struct tracking *t, struct tracked_key *k)
{
    t->bytes -= key_bytes(k);
    list_remove(&k->by_age);
    free(k->ids);
    free(k);
}

static void free_dropped(struct tracking *t, size_t count)
{
    for (size_t i = 0; i < count && !list_is_empty(&t->dropped); i++) {
        free_key(t, container_of(t->dropped.next, struct tracked_key, by_age));
    }
}

/* Forgets all keys at once; their memory follows. */
static void drop_table(struct tracking *t)
{
    list_splice_back(&t->dropped, &t->by_age);
    hmap_fini(&t->keys);
    t->items = 0;
}

static void forget_changed(struct tracking *t)
{
    while (!list_is_empty(&t->changed_in)) {
        struct changed_key *c = container_of(t->changed_in.next, struct changed_key, in_order);
        list_remove(&c->in_order);
        t->bytes -= sizeof(*c) + c->len;
        free(c);
    }
    hmap_fini(&t->changed);
}

void tracking_fini(struct tracking *t)
{
    assert(t->sessions.count == 0);
    drop_table(t);
    free_dropped(t, SIZE_MAX);
    forget_changed(t);
}

/* ---- sessions ---- */

static uint64_t hash_of_id(uint64_t id)
{
    return id * UINT64_C(0x9e3779b97f4a7c15) >> 16;
}

struct session *tracking_find(const struct command_env *env, uint64_t id)
{
    struct hmap_link *l = hmap_first(&tracking_of(env)->sessions, hash_of_id(id));
    for (; l != NULL; l = hmap_next(l)) {
        struct session *s = container_of(l, struct session_tracking, by_id)->session;
        if (s->id == id) {
            return s;
        }
    }
    return NULL;
}

bool tracking_register(struct command_env *env, struct session *s)
{
    struct interests *interests = observers_interests(s);
    if (interests == NULL) {
        return false;
    }
    struct session_tracking *own = &interests->tracking;
    if (own->session != NULL) {
        return true;
    }
    if (!hmap_insert(&tracking_of(env)->sessions, &own->by_id, hash_of_id(s->id))) {
        return false;
    }
    own->session = s;
    return true;
}

void tracking_enable(struct command_env *env, struct session *s, unsigned flags, uint64_t redirect)
{
    struct session_tracking *own = &s->interests->tracking;
    assert(own->session == s);
    if ((s->flags & SESSION_TRACKING) == 0) {
        s->flags |= SESSION_TRACKING;
        tracking_of(env)->sessions_count++;
    }
    own->flags = flags;
    own->redirect = redirect;
    env->observed |= OBSERVED_TRACKING;
}

void tracking_disable(struct command_env *env, struct session *s)
{
    if ((s->flags & SESSION_TRACKING) == 0) {
        return;
    }
    struct tracking *t = tracking_of(env);
    s->flags &= ~(unsigned)SESSION_TRACKING;
    s->interests->tracking.flags = 0;
    s->interests->tracking.redirect = 0;
    topics_leave_all(&env->observers->topics[TOPIC_PREFIX], &s->interests->joined[TOPIC_PREFIX]);
    t->sessions_count--;
    if (t->sessions_count == 0) {
        drop_table(t);
        forget_changed(t);
        env->observed &= ~(unsigned)OBSERVED_TRACKING;
    }
}

void tracking_forget(struct command_env *env, struct session *s)
{
    tracking_disable(env, s);
    struct session_tracking *own = &s->interests->tracking;
    if (own->session != NULL) {
        hmap_remove(&tracking_of(env)->sessions, &own->by_id);
        own->session = NULL;
    }
}

/* ---- messages ---- */

static void tell_broken(struct command_env *env, struct session *s)
{
    struct resp_writer w;
    s->interests->tracking.flags |= TRACKING_BROKEN;
    if (s->resp_version > 2 && observers_push_begin(env, s, &w)) {
        resp_write_push(&w, 2);
        resp_write_bulk_str(&w, "tracking-redir-broken");
        resp_write_int(&w, (int64_t)s->interests->tracking.redirect);
        observers_push_end(env, s);
    }
}

/* Begins an invalidation for the session, or for the one it redirects to (*to_out). The array of
 * keys, or a null, is to follow. False: it cannot be told. */
static bool begin_message(struct command_env *env, struct session *s, struct session **to_out,
                          struct resp_writer *w)
{
    struct session *to = s;
    if (s->interests->tracking.redirect != 0) {
        to = tracking_find(env, s->interests->tracking.redirect);
        if (to == NULL) {
            tell_broken(env, s);
            return false;
        }
    }
    const bool is_message = to->resp_version == 2;
    if (is_message && (to == s || (to->flags & SESSION_SUBSCRIBER) == 0)) {
        return false;
    }
    if (!observers_push_begin(env, to, w)) {
        return false;
    }
    resp_write_push(w, is_message ? 3 : 2);
    resp_write_bulk_str(w, is_message ? "message" : "invalidate");
    if (is_message) {
        resp_write_bulk_str(w, INVALIDATE_CHANNEL);
    }
    *to_out = to;
    return true;
}

static void tell_key(struct command_env *env, struct session *s, struct strview key)
{
    struct resp_writer w;
    struct session *to;
    if (begin_message(env, s, &to, &w)) {
        resp_write_array(&w, 1);
        resp_write_bulk(&w, key);
        observers_push_end(env, to);
    }
}

/* ---- the table ---- */

static struct tracked_key *find_key(const struct tracking *t, uint64_t hash, struct strview key)
{
    for (struct hmap_link *l = hmap_first(&t->keys, hash); l != NULL; l = hmap_next(l)) {
        struct tracked_key *k = container_of(l, struct tracked_key, by_key);
        if (strview_eq(strview_of(k->key, k->len), key)) {
            return k;
        }
    }
    return NULL;
}

/* Tells the readers of the key, except `by` when it asked not to be told of its own changes, and
 * takes the key out of the table. */
static void retire_key(struct command_env *env, struct tracked_key *k, const struct session *by)
{
    struct tracking *t = tracking_of(env);
    for (uint32_t i = 0; i < k->count; i++) {
        struct session *s = tracking_find(env, k->ids[i]);
        if (s == NULL || (s->flags & SESSION_TRACKING) == 0) {
            continue;
        }
        const unsigned flags = s->interests->tracking.flags;
        if ((flags & TRACKING_BCAST) == 0 && !(s == by && (flags & TRACKING_NOLOOP) != 0)) {
            tell_key(env, s, strview_of(k->key, k->len));
        }
    }
    t->items -= k->count;
    hmap_remove(&t->keys, &k->by_key);
    free_key(t, k);
}

static void make_room(struct command_env *env, size_t at_most)
{
    struct tracking *t = tracking_of(env);
    const size_t max = (size_t)env->command_options->tracking_table_max_keys;
    for (size_t i = 0; i < at_most && max > 0 && t->keys.count > max; i++) {
        retire_key(env, container_of(t->by_age.next, struct tracked_key, by_age), NULL);
    }
}

static struct tracked_key *add_key(struct tracking *t, uint64_t hash, struct strview key)
{
    struct tracked_key *k = malloc(sizeof(*k) + key.len);
    if (k == NULL) {
        return NULL;
    }
    *k = (struct tracked_key){.len = key.len};
    if (key.len > 0) {
        memcpy(k->key, key.data, key.len);
    }
    if (!hmap_insert(&t->keys, &k->by_key, hash)) {
        free(k);
        return NULL;
    }
    list_push_back(&t->by_age, &k->by_age);
    t->bytes += key_bytes(k);
    return k;
}

/* The place of `id` among the ids, or where it belongs. */
static uint32_t place_of(const struct tracked_key *k, uint64_t id)
{
    uint32_t low = 0, high = k->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (k->ids[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool add_id(struct tracking *t, struct tracked_key *k, uint64_t id)
{
    const uint32_t at = place_of(k, id);
    if (at < k->count && k->ids[at] == id) {
        return true;
    }
    if (k->count == k->cap) {
        const uint32_t cap = k->cap == 0 ? IDS_MIN : 2 * k->cap; /* at most one per session */
        uint64_t *more = realloc(k->ids, cap * sizeof(*more));
        if (more == NULL) {
            return false;
        }
        t->bytes += (cap - k->cap) * sizeof(*more);
        k->ids = more;
        k->cap = cap;
    }
    memmove(k->ids + at + 1, k->ids + at, (k->count - at) * sizeof(*k->ids));
    k->ids[at] = id;
    k->count++;
    t->items++;
    return true;
}

/* A reader that cannot be remembered is told at once that its copy is not good. */
static void remember(struct command_env *env, struct session *s, struct strview key)
{
    struct tracking *t = tracking_of(env);
    const uint64_t hash = store_hash(env->store, key);
    struct tracked_key *k = find_key(t, hash, key);
    const bool is_new = k == NULL;
    if (is_new) {
        k = add_key(t, hash, key);
    }
    if (k == NULL || !add_id(t, k, s->id)) {
        tell_key(env, s, key);
    }
    if (is_new) {
        make_room(env, LEAVE_AT_ONCE);
    }
}

void tracking_after_command(struct cmd_ctx *ctx)
{
    struct session *s = ctx->session;
    const struct command *c = ctx->command;
    const unsigned flags = s->interests->tracking.flags;
    const bool is_caching = (flags & TRACKING_CACHING) != 0;
    if ((c->flags & CMD_READONLY) == 0 || (flags & TRACKING_BCAST) != 0 ||
        ((flags & TRACKING_OPTIN) != 0 && !is_caching) ||
        ((flags & TRACKING_OPTOUT) != 0 && is_caching)) {
        return;
    }
    const int last = command_last_key(c, ctx->argv, ctx->argc);
    for (int i = c->keys.first; i > 0 && i <= last; i += c->keys.step) {
        remember(ctx->env, s, ctx->argv[i]);
    }
}

void tracking_command_end(struct cmd_ctx *ctx)
{
    struct session *s = ctx->session;
    const struct command *c = ctx->command;
    const bool is_client = c != NULL && (c->id == COMMAND_ID_client ||
                                         (c->parent != NULL && c->parent->id == COMMAND_ID_client));
    if ((s->flags & SESSION_IN_MULTI) == 0 && !is_client) {
        s->interests->tracking.flags &= ~(unsigned)TRACKING_CACHING;
    }
}

/* ---- BCAST ---- */

static struct changed_key *find_changed(const struct tracking *t, uint64_t hash, struct strview key)
{
    for (struct hmap_link *l = hmap_first(&t->changed, hash); l != NULL; l = hmap_next(l)) {
        struct changed_key *c = container_of(l, struct changed_key, by_key);
        if (strview_eq(strview_of(c->key, c->len), key)) {
            return c;
        }
    }
    return NULL;
}

static bool any_prefix_matches(const struct command_env *env, struct strview key)
{
    list_for_each (link, &env->observers->topics[TOPIC_PREFIX].all) {
        const struct topic *prefix = container_of(link, struct topic, all);
        if (strview_starts_with(key, prefix->name.key)) {
            return true;
        }
    }
    return false;
}

/* The keys that begin with the prefix and were not changed by `self` alone. */
static size_t count_changed(const struct tracking *t, struct strview prefix,
                            const struct session *self)
{
    size_t count = 0;
    list_for_each (link, &t->changed_in) {
        const struct changed_key *c = container_of(link, struct changed_key, in_order);
        count += strview_starts_with(strview_of(c->key, c->len), prefix) &&
                 (self == NULL || c->by != self);
    }
    return count;
}

static void tell_changed(struct command_env *env, struct session *s, struct strview prefix)
{
    const struct tracking *t = tracking_of(env);
    const bool is_noloop = (s->interests->tracking.flags & TRACKING_NOLOOP) != 0;
    const struct session *self = is_noloop ? s : NULL;
    const size_t count = count_changed(t, prefix, self);
    struct resp_writer w;
    struct session *to;
    if (count == 0 || !begin_message(env, s, &to, &w)) {
        return;
    }
    resp_write_array(&w, count);
    list_for_each (link, &t->changed_in) {
        const struct changed_key *c = container_of(link, struct changed_key, in_order);
        const struct strview key = strview_of(c->key, c->len);
        if (strview_starts_with(key, prefix) && (self == NULL || c->by != self)) {
            resp_write_bulk(&w, key);
        }
    }
    observers_push_end(env, to);
}

static void broadcast(struct command_env *env)
{
    list_for_each (link, &env->observers->topics[TOPIC_PREFIX].all) {
        const struct topic *prefix = container_of(link, struct topic, all);
        list_for_each (it, &prefix->members) {
            const struct membership *m = container_of(it, struct membership, in_topic);
            tell_changed(env, m->session, prefix->name.key);
        }
    }
    forget_changed(tracking_of(env));
}

/* Keeps the key for the end of the turn; without memory everybody is told to forget everything. */
static void keep_changed(struct command_env *env, struct strview key, const struct session *by)
{
    struct tracking *t = tracking_of(env);
    const uint64_t hash = store_hash(env->store, key);
    struct changed_key *c = find_changed(t, hash, key);
    if (c != NULL) {
        c->by = c->by == by ? by : NULL;
        return;
    }
    c = malloc(sizeof(*c) + key.len);
    if (c == NULL || !hmap_insert(&t->changed, &c->by_key, hash)) {
        free(c);
        tracking_invalidate_all(env);
        return;
    }
    c->by = by;
    c->len = key.len;
    if (key.len > 0) {
        memcpy(c->key, key.data, key.len);
    }
    c->in_order = (struct list){0};
    list_push_back(&t->changed_in, &c->in_order);
    t->bytes += sizeof(*c) + c->len;
    if (t->changed.count >= CHANGED_MAX) {
        broadcast(env);
    }
}

/* ---- changes ---- */

static void tell_readers(struct command_env *env, struct strview key, const struct session *by)
{
    struct tracking *t = tracking_of(env);
    struct tracked_key *k = t->keys.count > 0 ? find_key(t, store_hash(env->store, key), key)
                                              : NULL;
    if (k != NULL) {
        retire_key(env, k, by);
    }
}

void tracking_invalidate(struct command_env *env, struct strview key, const struct session *by)
{
    if (any_prefix_matches(env, key)) {
        keep_changed(env, key, by);
    }
    tell_readers(env, key, by);
}

/* A first load is no change to those who name prefixes: the one who asked would have to forget what
 * it is about to be given. */
void tracking_row_loaded(struct command_env *env, struct strview key, bool was_there)
{
    if (was_there) {
        tracking_invalidate(env, key, NULL);
    } else {
        tell_readers(env, key, NULL);
    }
}

void tracking_invalidate_all(struct command_env *env)
{
    struct tracking *t = tracking_of(env);
    list_for_each (link, &env->sessions) {
        struct session *s = container_of(link, struct session, link);
        struct resp_writer w;
        struct session *to;
        if ((s->flags & SESSION_TRACKING) != 0 && begin_message(env, s, &to, &w)) {
            resp_write_null(&w);
            observers_push_end(env, to);
        }
    }
    drop_table(t);
    forget_changed(t);
}

void tracking_turn_end(struct command_env *env)
{
    struct tracking *t = tracking_of(env);
    if (t->changed.count > 0) {
        broadcast(env);
    }
    make_room(env, FREED_AT_ONCE);
    free_dropped(t, FREED_AT_ONCE);
}
