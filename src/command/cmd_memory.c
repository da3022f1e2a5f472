/*
 * MEMORY DOCTOR MALLOC-STATS PURGE STATS USAGE, from the numbers of memory_report.h.
 *
 * STATS has Redis's fields in Redis's order, so that what reads them from Redis reads them here;
 * overheads that a log-structured store has instead of those of an allocator follow at the end.
 */
#include <stdio.h>

#include "args.h"
#include "handler.h"
#include "keyspace.h"
#include "memory_report.h"
#include "reply.h"
#include "table.h"

#define PURGE_SLICE_US 1000

/* ---- USAGE, PURGE ---------------------------------------------------------------------------- */

/* An entry is measured whole, whatever it holds; SAMPLES is accepted and makes no difference. */
static bool parse_samples(struct cmd_ctx *ctx)
{
    int64_t samples;
    for (int i = 3; i < ctx->argc; i += 2) {
        if (!arg_is(ctx, i, "samples") || i + 1 >= ctx->argc) {
            reply_error(ctx, ERROR_SYNTAX);
            return false;
        }
        if (!arg_i64(ctx, i + 1, &samples)) {
            return false;
        }
        if (samples < 0) {
            reply_error(ctx, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

void cmd_memory_usage(struct cmd_ctx *ctx)
{
    struct entry_view e;
    if (!parse_samples(ctx)) {
        return;
    }
    struct store_key key = key_at(ctx, 2);
    if (key_look(ctx, &key, false, &e)) {
        resp_write_int(ctx->reply, (int64_t)store_entry_memory(ctx->env->store, &key));
    } else {
        resp_write_null(ctx->reply);
    }
}

/* What one slice leaves is done by the next ticks. */
void cmd_memory_purge(struct cmd_ctx *ctx)
{
    (void)store_tick(ctx->env->store, PURGE_SLICE_US);
    resp_write_ok(ctx->reply);
}

/* ---- STATS ----------------------------------------------------------------------------------- */

struct fields {
    struct resp_writer *w;
    bool is_counting;
    size_t count;
};

/* True when the value is to be written. */
static bool put_name(struct fields *f, const char *name)
{
    f->count++;
    if (!f->is_counting) {
        resp_write_bulk_str(f->w, name);
    }
    return !f->is_counting;
}

static void put(struct fields *f, const char *name, uint64_t value)
{
    if (put_name(f, name)) {
        resp_write_int(f->w, (int64_t)value);
    }
}

static void put_difference(struct fields *f, const char *name, uint64_t a, uint64_t b)
{
    if (put_name(f, name)) {
        resp_write_int(f->w, (int64_t)a - (int64_t)b);
    }
}

static void put_ratio(struct fields *f, const char *name, double value)
{
    if (put_name(f, name)) {
        resp_write_double(f->w, value);
    }
}

/* The index is one table per database with keys and expiries in it; it is shown with the first. */
static void put_databases(struct fields *f, const struct command_env *env,
                          const struct memory_report *m)
{
    uint64_t index = m->store.bytes_index;
    for (unsigned db = 0; db < STORE_DATABASES; db++) {
        char name[8];
        size_t keys = store_count(env->store, db);
        if (keys == 0) {
            continue;
        }
        (void)snprintf(name, sizeof(name), "db.%u", db);
        if (put_name(f, name)) {
            resp_write_map(f->w, 2);
            resp_write_bulk_str(f->w, "overhead.hashtable.main");
            resp_write_int(f->w, (int64_t)((double)index * memory_ratio(keys, m->keys)));
            resp_write_bulk_str(f->w, "overhead.hashtable.expires");
            resp_write_int(f->w, 0);
        }
    }
}

static void put_allocator(struct fields *f, const struct memory_report *m)
{
    put(f, "allocator.allocated", m->used);
    put(f, "allocator.active", m->rss);
    put(f, "allocator.resident", m->rss);
    put_ratio(f, "allocator-fragmentation.ratio", memory_ratio(m->rss, m->used));
    put_difference(f, "allocator-fragmentation.bytes", m->rss, m->used);
    put_ratio(f, "allocator-rss.ratio", 1);
    put(f, "allocator-rss.bytes", 0);
    put_ratio(f, "rss-overhead.ratio", 1);
    put(f, "rss-overhead.bytes", 0);
    put_ratio(f, "fragmentation", memory_ratio(m->rss, m->used));
    put_difference(f, "fragmentation.bytes", m->rss, m->used);
}

static void put_parts(struct fields *f, const struct memory_report *m)
{
    struct memory_part parts[MEMORY_PARTS];
    memory_parts(m, parts);
    for (size_t i = 0; i < MEMORY_PARTS; i++) {
        put(f, parts[i].name, parts[i].bytes);
    }
}

static void put_stats(struct fields *f, const struct command_env *env,
                      const struct memory_report *m)
{
    const uint64_t grown = m->used > m->startup ? m->used - m->startup : 0;
    put(f, "peak.allocated", m->peak);
    put(f, "total.allocated", m->used);
    put(f, "startup.allocated", m->startup);
    put(f, "replication.backlog", 0);
    put(f, "clients.slaves", 0);
    put(f, "clients.normal", memory_clients(m));
    put(f, "cluster.links", 0);
    put(f, "aof.buffer", 0);
    put(f, "lua.caches", 0);
    put(f, "functions.caches", 0);
    put_databases(f, env, m);
    put(f, "overhead.total", m->overhead);
    put(f, "keys.count", m->keys);
    put(f, "keys.bytes-per-key", m->keys > 0 ? grown / m->keys : 0);
    put(f, "dataset.bytes", m->dataset);
    put_ratio(f, "dataset.percentage", 100 * memory_ratio(m->dataset, grown));
    put_ratio(f, "peak.percentage", 100 * memory_ratio(m->used, m->peak));
    put_allocator(f, m);
    put_parts(f, m);
}

void cmd_memory_stats(struct cmd_ctx *ctx)
{
    struct memory_report m;
    memory_report(ctx->env, &m);
    struct fields counted = {.w = ctx->reply, .is_counting = true};
    put_stats(&counted, ctx->env, &m);
    resp_write_map(ctx->reply, counted.count);
    struct fields written = {.w = ctx->reply};
    put_stats(&written, ctx->env, &m);
}

/* ---- texts ----------------------------------------------------------------------------------- */

void cmd_memory_malloc_stats(struct cmd_ctx *ctx)
{
    struct memory_report m;
    struct buf text;
    memory_report(ctx->env, &m);
    const struct {
        const char *what;
        uint64_t bytes;
    } parts[] = {
        {"segments: live entries", m.store.bytes_live},
        {"segments: dead bytes and unused room", m.store.bytes_dead},
        {"segments: empty, pages kept", m.log_spare},
        {"large values", m.store.bytes_large},
        {"values being freed", m.store.bytes_dropped},
        {"index", m.store.bytes_index},
        {"tables of the store", m.store.bytes_other},
        {"commands and their loads", m.commands},
        {"connections", m.beside.connections},
        {"client buffers (not part of maxmemory)", m.beside.client_buffers},
        {"sources", m.beside.sources},
        {"all of it (used_memory)", m.used},
        {"resident, as the kernel counts", m.rss},
    };
    buf_init(&text);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        buf_printf(&text, "%-40s %16llu\n", parts[i].what, (unsigned long long)parts[i].bytes);
    }
    resp_write_verbatim(ctx->reply, "txt", buf_view(&text));
    buf_fini(&text);
}

void cmd_memory_doctor(struct cmd_ctx *ctx)
{
    struct memory_report m;
    struct buf text;
    memory_report(ctx->env, &m);
    buf_init(&text);
    memory_doctor(ctx->env, &m, &text);
    resp_write_verbatim(ctx->reply, "txt", buf_view(&text));
    buf_fini(&text);
}
