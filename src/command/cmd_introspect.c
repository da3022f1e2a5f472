/*
 * COMMAND and its subcommands: the table told to clients. Everything comes from the rows; nothing
 * is listed here twice.
 */

#include <string.h>

#include "args.h"
#include "reply.h"
#include "handler.h"
#include "syntax.h"
#include "table.h"
#include "tarn/base/glob.h"

/* The commands in order of the rows, without their subcommands; NULL starts, NULL ends. */
static const struct command *next_command(const struct command *c)
{
    const struct command *row = c == NULL ? command_rows : c + 1;
    while (row < command_rows + COMMAND_ROWS && row->parent != NULL) {
        row++;
    }
    return row < command_rows + COMMAND_ROWS ? row : NULL;
}

static size_t count_commands(void)
{
    size_t count = 0;
    for (const struct command *c = next_command(NULL); c != NULL; c = next_command(c)) {
        count++;
    }
    return count;
}

/* "get", or a subcommand as "config|get". */
static const struct command *find_by_name(const struct command_table *table, struct strview name)
{
    const char *bar = memchr(name.data, '|', name.len);
    if (bar == NULL) {
        return command_table_find(table, name);
    }
    size_t len = (size_t)(bar - name.data);
    const struct command *c = command_table_find(table, strview_of(name.data, len));
    return c == NULL ? NULL : command_find_subcommand(c, strview_of(bar + 1, name.len - len - 1));
}

static const struct {
    unsigned flag;
    const char *name;
} flag_names[] = {
    {CMD_WRITE, "write"},
    {CMD_READONLY, "readonly"},
    {CMD_DENYOOM, "denyoom"},
    {CMD_ADMIN, "admin"},
    {CMD_PUBSUB, "pubsub"},
    {CMD_NOSCRIPT, "noscript"},
    {CMD_BLOCKING, "blocking"},
    {CMD_LOADING, "loading"},
    {CMD_STALE, "stale"},
    {CMD_SKIP_MONITOR, "skip_monitor"},
    {CMD_FAST, "fast"},
    {CMD_NO_AUTH, "no_auth"},
    {CMD_NO_MULTI, "no_multi"},
    {CMD_MOVABLEKEYS, "movablekeys"},
    {CMD_ALLOW_BUSY, "allow_busy"},
    {CMD_SKIP_SLOWLOG, "skip_slowlog"},
};

static void write_flags(struct resp_writer *w, const struct command *c)
{
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(flag_names); i++) {
        count += (c->flags & flag_names[i].flag) != 0;
    }
    resp_write_set(w, count);
    for (size_t i = 0; i < ARRAY_LEN(flag_names); i++) {
        if (c->flags & flag_names[i].flag) {
            resp_write_simple(w, strview_str(flag_names[i].name));
        }
    }
}

/* Categories follow from flags and group as Redis derives them. */
static size_t categories_of(const struct command *c, const char *names[8])
{
    size_t n = 0;
    if (c->flags & CMD_WRITE) {
        names[n++] = "@write";
    }
    if (c->flags & CMD_READONLY) {
        names[n++] = "@read";
    }
    if (strcmp(c->group, "string") == 0) {
        names[n++] = "@string";
    } else if (strcmp(c->group, "bitmap") == 0) {
        names[n++] = "@bitmap";
    } else if (strcmp(c->group, "hash") == 0) {
        names[n++] = "@hash";
    } else if (strcmp(c->group, "generic") == 0) {
        names[n++] = "@keyspace";
    } else if (strcmp(c->group, "connection") == 0) {
        names[n++] = "@connection";
    } else if (strcmp(c->group, "transactions") == 0) {
        names[n++] = "@transaction";
    }
    if (c->flags & CMD_PUBSUB) {
        names[n++] = "@pubsub";
    }
    names[n++] = c->flags & CMD_FAST ? "@fast" : "@slow";
    if (c->flags & CMD_ADMIN) {
        names[n++] = "@admin";
        names[n++] = "@dangerous";
    }
    return n;
}

