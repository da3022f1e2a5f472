/*
 * COMMAND and its subcommands: the table told to clients. Everything comes from the rows; nothing
 * is listed here twice.
 */

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "categories.h"
#include "reply.h"
#include "handler.h"
#include "key_specs.h"
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

static void write_categories(struct resp_writer *w, const struct command *c)
{
    const unsigned bits = categories_of(c);
    resp_write_set(w, (size_t)__builtin_popcount(bits));
    for (unsigned i = 0; i < CATEGORIES_COUNT; i++) {
        if ((bits & 1U << i) != 0) {
            char name[32];
            const int len = snprintf(name, sizeof(name), "@%s", category_name(i));
            resp_write_simple(w, strview_of(name, (size_t)len));
        }
    }
}

/* The next of the words that are separated by blanks; empty at the end. */
static struct strview next_word(const char **text)
{
    const size_t len = strcspn(*text, " ");
    const struct strview word = strview_of(*text, len);
    *text += len + strspn(*text + len, " ");
    return word;
}

static void write_tips(struct resp_writer *w, const struct command *c)
{
    size_t count = 0;
    const char *rest = c->tips != NULL ? c->tips : "";
    while (next_word(&rest).len > 0) {
        count++;
    }
    resp_write_set(w, count);
    rest = c->tips;
    for (size_t i = 0; i < count; i++) {
        resp_write_bulk(w, next_word(&rest));
    }
}

/* Ten elements, the last being the number of subcommands' infos that the caller writes next. */
static void write_info_head(struct resp_writer *w, const struct command *c)
{
    resp_write_array(w, 10);
    resp_write_bulk_str(w, c->full_name);
    resp_write_int(w, c->arity);
    write_flags(w, c);
    const bool is_range = c->keys.count_at == 0; /* only such keys can be given as three numbers */
    resp_write_int(w, is_range ? c->keys.first : 0);
    resp_write_int(w, is_range ? c->keys.last : 0);
    resp_write_int(w, is_range ? c->keys.step : 0);
    write_categories(w, c);
    write_tips(w, c);
    key_specs_write(w, c);
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

/* ---- DOCS ------------------------------------------------------------------------------------ */

static void write_doc_head(struct resp_writer *w, const struct command *c)
{
    bool has_arguments = c->arguments != NULL && c->arguments[0] != '\0';
    resp_write_bulk_str(w, c->full_name);
    const bool is_old = c->deprecated != NULL;
    resp_write_map(w, 4 + (is_old ? 3 : 0) + has_arguments + (c->subcommands_count > 0));
    resp_write_bulk_str(w, "summary");
    resp_write_bulk_str(w, c->summary);
    resp_write_bulk_str(w, "since");
    resp_write_bulk_str(w, c->since);
    resp_write_bulk_str(w, "group");
    resp_write_bulk_str(w, c->group);
    resp_write_bulk_str(w, "complexity");
    resp_write_bulk_str(w, c->complexity);
    if (is_old) {
        resp_write_bulk_str(w, "doc_flags");
        resp_write_set(w, 1);
        resp_write_simple(w, strview_str("deprecated"));
        resp_write_bulk_str(w, "deprecated_since");
        resp_write_bulk_str(w, c->deprecated);
        resp_write_bulk_str(w, "replaced_by");
        resp_write_bulk_str(w, c->replaced_by);
    }
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

/* ---- LIST ------------------------------------------------------------------------------------ */

#define ANY_CATEGORY UINT_MAX

struct list_filter {
    struct strview pattern; /* data NULL: any */
    unsigned category;      /* 0: one that does not exist */
    bool is_module;         /* there are no modules: nothing passes */
};

static bool passes(const struct command *c, const struct list_filter *f)
{
    return !f->is_module &&
           (f->pattern.data == NULL || glob_match_nocase(f->pattern, strview_str(c->full_name))) &&
           (f->category == ANY_CATEGORY || (categories_of(c) & f->category) != 0);
}

/* Subcommands are listed too, as "config|get". */
void cmd_command_list(struct cmd_ctx *ctx)
{
    struct list_filter filter = {.category = ANY_CATEGORY};
    size_t count = 0;
    if (ctx->argc == 5 && strview_eq_nocase(ctx->argv[2], "filterby")) {
        if (strview_eq_nocase(ctx->argv[3], "pattern")) {
            filter.pattern = ctx->argv[4];
        } else if (strview_eq_nocase(ctx->argv[3], "aclcat")) {
            filter.category = category_by_name(ctx->argv[4]);
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
