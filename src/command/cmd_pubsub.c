/*
 * SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE SSUBSCRIBE SUNSUBSCRIBE PUBLISH SPUBLISH PUBSUB.
 *
 * Subscribing answers with one push per name, as Redis does; these pushes are the reply, and are
 * sent even when CLIENT REPLY has switched replies off. Shard channels are channels of their own
 * kind: there is one shard, this server.
 */
#include "observers.h"
#include "pubsub.h"
#include "reply.h"
#include "session_text.h"
#include "table.h"
#include "tarn/base/glob.h"

static const char *const join_words[] = {[TOPIC_CHANNEL] = "subscribe",
                                         [TOPIC_PATTERN] = "psubscribe",
                                         [TOPIC_SHARD_CHANNEL] = "ssubscribe"};
static const char *const leave_words[] = {[TOPIC_CHANNEL] = "unsubscribe",
                                          [TOPIC_PATTERN] = "punsubscribe",
                                          [TOPIC_SHARD_CHANNEL] = "sunsubscribe"};

static struct topics *topics_of(struct cmd_ctx *ctx, enum topic_kind kind)
{
    return &ctx->env->observers->topics[kind];
}

/* Where the answers of (un)subscribing go. */
static struct resp_writer answer_writer(struct cmd_ctx *ctx)
{
    struct resp_writer w = *ctx->reply;
    if ((ctx->session->flags & (SESSION_REPLY_OFF | SESSION_REPLY_SKIP)) != 0) {
        w.out = &ctx->env->observers->pending;
    }
    return w;
}

/* `name` NULL: there was nothing to leave. */
static void answer(struct cmd_ctx *ctx, enum topic_kind kind, const char *word,
                   const struct strview *name)
{
    const struct session *s = ctx->session;
    const size_t count = kind == TOPIC_SHARD_CHANNEL ? observers_count(s, TOPIC_SHARD_CHANNEL)
                                                     : observers_count(s, TOPIC_CHANNEL) +
                                                           observers_count(s, TOPIC_PATTERN);
    struct resp_writer w = answer_writer(ctx);
    resp_write_push(&w, 3);
    resp_write_bulk_str(&w, word);
    if (name != NULL) {
        resp_write_bulk(&w, *name);
    } else {
        resp_write_null(&w);
    }
    resp_write_int(&w, (int64_t)count);
}

/* ---- joining ---- */

static void join(struct cmd_ctx *ctx, enum topic_kind kind)
{
    struct interests *interests = observers_interests(ctx->session);
    if (interests == NULL) {
        reply_error(ctx, ERROR_NO_MEMORY);
        return;
    }
    for (int i = 1; i < ctx->argc; i++) {
        const struct store_key name = store_key_init(ctx->env->store, 0, ctx->argv[i]);
        struct membership *m;
        if (topics_join(topics_of(ctx, kind), &name, ctx->session, &interests->joined[kind], &m) ==
            TOPIC_REFUSED) {
            reply_error(ctx, "ERR too many subscriptions");
            break;
        }
        answer(ctx, kind, join_words[kind], &ctx->argv[i]);
    }
    pubsub_update_session(ctx->session);
}

void cmd_subscribe(struct cmd_ctx *ctx)
{
    join(ctx, TOPIC_CHANNEL);
}

void cmd_psubscribe(struct cmd_ctx *ctx)
{
    join(ctx, TOPIC_PATTERN);
}

void cmd_ssubscribe(struct cmd_ctx *ctx)
{
    join(ctx, TOPIC_SHARD_CHANNEL);
}

/* ---- leaving ---- */

static void leave_one(struct cmd_ctx *ctx, enum topic_kind kind, struct strview channel)
{
    const struct store_key name = store_key_init(ctx->env->store, 0, channel);
    struct topics *topics = topics_of(ctx, kind);
    const struct topic *topic = topics_find(topics, &name);
    struct membership *m = topic != NULL ? topics_find_member(topics, topic, ctx->session) : NULL;
    if (m != NULL) {
        topics_leave(topics, &ctx->session->interests->joined[kind], m);
    }
    answer(ctx, kind, leave_words[kind], &channel);
}

