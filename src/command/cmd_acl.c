/*
 * ACL, as far as there is something to tell: one user, `default`, who may do everything once the
 * password was given. Its digest is not shown.
 */
#include "args.h"
#include "auth.h"
#include "categories.h"
#include "reply.h"
#include "table.h"

#define USER "default"

void cmd_acl_whoami(struct cmd_ctx *ctx)
{
    resp_write_bulk_str(ctx->reply, USER);
}

void cmd_acl_users(struct cmd_ctx *ctx)
{
    resp_write_array(ctx->reply, 1);
    resp_write_bulk_str(ctx->reply, USER);
}

void cmd_acl_list(struct cmd_ctx *ctx)
{
    resp_write_array(ctx->reply, 1);
    resp_write_bulk_str(ctx->reply, auth_is_required(ctx->env) ? "user " USER " on ~* &* +@all"
                                                               : "user " USER
                                                                 " on nopass ~* &* +@all");
}

void cmd_acl_getuser(struct cmd_ctx *ctx)
{
    static const struct {
        const char *field, *value;
    } rights[] = {{"commands", "+@all"}, {"keys", "~*"}, {"channels", "&*"}};
    struct resp_writer *w = ctx->reply;
    const bool is_open = !auth_is_required(ctx->env);
    if (!strview_eq(ctx->argv[2], strview_str(USER))) {
        resp_write_null(w);
        return;
    }
    resp_write_map(w, 6);
    resp_write_bulk_str(w, "flags");
    resp_write_set(w, is_open ? 2 : 1);
    resp_write_bulk_str(w, "on");
    if (is_open) {
        resp_write_bulk_str(w, "nopass");
    }
    resp_write_bulk_str(w, "passwords");
    resp_write_array(w, 0);
    for (size_t i = 0; i < ARRAY_LEN(rights); i++) {
        resp_write_bulk_str(w, rights[i].field);
        resp_write_bulk_str(w, rights[i].value);
    }
    resp_write_bulk_str(w, "selectors");
    resp_write_array(w, 0);
}

/* The categories, or the commands of one. */
void cmd_acl_cat(struct cmd_ctx *ctx)
{
    if (ctx->argc == 2) {
        resp_write_array(ctx->reply, CATEGORIES_COUNT);
        for (unsigned i = 0; i < CATEGORIES_COUNT; i++) {
            resp_write_bulk_str(ctx->reply, category_name(i));
        }
        return;
    }
    if (ctx->argc > 3) {
        reply_subcommand_error(ctx);
        return;
    }
    const unsigned category = category_by_name(ctx->argv[2]);
    if (category == 0) {
        resp_write_errorf(ctx->reply, "ERR Unknown category '%.*s'",
                          STRVIEW_ARG(word_shown(ctx->argv[2], SHOWN_MAX)));
        return;
    }
    const size_t begin = reply_mark(ctx);
    size_t count = 0;
    for (size_t i = 0; i < COMMAND_ROWS; i++) {
        const struct command *c = &command_rows[i];
        if ((categories_of(c) & category) != 0) {
            resp_write_bulk_str(ctx->reply, c->full_name);
            count++;
        }
    }
    reply_array_of(ctx, begin, count);
}