static void write_key_specs(struct resp_writer *w, const struct command *c)
{
    const bool has_count = c->keys.count_at > 0;
    if (c->keys.first == 0) {
        resp_write_set(w, 0);
        return;
    }
    resp_write_set(w, 1);
    resp_write_map(w, 3);
    resp_write_bulk_str(w, "flags");
    resp_write_set(w, 1);
    resp_write_simple(w, strview_str(c->flags & CMD_WRITE ? "RW" : "RO"));
    resp_write_bulk_str(w, "begin_search");
    resp_write_map(w, 2);
    resp_write_bulk_str(w, "type");
    resp_write_bulk_str(w, "index");
    resp_write_bulk_str(w, "spec");
    resp_write_map(w, 1);
    resp_write_bulk_str(w, "index");
    resp_write_int(w, has_count ? c->keys.count_at : c->keys.first);
    resp_write_bulk_str(w, "find_keys");
    resp_write_map(w, 2);
    resp_write_bulk_str(w, "type");
    resp_write_bulk_str(w, has_count ? "keynum" : "range");
    resp_write_bulk_str(w, "spec");
    resp_write_map(w, 3);
    /* Places in a keynum are counted from the number of keys. */
    resp_write_bulk_str(w, has_count ? "keynumidx" : "lastkey");
    resp_write_int(w, has_count || c->keys.last < 0 ? c->keys.last : c->keys.last - c->keys.first);
    resp_write_bulk_str(w, has_count ? "firstkey" : "keystep");
    resp_write_int(w, has_count ? c->keys.first - c->keys.count_at : c->keys.step);
    resp_write_bulk_str(w, has_count ? "keystep" : "limit");
    resp_write_int(w, has_count ? c->keys.step : 0);
}

/* Ten elements, the last being the number of subcommands' infos that the caller writes next. */
static void write_info_head(struct resp_writer *w, const struct command *c)
{
    const char *categories[8];
    size_t count = categories_of(c, categories);
    resp_write_array(w, 10);
    resp_write_bulk_str(w, c->full_name);
    resp_write_int(w, c->arity);
    write_flags(w, c);
    const bool is_range = c->keys.count_at == 0; /* only such keys can be given as three numbers */
    resp_write_int(w, is_range ? c->keys.first : 0);
    resp_write_int(w, is_range ? c->keys.last : 0);
    resp_write_int(w, is_range ? c->keys.step : 0);
    resp_write_set(w, count);
    for (size_t i = 0; i < count; i++) {
        resp_write_simple(w, strview_str(categories[i]));
    }
    resp_write_array(w, 0); /* tips */
    write_key_specs(w, c);
    resp_write_array(w, (size_t)c->subcommands_count);
}

static void write_info(struct resp_writer *w, const struct command *c)
{
    if (c == NULL) {
        resp_write_null(w);
        return;
    }
    write_info_head(w, c);
    for (int i = 0; i < c->subcommands_count; i++) {
        write_info_head(w, &c->subcommands[i]);
    }
}

void cmd_command(struct cmd_ctx *ctx)
{
    resp_write_array(ctx->reply, count_commands());
    for (const struct command *c = next_command(NULL); c != NULL; c = next_command(c)) {
        write_info(ctx->reply, c);
    }
}

void cmd_command_count(struct cmd_ctx *ctx)
{
    resp_write_int(ctx->reply, (int64_t)count_commands());
}

void cmd_command_info(struct cmd_ctx *ctx)
{
    if (ctx->argc == 2) {
        cmd_command(ctx);
        return;
    }
    resp_write_array(ctx->reply, (size_t)ctx->argc - 2);
    for (int i = 2; i < ctx->argc; i++) {
        write_info(ctx->reply, find_by_name(ctx->env->table, ctx->argv[i]));
    }
}

/* ---- DOCS
 * ---------------------------------------------------------------------------------------------- */

static void write_doc_head(struct resp_writer *w, const struct command *c)
{
    bool has_arguments = c->arguments != NULL && c->arguments[0] != '\0';
    resp_write_bulk_str(w, c->full_name);
    resp_write_map(w, 4 + has_arguments + (c->subcommands_count > 0));
    resp_write_bulk_str(w, "summary");
    resp_write_bulk_str(w, c->summary);
    resp_write_bulk_str(w, "since");
    resp_write_bulk_str(w, c->since);
    resp_write_bulk_str(w, "group");
    resp_write_bulk_str(w, c->group);
    resp_write_bulk_str(w, "complexity");
    resp_write_bulk_str(w, c->complexity);
    if (has_arguments) {
        resp_write_bulk_str(w, "arguments");
        syntax_write(w, c->arguments);
    }
}

