/*
 * What a command may know of its client: everything but the socket. Net embeds a session in each
 * connection and reacts to what commands ask for through session_ops; tests use a session without
 * any connection.
 */
#ifndef TARN_COMMAND_SESSION_H
#define TARN_COMMAND_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/base/buf.h"
#include "tarn/base/list.h"
#include "tarn/base/strview.h"
#include "tarn/proto/resp_write.h"

struct command;
struct command_env;
struct session;
struct session_loads;
struct interests;
struct transaction;

#define SESSION_ADDRESS_MAX 48   /* an IPv6 address with its port */
#define SESSION_NAME_MAX    1024 /* bytes of CLIENT SETNAME and SETINFO values */

enum session_flag {
    SESSION_AUTHENTICATED = 1 << 0,
    SESSION_UNIX = 1 << 1,
    SESSION_REPLY_OFF = 1 << 2,
    SESSION_REPLY_SKIP_NEXT =
        1 << 3,                  /* CLIENT REPLY SKIP was run: the next command gets no reply */
    SESSION_REPLY_SKIP = 1 << 4, /* the running command gets no reply */
    SESSION_NO_EVICT = 1 << 5,
    SESSION_NO_TOUCH = 1 << 6,
    SESSION_NO_LOAD = 1 << 7,
    SESSION_CLOSING = 1 << 8,     /* close once the replies are written; nothing more is run */
    SESSION_BLOCKED = 1 << 9,     /* its command waits for a load, or the client is delayed */
    SESSION_IN_MULTI = 1 << 10,   /* commands are queued until EXEC */
    SESSION_SPOILT = 1 << 11,     /* one of them was refused: EXEC will be as well */
    SESSION_TOUCHED = 1 << 12,    /* a watched key changed: EXEC will not run */
    SESSION_SUBSCRIBER = 1 << 13, /* subscribed to something */
    SESSION_TRACKING = 1 << 14,   /* CLIENT TRACKING is on */
    SESSION_MONITOR = 1 << 15,    /* is shown every command */
    SESSION_PAUSED = 1 << 16,     /* its command waits for the end of CLIENT PAUSE */
    SESSION_LOOPBACK = 1 << 17,   /* its address is one of this machine's own */
};

/* What net does for a session. All calls are safe from within the session's own command. */
struct session_ops {
    /* Close as soon as possible: at once for others, after the reply for oneself. */
    void (*close)(struct session *s);
    /* The suspended command can go on: run it again in this turn's prepare phase. */
    void (*resume)(struct session *s);
    /* Bytes of unread input, unsent output, and memory held, for CLIENT LIST. */
    void (*buffers)(const struct session *s, size_t *query_out, size_t *query_free_out,
                    size_t *output_out, size_t *memory_out);
    /* Replies with a bulk of these bytes without copying them, if the socket takes them. `stays`:
     * they stay where they are until another command than this one runs; else only until this
     * returns. False: nothing was done. NULL in tests. */
    bool (*lend_bulk)(struct session *s, struct strview bytes, bool stays);
    /* Replies were appended from outside of the session's own command (pushes): write them. */
    void (*wake)(struct session *s);
};

struct session {
    struct list link; /* command_env::sessions */
    const struct session_ops *ops;
    struct buf *out;    /* replies go here; owned by the connection */
    uint64_t id;        /* 1, 2, 3, ... in order of arrival */
    unsigned flags;     /* enum session_flag */
    int fd;             /* for CLIENT LIST only; -1 in tests */
    uint32_t created_s; /* monotonic */
    uint8_t db;
    uint8_t resp_version; /* 2 or 3 */
    int64_t active_ms; /* monotonic: when the latest request (the one that runs or is suspended) was
                          first tried */
    char *name;        /* owned, NULL: none */
    char *lib_name, *lib_ver;           /* owned, NULL: none */
    char address[SESSION_ADDRESS_MAX];  /* "127.0.0.1:50000", "/path:0" */
    const char *local_address;          /* borrowed for the session's life */
    const struct command *last_command; /* borrowed, static tables */
    uint64_t commands;                  /* requests run */

    struct transaction *transaction; /* owned; NULL outside of MULTI */
    struct interests *interests;     /* owned; NULL: watches, subscribes and tracks nothing */
    struct session_loads
        *loads; /* owned; loads of the suspended command and their results; NULL in between */
    int64_t blocked_until_ms; /* delayed by DEBUG SLEEP and the like; 0: not */
};

void session_init(struct session *s, struct command_env *env, const struct session_ops *ops,
                  struct buf *out);
/* Unlinks, cancels waits, frees what the session owns. */
void session_fini(struct session *s, struct command_env *env);

static inline struct resp_writer session_writer(const struct session *s)
{
    return (struct resp_writer){.out = s->out, .version = s->resp_version};
}

#endif
