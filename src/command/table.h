/*
 * The rows of all commands, and finding them. Rows are declared in commands_<group>.def, one file
 * per family, and nowhere else; from them come the prototypes of the handlers, the ids and the
 * rows.
 *
 *     COMMAND(get, .arity = 2, .flags = ..., .keys = {1, 1, 1}, ...)            cmd_get
 *     CONTAINER(client, NULL, .arity = -2, ...)                                 a handler or NULL
 *     SUBCOMMAND(client, no_evict, "no-evict", .arity = 3, .flags = ..., ...)   cmd_client_no_evict
 *     CONTAINER_END(client)
 */
#ifndef TARN_COMMAND_TABLE_H
#define TARN_COMMAND_TABLE_H

#include <stdbool.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "handler.h"
#include "tarn/base/compiler.h"
#include "tarn/base/strview.h"

/* Prototypes. */
#define COMMAND(name, ...)                     void cmd_##name(struct cmd_ctx *ctx);
#define CONTAINER(name, handler_or_null, ...)  void cmd_##name(struct cmd_ctx *ctx);
#define SUBCOMMAND(container, name, word, ...) void cmd_##container##_##name(struct cmd_ctx *ctx);
#define CONTAINER_END(name)
#include "commands.def"
#undef COMMAND
#undef CONTAINER
#undef SUBCOMMAND
#undef CONTAINER_END

/* Of rows with a short cut. */
bool shortcut_get(struct command_env *env, const struct command_call *call);
bool shortcut_set(struct command_env *env, const struct command_call *call);

/* The place of each row; a container's subcommands follow it. CONTAINER_END names the place after
 * them and then steps back, so that it takes no row. */
#define COMMAND(name, ...)                     COMMAND_ID_##name,
#define CONTAINER(name, handler_or_null, ...)  COMMAND_ID_##name,
#define SUBCOMMAND(container, name, word, ...) COMMAND_ID_##container##_##name,
#define CONTAINER_END(name)                    COMMAND_END_##name, COMMAND_BACK_##name = COMMAND_END_##name - 1,
enum command_id {
#include "commands.def"
    COMMAND_ROWS
};
#undef COMMAND
#undef CONTAINER
#undef SUBCOMMAND
#undef CONTAINER_END

struct timing;

/* All rows, subcommands included; a row with a parent is a subcommand. */
extern const struct command command_rows[COMMAND_ROWS];

/* Per command and subcommand, in env->table. Time is sampled: see dispatch.c. */
struct command_stat {
    uint64_t calls;    /* runs of the handler that completed */
    uint64_t nsec;     /* estimate over all calls */
    uint64_t rejected; /* refused before the handler: arity, authentication, memory, a mapped key */
    uint64_t failed;   /* the handler's reply was an error */
    struct timing *timing;         /* owned; NULL until it was first timed */
    unsigned untimed, untimed_max; /* runs since the last one that was timed: see timing.h */
};

#define COMMAND_SLOTS_LOG2 10
#define COMMAND_NAME_MAX   16

struct command_slot {
    uint64_t low, high; /* the name's bytes, see table.c */
    size_t len;
    const struct command *command;
};

#define COMMAND_RECENT 8

struct command_recent {
    uint64_t word;
    size_t len; /* 0: free */
    const struct command *command;
};

/* Error replies by the word they begin with. There are not many in this program; a bound all the
 * same, because parts of texts come from databases. */
#define ERROR_CODES_MAX 64
#define ERROR_CODE_MAX  23

struct error_count {
    char code[ERROR_CODE_MAX + 1];
    uint64_t count;
};

struct error_stats {
    struct error_count codes[ERROR_CODES_MAX];
    size_t count;
};

struct command_table {
    struct command_slot slots[1 << COMMAND_SLOTS_LOG2];
    struct command_recent recent[COMMAND_RECENT]; /* as clients spell them, by the first letter */
    struct command_stat stats[COMMAND_ROWS];
    struct error_stats errors;
    size_t timings_bytes; /* of all command_stat::timing */
};

/* Fills a zeroed table. */
void command_table_init(struct command_table *t);

/* Starts all statistics anew; at the end, gives their memory back. */
void command_table_reset_stats(struct command_table *t);

/* Case is ignored; NULL: no such command. */
const struct command *command_table_find(const struct command_table *t, struct strview name);
const struct command *command_find_subcommand(const struct command *container, struct strview name);

/* 1..8 bytes as a number that is different for different bytes of the same length; reads nothing
 * beyond them. */
static inline uint64_t command_name_word(const char *p, size_t len)
{
    if (len >= 4) {
        uint32_t first, last;
        memcpy(&first, p, sizeof(first));
        memcpy(&last, p + len - 4, sizeof(last));
        return first | (uint64_t)last << 32;
    }
    return (unsigned char)p[0] | (uint64_t)(unsigned char)p[len / 2] << 8 |
           (uint64_t)(unsigned char)p[len - 1] << 16;
}

/* The place of names of at most 8 bytes that begin like this one. */
static inline struct command_recent *command_recent_at(struct command_table *t, struct strview name)
{
    return &t->recent[(unsigned char)name.data[0] % COMMAND_RECENT];
}

/* The command that had this name, spelt like this, a moment ago; NULL: it is to be looked for. A
 * client has few commands: this takes a third of the look-up's 75 instructions. */
static inline const struct command *command_recent(struct command_table *t, struct strview name)
{
    if (UNLIKELY(name.len == 0 || name.len > sizeof(uint64_t))) {
        return NULL;
    }
    const struct command_recent *recent = command_recent_at(t, name);
    const bool is_same = recent->len == name.len &&
                         recent->word == command_name_word(name.data, name.len);
    return LIKELY(is_same) ? recent->command : NULL;
}

/* The row that argv means: the subcommand's where the command has some and argc > 1. NULL: unknown.
 */
const struct command *command_table_resolve(struct command_table *t, const struct strview *argv,
                                            int argc);

/* Is `name` a command with subcommands? (For COMMAND and for error texts.) */
static inline bool command_is_container(const struct command *c)
{
    return c->subcommands_count > 0;
}

static inline struct command_stat *command_stat_of(struct command_env *env, const struct command *c)
{
    return &env->table->stats[c->id];
}

/* Positions of keys in a call that fits the row's arity: for (i = c->keys.first; i > 0 && i <=
 * last; i += c->keys.step), where last is this. 0: no keys, or their number is no number or more
 * than the call has. */
int command_last_key(const struct command *c, const struct strview *argv, int argc);

#endif