static void write_doc(struct resp_writer *w, const struct command *c)
{
    write_doc_head(w, c);
    if (c->subcommands_count > 0) {
        resp_write_bulk_str(w, "subcommands");
        resp_write_map(w, (size_t)c->subcommands_count);
        for (int i = 0; i < c->subcommands_count; i++) {
            write_doc_head(w, &c->subcommands[i]);
        }
    }
}

void cmd_command_docs(struct cmd_ctx *ctx)
{
    struct command_table *table = ctx->env->table;
    size_t found = 0;
    if (ctx->argc == 2) {
        resp_write_map(ctx->reply, count_commands());
        for (const struct command *c = next_command(NULL); c != NULL; c = next_command(c)) {
            write_doc(ctx->reply, c);
        }
        return;
    }
    for (int i = 2; i < ctx->argc; i++) {
        found += find_by_name(table, ctx->argv[i]) != NULL;
    }
    resp_write_map(ctx->reply, found);
    for (int i = 2; i < ctx->argc; i++) {
        const struct command *c = find_by_name(table, ctx->argv[i]);
        if (c != NULL) {
            write_doc(ctx->reply, c);
        }
    }
}

/* ---- LIST, GETKEYS
 * --------------------------------------------------------------------------------------- */

struct list_filter {
    struct strview pattern, category; /* data NULL: not asked for */
    bool is_module;                   /* there are no modules: nothing passes */
};

static bool in_category(const struct command *c, struct strview category)
{
    const char *names[8];
    size_t count = categories_of(c, names);
    for (size_t i = 0; i < count; i++) {
        if (strview_eq_nocase(category, names[i] + 1)) {
            return true;
        }
    }
    return false;
}

static bool passes(const struct command *c, const struct list_filter *f)
{
    return !f->is_module &&
           (f->pattern.data == NULL || glob_match_nocase(f->pattern, strview_str(c->full_name))) &&
           (f->category.data == NULL || in_category(c, f->category));
}

/* Subcommands are listed too, as "config|get". */
void cmd_command_list(struct cmd_ctx *ctx)
{
    struct list_filter filter = {.is_module = false};
    size_t count = 0;
    if (ctx->argc == 5 && strview_eq_nocase(ctx->argv[2], "filterby")) {
        if (strview_eq_nocase(ctx->argv[3], "pattern")) {
            filter.pattern = ctx->argv[4];
        } else if (strview_eq_nocase(ctx->argv[3], "aclcat")) {
            filter.category = ctx->argv[4];
        } else if (strview_eq_nocase(ctx->argv[3], "module")) {
            filter.is_module = true;
        } else {
            reply_error(ctx, ERROR_SYNTAX);
            return;
        }
    } else if (ctx->argc != 2) {
        reply_error(ctx, ERROR_SYNTAX);
        return;
    }
    for (size_t i = 0; i < COMMAND_ROWS; i++) {
        count += passes(&command_rows[i], &filter);
    }
    resp_write_array(ctx->reply, count);
    for (size_t i = 0; i < COMMAND_ROWS; i++) {
        if (passes(&command_rows[i], &filter)) {
            resp_write_bulk_str(ctx->reply, command_rows[i].full_name);
        }
    }
}

void cmd_command_getkeys(struct cmd_ctx *ctx)
{
    const struct strview *argv = ctx->argv + 2;
    int argc = ctx->argc - 2;
    const struct command *c = command_table_resolve(ctx->env->table, argv, argc);
    if (c == NULL) {
        reply_error(ctx, "ERR Invalid command specified");
        return;
    }
    if (c->keys.first == 0) {
        reply_error(ctx, "ERR The command has no key arguments");
        return;
    }
    if ((c->arity > 0 && argc != c->arity) || argc < -c->arity) {
        reply_error(ctx, "ERR Invalid number of arguments specified for command");
        return;
    }
    const int last = command_last_key(c, argv, argc);
    if (last == 0) {
        reply_error(ctx, "ERR Invalid arguments specified for command");
        return;
    }
    resp_write_array(ctx->reply, (size_t)((last - c->keys.first) / c->keys.step + 1));
    for (int i = c->keys.first; i <= last; i += c->keys.step) {
        resp_write_bulk(ctx->reply, argv[i]);
    }
}