static void leave_all(struct cmd_ctx *ctx, enum topic_kind kind)
{
    if (observers_count(ctx->session, kind) == 0) {
        answer(ctx, kind, leave_words[kind], NULL);
        return;
    }
    struct joined *joined = &ctx->session->interests->joined[kind];
    while (!list_is_empty(&joined->list)) {
        struct membership *m = container_of(joined->list.next, struct membership, in_session);
        struct buf name; /* outlives its topic */
        buf_init(&name);
        buf_append_view(&name, m->topic->name.key);
        topics_leave(topics_of(ctx, kind), joined, m);
        const struct strview view = buf_view(&name);
        answer(ctx, kind, leave_words[kind], &view);
        buf_fini(&name);
    }
}

static void leave(struct cmd_ctx *ctx, enum topic_kind kind)
{
    for (int i = 1; i < ctx->argc; i++) {
        leave_one(ctx, kind, ctx->argv[i]);
    }
    if (ctx->argc == 1) {
        leave_all(ctx, kind);
    }
    pubsub_update_session(ctx->session);
}

void cmd_unsubscribe(struct cmd_ctx *ctx)
{
    leave(ctx, TOPIC_CHANNEL);
}

void cmd_punsubscribe(struct cmd_ctx *ctx)
{
    leave(ctx, TOPIC_PATTERN);
}

void cmd_sunsubscribe(struct cmd_ctx *ctx)
{
    leave(ctx, TOPIC_SHARD_CHANNEL);
}

/* ---- publishing ---- */

void cmd_publish(struct cmd_ctx *ctx)
{
    const size_t sent = pubsub_publish(ctx->env, TOPIC_CHANNEL, ctx->argv[1], ctx->argv[2]);
    resp_write_int(ctx->reply, (int64_t)sent);
}

void cmd_spublish(struct cmd_ctx *ctx)
{
    const size_t sent = pubsub_publish(ctx->env, TOPIC_SHARD_CHANNEL, ctx->argv[1], ctx->argv[2]);
    resp_write_int(ctx->reply, (int64_t)sent);
}

/* ---- looking ---- */

static void reply_channels(struct cmd_ctx *ctx, enum topic_kind kind)
{
    if (ctx->argc > 3) {
        reply_subcommand_error(ctx);
        return;
    }
    const size_t begin = reply_mark(ctx);
    size_t count = 0;
    list_for_each (link, &topics_of(ctx, kind)->all) {
        const struct topic *topic = container_of(link, struct topic, all);
        if (ctx->argc == 2 || glob_match(ctx->argv[2], topic->name.key)) {
            resp_write_bulk(ctx->reply, topic->name.key);
            count++;
        }
    }
    reply_array_of(ctx, begin, count);
}

void cmd_pubsub_channels(struct cmd_ctx *ctx)
{
    reply_channels(ctx, TOPIC_CHANNEL);
}

void cmd_pubsub_shardchannels(struct cmd_ctx *ctx)
{
    reply_channels(ctx, TOPIC_SHARD_CHANNEL);
}

static void reply_numbers(struct cmd_ctx *ctx, enum topic_kind kind)
{
    resp_write_array(ctx->reply, 2 * ((size_t)ctx->argc - 2));
    for (int i = 2; i < ctx->argc; i++) {
        const struct store_key name = store_key_init(ctx->env->store, 0, ctx->argv[i]);
        const struct topic *topic = topics_find(topics_of(ctx, kind), &name);
        resp_write_bulk(ctx->reply, ctx->argv[i]);
        resp_write_int(ctx->reply, topic != NULL ? (int64_t)topic->members_count : 0);
    }
}

void cmd_pubsub_numsub(struct cmd_ctx *ctx)
{
    reply_numbers(ctx, TOPIC_CHANNEL);
}

void cmd_pubsub_shardnumsub(struct cmd_ctx *ctx)
{
    reply_numbers(ctx, TOPIC_SHARD_CHANNEL);
}

void cmd_pubsub_numpat(struct cmd_ctx *ctx)
{
    resp_write_int(ctx->reply, (int64_t)topics_of(ctx, TOPIC_PATTERN)->by_name.count);
}
