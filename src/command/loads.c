/*
 * Loads of a suspended command.
 *
 * The results are copied and kept until the command completes: a row that was answered but not
 * stored (too big, voided, cache full) still has to reach the client, and a key that was found
 * absent must not be asked for again by the next run of the same command. A failed load ends the
 * wait at once, because it decides the reply.
 *
 * A load of zero length results has bytes == NULL. The error of a result that could not be copied
 * is a static text.
 */
#include "loads.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct session_load *loads_find(const struct session_loads *loads, const struct store_key *k)
{
    struct session_load *load = loads != NULL ? loads->buckets[k->hash & (loads->buckets_count - 1)]
                                              : NULL;
    while (load != NULL && !(load->hash == k->hash && load->db == k->db && !load->is_forgotten &&
                             strview_eq(strview_of(load->key, load->key_len), k->key))) {
        load = load->next;
    }
    return load;
}

void loads_forget(struct session_loads *loads, const struct store_key *k)
{
    if (k != NULL) {
        struct session_load *load = loads_find(loads, k);
        if (load != NULL) {
            load->is_forgotten = true;
        }
        return;
    }
    for (size_t i = 0; i < loads->buckets_count; i++) {
        for (struct session_load *load = loads->buckets[i]; load != NULL; load = load->next) {
            load->is_forgotten = true;
        }
    }
}

const struct session_load *loads_first_pending(const struct session_loads *loads)
{
    for (size_t i = 0; loads != NULL && loads->pending > 0 && i < loads->buckets_count; i++) {
        for (const struct session_load *l = loads->buckets[i]; l != NULL; l = l->next) {
            if (!l->is_done) {
                return l;
            }
        }
    }
    return NULL;
}

/* Keeps a copy of what the source layer lends. */
static void keep_result(struct session_load *load, const struct load_result *r)
{
    const struct strview bytes = r->status == LOAD_FOUND ? r->value : r->error;
    load->is_done = true;
    load->status = r->status;
    load->type = r->type;
    load->sent_ms = r->sent_ms;
    if (r->status == LOAD_ABSENT || bytes.len == 0) {
        return;
    }
    load->bytes = malloc(bytes.len);
    if (load->bytes == NULL) {
        load->status = LOAD_FAILED;
        return;
    }
    memcpy(load->bytes, bytes.data, bytes.len);
    load->bytes_len = bytes.len;
    load->owner->env->loads_bytes += bytes.len;
}

static void on_done(struct load_waiter *w, const struct load_result *r)
{
    struct session_load *load = container_of(w, struct session_load, waiter);
    struct session_loads *loads = load->owner;
    struct session *s = loads->session;
    assert(!load->is_done);
    assert(loads->pending > 0);
    keep_result(load, r);
    loads->pending--;
    loads->pending_weight -= load->weight;
    const bool ends_wait = load->status == LOAD_FAILED && !loads->takes_failures;
    if ((s->flags & SESSION_BLOCKED) != 0 && (loads->pending == 0 || ends_wait)) {
        s->flags &= ~(unsigned)SESSION_BLOCKED;
        loads->env->stats.blocked_clients--;
        s->ops->resume(s);
    }
}

static struct session_loads *loads_of(struct cmd_ctx *ctx)
{
    struct session *s = ctx->session;
    if (s->loads == NULL) {
        struct session_loads *loads = malloc(sizeof(*loads));
        if (loads == NULL) {
            return NULL;
        }
        *loads = (struct session_loads){
            .session = s, .env = ctx->env, .buckets_count = LOADS_BUCKETS_MIN};
        loads->buckets = loads->few;
        ctx->env->loads_bytes += sizeof(*loads);
        s->loads = loads;
    }
    return s->loads;
}

void loads_take_failures(struct cmd_ctx *ctx)
{
    struct session_loads *loads = loads_of(ctx);
    if (loads != NULL) {
        loads->takes_failures = true;
    }
}

struct strview load_error(const struct session_load *load)
{
    assert(load->status == LOAD_FAILED);
    return load->bytes == NULL ? strview_str(ERROR_LOAD_MEMORY)
                               : strview_of(load->bytes, load->bytes_len);
}

/* Without memory for it the chains stay long. */
static void grow(struct session_loads *loads)
{
    const size_t count = loads->buckets_count * 8;
    struct session_load **buckets = calloc(count, sizeof(struct session_load *));
    if (buckets == NULL) {
        return;
    }
    for (size_t i = 0; i < loads->buckets_count; i++) {
        while (loads->buckets[i] != NULL) {
            struct session_load *load = loads->buckets[i];
            loads->buckets[i] = load->next;
            load->next = buckets[load->hash & (count - 1)];
            buckets[load->hash & (count - 1)] = load;
        }
    }
    if (loads->buckets != loads->few) {
        loads->env->loads_bytes -= loads->buckets_count * sizeof(struct session_load *);
        free(loads->buckets);
    }
    loads->env->loads_bytes += count * sizeof(struct session_load *);
    loads->buckets = buckets;
    loads->buckets_count = count;
}

