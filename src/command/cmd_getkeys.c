/*
 * COMMAND GETKEYS and GETKEYSANDFLAGS, and the key specifications in COMMAND INFO.
 *
 * A row has one range of keys. What a command does with them is the same for all, or the first is
 * used otherwise than those behind it (RENAME, BITOP): then a client is told of two ranges.
 */
#include "key_specs.h"

#include "args.h"
#include "reply.h"
#include "table.h"

static const struct {
    unsigned use;
    const char *name;
} use_names[] = {
    {KEY_RO, "RO"},           {KEY_RW, "RW"},
    {KEY_OW, "OW"},           {KEY_RM, "RM"},
    {KEY_ACCESS, "access"},   {KEY_UPDATE, "update"},
    {KEY_INSERT, "insert"},   {KEY_DELETE, "delete"},
    {KEY_NOT_KEY, "not_key"}, {KEY_VARIABLE, "variable_flags"},
};

static void write_use(struct resp_writer *w, unsigned use)
{
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(use_names); i++) {
        count += (use & use_names[i].use) != 0;
    }
    resp_write_set(w, count);
    for (size_t i = 0; i < ARRAY_LEN(use_names); i++) {
        if ((use & use_names[i].use) != 0) {
            resp_write_simple(w, strview_str(use_names[i].name));
        }
    }
}

/* What the row says of all keys but the first. */
static unsigned use_of(const struct command *c)
{
    if (c->keys.use != 0) {
        return c->keys.use;
    }
    return (c->flags & CMD_WRITE) != 0 ? KEY_RW | KEY_UPDATE : KEY_RO | KEY_ACCESS;
}

/* ---- specifications ---- */

struct key_range {
    unsigned use;
    int index; /* of the first key, or of the number of keys */
    int last;  /* counted from the first key; negative: from the end */
    int first; /* with a number of keys: counted from it */
    int step;
    bool has_count;
};

static void write_pair(struct resp_writer *w, const char *name, int value)
{
    resp_write_bulk_str(w, name);
    resp_write_int(w, value);
}

static void write_range(struct resp_writer *w, const struct key_range *r)
{
    resp_write_map(w, 3);
    resp_write_bulk_str(w, "flags");
    write_use(w, r->use);
    resp_write_bulk_str(w, "begin_search");
    resp_write_map(w, 2);
    resp_write_bulk_str(w, "type");
    resp_write_bulk_str(w, "index");
    resp_write_bulk_str(w, "spec");
    resp_write_map(w, 1);
    write_pair(w, "index", r->index);
    resp_write_bulk_str(w, "find_keys");
    resp_write_map(w, 2);
    resp_write_bulk_str(w, "type");
    resp_write_bulk_str(w, r->has_count ? "keynum" : "range");
    resp_write_bulk_str(w, "spec");
    resp_write_map(w, 3);
    if (r->has_count) {
        write_pair(w, "keynumidx", 0);
        write_pair(w, "firstkey", r->first);
        write_pair(w, "keystep", r->step);
    } else {
        write_pair(w, "lastkey", r->last);
        write_pair(w, "keystep", r->step);
        write_pair(w, "limit", 0);
    }
}

void key_specs_write(struct resp_writer *w, const struct command *c)
{
    const struct cmd_keys *k = &c->keys;
    if (k->first == 0) {
        resp_write_set(w, 0);
        return;
    }
    const bool is_split = k->first_use != 0;
    const struct key_range head = {.use = k->first_use, .index = k->first, .step = 1};
    const int index = is_split ? k->first + k->step : k->first;
    const struct key_range rest = {
        .use = use_of(c),
        .index = k->count_at > 0 ? k->count_at : index,
        .last = k->last < 0 ? k->last : k->last - index,
        .first = k->first - k->count_at,
        .step = k->step,
        .has_count = k->count_at > 0,
    };
    resp_write_set(w, is_split ? 2 : 1);
    if (is_split) {
        write_range(w, &head);
    }
    write_range(w, &rest);
}

/* ---- keys of one call ---- */

static bool has_word(const struct strview *argv, int argc, int first, const char *word)
{
    for (int i = first; i < argc; i++) {
        if (strview_eq_nocase(argv[i], word)) {
            return true;
        }
    }
    return false;
}

/* Of SET and BITFIELD, whose words decide. */
static unsigned use_by_words(const struct command *c, const struct strview *argv, int argc)
{
    if (c->id == COMMAND_ID_set) {
        return has_word(argv, argc, 3, "get") ? KEY_RW | KEY_ACCESS | KEY_UPDATE
                                              : KEY_OW | KEY_UPDATE;
    }
    return has_word(argv, argc, 2, "set") || has_word(argv, argc, 2, "incrby")
               ? KEY_RW | KEY_ACCESS | KEY_UPDATE
               : KEY_RO | KEY_ACCESS;
}

/* The call that COMMAND GETKEYS is asked about. */
struct asked {
    const struct command *command;
    const struct strview *argv;
    int argc, last;
};

/* False: the error was written. */
static bool parse_call(struct cmd_ctx *ctx, struct asked *out)
{
    const struct strview *argv = ctx->argv + 2;
    const int argc = ctx->argc - 2;
    const struct command *c = command_table_resolve(ctx->env->table, argv, argc);
    const char *error = NULL;
    int last = 0;
    if (c == NULL) {
        error = "ERR Invalid command specified";
    } else if (c->keys.first == 0 || (use_of(c) & KEY_NOT_KEY) != 0) {
        error = "ERR The command has no key arguments";
    } else if ((c->arity > 0 && argc != c->arity) || argc < -c->arity) {
        error = "ERR Invalid number of arguments specified for command";
    } else {
        last = command_last_key(c, argv, argc);
        error = last == 0 ? "ERR Invalid arguments specified for command" : NULL;
    }
    if (error != NULL) {
        reply_error(ctx, error);
        return false;
    }
    *out = (struct asked){.command = c, .argv = argv, .argc = argc, .last = last};
    return true;
}

static void write_keys(struct cmd_ctx *ctx, bool with_use)
{
    struct asked call;
    if (!parse_call(ctx, &call)) {
        return;
    }
    const struct cmd_keys *k = &call.command->keys;
    unsigned use = use_of(call.command);
    if ((use & KEY_VARIABLE) != 0) {
        use = use_by_words(call.command, call.argv, call.argc);
    }
    resp_write_array(ctx->reply, (size_t)((call.last - k->first) / k->step + 1));
    for (int i = k->first; i <= call.last; i += k->step) {
        if (with_use) {
            resp_write_array(ctx->reply, 2);
        }
        resp_write_bulk(ctx->reply, call.argv[i]);
        if (with_use) {
            write_use(ctx->reply, i == k->first && k->first_use != 0 ? k->first_use : use);
        }
    }
}

void cmd_command_getkeys(struct cmd_ctx *ctx)
{
    write_keys(ctx, false);
}

void cmd_command_getkeysandflags(struct cmd_ctx *ctx)
{
    write_keys(ctx, true);
}
