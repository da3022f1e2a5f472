/*
 * See hotkeys.h. While it is on every command is timed (ATTENTION_TIMES) and its keys go into two
 * lists of the heaviest, one by time and one by bytes; a command with several keys costs each of
 * them an equal part. While it is off it costs nothing.
 */
#include "hotkeys.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "args.h"
#include "keyspace.h"
#include "observers.h"
#include "table.h"
#include "timing.h"

#define KEYS_FOLLOWED \
    10 /* times the number that is wanted: how many are weighed at the same time */

static int64_t to_us(struct timeval t)
{
    return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

/* Processor time of the process; zero when the kernel does not say. */
static void read_processor(int64_t *user_us, int64_t *system_us)
{
    struct rusage used;
    const bool is_known = getrusage(RUSAGE_SELF, &used) == 0;
    *user_us = is_known ? to_us(used.ru_utime) : 0;
    *system_us = is_known ? to_us(used.ru_stime) : 0;
}

static void destroy(struct hotkeys *h)
{
    if (h != NULL) {
        top_keys_fini(&h->by_time);
        top_keys_fini(&h->by_bytes);
        free(h);
    }
}

static struct hotkeys *create(const struct hotkeys_args *args)
{
    struct hotkeys *h = calloc(1, sizeof(*h));
    const unsigned cap = args->count * KEYS_FOLLOWED;
    if (h == NULL) {
        return NULL;
    }
    h->args = *args;
    if (((args->metrics & HOTKEYS_CPU) != 0 && !top_keys_init(&h->by_time, cap)) ||
        ((args->metrics & HOTKEYS_NET) != 0 && !top_keys_init(&h->by_bytes, cap))) {
        destroy(h);
        return NULL;
    }
    return h;
}

bool hotkeys_start(struct command_env *env, const struct hotkeys_args *args)
{
    struct hotkeys *h = create(args);
    if (h == NULL) {
        return false;
    }
    hotkeys_drop(env);
    h->is_active = true;
    h->began_ms = env->clock->mono_ms;
    h->began_wall_ms = env->clock->wall_ms;
    read_processor(&h->user_us, &h->system_us);
    env->observers->hotkeys = h;
    env->attention |= ATTENTION_HOTKEYS;
    timing_configure(env);
    return true;
}

void hotkeys_processor(const struct hotkeys *h, int64_t *user_us, int64_t *system_us)
{
    read_processor(user_us, system_us);
    *user_us -= h->user_us;
    *system_us -= h->system_us;
}

void hotkeys_stop(struct command_env *env)
{
    struct hotkeys *h = env->observers->hotkeys;
    int64_t user_us, system_us;
    if (h == NULL || !h->is_active) {
        return;
    }
    hotkeys_processor(h, &user_us, &system_us);
    h->user_us = user_us;
    h->system_us = system_us;
    h->is_active = false;
    h->ended_ms = env->clock->mono_ms;
    env->attention &= ~(unsigned)ATTENTION_HOTKEYS;
    timing_configure(env);
}

void hotkeys_drop(struct command_env *env)
{
    hotkeys_stop(env);
    destroy(env->observers->hotkeys);
    env->observers->hotkeys = NULL;
}

void hotkeys_tick(struct command_env *env)
{
    const struct hotkeys *h = env->observers->hotkeys;
    if (UNLIKELY(h != NULL) && h->is_active && h->args.duration_s > 0 &&
        env->clock->mono_ms - h->began_ms >= h->args.duration_s * 1000) {
        hotkeys_stop(env);
    }
}

size_t hotkeys_memory(const struct command_env *env)
{
    const struct hotkeys *h = env->observers->hotkeys;
    return h == NULL ? 0
                     : sizeof(*h) + top_keys_memory(&h->by_time) + top_keys_memory(&h->by_bytes);
}

void hotkeys_note(struct cmd_ctx *ctx)
{
    struct hotkeys *h = ctx->env->observers->hotkeys;
    const struct cmd_keys *k = &ctx->command->keys;
    if ((ctx->command->flags & CMD_SKIP_SLOWLOG) != 0) {
        return; /* EXEC: its commands were here already */
    }
    const uint64_t bytes = args_request_bytes(ctx) + ctx->sent + buf_len(ctx->reply->out) -
                           ctx->reply_start;
    h->total_ns += ctx->took_ns;
    h->total_bytes += bytes;
    const int last = command_last_key(ctx->command, ctx->argv, ctx->argc);
    if (last == 0 || (k->use & KEY_NOT_KEY) != 0 ||
        (h->args.sample > 1 && rng_below(&ctx->env->rng, (uint64_t)h->args.sample) != 0)) {
        return;
    }
    const uint64_t keys = (uint64_t)((last - k->first) / k->step + 1);
    for (int i = k->first; i <= last; i += k->step) {
        const struct store_key key = key_at(ctx, i);
        if ((h->args.metrics & HOTKEYS_CPU) != 0) {
            top_keys_add(&h->by_time, key.key, key.hash, ctx->took_ns / keys);
        }
        if ((h->args.metrics & HOTKEYS_NET) != 0) {
            top_keys_add(&h->by_bytes, key.key, key.hash, bytes / keys);
        }
    }
}