static struct session_load *add_load(struct cmd_ctx *ctx, const struct store_key *k)
{
    struct session_loads *loads = loads_of(ctx);
    struct session_load *load = malloc(sizeof(*load) + k->key.len);
    if (loads == NULL || load == NULL) {
        free(load);
        return NULL;
    }
    if (loads->count++ >= loads->buckets_count * 2) {
        grow(loads);
    }
    struct session_load **bucket = &loads->buckets[k->hash & (loads->buckets_count - 1)];
    *load = (struct session_load){
        .next = *bucket,
        .owner = loads,
        .waiter = {.done = on_done, .client_weight = loads->pending_weight},
        .weight = SOURCE_LOAD_WEIGHT,
        .hash = k->hash,
        .db = k->db,
        .key_len = k->key.len,
    };
    memcpy(load->key, k->key.data, k->key.len);
    *bucket = load;
    ctx->env->loads_bytes += sizeof(*load) + load->key_len;
    return load;
}

static void on_started(struct session_load *load, enum load_start start,
                       const struct load_result *now)
{
    if (start == LOAD_WAITS) {
        load->owner->pending++;
        load->owner->pending_weight += load->weight;
    } else {
        keep_result(load, now);
    }
}

struct session_load *loads_start(struct cmd_ctx *ctx, struct source_map *m,
                                 const struct store_key *k, bool wants_new)
{
    struct load_result now = {0};
    struct session_load *load = add_load(ctx, k);
    if (load != NULL) {
        load->weight = source_map_weight(m);
        load->waiter.wants_new = wants_new;
        on_started(
            load,
            sources_load(ctx->env->sources, m, k, ctx->session->active_ms, &load->waiter, &now),
            &now);
    }
    return load;
}

const struct session_load *loads_await(struct cmd_ctx *ctx, struct strview name, load_starter start,
                                       void *arg)
{
    const struct store_key k = {.key = name, .db = STORE_DATABASES};
    struct session_loads *loads = ctx->session->loads;
    struct session_load *load = loads != NULL ? loads_find(loads, &k) : NULL;
    if (load == NULL) {
        struct load_result now = {0};
        load = add_load(ctx, &k);
        if (load == NULL) {
            ctx->load_error = strview_str(ERROR_LOAD_MEMORY);
            return NULL;
        }
        on_started(load, start(arg, &load->waiter, &now), &now);
    }
    if (!load->is_done) {
        ctx->loads_pending++;
        return NULL;
    }
    if (load->status == LOAD_FAILED) {
        ctx->load_error = load_error(load);
        return NULL;
    }
    return load;
}

void loads_suspend(struct session_loads *loads)
{
    assert(loads->pending > 0);
    loads->session->flags |= SESSION_BLOCKED;
    loads->env->stats.blocked_clients++;
}

void loads_fail_all(struct session *s, const char *error)
{
    const struct load_result failed = {.status = LOAD_FAILED, .error = strview_str(error)};
    for (size_t i = 0; i < s->loads->buckets_count; i++) {
        for (struct session_load *l = s->loads->buckets[i]; l != NULL; l = l->next) {
            if (!l->is_done) {
                load_waiter_cancel(&l->waiter);
                on_done(&l->waiter, &failed);
            }
        }
    }
}

void loads_drop(struct session *s)
{
    struct session_loads *loads = s->loads;
    if (loads == NULL) {
        return;
    }
    if ((s->flags & SESSION_BLOCKED) != 0) {
        s->flags &= ~(unsigned)SESSION_BLOCKED;
        loads->env->stats.blocked_clients--;
    }
    for (size_t i = 0; i < loads->buckets_count; i++) {
        while (loads->buckets[i] != NULL) {
            struct session_load *load = loads->buckets[i];
            loads->buckets[i] = load->next;
            load_waiter_cancel(&load->waiter);
            loads->env->loads_bytes -= sizeof(*load) + load->key_len + load->bytes_len;
            free(load->bytes);
            free(load);
        }
    }
    if (loads->buckets != loads->few) {
        loads->env->loads_bytes -= loads->buckets_count * sizeof(struct session_load *);
        free(loads->buckets);
    }
    loads->env->loads_bytes -= sizeof(*loads);
    free(loads);
    s->loads = NULL;
}
