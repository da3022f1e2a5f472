/*
 * CLIENT TRACKING CACHING GETREDIR TRACKINGINFO.
 *
 * Everything about a call is checked before anything is changed; the texts of the many refusals are
 * Redis's.
 */
#include "args.h"
#include "observers.h"
#include "reply.h"
#include "session_text.h"
#include "table.h"
#include "tarn/base/num.h"
#include "tracking.h"

struct tracking_args {
    unsigned flags;
    uint64_t redirect;
    bool has_prefix;
};

static bool parse_redirect(struct cmd_ctx *ctx, int i, struct tracking_args *out)
{
    int64_t id;
    if (out->redirect != 0) {
        reply_error(ctx, "ERR A client can only redirect to a single other client");
        return false;
    }
    if (!arg_i64(ctx, i, &id)) {
        return false;
    }
    list_for_each (link, &ctx->env->sessions) {
        struct session *s = container_of(link, struct session, link);
        if (id > 0 && s->id == (uint64_t)id) {
            out->redirect = s->id;
            if (!tracking_register(ctx->env, s)) {
                reply_error(ctx, ERROR_NO_MEMORY);
                return false;
            }
            return true;
        }
    }
    reply_error(ctx, "ERR The client ID you want redirect to does not exist");
    return false;
}

/* Options behind ON or OFF; prefixes are only looked at. */
static bool parse_options(struct cmd_ctx *ctx, struct tracking_args *out)
{
    static const struct {
        const char *word;
        unsigned flag;
    } words[] = {{"bcast", TRACKING_BCAST},
                 {"optin", TRACKING_OPTIN},
                 {"optout", TRACKING_OPTOUT},
                 {"noloop", TRACKING_NOLOOP}};
    *out = (struct tracking_args){0};
    for (int i = 3; i < ctx->argc; i++) {
        size_t k = 0;
        while (k < ARRAY_LEN(words) && !arg_is(ctx, i, words[k].word)) {
            k++;
        }
        if (k < ARRAY_LEN(words)) {
            out->flags |= words[k].flag;
        } else if (arg_is(ctx, i, "redirect") && i + 1 < ctx->argc) {
            if (!parse_redirect(ctx, ++i, out)) {
                return false;
            }
        } else if (arg_is(ctx, i, "prefix") && i + 1 < ctx->argc) {
            out->has_prefix = true;
            i++;
        } else {
            reply_error(ctx, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

static const char *misfit_of(const struct session *s, const struct tracking_args *args)
{
    const unsigned wanted = args->flags;
    const bool is_on = (s->flags & SESSION_TRACKING) != 0;
    const unsigned present = is_on ? s->interests->tracking.flags : 0;
    if ((wanted & TRACKING_BCAST) == 0 && args->has_prefix) {
        return "ERR PREFIX option requires BCAST mode to be enabled";
    }
    if (is_on && ((wanted ^ present) & TRACKING_BCAST) != 0) {
        return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, "
               "and then re-enabling it with a different mode.";
    }
    if ((wanted & TRACKING_BCAST) != 0 && (wanted & (TRACKING_OPTIN | TRACKING_OPTOUT)) != 0) {
        return "ERR OPTIN and OPTOUT are not compatible with BCAST";
    }
    if ((wanted & TRACKING_OPTIN) != 0 && (wanted & TRACKING_OPTOUT) != 0) {
        return "ERR You can't specify both OPTIN mode and OPTOUT mode";
    }
    if (((wanted & TRACKING_OPTIN) != 0 && (present & TRACKING_OPTOUT) != 0) ||
        ((wanted & TRACKING_OPTOUT) != 0 && (present & TRACKING_OPTIN) != 0)) {
        return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, "
               "and then re-enabling it with a different mode.";
    }
    return NULL;
}

/* ---- prefixes ---- */

/* The next PREFIX behind argument `i` (0: the first): the index of its value, 0 at the end. */
static int next_prefix(const struct cmd_ctx *ctx, int i)
{
    for (i = i == 0 ? 3 : i + 1; i + 1 < ctx->argc; i++) {
        if (arg_is(ctx, i, "redirect")) {
            i++;
        } else if (arg_is(ctx, i, "prefix")) {
            return i + 1;
        }
    }
    return 0;
}

static bool overlaps(struct strview a, struct strview b)
{
    return strview_starts_with(a, b) || strview_starts_with(b, a);
}

static bool refuse_overlap(struct cmd_ctx *ctx, struct strview prefix, const char *with_what,
                           struct strview other)
{
    const struct strview one = word_shown(prefix, SHOWN_MAX), two = word_shown(other, SHOWN_MAX);
    resp_write_errorf(ctx->reply,
                      "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single "
                      "client must not overlap.",
                      STRVIEW_ARG(one), with_what, STRVIEW_ARG(two));
    return false;
}

static bool check_prefixes(struct cmd_ctx *ctx)
{
    for (int i = next_prefix(ctx, 0); i > 0; i = next_prefix(ctx, i)) {
        const struct strview prefix = ctx->argv[i];
        if (ctx->session->interests != NULL) {
            list_for_each (link, &ctx->session->interests->joined[TOPIC_PREFIX].list) {
                const struct topic *own = container_of(link, struct membership, in_session)->topic;
                if (overlaps(prefix, own->name.key)) {
                    return refuse_overlap(ctx, prefix, "an existing", own->name.key);
                }
            }
        }
        for (int k = next_prefix(ctx, i); k > 0; k = next_prefix(ctx, k)) {
            if (overlaps(prefix, ctx->argv[k])) {
                return refuse_overlap(ctx, prefix, "another provided", ctx->argv[k]);
            }
        }
    }
    return true;
}

static bool join_prefix(struct cmd_ctx *ctx, struct strview prefix)
{
    const struct store_key name = store_key_init(ctx->env->store, 0, prefix);
    struct membership *m;
    return topics_join(&ctx->env->observers->topics[TOPIC_PREFIX], &name, ctx->session,
                       &ctx->session->interests->joined[TOPIC_PREFIX], &m) != TOPIC_REFUSED;
}

static bool join_prefixes(struct cmd_ctx *ctx)
{
    int i = next_prefix(ctx, 0);
    if (i == 0) {
        return observers_count(ctx->session, TOPIC_PREFIX) > 0 ||
               join_prefix(ctx, strview_of("", 0));
    }
    for (; i > 0; i = next_prefix(ctx, i)) {
        if (!join_prefix(ctx, ctx->argv[i])) {
            return false;
        }
    }
    return true;
}

/* ---- commands ---- */

static void switch_on(struct cmd_ctx *ctx, const struct tracking_args *args)
{
    struct session *s = ctx->session;
    const char *misfit = misfit_of(s, args);
    const bool is_bcast = (args->flags & TRACKING_BCAST) != 0;
    if (misfit != NULL) {
        reply_error(ctx, misfit);
    } else if (is_bcast && !check_prefixes(ctx)) {
        return;
    } else if (!tracking_register(ctx->env, s) || (is_bcast && !join_prefixes(ctx))) {
        reply_error(ctx, ERROR_NO_MEMORY);
    } else {
        tracking_enable(ctx->env, s, args->flags, args->redirect);
        resp_write_ok(ctx->reply);
    }
}

void cmd_client_tracking(struct cmd_ctx *ctx)
{
    struct tracking_args args;
    if (!parse_options(ctx, &args)) {
        return;
    }
    if (arg_is(ctx, 2, "on")) {
        switch_on(ctx, &args);
    } else if (arg_is(ctx, 2, "off")) {
        tracking_disable(ctx->env, ctx->session);
        resp_write_ok(ctx->reply);
    } else {
        reply_error(ctx, ERROR_SYNTAX);
    }
}

void cmd_client_caching(struct cmd_ctx *ctx)
{
    const struct session *s = ctx->session;
    if ((s->flags & SESSION_TRACKING) == 0) {
        reply_error(ctx, "ERR CLIENT CACHING can be called only when the client is in tracking "
                         "mode with OPTIN or OPTOUT mode enabled");
        return;
    }
    struct session_tracking *own = &s->interests->tracking;
    const bool is_yes = arg_is(ctx, 2, "yes");
    if (!is_yes && !arg_is(ctx, 2, "no")) {
        reply_error(ctx, ERROR_SYNTAX);
    } else if (is_yes && (own->flags & TRACKING_OPTIN) == 0) {
        reply_error(ctx, "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN "
                         "mode.");
    } else if (!is_yes && (own->flags & TRACKING_OPTOUT) == 0) {
        reply_error(ctx, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT "
                         "mode.");
    } else {
        own->flags |= TRACKING_CACHING;
        resp_write_ok(ctx->reply);
    }
}

void cmd_client_getredir(struct cmd_ctx *ctx)
{
    const struct session *s = ctx->session;
    const bool is_on = (s->flags & SESSION_TRACKING) != 0;
    resp_write_int(ctx->reply, is_on ? (int64_t)s->interests->tracking.redirect : -1);
}

static size_t flag_words(const struct session *s, const char *words[8])
{
    size_t n = 0;
    if ((s->flags & SESSION_TRACKING) == 0) {
        words[n++] = "off";
        return n;
    }
    const unsigned flags = s->interests->tracking.flags;
    const bool is_caching = (flags & TRACKING_CACHING) != 0;
    words[n++] = "on";
    if ((flags & TRACKING_BCAST) != 0) {
        words[n++] = "bcast";
    }
    if ((flags & TRACKING_OPTIN) != 0) {
        words[n++] = "optin";
        if (is_caching) {
            words[n++] = "caching-yes";
        }
    }
    if ((flags & TRACKING_OPTOUT) != 0) {
        words[n++] = "optout";
        if (is_caching) {
            words[n++] = "caching-no";
        }
    }
    if ((flags & TRACKING_NOLOOP) != 0) {
        words[n++] = "noloop";
    }
    if ((flags & TRACKING_BROKEN) != 0) {
        words[n++] = "broken_redirect";
    }
    return n;
}

void cmd_client_trackinginfo(struct cmd_ctx *ctx)
{
    const struct session *s = ctx->session;
    struct resp_writer *w = ctx->reply;
    const char *words[8];
    const size_t count = flag_words(s, words);
    resp_write_map(w, 3);
    resp_write_bulk_str(w, "flags");
    resp_write_set(w, count);
    for (size_t i = 0; i < count; i++) {
        resp_write_bulk_str(w, words[i]);
    }
    resp_write_bulk_str(w, "redirect");
    cmd_client_getredir(ctx);
    resp_write_bulk_str(w, "prefixes");
    resp_write_array(w, observers_count(s, TOPIC_PREFIX));
    if (s->interests != NULL) {
        list_for_each (link, &s->interests->joined[TOPIC_PREFIX].list) {
            resp_write_bulk(w, container_of(link, struct membership, in_session)->topic->name.key);
        }
    }
}
