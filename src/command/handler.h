/*
 * What a command handler sees, and how a command is declared. Private to the command layer.
 *
 * A handler writes exactly one reply through ctx->reply and returns nothing: whether it is sent,
 * counted as an error, rolled back because a key has to be loaded first, or suppressed is
 * dispatch's business. Handlers marked CMD_LOADS must have no side effect before all their
 * key_read() calls: dispatch runs them again once the loads are done.
 *
 * Keys are reached only through keyspace.h, arguments are parsed with args.h.
 */
#ifndef TARN_COMMAND_HANDLER_H
#define TARN_COMMAND_HANDLER_H

#include <stdbool.h>
#include <stdint.h>

#include "tarn/command/command.h"
#include "tarn/command/session.h"
#include "tarn/proto/resp_write.h"

struct cmd_ctx {
    struct command_env *env;
    struct session *session;
    const struct command *command; /* the row (the subcommand's, where there is one) */
    const struct strview *argv;    /* borrowed until the handler returns */
    int argc;
    struct resp_writer *reply;
    size_t reply_start;                /* length of the output before this reply */
    size_t sent;                       /* bytes of the reply that never came into the output */
    const struct store_key *first_key; /* hashed already; NULL when the command has no key */

    bool is_in_exec; /* one of a transaction's commands: it can wait for nothing */
    bool is_rerun; /* the command comes back from its loads: what it read before was counted then */

    /* Set by keyspace.c for dispatch: */
    unsigned loads_pending; /* > 0: roll back and suspend */
    struct strview
        load_error;      /* len > 0: the reply becomes this error; borrowed from session->loads */
    uint64_t took_ns;    /* by the run, when it was timed */
    unsigned stands_for; /* so many runs; 0: it was not timed */
    unsigned hits,
        misses; /* of this run; counted when the command completes, not when it is suspended */
};

typedef void (*cmd_handler)(struct cmd_ctx *ctx);

/* The short cut of a command that is most of a cache's work: it runs the call in its plainest case,
 * reply and hits included. False: this is another case, and the handler's. Only for sessions and
 * times in which nothing is unusual, and for calls that fit the row's arity. */
typedef bool (*cmd_shortcut)(struct command_env *env, const struct command_call *call);

enum cmd_flag { /* Redis's names in COMMAND INFO; bits as in the row */
                CMD_WRITE = 1 << 0,
                CMD_READONLY = 1 << 1,
                CMD_DENYOOM = 1 << 2,
                CMD_ADMIN = 1 << 3,
                CMD_PUBSUB = 1 << 4,
                CMD_NOSCRIPT = 1 << 5,
                CMD_BLOCKING = 1 << 6,
                CMD_LOADING = 1 << 7,
                CMD_STALE = 1 << 8,
                CMD_SKIP_MONITOR = 1 << 9,
                CMD_FAST = 1 << 10,
                CMD_NO_AUTH = 1 << 11,
                CMD_NO_MULTI = 1 << 12,
                CMD_MOVABLEKEYS = 1 << 13,
                CMD_ALLOW_BUSY = 1 << 14,
                CMD_SKIP_SLOWLOG = 1 << 15,
                /* Tarn's own: what the command does with keys that belong to a map */
                CMD_LOADS = 1 << 16,        /* a missing key is loaded first */
                CMD_MAPPED_WRITE = 1 << 17, /* -SOURCEWRITE when any of its keys belongs to a map */
                CMD_MAPPED_DEST = 1 << 18,  /* the same for its last key only (RENAME, COPY) */
                CMD_IMMEDIATE = 1 << 19,    /* run at once inside of MULTI, not queued */
                CMD_SUBSCRIBER = 1 << 20,   /* allowed to a RESP2 client with subscriptions */
};

/* Position of keys in argv as in COMMAND INFO: first, last (negative: from the end), step; 0 0 0:
 * none. With count_at > 0 (CMD_MOVABLEKEYS) that argument is the number of keys, and `last` says
 * nothing. */
struct cmd_keys {
    int first, last, step, count_at;
    unsigned use; /* enum key_use; 0: that of any command that reads, or writes */
    unsigned
        first_use; /* of the first key, where it is used otherwise than the rest; 0: it is not */
};

/* What is done with a key, in Redis's words: read only, read and written, overwritten, removed; and
 * whether its value is returned, changed, added to or deleted. */
enum key_use {
    KEY_RO = 1 << 0,
    KEY_RW = 1 << 1,
    KEY_OW = 1 << 2,
    KEY_RM = 1 << 3,
    KEY_ACCESS = 1 << 4,
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8,  /* a channel, which only has its place among the shards */
    KEY_VARIABLE = 1 << 9, /* less with some options */
};

struct command {
    const char *name;      /* lower case; for a subcommand only its own word */
    const char *full_name; /* "get", "client|list": what error texts and statistics show */
    cmd_handler handler;   /* NULL for a container */
    cmd_shortcut shortcut; /* tried before the handler; NULL: there is none */
    int arity;      /* as Redis: 3 exactly, -3 at least; a subcommand counts the container's word */
    unsigned flags; /* enum cmd_flag */
    struct cmd_keys keys;
    const char *event; /* of keyspace notifications when it changes a key; NULL: its own name */
    unsigned
        categories;    /* enum category, instead of what follows from the group; 0: as the group */
    const char *group; /* string, bitmap, hash, generic, connection, server, source */
    const char *since; /* version of Redis that introduced it; "tarn 0.1" for our own */
    const char *summary;
    const char *complexity;
    const char *tips;                     /* words for clients of a cluster; NULL: none */
    const char *deprecated, *replaced_by; /* since which version, by what; NULL: it is not */
    const char
        *arguments; /* syntax as COMMAND DOCS and hints show it: "key value [NX | XX] [GET]" */
    const struct command *subcommands; /* borrowed table, NULL: none */
    int subcommands_count;
    const struct command *parent; /* of a subcommand */
    int id;                       /* enum command_id: its row, and its place in the statistics */
};

#endif
